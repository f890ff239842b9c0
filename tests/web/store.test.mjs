import assert from "node:assert/strict";
import test from "node:test";
import { page } from "./modules.mjs";

const { Store } = await page("store.js");

/** What a browser keeps: names that can be listed, and words. */
function storage() {
  const kept = Object.create({
    getItem(name) {
      return this[name] ?? null;
    },
    setItem(name, text) {
      this[name] = text;
    },
    removeItem(name) {
      delete this[name];
    },
  });
  return kept;
}

test("what is not sent outlives its page, in its order, and is gone once it is sent", () => {
  const kept = storage();
  const store = new Store(kept, "/");
  const messages = [["b", 2], ["a", 1]].map(([id, time]) => ({ id, time, to: { room: "lobby" }, content: { text: id }, askedAt: 5 }));
  store.keepUnsent([...messages, { id: "t", time: 3, to: { talk: true }, content: { text: "t" } }]);
  const again = new Store(kept, "/");
  assert.deepEqual(again.unsent().map(({ id }) => id), ["a", "b"]);
  assert.deepEqual(new Store(kept, "/other/").unsent(), []);
  again.keepUnsent([]);
  assert.deepEqual(new Store(kept, "/").unsent(), []);
});

test("a browser that keeps nothing is no fault", () => {
  const store = new Store(null, "/");
  store.set("nick", "Ada");
  store.keepUnsent([{ id: "a", to: { nick: "Bob" }, content: { text: "x" }, time: 1 }]);
  assert.equal(store.get("nick"), null);
  assert.deepEqual(store.unsent(), []);
});
