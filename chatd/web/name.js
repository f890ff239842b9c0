// The question for a nickname: asked at the first visit, where a name cannot be had, and when somebody wants another.

import { nickOf } from "./commands.js";
import { at, setText } from "./dom.js";
import { line } from "./visible.js";

export class NameDialog {
  /** `chosen` is told the name, or null for a guest's. */
  constructor(chosen) {
    this.dialog = at("name");
    this.isFirst = true;
    this.isAnswered = false;
    at("name").querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take(chosen);
    });
    at("name-guest").addEventListener("click", () => {
      this.dialog.close();
    });
    // Escape closes it, too, and no page can always prevent that: who names nobody at the first visit is a guest.
    this.dialog.addEventListener("close", () => {
      if (this.isFirst && !this.isAnswered) chosen(null);
    });
  }

  ask(nick, why) {
    this.isFirst = nick === "" && why === "";
    this.isAnswered = false;
    at("nick").value = nick;
    setText(at("name-why"), line(why));
    setText(at("name-guest"), this.isFirst ? "Be a guest" : "Leave it");
    this.dialog.showModal();
    at("nick").focus();
  }

  #take(chosen) {
    try {
      const nick = nickOf(at("nick").value);
      this.isAnswered = true;
      this.dialog.close();
      chosen(nick);
    } catch (error) {
      setText(at("name-why"), `${error.message}.`);
    }
  }
}
