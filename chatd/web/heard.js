// What the server says without being asked.

import { ask, isIgnored, isUs, news, noteIn, ownNick, put, timeOf } from "./core.js";
import { isSending } from "./log.js";
import { delivered, heardAgain } from "./outgoing.js";
import { gap, happened, seen } from "./rooms.js";
import { peerRenamed, talkHeard } from "./talk.js";
import { nickKey, roomKey } from "./views.js";

/** Whether a text has this nickname in it, standing alone. */
export function isNamed(text, nick) {
  if (!nick) return false;
  const part = /[\p{L}\p{N}_-]/u;
  const [low, name] = [text.toLowerCase(), nick.toLowerCase()];
  for (let at = low.indexOf(name); at >= 0; at = low.indexOf(name, at + 1)) {
    const [before, behind] = [low[at - 1] ?? " ", low[at + name.length] ?? " "];
    if (!part.test(before) && !part.test(behind)) return true;
  }
  return false;
}

/** What a message carries: { text, type? } or { data, size, type? }, the data in base64. */
export function contentOf({ text, data, content_type: type }) {
  if (typeof text === "string") return { text, type };
  const base64 = typeof data === "string" ? data : "";
  return { data: base64, size: Math.floor((base64.replace(/=+$/, "").length * 3) / 4), type };
}

/** What happened in a room, in words; nothing where an event is no such thing. What others chose is in them as it is. */
function happenedWords({ event, nick, new_nick: newNick, away, topic, joined_count: come, left_count: gone, members }) {
  switch (event) {
    case "joined": return `${nick} joined`;
    case "left": return `${nick} left`;
    case "renamed": return `${nick} is now ${newNick}`;
    case "away": return away === "" ? `${nick} is back` : `${nick} is ${awayWords(away)}`;
    case "topic": return topicWords(nick, topic);
    case "presence": return `${come} joined, ${gone} left, ${members} are there`;
    default: return null;
  }
}

/** That somebody is away, and what they say of it, where that is more than the word itself. */
function awayWords(text) {
  return text === "away" ? "away" : `away: ${text}`;
}

/** What somebody is told who said that they are away, or back where the text is null. */
export function awayTold(text) {
  return text === null ? "you are back" : `you are ${awayWords(text)}`;
}

export function topicWords(nick, topic) {
  return topic === "" ? `${nick} took the topic away` : `${nick} set the topic: ${topic}`;
}

export function heard(model, at, event) {
  switch (event.event) {
    case "message":
      return event.room === undefined ? directMessage(model, at, event) : roomMessage(model, at, event);
    case "delivered":
      return delivered(model, at, event.message_id);
    case "gap":
      return gap(model, at, event.room, event.from_seq, event.to_seq);
    case "notice":
      noteIn(model, at, model.views.focus, `from the operator: ${event.text}`);
      return news(model, { news: "notice", text: event.text });
    case "bye":
      // It becomes a part of a sentence.
      model.link.bye = typeof event.reason === "string" ? event.reason.replace(/\.$/, "") : null;
      return;
    case "renamed":
      if (event.room === undefined) return peerRenamed(model, at, event.nick, event.new_nick);
  }
  if (event.event.startsWith("talk_")) return talkHeard(model, at, event);
  roomEvent(model, at, event);
}

/** Somebody came, went, is away or set the topic. */
function roomEvent(model, at, event) {
  const text = happenedWords(event);
  const room = model.rooms.get(event.room);
  if (text === null || !room) return;
  happened(room, event);
  if (event.nick && isIgnored(model, event.nick)) return;
  put(model, roomKey(event.room), at.wall, null, { kind: "event", text });
}

function roomMessage(model, at, event) {
  const key = roomKey(event.room);
  const of = event.history === undefined ? null : model.asked.get(event.history);
  if (of?.what === "older" || of?.what === "fill") return pastMessage(model, at, key, of, event);
  const room = model.rooms.get(event.room);
  if (!room || !seen(room, event.seq)) return;
  const ours = model.views.get(key).log.message(event.message_id);
  if (ours && isSending(ours)) return heardAgain(model, at, key, event);
  const message = messageOf(model, event, false);
  if (message === null) return;
  put(model, key, timeOf(event, at), event.seq, message);
  giveReceipt(model, at, event);
}

/** A message that was asked for: it is old, and counts as read. */
function pastMessage(model, at, key, of, event) {
  if (of.what === "fill") of.last = event.seq;
  const view = model.views.get(key);
  if (!view) return;
  if (of.what === "older") view.oldest = Math.min(view.oldest ?? event.seq, event.seq);
  const known = view.log.message(event.message_id);
  if (known && isSending(known)) return heardAgain(model, at, key, event);
  const message = messageOf(model, event, false);
  if (message === null || known) return;
  const entry = view.log.put(timeOf(event, at), event.seq, message);
  of.entries?.push(entry);
}

function directMessage(model, at, event) {
  // To ourselves; the answer to the post says the same.
  if (isUs(model, event.from)) return;
  const message = messageOf(model, event, true);
  if (message === null) return;
  const key = nickKey(event.from);
  model.views.open(key, `@${event.from}`);
  put(model, key, timeOf(event, at), null, message);
  giveReceipt(model, at, event);
}

/** What an event says; nothing where nobody wants to hear it. */
function messageOf(model, event, isForUs) {
  const { from, message_id: id } = event;
  if (isIgnored(model, from)) return null;
  const content = contentOf(event);
  const isOwn = isUs(model, from);
  const isMention = !isOwn && (isForUs || isNamed(content.text ?? "", ownNick(model)));
  return { kind: "message", id, from, content, isOwn, isMention, ...(isOwn ? { mark: { is: "stored" } } : {}) };
}

/** Says 'received', where that is asked for. */
function giveReceipt(model, at, event) {
  if (event.receipt !== true || event.history !== undefined) return;
  ask(model, at, "receipt", { message_id: event.message_id }, { what: "quiet" });
}
