// The question for a nickname: asked at the first visit, where a name cannot be had, and when somebody wants another.

import { nickOf } from "./commands.js";
import { at, setText } from "./dom.js";
import { line } from "./visible.js";

export class NameDialog {
  /** `chosen` is told the name, or null for a guest's. */
  constructor(chosen) {
    this.dialog = at("name");
    this.isFirst = true;
    at("name").querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take(chosen);
    });
    at("name-guest").addEventListener("click", () => {
      this.dialog.close();
      if (this.isFirst) chosen(null);
    });
    this.dialog.addEventListener("cancel", (event) => {
      if (this.isFirst) event.preventDefault();
    });
  }

  ask(nick, why) {
    this.isFirst = nick === "" && why === "";
    at("nick").value = nick;
    setText(at("name-why"), line(why));
    setText(at("name-guest"), this.isFirst ? "Be a guest" : "Leave it");
    this.dialog.showModal();
    at("nick").focus();
  }

  #take(chosen) {
    try {
      const nick = nickOf(at("nick").value);
      this.dialog.close();
      chosen(nick);
    } catch (error) {
      setText(at("name-why"), `${error.message}.`);
    }
  }
}
