// What people type: text to say, or a command. One table (`COMMANDS`) gives the parser, the help and the completion; it is that of the
// terminal client. It understands lines and does nothing: what a command does is the business of acts.js. Pure.

/** How many letters may be wrong in a command that is still recognised. */
const LETTERS_WRONG_MAX = 3;

/** How many past messages `/history` asks for where no number is given, and at most. */
const HISTORY_MESSAGES = 50;
const HISTORY_MESSAGES_MAX = 500;

const NICK_CHARS_MAX = 32;
const ROOM = /^[a-z0-9._+-]{1,64}$/;

const BRIDGE = ["--turns", "--turns=yes", "--turns=no", "--turns=any", "--direct"];

/** Name, arguments, what completes them (the last one goes on), summary, and what is made of the words. */
const ROWS = [
  ["help", "[COMMAND]", ["command"], "what there is, or what one command does", (words) => ({ name: words.word() })],
  ["nick", "NAME", ["nick"], "take a nickname", (words) => ({ nick: nickOf((words.rest() ?? "").replaceAll('"', "")) })],
  ["register", "NAME [PORT]", ["nick"], "the same; a browser has no port", (words) => ({ do: "nick", nick: words.nick(), port: words.word() })],
  ["join", "ROOM", ["room"], "be in a room, and see it", (words) => ({ room: words.room() })],
  ["leave", "[ROOM]", ["room"], "leave a room, or close this view", (words) => ({ room: words.maybe(roomOf) })],
  ["go", "[VIEW]", ["view"], "see #ROOM, @NICK, talk, server or a number; alone: which there are", (words) => ({ place: words.maybe(placeOf) })],
  ["msg", "NICK [TEXT]", ["nick", "text"], "say something to one person; nobody keeps it", (words) => ({ nick: words.nick(), text: words.rest() })],
  ["who", "[ROOM]", ["room"], "who is in a room", (words) => ({ room: words.maybe(roomOf) })],
  ["whois", "NICK", ["nick"], "who somebody is", (words) => ({ nick: words.nick() })],
  ["rooms", "", [], "which rooms there are", () => ({})],
  ["topic", "[TEXT]", ["text"], "what this room is about; `-` takes it away", (words) => ({ text: words.rest() })],
  ["history", "[N]", [], "older messages of this room", (words) => ({ count: words.maybe(numberOf) ?? HISTORY_MESSAGES })],
  ["away", "[TEXT]", ["text"], "say that you are away", (words) => ({ text: words.rest() ?? "away" })],
  ["back", "", [], "say that you are back", () => ({})],
  ["ignore", "[NICK]", ["nick"], "hear nothing of somebody; alone: who that is", (words) => ({ nick: words.maybe(nickOf) })],
  ["unignore", "NICK", ["nick"], "hear of them again", (words) => ({ nick: words.nick() })],
  ["bridge", "[NICK] [--turns yes|no|any] [--direct]", ["nick", BRIDGE], "be ready for a talk, with anyone or with one", (words) => ({ wish: wishOf(words) })],
  ["unbridge", "", [], "not any more", () => ({})],
  ["chat", "", [], "open the talk with the peer that was found", () => ({})],
  ["pass", "", [], "give the turn without a word", () => ({})],
  ["rtt", "", [], "how long messages took: p50 and p99", () => ({})],
  ["clear", "", [], "forget what this view shows", () => ({})],
  ["reconnect", "", [], "call the daemon now", () => ({})],
  ["quit", "", [], "end the talk, or the waiting for one; else end", () => ({})],
];

export const COMMANDS = ROWS.map(([name, usage, slots, summary, read]) => ({ name, usage: `/${name} ${usage}`.trim(), slots, summary, read }));

function rowOf(name) {
  return COMMANDS.find((row) => row.name === name.toLowerCase());
}

/** Understands what was typed: { say } or a command { do, ... }; nothing where nothing was. It throws what to write instead. */
export function parse(typed) {
  const line = typed.replace(/\r?\n$/, "");
  if (line === "") return null;
  if (!line.startsWith("/")) return { say: line };
  if (line.startsWith("//")) return { say: line.slice(1) };
  const [, name, rest] = /^\/(\S*)\s*([^]*)$/.exec(line);
  const row = rowOf(name);
  if (!row) throw new Error(unknown(name));
  try {
    const words = new Words(rest);
    const command = { do: row.name, ...row.read(words) };
    words.end();
    return command;
  } catch (error) {
    throw new Error(`/${row.name}: ${error.message}; write ${row.usage}`);
  }
}

/** The help: all commands, or one. */
export function help(name) {
  if (name !== undefined) {
    const row = rowOf(name.replace(/^\//, ""));
    return row ? `${row.usage}: ${row.summary}` : unknown(name);
  }
  const width = Math.max(...COMMANDS.map((row) => row.usage.length));
  const lines = COMMANDS.map((row) => `${row.usage.padEnd(width)}  ${row.summary}`);
  return [...lines, "Anything else is said where you are; a line that begins with // begins with a slash."].join("\n");
}

function unknown(name) {
  const wrong = ({ name: other }) => distance(name.toLowerCase(), other);
  const nearest = COMMANDS.reduce((best, row) => (wrong(row) < wrong(best) ? row : best));
  const isNear = name !== "" && wrong(nearest) <= Math.min(LETTERS_WRONG_MAX, nearest.name.length - 1);
  const hint = isNear ? `did you mean /${nearest.name}?` : "/help has what there is";
  return `there is no /${name}; ${hint} (// says a slash)`;
}

/** How many letters must be added, left out, changed or swapped to come from one word to the other. */
function distance(one, other) {
  const rows = Array.from({ length: one.length + 1 }, (_, at) => [at]);
  for (let at = 0; at <= other.length; at += 1) rows[0][at] = at;
  for (let i = 1; i <= one.length; i += 1) {
    for (let j = 1; j <= other.length; j += 1) {
      const changed = rows[i - 1][j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1);
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, changed);
      const isSwap = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      if (isSwap) rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[one.length][other.length];
}

/** The arguments of a command, taken from the front. */
class Words {
  constructor(text) {
    this.text = text.trim();
  }

  /** The next word; one in double quotes may have spaces in it, as nicknames have. */
  word() {
    const [all, quoted, plain] = /^(?:"([^"]*)"|(\S+))\s*/.exec(this.text) ?? [""];
    this.text = this.text.slice(all.length);
    return quoted ?? plain;
  }

  /** All that is left, where there is anything. */
  rest() {
    const rest = this.text;
    this.text = "";
    return rest === "" ? undefined : rest;
  }

  maybe(read) {
    const word = this.word();
    return word === undefined ? undefined : read(word);
  }

  nick() {
    return nickOf(this.word() ?? "");
  }

  room() {
    const word = this.word();
    if (word === undefined) throw new Error("it needs a room");
    return roomOf(word);
  }

  end() {
    const word = this.word();
    if (word !== undefined) throw new Error(`\`${word}\` is one word too many`);
  }
}

/** A nickname, as far as a browser can say: what else is wrong with it the server knows. */
export function nickOf(word) {
  const nick = word.trim().replace(/^@/, "");
  if (nick === "") throw new Error("it needs a nickname");
  if ([...nick].length > NICK_CHARS_MAX) throw new Error(`a nickname has at most ${NICK_CHARS_MAX} characters`);
  if (/\p{Cc}/u.test(nick)) throw new Error("a nickname has no control characters");
  return nick;
}

export function roomOf(word) {
  const room = word.replace(/^#/, "").toLowerCase();
  if (!ROOM.test(room)) throw new Error(`\`${word}\`: room names are 1 to 64 of a-z, 0-9, ., _, + and -`);
  return room;
}

function placeOf(word) {
  if (word === "server" || word === "talk") return word;
  return word.startsWith("@") ? `@${nickOf(word)}` : `#${roomOf(word)}`;
}

function numberOf(word) {
  const number = /^\d+$/.test(word) ? Number(word) : 0;
  if (number < 1 || number > HISTORY_MESSAGES_MAX) throw new Error(`\`${word}\` is no number from 1 to ${HISTORY_MESSAGES_MAX}`);
  return number;
}

function wishOf(words) {
  const wish = { peer: null, turns: "any", direct: false };
  for (let word = words.word(); word !== undefined; word = words.word()) {
    const [name, value] = word.split("=", 2);
    if (word === "--direct") wish.direct = true;
    else if (name === "--turns") wish.turns = turnsOf(value ?? words.word());
    else if (word.startsWith("--")) throw new Error(`there is no ${word}`);
    else if (wish.peer !== null) throw new Error("one nickname only");
    else wish.peer = nickOf(word);
  }
  return wish;
}

function turnsOf(word) {
  if (!["yes", "no", "any"].includes(word)) throw new Error("--turns is yes, no or any");
  return word;
}

/** What could stand at the end of `before`: { from, candidates }; `names` are { nicks, rooms, views }, the likeliest first. */
export function complete(before, names) {
  const command = /^\/(?!\/)(\S*)$/.exec(before);
  if (command) return { from: 1, candidates: fitting(command[1], COMMANDS.map((row) => row.name), " ") };
  const called = /^\/(?!\/)(\S+)\s+([^]*)$/.exec(before);
  if (called) return argument(rowOf(called[1]), called[2], before.length - called[2].length, names);
  return said(before, names);
}

/** A word of what is said: `@NICK`, `#ROOM` or a nick, which is followed by a colon where it begins the line. */
function said(before, { nicks, rooms }) {
  const word = /\S*$/.exec(before)[0];
  const from = before.length - word.length;
  if (word === "") return { from, candidates: [] };
  if (word.startsWith("#")) return { from, candidates: fitting(word, rooms.map((room) => `#${room}`), " ") };
  if (word.startsWith("@")) return { from, candidates: fitting(word, nicks.map((nick) => `@${nick}`), " ") };
  return { from, candidates: fitting(word, nicks, from === 0 ? ": " : " ") };
}

/** A word of a command's arguments. */
function argument(row, text, start, names) {
  const words = text.match(/"[^"]*"?|[^\s"]+/g) ?? [];
  const isBegun = text !== "" && !/\s$/.test(text.replaceAll(/"[^"]*"?/g, '"'));
  const word = isBegun ? words.at(-1) : "";
  const number = words.length - (isBegun ? 1 : 0);
  const from = start + text.length - word.length;
  const slot = row?.slots[number] ?? row?.slots.at(-1);
  const isPast = row?.slots.length === 1 && number > 0 && slot !== "text";
  if (slot === undefined || isPast) return { from, candidates: [] };
  return { from, candidates: candidates(row, slot, word, names) };
}

function candidates(row, slot, word, names) {
  const part = word.replace(/^"/, "");
  if (Array.isArray(slot) || (slot === "nick" && part.startsWith("-"))) return fitting(part, row.slots.find(Array.isArray) ?? [], " ");
  switch (slot) {
    case "nick": return fitting(part.replace(/^@/, ""), names.nicks, "").map((nick) => (/\s/.test(nick) ? `"${nick}" ` : `${nick} `));
    case "room": return fitting(part, part.startsWith("#") ? names.rooms.map((room) => `#${room}`) : names.rooms, " ");
    case "view": return fitting(part, names.views, " ");
    case "command": return fitting(part.replace(/^\//, ""), COMMANDS.map((row) => row.name), " ");
    default: return word === "" ? [] : fitting(word, names.nicks, " ");
  }
}

/** Those that begin with this, whatever the case, each once and in their order. */
function fitting(part, all, behind) {
  const found = all.filter((name) => name.toLowerCase().startsWith(part.toLowerCase()));
  return [...new Set(found)].map((name) => name + behind);
}
