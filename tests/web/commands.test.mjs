import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { page, WEB } from "./modules.mjs";

const { COMMANDS, complete, help, parse } = await page("commands.js");

/** What these do is another thing in a browser. */
const OF_A_BROWSER = ["register"];

const NAMES = { nicks: ["Ada", "adam", "Bob B", "Ada"], rooms: ["lobby", "ops"], views: ["server", "#lobby", "@Bob B"] };

test("a line is said, is nothing or is a command", () => {
  assert.equal(parse(""), null);
  assert.deepEqual(parse("hi /there"), { say: "hi /there" });
  assert.deepEqual(parse("//etc"), { say: "/etc" });
  assert.deepEqual(parse("/JOIN #Ops"), { do: "join", room: "ops" });
  assert.deepEqual(parse('/msg "Bob B" two  words'), { do: "msg", nick: "Bob B", text: "two  words" });
  assert.deepEqual(parse("/msg bob"), { do: "msg", nick: "bob", text: undefined });
  assert.deepEqual(parse("/nick Bob B"), { do: "nick", nick: "Bob B" });
  assert.deepEqual(parse("/register Ada 33334"), { do: "nick", nick: "Ada", port: "33334" });
  assert.deepEqual(parse("/bridge @Bob --turns=yes"), { do: "bridge", wish: { peer: "Bob", turns: "yes", direct: false } });
  assert.deepEqual(parse("/bridge --turns no --direct"), { do: "bridge", wish: { peer: null, turns: "no", direct: true } });
  assert.deepEqual(parse("/history"), { do: "history", count: 50 });
  assert.deepEqual(parse("/away"), { do: "away", text: "away" });
  assert.deepEqual(parse("/go @Bob"), { do: "go", place: "@Bob" });
  assert.deepEqual(parse("/topic -"), { do: "topic", text: "-" });
  assert.deepEqual(parse("/msg bob one\ntwo"), { do: "msg", nick: "bob", text: "one\ntwo" });
});

test("what is wrong is told with what to write", () => {
  assert.throws(() => parse("/jion ops"), /did you mean \/join\?/);
  assert.throws(() => parse("/frobnicate"), /\/help has what there is/);
  assert.throws(() => parse("/join"), /it needs a room; write \/join ROOM/);
  assert.throws(() => parse("/join a b"), /`b` is one word too many/);
  assert.throws(() => parse("/join a/b"), /room names are/);
  assert.throws(() => parse("/nick"), /it needs a nickname/);
  assert.throws(() => parse("/history 501"), /no number from 1 to 500/);
  assert.throws(() => parse("/bridge --turns maybe"), /--turns is yes, no or any/);
  assert.throws(() => parse("/bridge a b"), /one nickname only/);
});

test("the help has every command", () => {
  for (const { name, summary } of COMMANDS) assert.ok(help().includes(`/${name}`) && help(`/${name}`).includes(summary), name);
  assert.match(help("jon"), /did you mean \/join/);
});

test("the commands are those of the terminal client", () => {
  const table = readFileSync(join(WEB, "../../chatctl/src/chat/command/table.rs"), "utf8");
  const rows = [...table.matchAll(/row\(\s*"([a-z]+)",\s*"([^"]*)",\s*&\[[^\]]*\],\s*"([^"]*)"/g)];
  const theirs = rows.map(([, name, usage, summary]) => [`/${name} ${usage}`.trim(), summary]);
  assert.ok(theirs.length > 20);
  assert.deepEqual(COMMANDS.map(({ usage }) => usage), theirs.map(([usage]) => usage));
  const isOwn = ({ name }) => OF_A_BROWSER.includes(name);
  for (const command of COMMANDS) if (!isOwn(command)) assert.equal(command.summary, new Map(theirs).get(command.usage));
});

test("nicks, rooms and commands are completed", () => {
  const completed = (text) => complete(text, NAMES);
  assert.deepEqual(completed("ad"), { from: 0, candidates: ["Ada: ", "adam: "] });
  assert.deepEqual(completed("hi ada"), { from: 3, candidates: ["Ada ", "adam "] });
  assert.deepEqual(completed("see #o"), { from: 4, candidates: ["#ops "] });
  assert.deepEqual(completed("hi @b"), { from: 3, candidates: ["@Bob B "] });
  assert.deepEqual(completed("/br").candidates, ["bridge "]);
  assert.deepEqual(completed("/msg b"), { from: 5, candidates: ['"Bob B" '] });
  assert.deepEqual(completed('/msg "bob'), { from: 5, candidates: ['"Bob B" '] });
  assert.deepEqual(completed("/msg bob hi a"), { from: 12, candidates: ["Ada ", "adam "] });
  assert.deepEqual(completed("/join l").candidates, ["lobby "]);
  assert.deepEqual(completed("/join #l").candidates, ["#lobby "]);
  assert.deepEqual(completed("/go s").candidates, ["server "]);
  assert.deepEqual(completed("/bridge --turns=").candidates, ["--turns=yes ", "--turns=no ", "--turns=any "]);
  assert.deepEqual(completed("/who lobby o").candidates, []);
  assert.deepEqual(completed("").candidates, []);
});
