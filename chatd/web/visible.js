// What strangers wrote, made safe to look at: control characters, invisible ones and those that turn the writing direction become
// escapes, so that nobody's message can pass for another line, another name or another address.
//
// Pure: text in, text out. That it becomes text and never markup is the drawing modules' business.

const UNSAFE = /[\p{Cc}\p{Cs}\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/** Joiners belong to words of some scripts and to emoji: a text may have them, a name may not. */
const JOINERS = "\u200c\u200d";

const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\u001b": "\\e" };

/** How many bytes of data that is no text are shown. */
const HEX_BYTES_MAX = 16;

function escaped(char) {
  if (SHORT[char]) return SHORT[char];
  const code = char.codePointAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}

/** Text on one line: a name, a topic, an answer of the server. */
export function line(text) {
  return String(text).replace(UNSAFE, escaped);
}

/** Text that may have several lines. */
export function paragraph(text) {
  return String(text).replace(UNSAFE, (char) =>
    char === "\n" || char === "\t" || JOINERS.includes(char) ? char : escaped(char));
}

/** The first bytes of data that is no text, in hexadecimal. */
export function hex(bytes) {
  const shown = Array.from(bytes.slice(0, HEX_BYTES_MAX), (byte) => byte.toString(16).padStart(2, "0"));
  return shown.join(" ") + (bytes.length > HEX_BYTES_MAX ? " …" : "");
}

/** Bytes that stand in a text as base64. */
export function unpacked(base64) {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

/** Bytes as base64, in portions that a call can have as arguments. */
export function packed(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary);
}

/** A number of bytes, for people. */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
