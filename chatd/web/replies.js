// What was asked, and what becomes of the answers. `asked.what` says what a request was for.

import { agoShown, spanShown } from "./moments.js";
import { isUp, isUs, note, noteIn, put, timeOf } from "./core.js";
import { awayTold, topicWords } from "./heard.js";
import { greeted, notGreeted } from "./link.js";
import { notSent, sent } from "./outgoing.js";
import { fillCame, joined, membersCame, olderCame, olderRefused, rename, unwantRoom } from "./rooms.js";
import { bridged, notBridged, notSaid, turnTold } from "./talk.js";

export function replied(model, at, reply) {
  const asked = model.asked.get(reply.reply);
  if (!asked) return;
  model.asked.delete(reply.reply);
  const isSaid = model.outgoing.unsent.some((message) => message.id === reply.reply && message.to.talk);
  const to = reply.ok ? agreed : refused;
  to(model, at, { ...asked, id: reply.reply, isSaid }, reply);
}

function agreed(model, at, asked, reply) {
  switch (asked.what) {
    case "hello": return greeted(model, at, reply);
    case "nick": return named(model, at, reply);
    case "join": return joined(model, at, asked.room, reply);
    case "sent":
      if (asked.isSaid) turnTold(model, reply);
      return sent(model, at, asked.id, reply);
    case "members": return membersCame(model, at, asked, reply);
    case "topicOf":
      if (model.rooms.has(asked.room)) model.rooms.get(asked.room).topic = reply.topic ?? "";
      return;
    case "older": return olderCame(model, asked, reply);
    case "fill": return fillCame(model, at, asked, reply);
    case "bridge": return bridged(model, at, reply);
    case "openTalk":
    case "pass": return turnTold(model, reply);
    case "whois": return showWhois(model, at, asked.key, reply);
    case "rooms": return showRooms(model, at, asked.key, reply);
    case "listRooms":
      model.known = (reply.rooms ?? []).map(({ room }) => room);
      return;
    case "away":
      if (asked.key !== null) note(model, at, awayTold(asked.text));
      return;
    case "topic": return showTopic(model, at, asked.key, reply);
  }
}

function refused(model, at, asked, refusal) {
  switch (asked.what) {
    case "hello": return notGreeted(model, at, refusal);
    case "nick": return note(model, at, `you cannot be called ${asked.nick}: ${refusal.message}`);
    case "join": return notJoined(model, at, asked.room, refusal);
    case "sent":
      if (asked.isSaid) notSaid(model, refusal);
      return notSent(model, at, asked.id, refusal);
    case "away": return notAway(model, at, asked, refusal);
    case "older": return olderRefused(model, at, asked.key, refusal);
    case "bridge": return notBridged(model, at, refusal);
    case "openTalk":
    case "pass": return note(model, at, refusal.message);
    case "members":
      if (asked.shown === null) return;
      return noteIn(model, at, asked.shown, refusal.message);
    case "whois":
    case "rooms":
    case "topic": return noteIn(model, at, asked.key, refusal.message);
  }
}

/** What the server does not have is not shown as if it had. */
function notAway(model, at, { text, before, key }, refusal) {
  if (model.wanted.away === text) model.wanted.away = before;
  noteIn(model, at, key ?? model.views.focus, refusal.message);
}

/** We are called so now, in every room. */
function named(model, at, { nick, address, since }) {
  const before = model.link.nick;
  model.link.nick = model.wanted.nick = nick;
  for (const room of model.rooms.values()) if (room.joined === "in") rename(room, before, nick);
  const where = address ? `, at ${address}` : "";
  note(model, at, `you are ${nick}${where}${since ? `, since ${agoShown(since, at.wall)}` : ""}`);
}

/** A room cannot be joined. One that may be had later stays wanted. */
function notJoined(model, at, room, refusal) {
  if (refusal.error === "shutting_down" || !isUp(model)) return;
  if (model.rooms.has(room)) unwantRoom(model, room);
  note(model, at, `#${room} cannot be joined: ${refusal.message}`);
}

function showWhois(model, at, key, reply) {
  const lines = [`${reply.nick} has this name since ${agoShown(reply.since, at.wall)}; idle ${spanShown(reply.idle_ms ?? 0)}`];
  if (reply.rooms?.length > 0) lines.push(`in ${reply.rooms.map((room) => `#${room}`).join(", ")}`);
  for (const [name, before] of [["away", "away: "], ["agent", "uses "], ["address", "at "]]) {
    if (reply[name]) lines.push(before + reply[name]);
  }
  noteIn(model, at, key, lines.join("\n"));
}

function showRooms(model, at, key, { rooms = [], more }) {
  const lines = rooms.map(({ room, members }) => `#${room} (${members} there)`);
  if (more) lines.push("and more: `chatctl rooms` has all");
  noteIn(model, at, key, lines.length > 0 ? lines.join("\n") : "there are no rooms");
}

/** The topic, or that we have changed it: the others are told by an event. */
function showTopic(model, at, key, reply) {
  const { room: name, topic = "", by = "" } = reply;
  const room = model.rooms.get(name);
  const isNew = room && room.topic !== topic;
  if (room) room.topic = topic;
  if (isNew && isUs(model, by)) return put(model, key, timeOf(reply, at), null, { kind: "event", text: topicWords(by, topic) });
  noteIn(model, at, key, topic === "" ? `#${name} has no topic` : `#${name} is about: ${topic} (set by ${by})`);
}
