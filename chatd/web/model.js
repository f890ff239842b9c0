// The heart of the page: what the person wants, and what there is of it. No DOM, no socket, no clock, no dice.
//
// WANTED are the nickname, the rooms with the last number known of each, the talk, the messages that are not sent yet, each under its
// first id, being away, and who is ignored. HAD are a connection and its phase, the name granted, the rooms joined, the requests
// without an answer. Inputs are what the person does (acts.js, outgoing.js), what the server says (heard.js, replies.js) and the time;
// outputs are in `out`: { do: "call" | "hangUp" | "ask" | "news" }. Whoever drives it empties `out` after each input.

import { isConnected, isUp } from "./core.js";
import { heard } from "./heard.js";
import { lost, newLink, nextCall, tickLink } from "./link.js";
import { newOutgoing, pump } from "./outgoing.js";
import { replied } from "./replies.js";
import { newRoom, wantRoom } from "./rooms.js";
import { newTalk } from "./talk.js";
import { trim, Views } from "./views.js";

export { called, notCalled } from "./link.js";
export { place, say, unkept } from "./outgoing.js";
export { wantOlder } from "./rooms.js";
export { act, misunderstood } from "./acts.js";
export { talkKept } from "./talk.js";

/** What is kept of times, so that a p99 means something. */
const SAMPLES_MAX = 4096;

/**
 * A model that is about to connect. `settings` are nick, rooms, ignored (a list), away, context (how many past messages are shown of a
 * room), unsent (kept from before), read ({ history, rooms: { ROOM: SEQ } }), talk (as talkKept gave it) and isNew: nobody has chosen
 * the rooms yet, so that the server's default room is one of them.
 */
export function newModel(settings, at) {
  const ignored = new Map((settings.ignored ?? []).map((nick) => [nick.toLowerCase(), nick]));
  const model = {
    wanted: { nick: settings.nick ?? null, away: settings.away ?? null, ignored, context: settings.context ?? 50, isNew: settings.isNew ?? false },
    link: newLink(at),
    rooms: new Map(),
    talk: newTalk(settings.talk),
    outgoing: newOutgoing(),
    views: new Views(),
    asked: new Map(),
    ids: 0,
    times: { stored: [], delivered: [] },
    read: settings.read ?? { history: null, rooms: {} },
    out: [],
  };
  for (const room of [...(settings.rooms ?? [])].reverse()) wantRoom(model, room);
  for (const message of settings.unsent ?? []) restore(model, at, message);
  return model;
}

/** A message of an earlier visit that has no answer: it is shown, and goes out under its first id. */
function restore(model, at, { id, to, content, time, nick, isAdopted = false }) {
  if (to.room !== undefined) model.rooms.set(to.room, model.rooms.get(to.room) ?? newRoom());
  const [key, title] = to.room !== undefined ? [`#${to.room}`, `#${to.room}`] : [`@${to.nick.toLowerCase()}`, `@${to.nick}`];
  model.views.open(key, title);
  const from = model.wanted.nick ?? "you";
  model.views.put(key, time ?? at.wall, null, { kind: "message", id, from, content, isOwn: true, isMention: false, mark: { is: "sending" } });
  model.outgoing.unsent.push({ id, to, content, time: time ?? at.wall, nick, receipt: true, askedAt: null, isAdopted });
}

/** A frame came from the server. */
export function received(model, at, frame) {
  if (!isConnected(model) || frame === null || typeof frame !== "object") return;
  model.link.heardAt = at.now;
  if (typeof frame.event === "string") heard(model, at, frame);
  else if ("reply" in frame) replied(model, at, frame);
  settle(model, at);
}

/** The connection is gone. */
export function disconnected(model, at, why) {
  lost(model, at, model.link.bye ?? why);
  settle(model, at);
}

/** Time has passed: to be called at `next`, and harmless at any other time. */
export function tick(model, at) {
  tickLink(model, at);
  settle(model, at);
}

/** When `tick` has something to do. */
export function next(model) {
  const deadlines = [...model.asked.values()].map((asked) => asked.deadline);
  const held = isUp(model) && model.outgoing.unsent.length > 0 ? model.outgoing.held ?? Infinity : Infinity;
  return Math.min(nextCall(model), held, ...deadlines);
}

/** Sees another view. */
export function see(model, key) {
  if (model.views.get(key)) model.views.see(key);
  markRead(model);
}

/** Somebody looks at the page, or does no more. */
export function look(model, isLooking) {
  model.views.look(isLooking);
  markRead(model);
}

/** Says whether somebody reads far back in the view that is seen: then older lines are kept. */
export function readBack(model, isBack) {
  const view = model.views.get(model.views.focus);
  if (view.isBack === isBack) return;
  view.isBack = isBack;
  trim(view);
}

function settle(model, at) {
  pump(model, at);
  markRead(model);
  for (const samples of Object.values(model.times)) {
    if (samples.length > SAMPLES_MAX) samples.splice(0, samples.length - SAMPLES_MAX);
  }
}

/** Up to where each room was read: what is unread after a reload comes behind it. */
function markRead(model) {
  if (model.link.history === null) return;
  const rooms = {};
  for (const [room, { last, isPlaced }] of model.rooms) {
    const isRead = isPlaced && model.views.get(`#${room}`).unread === 0;
    const place = isRead ? last : model.read.rooms[room];
    if (place !== undefined && place !== null) rooms[room] = place;
  }
  model.read = { history: model.link.history, rooms };
}

/** The names that can be completed: nicks, rooms and views, the likeliest first. */
export function names(model) {
  const { views, rooms } = model;
  const here = rooms.get(views.focus.slice(1));
  // Who spoke here last is the likeliest to be spoken to.
  const speakers = views.get(views.focus).log.entries.filter((entry) => entry.kind === "message" && !entry.isOwn);
  const nicks = speakers.map((entry) => entry.from).reverse();
  for (const room of [here, ...rooms.values()]) for (const member of room?.members.values() ?? []) nicks.push(member.nick);
  for (const [key, view] of views.all) if (key.startsWith("@")) nicks.push(view.title.slice(1));
  const own = (model.link.nick ?? model.wanted.nick ?? "").toLowerCase();
  return {
    nicks: nicks.filter((nick) => nick.toLowerCase() !== own),
    rooms: [...(here ? [views.focus.slice(1)] : []), ...rooms.keys()],
    views: views.sorted().map(([, view]) => view.title),
  };
}
