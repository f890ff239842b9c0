// What a file that is posted is called. The name goes with its type, as a parameter (RFC 2045; RFC 8187 where it is not plain ASCII), and
// is given back to whoever fetches the file.
//
// Pure: text in, text out. A name is whatever a stranger wrote: it is shown by visible.js, and saved as `savedAs` has it.

import { line } from "./visible.js";

/** The longest type that the server takes. */
const TYPE_CHARS_MAX = 255;

/** What may stand between double quotes as it is. */
const PLAIN = /^[ !#-[\]-~]+$/;

/** A name, and what behind its last dot says what kind of file it is. */
const STEM_AND_ENDING = /^(.+?)(\.[^.]{1,16})?$/su;

const PARAMETER = /;\s*([\w*.-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/g;

/** What a path, or a file that is hidden, begins or goes on with. */
const NOT_IN_NAMES = /^\.+|[/\\:*?"<>|]/g;

/** The type under which a file is posted: with its name, which is shortened before its ending where it is too long. */
export function typeOf({ name, type }) {
  const bare = type || "application/octet-stream";
  const [, stem, ending = ""] = STEM_AND_ENDING.exec(name.replace(/\p{Cs}/gu, "\ufffd")) ?? [null, ""];
  const chars = [...stem];
  for (let count = chars.length; count > 0; count -= 1) {
    const kept = count < chars.length ? `${chars.slice(0, count).join("")}…` : stem;
    const named = `${bare}; ${parameter(kept + ending)}`;
    if (named.length <= TYPE_CHARS_MAX) return named;
  }
  return bare;
}

function parameter(name) {
  if (PLAIN.test(name)) return `name="${name}"`;
  const escaped = (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return `name*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, escaped)}`;
}

/** The name that a type has in it, as its author wrote it, or null. */
export function nameIn(type = "") {
  const found = new Map();
  for (const [, key, quoted, bare] of type.matchAll(PARAMETER)) found.set(key.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare);
  return decoded(found.get("name*")) || found.get("name") || null;
}

function decoded(text = "") {
  const [, encoded = ""] = /^utf-8'[^']*'(.*)$/i.exec(text) ?? [];
  try {
    return decodeURIComponent(encoded);
  } catch {
    return "";
  }
}

/** What a file of this name is saved as: beside the others, and to be seen there. */
export function savedAs(name) {
  return line(name).replace(NOT_IN_NAMES, "_");
}
