// Telling somebody who does not look: the page's title, and notifications where they were asked for by a click.

import { at, show } from "./dom.js";
import { line } from "./visible.js";

const TEXT_CHARS_MAX = 120;

export class Notify {
  constructor(store, seeView) {
    this.store = store;
    this.seeView = seeView;
    this.button = at("notify");
    // Browsers offer it to pages of https and of this machine only.
    show(this.button, "Notification" in window && window.isSecureContext);
    this.button.addEventListener("click", () => this.#toggle());
    this.#draw();
  }

  get isOn() {
    return "Notification" in window && Notification.permission === "granted" && this.store.get("notify") === true;
  }

  async #toggle() {
    const isOn = !this.isOn && (await Notification.requestPermission()) === "granted";
    this.store.set("notify", isOn);
    this.#draw();
  }

  #draw() {
    this.button.setAttribute("aria-pressed", String(this.isOn));
    const isRefused = "Notification" in window && Notification.permission === "denied";
    this.button.title = isRefused ? "The browser does not let this page notify you" : "Notify me when somebody means me";
  }

  /** Somebody means us. */
  ring(title, entry, key) {
    if (!this.isOn || document.hasFocus()) return;
    const text = entry === null ? "somebody is there for a talk" : `${entry.from}: ${entry.content.text ?? "a file"}`;
    const notification = this.#made(line(title), { body: line(text).slice(0, TEXT_CHARS_MAX), tag: key });
    if (notification === null) return;
    notification.addEventListener("click", () => {
      window.focus();
      this.seeView(key);
      notification.close();
    });
  }

  /** Browsers of telephones have the word, and refuse what it is for: then it is not offered any more. */
  #made(title, options) {
    try {
      return new Notification(title, options);
    } catch {
      this.store.set("notify", false);
      show(this.button, false);
      return null;
    }
  }

  /** What is unread stands in the title, and `!` where it means us. */
  title(model, name) {
    let [unread, mentions] = [0, 0];
    for (const view of model.views.all.values()) {
      unread += view.unread;
      mentions += view.mentions;
    }
    const mark = unread > 0 ? `(${unread}${mentions > 0 ? "!" : ""}) ` : "";
    const title = `${mark}${name}`;
    if (document.title !== title) document.title = title;
  }
}
