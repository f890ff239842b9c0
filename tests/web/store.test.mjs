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
  const messages = [["b", 2], ["a", 1]].map(([id, time]) => ({ id, time, nick: "Ada", to: { room: "lobby" }, content: { text: id }, askedAt: 5 }));
  const disowned = new Set();
  store.keepUnsent({ unsent: [...messages, { id: "t", time: 3, to: { talk: true }, content: { text: "t" } }], disowned }, "w1");
  const again = new Store(kept, "/");
  assert.deepEqual(again.unsent("w1", "Eve").map(({ id, isAdopted }) => [id, isAdopted]), [["a", false], ["b", false]]);
  assert.deepEqual(new Store(kept, "/other/").unsent("w1", "Ada"), []);
  again.keepUnsent({ unsent: [], disowned }, "w1");
  assert.deepEqual(new Store(kept, "/").unsent("w1", "Ada"), []);
});

test("what another window has not sent is sent under its name, or left to it", () => {
  const kept = storage();
  const message = { id: "a", time: 1, nick: "Ada", to: { room: "lobby" }, content: { text: "a" } };
  new Store(kept, "/").keepUnsent({ unsent: [message], disowned: new Set() }, "w1");
  assert.deepEqual(new Store(kept, "/").unsent("w2", "Eve"), []);
  const other = new Store(kept, "/");
  assert.deepEqual(other.unsent("w2", "Ada").map(({ isAdopted }) => isAdopted), [true]);
  other.keepUnsent({ unsent: [], disowned: new Set(["a"]) }, "w2");
  assert.equal(new Store(kept, "/").unsent("w1", "Ada").length, 1);
});

test("a browser that has no room for a message keeps the others, and it is known until that one is sent", () => {
  const kept = storage();
  const put = kept.setItem;
  Object.getPrototypeOf(kept).setItem = function full(name, text) {
    if (text.length > 1_000) throw new DOMException("full", "QuotaExceededError");
    put.call(this, name, text);
  };
  const store = new Store(kept, "/");
  const message = (id, text) => ({ id, time: 1, nick: "Ada", to: { room: "lobby" }, content: { text } });
  const keep = (unsent) => store.keepUnsent({ unsent, disowned: new Set() }, "w1");
  const [large, small] = [message("a", "x".repeat(1_000)), message("b", "x")];
  assert.deepEqual([keep([small]), keep([small, large]), keep([small, large])], [true, false, false]);
  assert.deepEqual(new Store(kept, "/").unsent("w1", "Ada").map(({ id }) => id), ["b"]);
  assert.deepEqual([keep([small]), keep([])], [true, true]);
  assert.deepEqual(new Store(kept, "/").unsent("w1", "Ada"), []);
});

test("a browser that keeps nothing is no fault", () => {
  const store = new Store(null, "/");
  assert.equal(store.set("nick", "Ada"), false);
  const unsent = [{ id: "a", to: { nick: "Bob" }, content: { text: "x" }, time: 1 }];
  assert.equal(store.keepUnsent({ unsent, disowned: new Set() }, "w1"), false);
  assert.equal(store.get("nick"), null);
  assert.deepEqual(store.unsent("w1", "Ada"), []);
});
