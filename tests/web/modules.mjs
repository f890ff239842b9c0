// The page's modules for Node, which takes a .js file as a module only where a package.json says so: they are copied beside one.

import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const WEB = join(dirname(fileURLToPath(import.meta.url)), "../../chatd/web");

let folder;

function copied() {
  const made = mkdtempSync(join(tmpdir(), "chatd-web-"));
  process.on("exit", () => rmSync(made, { recursive: true }));
  writeFileSync(join(made, "package.json"), '{"type":"module"}');
  for (const name of readdirSync(WEB)) copyFileSync(join(WEB, name), join(made, name));
  return made;
}

/** One of the page's modules, by its file's name. */
export function page(name) {
  folder ??= copied();
  return import(pathToFileURL(join(folder, name)));
}
