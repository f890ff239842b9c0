import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { WEB } from "./modules.mjs";

const BYTES_MAX = 60 * 1024;

test("the page is small, and nothing in it becomes markup or comes from elsewhere", () => {
  const files = readdirSync(WEB).map((name) => [name, readFileSync(join(WEB, name))]);
  const bytes = files.reduce((sum, [, content]) => sum + gzipSync(content).length, 0);
  assert.ok(bytes <= BYTES_MAX, `${bytes} bytes, compressed`);
  for (const [name, content] of files) {
    for (const word of ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", 'style="', " onclick="]) {
      assert.ok(!content.includes(word), `${name}: ${word}`);
    }
  }
});
