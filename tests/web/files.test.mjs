import assert from "node:assert/strict";
import test from "node:test";
import { page } from "./modules.mjs";

const { nameIn, savedAs, typeOf } = await page("files.js");

/** What chatd takes as a type. */
const TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(;[ -~]*)?$/;

const given = (name, type = "image/png") => {
  const typed = typeOf({ name, type });
  assert.match(typed, TYPE);
  assert.ok(typed.length <= 255, typed);
  return nameIn(typed);
};

test("a file's name comes back, whatever is in it", () => {
  const names = ["a.png", "Grüße (1).pdf", "отчёт за третий квартал.docx", "写真.jpg", "👩‍💻.gif", '"q"; x=y.txt', "back\\slash", "it's 100%.txt", ".bashrc", "a;name*=UTF-8''b", "..", "a\u202egpj.exe", "two\nlines"];
  for (const name of names) assert.equal(given(name), name);
  assert.equal(typeOf({ name: "a picture.png", type: "image/png" }), 'image/png; name="a picture.png"');
  assert.equal(typeOf({ name: "é'.png", type: "" }), "application/octet-stream; name*=UTF-8''%C3%A9%27.png");
  assert.equal(given("half \ud800.png"), "half \ufffd.png");
});

test("a name that is too long is shortened before its ending", () => {
  const docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
  assert.match(given(`${"письмо ".repeat(20)}.docx`, docx), /^письмо письмо .*…\.docx$/);
  assert.match(given(`${"a".repeat(255)}`), /^a{100,}…$/);
  assert.equal(typeOf({ name: "a", type: `a/${"b".repeat(253)}` }), `a/${"b".repeat(253)}`);
  assert.equal(typeOf({ name: "", type: "a/b" }), "a/b");
});

test("what others write as a name is taken as far as it is one", () => {
  assert.equal(nameIn("image/png; charset=x; Name=a.png"), "a.png");
  assert.equal(nameIn('a/b; x="; name=no"; name="say \\"hi\\""'), 'say "hi"');
  assert.equal(nameIn("a/b; name=plain; name*=utf-8'en'%c3%a9"), "é");
  assert.equal(nameIn("a/b; name=plain; name*=UTF-8''%ff"), "plain");
  for (const none of [undefined, "", "a/b", "a/b; name=", "a/b; filename=c", "a/b; name*=latin1''%e9", "a/b; name*=UTF-8''%"]) assert.equal(nameIn(none), null);
});

test("what is saved is no path, hidden, or what it is not", () => {
  assert.equal(savedAs("отчёт (2).pdf"), "отчёт (2).pdf");
  for (const [name, saved] of [["../../etc/passwd", "__.._etc_passwd"], [".bashrc", "_bashrc"], ["C:\\x.exe", "C__x.exe"], ["a\u202egpj.exe", "a_u{202e}gpj.exe"], ["a\u0000b", "a_x00b"]]) {
    assert.equal(savedAs(name), saved);
  }
});
