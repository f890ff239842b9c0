// What is kept in the browser over a reload: the nickname, the rooms, up to where they were read, and each message that is not known to
// be sent, under its id, so that several windows do not write over each other's.
//
// A browser may refuse to keep anything, or have no room for more: then all goes on, and what is not sent is known not to be kept.

export class Store {
  constructor(storage, path) {
    this.storage = storage;
    // One origin may have several servers, below several paths.
    this.prefix = `chatd${path}:`;
    this.unsentIds = new Set();
    this.unkeptIds = new Set();
  }

  get(name) {
    try {
      return JSON.parse(this.storage.getItem(this.prefix + name));
    } catch {
      return null;
    }
  }

  /** Keeps something; whether it is kept. */
  set(name, value) {
    const text = JSON.stringify(value);
    try {
      if (this.storage.getItem(this.prefix + name) !== text) this.storage.setItem(this.prefix + name, text);
      return true;
    } catch {
      // It is full, or not allowed: what is here is lost with the page.
      return false;
    }
  }

  /**
   * Keeps what is not sent, but for what belongs to a talk, which does not outlive its connection; whether all of it is kept. What is
   * `disowned` stays as it is.
   */
  keepUnsent({ unsent, disowned }, origin) {
    const kept = unsent.filter(({ to }) => !to.talk);
    for (const { id, to, content, time, nick } of kept) {
      if (!this.unsentIds.has(id) && !this.set(`unsent.${id}`, { id, to, content, time, nick, origin })) this.unkeptIds.add(id);
    }
    const ids = new Set(kept.map(({ id }) => id));
    for (const id of this.unsentIds) if (!ids.has(id) && !disowned.has(id)) this.#remove(`unsent.${id}`);
    for (const id of this.unkeptIds) if (!ids.has(id)) this.unkeptIds.delete(id);
    this.unsentIds = ids;
    return this.unkeptIds.size === 0;
  }

  /** What was not sent from this window, or by whoever had this nickname in another, in the order in which it was typed. */
  unsent(origin, nick) {
    const names = this.#names().filter((name) => name.startsWith(`${this.prefix}unsent.`));
    const found = names.map((name) => this.get(name.slice(this.prefix.length)));
    const whole = found.filter((message) => message?.id && message.to && message.content);
    const ours = whole.filter((message) => message.origin === origin || message.nick === nick);
    this.unsentIds = new Set(ours.map(({ id }) => id));
    return ours.sort((one, other) => one.time - other.time).map((message) => ({ ...message, isAdopted: message.origin !== origin }));
  }

  #names() {
    try {
      return Object.keys(this.storage);
    } catch {
      return [];
    }
  }

  #remove(name) {
    try {
      this.storage.removeItem(this.prefix + name);
    } catch {
      // As above.
    }
  }
}
