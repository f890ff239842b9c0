// The lines of one view, in order and bounded: messages of a room by their sequence numbers, all else where it came, what of ours is
// still to be sent at the end.
//
// It knows no protocol and no DOM. It forgets the oldest lines past a limit, never those that are still to be sent. A line is
// { number, version, time, place, kind, ... }: the number is its for ever, the version grows with each change.

/** How many lines are kept of a view, and how many while somebody reads far back. */
export const ENTRIES_MAX = 1000;
export const ENTRIES_BACK_MAX = 5000;

/** Whether a line is a message of ours that waits or is under way. */
export function isSending(entry) {
  return entry.kind === "message" && entry.mark?.is === "sending";
}

export class Log {
  entries = [];
  next = 0;

  /** Puts a line where it belongs; the line. */
  put(time, place, what) {
    const entry = { number: this.next++, version: 0, time, place, ...what };
    this.#insert(entry);
    return entry;
  }

  /** The message with this id. */
  message(id) {
    return this.entries.findLast((entry) => entry.kind === "message" && entry.id === id);
  }

  /** The oldest place that is here. */
  oldestPlace() {
    const oldest = this.entries.find((entry) => entry.kind === "gap" || entry.place !== null);
    return oldest?.kind === "gap" ? oldest.from : oldest?.place;
  }

  /** Changes the message with this id; whether there is one. */
  change(id, change) {
    const entry = this.message(id);
    if (!entry) return false;
    change(entry);
    entry.version += 1;
    return true;
  }

  /** A message of ours was taken, and stored where it has a place: there it belongs now. */
  taken(id, from, time, place) {
    const entry = this.message(id);
    if (!entry || !isSending(entry)) return;
    this.remove(entry.number);
    // It may have been typed before we had the name that it was said under.
    Object.assign(entry, { time, place, from, mark: { is: place === null ? "sent" : "stored" }, version: entry.version + 1 });
    this.#insert(entry);
  }

  remove(number) {
    this.entries = this.entries.filter((entry) => entry.number !== number);
  }

  /** Forgets all but what is still to be sent. */
  clear() {
    this.entries = this.entries.filter(isSending);
  }

  /** The sequence numbers mean nothing any more: what is here keeps its order, and what comes stands behind it. */
  forgetPlaces() {
    for (const entry of this.entries) entry.place = null;
  }

  /** Forgets the oldest lines past a limit; whether there were any. */
  trim(max) {
    let surplus = this.entries.length - max;
    if (surplus <= 0) return false;
    this.entries = this.entries.filter((entry) => isSending(entry) || surplus-- <= 0);
    return true;
  }

  #insert(entry) {
    const at = this.#where(entry);
    this.entries.splice(at, 0, entry);
  }

  // The usual case is the newest: behind it there is nothing but what is still to be sent.
  #where(entry) {
    if (isSending(entry)) return this.entries.length;
    const newest = this.entries.findLast((other) => other.place !== null)?.place;
    if (entry.place !== null && newest !== undefined && newest > entry.place) {
      return this.entries.findIndex((other) => other.place !== null && other.place > entry.place);
    }
    let at = this.entries.length;
    while (at > 0 && isSending(this.entries[at - 1])) at -= 1;
    return at;
  }
}
