// The rooms that are wanted: whether they are joined, up to which number their messages are known, who is in them.
//
// A room is joined with `after`, so that what was missed comes first and nothing twice; a number of another history means nothing. What
// the server left out since we read too slowly is asked for again.

import { ask, isUp, noteIn, put } from "./core.js";
import { forgetRoom } from "./outgoing.js";
import { folded, roomKey, roomOf } from "./views.js";

/** How many members are listed: of larger rooms who came last is shown, and `/who` asks. */
const MEMBERS_MAX = 2_000;

/** Past so many members no receipts are asked for in a room: each member's client would speak for every message. */
const RECEIPT_MEMBERS_MAX = 8;

/** How many messages are asked for at once. */
const PAGE_MESSAGES = 100;

/** `joined` is "no" (not asked for on this connection), "asked" (what was missed may be coming) or "in"; `last`: everything up to this
 * number is known, or known to be gone; `isPlaced`: it is known which of its messages were read before. */
export function newRoom() {
  return { joined: "no", last: null, isPlaced: false, members: new Map(), count: 0, topic: "" };
}

export function countOf(room) {
  return Math.max(room.count, room.members.size);
}

/** Whether receipts are asked for what is said there. */
export function hasReceipts(room) {
  const count = countOf(room);
  return room.joined === "in" && count >= 2 && count <= RECEIPT_MEMBERS_MAX;
}

/** The connection is gone, and with it all but the number. */
export function roomLost(room) {
  Object.assign(room, { joined: "no", members: new Map(), count: 0 });
}

/** A message has this number; false where it is known already. */
export function seen(room, seq) {
  if (room.last !== null && seq <= room.last) return false;
  room.last = seq;
  return true;
}

/** A room is wanted from now on, and seen. */
export function wantRoom(model, room) {
  if (!model.rooms.has(room)) model.rooms.set(room, newRoom());
  model.views.open(roomKey(room), `#${room}`);
  model.views.see(roomKey(room));
}

/** Who is here for the first time is where the others are, and sees that room where no other was asked for. */
export function wantDefault(model, room) {
  model.wanted.isNew = false;
  if (typeof room !== "string" || model.rooms.has(room)) return;
  model.rooms.set(room, newRoom());
  model.views.open(roomKey(room), `#${room}`);
  if (model.views.focus === "server") model.views.see(roomKey(room));
}

/** A room is not wanted any more. */
export function unwantRoom(model, room) {
  model.rooms.delete(room);
  model.views.close(roomKey(room));
  forgetRoom(model, room);
}

export function askJoin(model, at, room) {
  const known = model.rooms.get(room);
  known.joined = "asked";
  ask(model, at, "join", { room, ...(known.last === null ? {} : { after: known.last }) }, { what: "join", room });
}

/** We are in the room, and what was missed has come. */
export function joined(model, at, name, reply) {
  const room = model.rooms.get(name);
  if (!room) return;
  const view = model.views.get(roomKey(name));
  room.joined = "in";
  room.count = reply.members ?? 0;
  seen(room, reply.seq ?? 0);
  askMembers(model, at, name, null);
  ask(model, at, "topic", { room: name }, { what: "topicOf", room: name });
  if (!room.isPlaced && room.last > 0 && view.older === "unknown") {
    askOlder(model, at, roomKey(name), model.wanted.context);
  } else if (!room.isPlaced) {
    view.older = "none";
    room.isPlaced = true;
  }
  // What was asked for over a connection that is gone is asked for again.
  for (const entry of view.log.entries) if (entry.isOwed) askFill(model, at, name, entry.from, entry.to);
}

/** Who is in a room, for its list; for a view where the person asked. */
export function askMembers(model, at, room, shown, soFar = []) {
  const from = soFar.length > 0 ? { nick: soFar.at(-1).nick } : {};
  ask(model, at, "members", { room, ...from }, { what: "members", room, shown, soFar });
}

/** A page of the list of members; all of it where no other follows. */
export function membersCame(model, at, { room, shown, soFar }, reply) {
  const page = (reply.members ?? []).map(({ nick, away }) => ({ nick, isAway: away === true }));
  const all = [...soFar, ...page];
  if (reply.more && page.length > 0 && all.length < MEMBERS_MAX) return askMembers(model, at, room, shown, all);
  if (shown !== null) {
    const nicks = all.map(({ nick, isAway }) => `${nick}${isAway ? " (away)" : ""}`);
    noteIn(model, at, shown, `in #${room} (${nicks.length}): ${nicks.join(", ")}`);
  }
  const known = model.rooms.get(room);
  if (known?.joined !== "in") return;
  if (!reply.more) known.count = all.length;
  known.members.clear();
  for (const member of all) add(known, member.nick, member.isAway);
}

function add(room, nick, isAway) {
  if (room.members.size < MEMBERS_MAX) room.members.set(folded(nick), { nick, isAway });
}

/** Somebody is called otherwise. */
export function rename(room, nick, newNick) {
  const before = room.members.get(folded(nick));
  room.members.delete(folded(nick));
  add(room, newNick, before?.isAway === true);
}

/** Keeps the list of members as it goes. */
export function happened(room, event) {
  const { nick } = event;
  switch (event.event) {
    case "joined":
      add(room, nick, false);
      room.count += 1;
      break;
    case "left":
      room.members.delete(folded(nick));
      room.count = Math.max(0, room.count - 1);
      break;
    case "renamed":
      rename(room, nick, event.new_nick);
      break;
    case "away":
      if (room.members.has(folded(nick))) room.members.get(folded(nick)).isAway = event.away !== "";
      break;
    case "topic":
      room.topic = event.topic;
      break;
    case "presence":
      for (const gone of event.left ?? []) room.members.delete(folded(gone));
      for (const come of event.joined ?? []) add(room, come, false);
      room.count = event.members;
  }
}

/** Asks for the messages before the oldest that the view that is seen has. */
export function wantOlder(model, at) {
  if (isUp(model)) askOlder(model, at, model.views.focus, PAGE_MESSAGES);
}

export function askOlder(model, at, key, limit) {
  const room = roomOf(key);
  const view = model.views.get(key);
  if (room === null || view.older !== "unknown") return;
  const last = model.rooms.get(room)?.last ?? null;
  // Where nothing is here yet, what comes next is not to come twice.
  const oldest = view.log.oldestPlace() ?? (last === null ? undefined : last + 1);
  const before = view.oldest === null ? oldest : Math.min(view.oldest, oldest ?? Infinity);
  view.older = "asked";
  ask(model, at, "history", { room, limit, ...(before === undefined ? {} : { before }) }, { what: "older", key, entries: [] });
}

/** Older messages came; those of before the first look at the room that are behind what was read count as unread. */
export function olderCame(model, { key, entries }, reply) {
  const view = model.views.get(key);
  if (!view) return;
  view.older = reply.more ? "unknown" : "none";
  const name = roomOf(key);
  const room = model.rooms.get(name);
  if (!room || room.isPlaced) return;
  room.isPlaced = true;
  const read = model.read.rooms[name];
  const unread = entries.filter((entry) => read !== undefined && entry.place > read && !entry.isOwn);
  for (const entry of unread) {
    if (model.views.isSeen(key)) view.firstUnread ??= entry.number;
    else model.views.count(view, entry);
  }
  // What came live meanwhile is newer than these.
  if (unread.length > 0) view.firstUnread = unread[0].number;
}

/** Older messages cannot be had. */
export function olderRefused(model, at, key, refusal) {
  const view = model.views.get(key);
  if (!view) return;
  // A room of which nothing was ever said, or nothing is left.
  view.older = refusal.error === "no_such_room" ? "none" : "unknown";
  const room = model.rooms.get(roomOf(key));
  if (room) room.isPlaced = true;
  if (view.older === "unknown") noteIn(model, at, key, refusal.message);
}

/** Messages of a room are not there: those that are not kept, or, in a room that we are in, those that we were too slow for. */
export function gap(model, at, name, first, to) {
  const room = model.rooms.get(name);
  if (!room) return;
  const from = Math.max(first, room.last === null ? 0 : room.last + 1);
  if (from > to) return;
  seen(room, to);
  const isOwed = room.joined === "in";
  put(model, roomKey(name), at.wall, to, { kind: "gap", from, to, isOwed });
  if (isOwed) askFill(model, at, name, from, to);
}

/** Asks for the messages of a gap, those before `from` being there. */
function askFill(model, at, room, from, to) {
  const fields = { room, after: from - 1, before: to + 1, limit: PAGE_MESSAGES };
  ask(model, at, "history", fields, { what: "fill", room, to, last: null });
}

/** What there is of a gap has come: what is left of it is what nobody keeps any more. */
export function fillCame(model, at, { room, to, last }, reply) {
  if (reply.more && last !== null && last < to) return askFill(model, at, room, last + 1, to);
  const view = model.views.get(roomKey(room));
  const entry = view?.log.entries.find((other) => other.kind === "gap" && other.to === to);
  if (!entry) return;
  view.log.remove(entry.number);
  const left = Math.min(reply.forgotten ?? 0, to);
  if (left >= entry.from) view.log.put(at.wall, left, { kind: "gap", from: entry.from, to: left });
}

/** The server has begun a new history: what was known of numbers means nothing, and all there is of the new one is owed. */
export function newHistory(model, at) {
  for (const [name, room] of model.rooms) {
    room.last = 0;
    const view = model.views.get(roomKey(name));
    view.log.forgetPlaces();
    view.oldest = null;
    view.older = "none";
    noteIn(model, at, roomKey(name), "the server has begun a new history: what was said last before may be missing");
  }
}
