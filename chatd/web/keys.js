// What keys do anywhere on the page: those of the terminal client, where a browser leaves them to a page.

import { at } from "./dom.js";

/** Where a page of the messages is turned from the line that is typed. */
const PAGES = { PageUp: -1, PageDown: 1 };

export function bindKeys(app) {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || at("name").open) return;
    const done = event.altKey ? withAlt(app, event) : plain(app, event);
    if (done) event.preventDefault();
  });
}

function withAlt(app, { code }) {
  const { views } = app.model;
  const keys = views.sorted().map(([key]) => key);
  const here = keys.indexOf(views.focus);
  const see = (key) => {
    if (key !== undefined) app.see(key);
    return true;
  };
  if (/^Digit[1-9]$/.test(code)) return see(keys[Number(code.at(-1)) - 1]);
  switch (code) {
    case "KeyA": return see(views.nextActive());
    case "ArrowUp":
    case "KeyP": return see(keys[here - 1]);
    case "ArrowDown":
    case "KeyN": return see(keys[here + 1]);
    default: return false;
  }
}

function plain(app, { key, target }) {
  if (key === "F1") {
    app.do({ do: "help" });
    return true;
  }
  if (PAGES[key] && target === app.composer.field) {
    app.shown().scroll(PAGES[key]);
    return true;
  }
  if (key !== "Escape") return false;
  if (document.body.classList.contains("side-open")) app.openSide(false);
  else {
    app.composer.forget();
    app.shown().toEnd();
    app.composer.field.focus();
  }
  return true;
}
