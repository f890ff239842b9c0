// What all parts of the model use: asking, noting, telling. The model itself is made in model.js.
//
// `at` is the moment of an input: { now, wall, chance, uuid }, the monotonic clock and the wall clock in milliseconds, a number from
// 0 to 1 and a fresh UUID. Pure: what is to be done outside goes into `model.out`.

import { folded } from "./views.js";

/** So long the server has for an answer that does not take its time; past it the connection is believed to be dead. */
const ANSWER_MS_MAX = 30_000;

/** These come behind messages that they replay, at the reader's own pace. */
const SLOW = ["join", "older", "fill"];

export function isUp(model) {
  return model.link.phase.is === "up";
}

/** Whether there is a connection. */
export function isConnected(model) {
  return ["greeting", "held", "up"].includes(model.link.phase.is);
}

/** The name that is had, or that is wanted while there is none. */
export function ownNick(model) {
  return (isUp(model) ? model.link.nick : null) ?? model.wanted.nick ?? model.link.nick;
}

export function isUs(model, nick) {
  const own = ownNick(model);
  return own != null && folded(own) === folded(nick);
}

export function isIgnored(model, nick) {
  return model.wanted.ignored.has(folded(nick));
}

/** Asks under an id of the model's own making; `asked.what` says what becomes of the answer. */
export function ask(model, at, request, fields, asked) {
  model.ids += 1;
  askAs(model, at, `c${model.ids}`, request, fields, asked);
}

export function askAs(model, at, id, request, fields, asked) {
  if (!isConnected(model)) throw new Error("who is not connected asks nothing");
  if (model.asked.has(id)) throw new Error("a request id is used once at a time");
  const deadline = SLOW.includes(asked.what) ? Infinity : at.now + ANSWER_MS_MAX;
  model.asked.set(id, { ...asked, deadline });
  model.out.push({ do: "ask", frame: { request, id, ...fields } });
}

/** Puts a line into a view, and says where somebody means us. */
export function put(model, key, time, place, what) {
  const entry = model.views.put(key, time, place, what);
  if (entry?.isMention && !entry.isOwn) news(model, { news: "mention", key, entry });
  return entry;
}

/** Says something where the person is; `isTable` keeps its columns. */
export function note(model, at, text, isTable = false) {
  noteIn(model, at, model.views.focus, text, isTable);
}

/** Says something in a view, or where the person is if that view is gone. */
export function noteIn(model, at, key, text, isTable = false) {
  const there = model.views.get(key) ? key : model.views.focus;
  put(model, there, at.wall, null, { kind: "note", text, isTable });
}

/** Says something about the connection. */
export function tell(model, at, text) {
  model.views.put("server", at.wall, null, { kind: "note", text });
}

export function news(model, what) {
  model.out.push({ do: "news", ...what });
}

/** A time of the server, or ours where it has none that can be read. */
export function timeOf(fields, at) {
  const time = Date.parse(fields.time ?? "");
  return Number.isNaN(time) ? at.wall : time;
}

/** Seconds that the server names, as milliseconds within reason. */
export function pauseOf(seconds, otherwise) {
  return Number.isFinite(seconds) ? Math.min(60_000, Math.max(100, seconds * 1000)) : otherwise;
}
