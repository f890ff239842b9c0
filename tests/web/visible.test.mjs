import assert from "node:assert/strict";
import test from "node:test";
import { page } from "./modules.mjs";

const { hex, line, packed, paragraph, size, unpacked } = await page("visible.js");

test("an escape sequence and a turned direction are shown and not obeyed", () => {
  assert.equal(line("\u001b[2Jgone"), "\\e[2Jgone");
  assert.equal(line("\u009b31m"), "\\x9b31m");
  assert.equal(paragraph("abc\u202etxt.exe"), "abc\\u{202e}txt.exe");
  assert.equal(line("a\nb\u200bc"), "a\\nb\\u{200b}c");
});

test("a text keeps its lines and its joiners", () => {
  assert.equal(paragraph("a\n\tb\r\n"), "a\n\tb\\r\n");
  assert.equal(paragraph("👩‍💻"), "👩‍💻");
  assert.equal(line("👩‍💻"), "👩\\u{200d}💻");
});

test("bytes become base64 and come back", () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, at) => (at * 7) % 256);
  assert.deepEqual(unpacked(packed(bytes)), bytes);
  assert.equal(hex(Uint8Array.of(0, 255)), "00 ff");
  assert.ok(hex(bytes).endsWith(" …"));
  assert.deepEqual([size(1), size(2048), size(3 << 20)], ["1 byte", "2.0 KiB", "3.0 MiB"]);
});
