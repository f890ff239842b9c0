// The views: one by room, one by person, one for the talk, one for the server; which of them is seen, and what is unread in the others.
//
// A view is known by its key: "server", "#ROOM", "@NICK" with the nickname in small letters, "talk". Pure.

import { ENTRIES_BACK_MAX, ENTRIES_MAX, Log } from "./log.js";

const ORDER = ["server", "#", "@", "talk"];

/** A name as it is compared: without regard to case. */
export function folded(name) {
  return name.toLowerCase();
}

export const roomKey = (room) => `#${room}`;
export const nickKey = (nick) => `@${folded(nick)}`;

/** The room of a view that is a room's. */
export function roomOf(key) {
  return key.startsWith("#") ? key.slice(1) : null;
}

function rank(key) {
  return ORDER.findIndex((beginning) => key.startsWith(beginning));
}

function compared([one], [other]) {
  return rank(one) - rank(other) || (one < other ? -1 : 1);
}

export class Views {
  all = new Map();
  focus = "server";
  /** Whether somebody looks at the page at all. */
  isLooking = true;

  constructor() {
    this.open("server", "server");
  }

  /** The views as they are shown: pairs of key and view. */
  sorted() {
    return [...this.all].sort(compared);
  }

  /** The view, made where there is none. */
  open(key, title) {
    if (!this.all.has(key)) {
      // `older` is what is known of messages before those that are here: there may be some, they are asked for, there are none.
      // `oldest` is the first place that was asked for and came, though nobody may want to hear who spoke there.
      const unread = { unread: 0, mentions: 0, firstUnread: null };
      this.all.set(key, { title, log: new Log(), ...unread, older: "unknown", oldest: null, isBack: false });
    }
    return this.all.get(key);
  }

  get(key) {
    return this.all.get(key);
  }

  isSeen(key) {
    return this.isLooking && this.focus === key;
  }

  /** Sees another view: what was unread there is read, and its line is drawn until another is seen. */
  see(key) {
    if (!this.all.has(key)) throw new Error(`there is no view ${key}`);
    if (this.focus !== key) {
      this.#leave();
      this.focus = key;
    }
    if (this.isLooking) this.#read();
  }

  /** Somebody looks at the page, or does no more. */
  look(isLooking) {
    if (this.isLooking === isLooking) return;
    this.isLooking = isLooking;
    if (isLooking) this.#read();
    else this.get(this.focus).firstUnread = null;
  }

  /** Closes a view; the one that is seen makes way for a neighbour. */
  close(key) {
    const keys = this.sorted().map(([other]) => other);
    const before = keys[keys.indexOf(key) - 1] ?? "server";
    if (this.focus === key) this.see(before);
    this.all.delete(key);
  }

  /** Puts a line into a view that is there, and counts it where somebody else says it and nobody sees it. */
  put(key, time, place, what) {
    const view = this.get(key);
    if (!view) return null;
    const entry = view.log.put(time, place, what);
    if (what.kind === "message" && !what.isOwn && !this.isSeen(key)) this.count(view, entry);
    trim(view);
    return entry;
  }

  /** A message counts as unread. */
  count(view, entry) {
    view.unread += 1;
    view.mentions += entry.isMention ? 1 : 0;
    view.firstUnread ??= entry.number;
  }

  /** The next one with something unread, those with mentions first. */
  nextActive() {
    const active = this.sorted().filter(([, view]) => view.unread > 0);
    return (active.find(([, view]) => view.mentions > 0) ?? active[0])?.[0];
  }

  #read() {
    const view = this.get(this.focus);
    view.unread = view.mentions = 0;
  }

  #leave() {
    const view = this.get(this.focus);
    view.firstUnread = null;
    view.isBack = false;
    trim(view);
  }
}

/** Forgets the oldest lines past the limit; they can be asked for again. */
export function trim(view) {
  const forgot = view.log.trim(view.isBack ? ENTRIES_BACK_MAX : ENTRIES_MAX);
  if (!forgot) return;
  view.oldest = null;
  if (view.older === "none") view.older = "unknown";
}
