// What is still to be sent, and what became of it: each message keeps its first id until the server has said so, over any number of
// connections and reloads, so that it is there once.
//
// The order of what was typed is kept. A room's messages wait until what was missed of the room has come; what is said in a talk goes
// with the talk, and is given back where that has ended.

import { askAs, isUp, news, note, noteIn, ownNick, pauseOf, put, tell, timeOf } from "./core.js";
import { hasReceipts, seen } from "./rooms.js";
import { maySay, saidInTalk } from "./talk.js";
import { nickKey, roomKey, roomOf } from "./views.js";

/** How many messages, and bytes of them, may wait: somebody who types is far from it. */
const UNSENT_MAX = 500;
const UNSENT_BYTES_MAX = 2 << 20;

/** How many may be under way at once: more would wait at the server for their rate. */
const UNDER_WAY_MAX = 16;

/** How many messages wait for receipts: as many as the server remembers of an author. */
const AWAITED_MAX = 1_000;

/** Between two tries to send what the server could not store. */
const AGAIN_MS = 1_000;

/**
 * `unsent` are { id, to, content, time, nick, receipt, askedAt, isAdopted }; `to` is { room }, { nick } or { talk: true }, `nick` the name
 * under which it was typed. What another window typed is adopted, since that one may be gone, and is `disowned` where this one takes another name.
 */
export function newOutgoing() {
  return { unsent: [], awaited: [], held: null, disowned: new Set(), isUnkeptTold: false };
}

/** The browser has no room for all that is not sent: said once, and not of what is sent in a moment. */
export function unkept(model, at) {
  const { outgoing } = model;
  if (isUp(model) || outgoing.isUnkeptTold) return;
  outgoing.isUnkeptTold = true;
  note(model, at, "this browser keeps nothing more: what waits is sent when there is a connection, but lost if this page is closed or loaded anew before");
}

/** What was typed in another window, under a name that is not taken here after all, is left to that one. */
export function disown(model) {
  const { outgoing } = model;
  for (const { id, to } of outgoing.unsent.filter(({ isAdopted }) => isAdopted)) {
    const { log } = model.views.get(keyOf(to));
    log.remove(log.message(id).number);
    outgoing.disowned.add(id);
  }
  outgoing.unsent = outgoing.unsent.filter(({ isAdopted }) => !isAdopted);
}

/** The connection is gone: nothing is under way, and nobody will say that they got something. */
export function outgoingLost(model) {
  for (const message of model.outgoing.unsent) message.askedAt = null;
  model.outgoing.awaited = [];
  model.outgoing.held = null;
}

export function forgetRoom(model, room) {
  model.outgoing.unsent = model.outgoing.unsent.filter((message) => message.to.room !== room);
}

export function sizeOf(content) {
  return content.text === undefined ? content.size : new TextEncoder().encode(content.text).length;
}

export function keyOf(to) {
  if (to.room !== undefined) return roomKey(to.room);
  return to.nick === undefined ? "talk" : nickKey(to.nick);
}

/** Where something is said that is said now. Another talk is another place, though its view is the same. */
export function place({ views: { focus }, talk }) {
  return { key: focus, state: focus === "talk" ? talk.state : null };
}

/** Says something at a place: { text } or { data, size, type }. */
export function say(model, at, content, { key, state } = place(model)) {
  const why = mayNotSay(model, key, state);
  if (why) return refuse(model, at, key, why, content);
  sayTo(model, at, toOf(model, key), content, key);
  pump(model, at);
}

/** Why nothing can be said there; nothing where something can. */
function mayNotSay(model, key, state) {
  if (key === "server") return "nobody hears what is said here: /join ROOM, /msg NICK or /go VIEW";
  if (!model.views.get(key)) return `a file is not sent: ${key} was closed while it was read`;
  if (key !== "talk") return null;
  return state === model.talk.state ? maySay(model) : "a file is not sent: when it was chosen there was another talk, or none";
}

function toOf(model, key) {
  if (key === "talk") return { talk: true };
  const room = roomOf(key);
  return room === null ? { nick: model.views.get(key).title.slice(1) } : { room };
}

/** Says something to somebody; what is refused is told of and given back in the view where it was typed. */
export function sayTo(model, at, to, content, key = model.views.focus) {
  const size = sizeOf(content);
  const limit = model.link.messageBytes;
  if (size > limit) return refuse(model, at, key, `that has ${size} bytes; the limit is ${limit} bytes`, content);
  const { unsent } = model.outgoing;
  const waiting = unsent.reduce((sum, message) => sum + sizeOf(message.content), size);
  if (unsent.length >= UNSENT_MAX || waiting > UNSENT_BYTES_MAX) {
    return refuse(model, at, key, "too much waits to be sent already", content);
  }
  const own = { isOwn: true, isMention: false, mark: { is: "sending" } };
  put(model, keyOf(to), at.wall, null, { kind: "message", id: at.uuid, from: ownNick(model) ?? "you", content, ...own });
  unsent.push({ id: at.uuid, to, content, time: at.wall, nick: model.wanted.nick, receipt: true, askedAt: null, isAdopted: false });
}

function refuse(model, at, key, why, content) {
  noteIn(model, at, key, why);
  giveBack(model, key, content);
}

function giveBack(model, key, content) {
  if (content.text !== undefined) news(model, { news: "returned", key, text: content.text });
}

/** Sends what can be sent. */
export function pump(model, at) {
  const { outgoing } = model;
  if (!isUp(model) || (outgoing.held !== null && at.now < outgoing.held)) return;
  outgoing.held = null;
  let free = UNDER_WAY_MAX - outgoing.unsent.filter((message) => message.askedAt !== null).length;
  for (const message of outgoing.unsent) {
    if (free <= 0) return;
    if (message.askedAt !== null || !mayGo(model, message.to)) continue;
    free -= 1;
    send(model, at, message);
  }
}

function mayGo(model, to) {
  if (to.room !== undefined) return (model.rooms.get(to.room)?.joined ?? "in") === "in";
  const { state } = model.talk;
  return to.talk === undefined || (state.is === "open" && state.turn !== "theirs");
}

function send(model, at, message) {
  const { id, to, content } = message;
  message.askedAt = at.now;
  const fields = content.text === undefined ? { data: content.data } : { text: content.text };
  const room = model.rooms.get(to.room);
  const receipt = to.talk !== undefined || (message.receipt && (to.room === undefined || (room && hasReceipts(room))));
  if (receipt) {
    model.outgoing.awaited = [...model.outgoing.awaited.slice(1 - AWAITED_MAX), { id, key: keyOf(to), askedAt: at.now, isOwed: true }];
  }
  if (to.talk !== undefined) {
    fields.peer = model.talk.state.peer;
    saidInTalk(model);
    return askAs(model, at, id, "say", fields, { what: "sent" });
  }
  if (content.type) fields.content_type = content.type;
  if (receipt) fields.receipt = true;
  Object.assign(fields, to.room === undefined ? { to: to.nick } : { room: to.room });
  askAs(model, at, id, "post", fields, { what: "sent" });
}

function take(model, id) {
  const message = model.outgoing.unsent.find((one) => one.id === id);
  model.outgoing.unsent = model.outgoing.unsent.filter((one) => one !== message);
  return message;
}

/** The server has the message, or has queued it for its receiver. */
export function sent(model, at, id, reply) {
  const message = take(model, id);
  if (!message) return;
  if (message.askedAt !== null) model.times.stored.push(at.now - message.askedAt);
  const room = model.rooms.get(message.to.room);
  // The answer stands at the message's place: what comes before it has come.
  if (room && Number.isSafeInteger(reply.seq)) seen(room, reply.seq);
  const view = model.views.get(keyOf(message.to));
  if (message.to.nick !== undefined && view && reply.to) view.title = `@${reply.to}`;
  view?.log.taken(id, ownNick(model), timeOf(reply, at), reply.seq ?? null);
}

/** A message of ours was heard, of which the answer was lost with its connection: here it is. */
export function heardAgain(model, at, key, event) {
  if (!model.asked.has(event.message_id)) take(model, event.message_id);
  model.views.get(key).log.taken(event.message_id, ownNick(model), timeOf(event, at), event.seq);
}

/** The server refused a message: it is not stored, now or later. */
export function notSent(model, at, id, refusal) {
  const message = model.outgoing.unsent.find((one) => one.id === id);
  if (!message) return;
  message.askedAt = null;
  const { outgoing } = model;
  const code = refusal.error;
  if (code === "shutting_down") {
    outgoing.held = at.now + AGAIN_MS;
  } else if (["rate_limited", "store_unavailable"].includes(code) && !message.to.talk) {
    if (outgoing.held === null) tell(model, at, `${refusal.message} Trying again.`);
    outgoing.held = at.now + pauseOf(refusal.retry_after, AGAIN_MS);
  } else if (code === "limit_reached" && message.to.room !== undefined && message.receipt) {
    // The room has grown since.
    message.receipt = false;
  } else {
    take(model, id);
    giveUp(model, message, { is: "notSent", why: refusal.message });
  }
}

/** A message will not be sent: it says so, and its text is given back. */
function giveUp(model, message, mark) {
  const key = keyOf(message.to);
  model.outgoing.awaited = model.outgoing.awaited.filter((awaited) => awaited.id !== message.id);
  model.views.get(key)?.log.change(message.id, (entry) => {
    entry.mark = mark;
  });
  giveBack(model, key, message.content);
}

/** What was to be said in the talk will not be: it has ended so. */
export function takeBackSaid(model, ended) {
  const said = model.outgoing.unsent.filter((message) => message.to.talk);
  model.outgoing.unsent = model.outgoing.unsent.filter((message) => !message.to.talk);
  for (const message of said) {
    // What is under way may have been faster than the end.
    const isUnderWay = message.askedAt !== null;
    giveUp(model, message, isUnderWay ? { is: "notAcknowledged", why: `${ended}; it may have arrived` } : { is: "notSent", why: `${ended} before it was sent` });
  }
}

/** What is to be told at a talk's end of those messages that the server took and the peer did not acknowledge: marked, and counted once. */
export function unacknowledged({ views, outgoing: { unsent, awaited } }) {
  const open = awaited.filter(({ id, key, isOwed }) => key === "talk" && isOwed && unsent.every((message) => message.id !== id));
  for (const one of open) {
    one.isOwed = false;
    views.get("talk")?.log.change(one.id, (entry) => {
      entry.mark = { is: "notAcknowledged", why: "the talk ended; it may have arrived" };
    });
  }
  return open.length === 0 ? "" : `; ${open.length} of yours not acknowledged`;
}

/** Somebody has a message of ours. */
export function delivered(model, at, id) {
  const awaited = model.outgoing.awaited.find((one) => one.id === id);
  if (!awaited) return;
  awaited.isOwed = false;
  const rtt = at.now - awaited.askedAt;
  model.views.get(awaited.key)?.log.change(id, (entry) => {
    const before = entry.mark.is === "delivered" ? entry.mark : null;
    if (before === null) model.times.delivered.push(rtt);
    entry.mark = { is: "delivered", by: (before?.by ?? 0) + 1, rtt: before?.rtt ?? rtt };
  });
}
