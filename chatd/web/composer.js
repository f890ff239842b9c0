// The line that is typed, one for each view: sending, completing, what was typed before, pastes of several lines, files.

import { complete } from "./commands.js";
import { at, element, setText, show } from "./dom.js";
import { typeOf } from "./files.js";
import { line, packed } from "./visible.js";

/** How many lines are remembered. */
const TYPED_MAX = 100;

export class Composer {
  /** `doing` has typed(text), which is false where the text is refused, say(content, place), place(), names() and limit(). */
  constructor(doing) {
    this.doing = doing;
    this.field = at("text");
    this.key = "server";
    this.drafts = new Map();
    this.typed = [];
    this.back = 0;
    this.cycle = null;
    this.isPasted = false;
    this.field.addEventListener("input", () => this.#changed());
    this.field.addEventListener("keydown", (event) => this.#pressed(event));
    this.field.addEventListener("paste", (event) => this.#pasted(event));
    at("post").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    at("attach").addEventListener("click", () => {
      this.attachedAt = doing.place();
      at("file").click();
    });
    at("file").addEventListener("change", ({ target }) => {
      this.sendFiles([...target.files], this.attachedAt);
      this.attachedAt = undefined;
      target.value = "";
    });
  }

  /** Another view is seen: its line is what is typed now. */
  see(key, label) {
    this.field.placeholder = label;
    this.field.setAttribute("aria-label", label);
    if (key === this.key) return;
    this.drafts.set(this.key, this.field.value);
    this.key = key;
    this.set(this.drafts.get(key) ?? "");
  }

  /** What could not be said comes back, where nothing else was typed meanwhile. */
  giveBack(key, text) {
    if (key !== this.key) return this.drafts.set(key, this.drafts.get(key) || text);
    if (this.field.value === "") this.set(text);
  }

  set(text) {
    this.field.value = text;
    this.#changed();
  }

  send() {
    const text = this.field.value;
    if (text === "") return;
    const isPasted = this.isPasted;
    this.set("");
    if (this.doing.typed(text, isPasted) === false) return this.set(text);
    this.typed = [...this.typed.slice(1 - TYPED_MAX), text];
    this.back = 0;
  }

  /** Sends them to a place, whatever view is seen by the time that they are read. */
  async sendFiles(files, place = this.doing.place()) {
    for (const file of files) {
      // One that is too large is refused by its size, unread.
      const data = file.size > this.doing.limit() ? "" : packed(new Uint8Array(await file.arrayBuffer()));
      this.doing.say({ data, size: file.size, type: typeOf(file) }, place);
    }
  }

  /** Whatever it was, it is not offered any more. */
  forget() {
    this.cycle = null;
    at("hint").replaceChildren();
    show(at("hint"), false);
  }

  #changed() {
    this.forget();
    if (this.field.value === "") this.isPasted = false;
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight + 2}px`;
  }

  #pressed(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    const isPlain = !event.altKey && !event.shiftKey;
    if (event.key === "Enter" && isPlain) this.send();
    else if (event.key === "Enter" && event.altKey) this.#insert("\n");
    else if (event.key === "Tab" && !event.altKey && this.#complete(event.shiftKey ? -1 : 1)) event.stopPropagation();
    else if (event.key === "ArrowUp" && isPlain && this.#isAtEdge(0)) this.#recall(1);
    else if (event.key === "ArrowDown" && isPlain && this.#isAtEdge(this.field.value.length)) this.#recall(-1);
    else return;
    event.preventDefault();
  }

  #isAtEdge(place) {
    return this.field.selectionStart === place && this.field.selectionEnd === place;
  }

  #insert(text) {
    this.field.setRangeText(text, this.field.selectionStart, this.field.selectionEnd, "end");
    this.#changed();
  }

  /** Lines that were typed before, the newest first. */
  #recall(step) {
    const back = this.back + step;
    if (back < 0 || back > this.typed.length) return;
    if (this.back === 0) this.draft = this.field.value;
    this.back = back;
    this.set(back === 0 ? this.draft : this.typed.at(-back));
    const place = step > 0 ? 0 : this.field.value.length;
    this.field.setSelectionRange(place, place);
  }

  /** Puts the next candidate in; false where there is none, so that Tab leaves the field. */
  #complete(step) {
    if (this.cycle === null) {
      if (step < 0) return false;
      const before = this.field.value.slice(0, this.field.selectionStart);
      const { from, candidates } = complete(before, this.doing.names());
      if (before === "" || candidates.length === 0) return false;
      this.cycle = { from, candidates, chosen: -1, end: this.field.selectionStart };
    }
    const cycle = this.cycle;
    const count = cycle.candidates.length;
    cycle.chosen = (cycle.chosen + step + count) % count;
    const candidate = cycle.candidates[cycle.chosen];
    this.field.setRangeText(candidate, cycle.from, cycle.end, "end");
    cycle.end = cycle.from + candidate.length;
    this.#showCandidates(cycle);
    return true;
  }

  #showCandidates({ candidates, chosen }) {
    const first = Math.max(0, Math.min(chosen - 2, candidates.length - 8));
    const shown = candidates.slice(first, first + 8).map((text, index) => element("span", first + index === chosen ? "chosen" : "", line(text.trim())));
    at("hint").replaceChildren(...shown);
    show(at("hint"), candidates.length > 1);
    setText(at("aloud"), line(candidates[chosen].trim()));
  }

  /** Several lines are one message, unless the person wants one of each; none of them is a command. */
  #pasted(event) {
    const { files } = event.clipboardData;
    if (files.length > 0) {
      event.preventDefault();
      return this.#offerFiles([...files]);
    }
    const text = event.clipboardData.getData("text/plain").replace(/\r\n?/g, "\n");
    const lines = text.split("\n").filter((one) => one !== "");
    if (lines.length < 2) return;
    event.preventDefault();
    this.#insert(text.replace(/\n+$/, ""));
    this.isPasted = true;
    this.#offer(`${lines.length} lines: Enter sends them as one message.`, [["A message each", () => {
      const all = this.field.value.split("\n").filter((one) => one !== "");
      this.set("");
      for (const one of all) this.doing.say({ text: one });
    }], ["Forget them", () => this.set("")]]);
  }

  #offerFiles(files) {
    const names = files.map(({ name }) => line(name)).join(", ");
    const place = this.doing.place();
    this.#offer(`Send ${names}?`, [["Send", () => this.sendFiles(files, place)], ["No", () => {}]]);
  }

  #offer(question, answers) {
    const buttons = answers.map(([words, act]) => {
      const button = element("button", "", words);
      button.type = "button";
      button.addEventListener("click", () => {
        this.forget();
        act();
        this.field.focus();
      });
      return button;
    });
    at("hint").replaceChildren(element("span", "", question), ...buttons);
    show(at("hint"), true);
    setText(at("aloud"), question);
  }
}
