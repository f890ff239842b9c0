// The lists at the side: rooms and people with what is unread, who is in the room that is seen, and who one is oneself.

import { at, element, Items, setText, show } from "./dom.js";
import { hueOf } from "./lines.js";
import { countOf } from "./rooms.js";
import { isUp, ownNick } from "./core.js";
import { roomOf } from "./views.js";
import { line } from "./visible.js";

/** Of larger rooms so many are listed; `/who` has all. */
const LISTED_MAX = 200;

export class Side {
  /** `doing` has see(key), close(key) and direct(nick). */
  constructor(doing) {
    const item = (data) => viewItem(data, doing);
    this.rooms = new Items(at("rooms"), item);
    this.people = new Items(at("people"), item);
    this.known = new Items(at("known"), ({ key }) => Object.assign(element("option"), { value: key }));
    this.here = new Items(at("here"), (data) => memberItem(data, doing));
  }

  draw(model) {
    const items = model.views.sorted().map(([key, view]) => ({
      key,
      title: line(view.title),
      unread: view.unread,
      mentions: view.mentions,
      isSeen: key === model.views.focus,
    }));
    const isRoom = ({ key }) => key === "server" || key.startsWith("#");
    const people = items.filter((item) => !isRoom(item));
    this.rooms.set(items.filter(isRoom));
    this.people.set(people);
    show(at("people-title"), people.length > 0);
    this.#drawHere(model);
    setText(at("server"), line(model.link.server ?? "chatd"));
    setText(at("me"), line(ownNick(model) ?? "guest"));
    at("me").title = "Take another name";
    at("away").setAttribute("aria-pressed", String(model.wanted.away !== null));
    this.known.set((model.known ?? []).filter((room) => !model.rooms.has(room)).map((key) => ({ key })));
    show(at("find"), model.talk.wish === null && isUp(model));
  }

  #drawHere(model) {
    const room = model.rooms.get(roomOf(model.views.focus));
    const members = [...(room?.members.values() ?? [])].sort((one, other) => one.nick.localeCompare(other.nick));
    show(at("here-title"), members.length > 0);
    setText(at("here-title"), room === undefined ? "" : `Here: ${countOf(room)}`);
    const own = ownNick(model);
    // That oneself is away nobody else has to tell.
    const ofMember = (nick, isAway) => (nick === own ? { key: nick, isAway: model.wanted.away !== null, isOwn: true } : { key: nick, isAway, isOwn: false });
    this.here.set(members.slice(0, LISTED_MAX).map(({ nick, isAway }) => ofMember(nick, isAway)));
  }
}

function viewItem({ key, title, unread, mentions, isSeen }, doing) {
  const count = unread > 0 ? element("span", mentions > 0 ? "badge mention" : "badge", String(unread)) : null;
  const words = unread > 0 ? element("span", "hidden", mentions > 0 ? ` unread, ${mentions} for you` : " unread") : null;
  const button = element("button", "view", element("span", "name", title), count, words);
  button.type = "button";
  if (isSeen) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => doing.see(key));
  if (!isSeen || key === "server") return element("li", "", button);
  const close = element("button", "quiet close", "✕");
  close.type = "button";
  close.title = key.startsWith("#") ? `Leave ${title}` : `Close ${title}`;
  close.setAttribute("aria-label", close.title);
  close.addEventListener("click", () => doing.close(key));
  return element("li", "", button, close);
}

function memberItem({ key: nick, isAway, isOwn }, doing) {
  const name = element("span", `name ${hueOf(nick)}`, line(nick));
  const words = [isOwn && "you", isAway && "away"].filter(Boolean).join(", ");
  const state = words === "" ? null : element("span", "state", words);
  if (isOwn) return element("li", "member", name, state);
  const button = element("button", "view", name, state);
  button.type = "button";
  button.title = `Write to ${line(nick)}`;
  button.addEventListener("click", () => doing.direct(nick));
  return element("li", "", button);
}
