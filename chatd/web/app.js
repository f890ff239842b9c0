// The page: the model's wishes carried out on a socket, what comes told to it, and what there is drawn.
//
// One way round: an input changes the model, its outputs are carried out, what is to be kept is kept, and all is drawn once for
// however many inputs came. Only here are clocks read and dice thrown.

import { drawBanners } from "./banner.js";
import { parse, roomOf as roomNamed } from "./commands.js";
import { Composer } from "./composer.js";
import { isUp } from "./core.js";
import { at, element, setText, show } from "./dom.js";
import { bindKeys } from "./keys.js";
import { Lines } from "./lines.js";
import * as chat from "./model.js";
import { NameDialog } from "./name.js";
import { Notify } from "./notify.js";
import { Side } from "./side.js";
import { Socket } from "./socket.js";
import { Store } from "./store.js";
import { roomOf } from "./views.js";
import { line } from "./visible.js";

/** However much comes, it is drawn so often. */
const DRAW_MS = 30;

/** How many past messages are shown of a room that is joined. */
const CONTEXT_MESSAGES = 50;

// A UUID of version 4. `crypto.randomUUID` is there in secure contexts only, and a chat in a local network is none.
function randomUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function moment() {
  return { now: performance.now(), wall: Date.now(), chance: Math.random(), uuid: randomUuid() };
}

function storage(name) {
  try {
    return window[name];
  } catch {
    return null;
  }
}

class App {
  constructor() {
    const base = new URL(".", document.baseURI);
    this.base = base;
    this.store = new Store(storage("localStorage"), base.pathname);
    this.tab = new Store(storage("sessionStorage"), base.pathname);
    this.model = chat.newModel(this.#settings(), moment());
    this.socket = null;
    this.hasBegun = false;
    this.lines = new Map();
    this.side = new Side({
      see: (key) => this.see(key),
      close: (key) => this.do({ do: "leave", room: roomOf(key) ?? undefined }),
      direct: (nick) => this.do({ do: "msg", nick }, true),
    });
    this.composer = new Composer({
      typed: (text, isPasted) => this.typed(text, isPasted),
      say: (content, place) => this.input((now) => chat.say(this.model, now, content, place)),
      place: () => chat.place(this.model),
      names: () => chat.names(this.model),
      limit: () => this.model.link.messageBytes,
    });
    this.notify = new Notify(this.store, (key) => this.see(key));
    this.name = new NameDialog((nick) => this.named(nick));
    this.#bind();
    bindKeys(this);
  }

  #settings() {
    const { store } = this;
    const kept = store.get("rooms");
    const rooms = [roomInAddress(), ...(kept ?? [])].filter((room, index, all) => isRoom(room) && all.indexOf(room) === index);
    const [ignored, away, read] = ["ignored", "away", "read"].map((name) => store.get(name));
    const nick = this.tab.get("nick") ?? store.get("nick");
    this.origin = this.tab.get("origin") ?? randomUuid();
    this.tab.set("origin", this.origin);
    const [talk, unsent] = [this.tab.get("talk"), store.unsent(this.origin, nick)];
    return { nick, ignored, away, read, rooms, isNew: kept === null, talk, context: CONTEXT_MESSAGES, unsent };
  }

  /** Begins: with the name that was chosen before, else with the question for one. */
  start() {
    this.draw();
    this.#look();
    if (this.store.get("isNamed")) this.#begin();
    else this.name.ask("", "");
  }

  #begin() {
    this.hasBegun = true;
    this.input((now) => chat.tick(this.model, now));
    this.composer.field.focus();
  }

  /** The person has chosen a name; none is a guest's. */
  named(nick) {
    this.store.set("isNamed", true);
    if (this.hasBegun) this.do({ do: "nick", nick });
    else this.model.wanted.nick = nick;
    this.#begin();
  }

  askName() {
    const { phase } = this.model.link;
    this.name.ask(this.model.wanted.nick ?? "", phase.is === "held" ? phase.why : "");
  }

  input(change) {
    change(moment());
    // It is kept before it goes out.
    const isKept = this.store.keepUnsent(this.model.outgoing, this.origin);
    if (!isKept) chat.unkept(this.model, moment());
    this.#carryOut();
    this.#arm();
    this.#drawSoon();
  }

  do(command, isFocused = false) {
    this.input((now) => chat.act(this.model, now, command));
    if (isFocused) this.#reveal();
  }

  see(key) {
    this.input(() => chat.see(this.model, key));
    this.#reveal();
  }

  #reveal() {
    this.#setSide(false);
    this.draw();
    this.shown().toUnread();
    this.composer.field.focus();
  }

  /** Understands a line; false where it cannot, so that it stays to be mended. */
  typed(text, isPasted) {
    let understood;
    try {
      understood = isPasted ? { say: text } : parse(text);
    } catch (error) {
      this.input((now) => chat.misunderstood(this.model, now, error.message));
      return false;
    }
    const focus = this.model.views.focus;
    if (understood?.say !== undefined) this.input((now) => chat.say(this.model, now, { text: understood.say }));
    else if (understood) this.do(understood);
    if (this.model.views.focus !== focus) this.#reveal();
    else this.shown().toEnd();
    return true;
  }

  #carryOut() {
    for (let output = this.model.out.shift(); output; output = this.model.out.shift()) {
      if (output.do === "ask") this.socket?.say(output.frame);
      else if (output.do === "hangUp") this.#hangUp();
      else if (output.do === "call") this.#call();
      else this.#tell(output);
    }
  }

  #hangUp() {
    this.socket?.close();
    this.socket = null;
  }

  #call() {
    this.#hangUp();
    this.socket = new Socket(this.base, {
      opened: () => this.input((now) => chat.called(this.model, now)),
      heard: (frame) => this.input((now) => chat.received(this.model, now, frame)),
      closed: (why) => this.input((now) => chat.disconnected(this.model, now, why)),
    });
  }

  #tell({ news, key, entry, text }) {
    if (news === "mention") this.notify.ring(this.model.views.get(key)?.title ?? "chatd", entry, key);
    else if (news === "returned") this.composer.giveBack(key, text);
  }

  #keep() {
    const { model, store } = this;
    if (!store.get("isNamed")) return;
    store.set("nick", model.wanted.nick);
    // Another tab may take another name, and has a talk of its own.
    this.tab.set("nick", model.wanted.nick);
    this.tab.set("talk", chat.talkKept(model));
    if (!model.wanted.isNew) store.set("rooms", [...model.rooms.keys()]);
    store.set("ignored", [...model.wanted.ignored.values()]);
    store.set("away", model.wanted.away);
    store.set("read", model.read);
  }

  #arm() {
    clearTimeout(this.timer);
    if (!this.hasBegun) return;
    const next = chat.next(this.model);
    if (Number.isFinite(next)) this.timer = setTimeout(() => this.input((now) => chat.tick(this.model, now)), Math.max(0, next - performance.now()));
  }

  #drawSoon() {
    this.drawing ??= setTimeout(() => this.draw(), DRAW_MS);
  }

  draw() {
    clearTimeout(this.drawing);
    this.drawing = null;
    this.#keep();
    const { model } = this;
    const key = model.views.focus;
    const view = model.views.get(key);
    const title = line(view.title);
    this.side.draw(model);
    this.#drawHead(key, title);
    const lines = this.shown();
    if (at("stage").firstElementChild !== lines.node) at("stage").replaceChildren(lines.node);
    lines.draw(view);
    this.#readOn(lines);
    this.composer.see(key, key === "server" ? "A command, /help for all" : `Write to ${title === "talk" ? "your talk" : title}`);
    const isCounting = drawBanners(model, performance.now(), Date.now());
    clearTimeout(this.counting);
    if (isCounting) this.counting = setTimeout(() => this.#drawSoon(), 1000);
    this.notify.title(model, `${title} – ${line(model.link.server ?? "chatd")}`);
  }

  #drawHead(key, title) {
    const room = this.model.rooms.get(roomOf(key));
    setText(at("title"), title);
    setText(at("topic"), line(room?.topic ?? ""));
    at("topic").title = at("topic").textContent;
    const others = this.model.views.sorted().filter(([other]) => other !== key);
    const unread = others.reduce((sum, [, view]) => sum + view.unread, 0);
    show(at("menu-mark"), unread > 0);
    setText(at("menu-mark"), unread > 0 ? String(unread) : "");
    if (this.actionsOf !== key + this.#isIgnored(key)) this.#drawActions(key);
  }

  #isIgnored(key) {
    return key.startsWith("@") && this.model.wanted.ignored.has(key.slice(1));
  }

  /** What can be done with the person whose view is seen. */
  #drawActions(key) {
    this.actionsOf = key + this.#isIgnored(key);
    const nick = this.model.views.get(key).title.slice(1);
    const action = (words, command) => {
      const button = element("button", "quiet", words);
      button.type = "button";
      button.addEventListener("click", () => this.do(command, true));
      return button;
    };
    const wish = { peer: nick, turns: "any", direct: false };
    const ofNick = () => [
      action("Who is it?", { do: "whois", nick }),
      action("Talk", { do: "bridge", wish }),
      this.#isIgnored(key) ? action("Hear again", { do: "unignore", nick }) : action("Ignore", { do: "ignore", nick }),
    ];
    at("actions").replaceChildren(...(key.startsWith("@") ? ofNick() : []));
  }

  /** The lines of the view that is seen. */
  shown() {
    const key = this.model.views.focus;
    for (const known of this.lines.keys()) if (!this.model.views.get(known)) this.lines.delete(known);
    if (!this.lines.has(key)) this.lines.set(key, new Lines(key, `Messages in ${line(this.model.views.get(key).title)}`, { onScroll: (lines) => this.#readOn(lines) }));
    return this.lines.get(key);
  }

  /** Asks for older messages where their reader comes near, and says where the newest are. */
  #readOn(lines) {
    if (lines.key !== this.model.views.focus) return;
    show(at("newest"), lines.isAway());
    chat.readBack(this.model, !lines.isAtEnd);
    if (lines.isAtBegin() && isUp(this.model) && this.model.rooms.get(roomOf(lines.key))?.isPlaced && this.model.views.get(lines.key).older === "unknown") {
      this.input((now) => chat.wantOlder(this.model, now));
    }
  }

  #bind() {
    const on = (id, act) => at(id).addEventListener("click", act);
    on("again", () => this.do({ do: "reconnect" }));
    on("rename", () => this.askName());
    on("me", () => this.askName());
    on("away", () => this.do(this.model.wanted.away === null ? { do: "away", text: "away" } : { do: "back" }));
    on("find", () => this.do({ do: "bridge", wish: { peer: null, turns: "any", direct: false } }, true));
    on("talk-open", () => this.do({ do: "chat" }, true));
    on("talk-pass", () => this.do({ do: "pass" }, true));
    on("talk-end", () => this.do({ do: ["ready", "open"].includes(this.model.talk.state.is) ? "quit" : "unbridge" }, true));
    on("newest", () => this.shown().toEnd());
    on("menu", () => this.openSide(true));
    on("shut", () => this.openSide(false));
    at("join").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#join(at("join-room").value.trim());
    });
    at("join-room").addEventListener("focus", () => isUp(this.model) && this.do({ do: "listRooms" }));
    for (const name of ["visibilitychange", "focus", "blur"]) (name === "visibilitychange" ? document : window).addEventListener(name, () => this.#look());
    window.addEventListener("hashchange", () => roomInAddress() !== null && this.do({ do: "join", room: roomInAddress() }, true));
    window.addEventListener("online", () => this.#callNow());
    window.addEventListener("pagehide", () => this.#keep());
    document.addEventListener("pointerdown", ({ target }) => {
      if (document.body.classList.contains("side-open") && !at("side").contains(target)) this.openSide(false);
    });
    this.#bindDrop();
  }

  #join(typed) {
    if (typed === "") return;
    try {
      const room = roomNamed(typed);
      at("join-room").value = "";
      this.do({ do: "join", room }, true);
    } catch (error) {
      at("join-room").setCustomValidity(error.message);
      at("join-room").reportValidity();
      at("join-room").addEventListener("input", () => at("join-room").setCustomValidity(""), { once: true });
    }
  }

  #look() {
    const isLooking = document.visibilityState === "visible" && document.hasFocus();
    this.input(() => chat.look(this.model, isLooking));
    if (isLooking) this.#callNow();
  }

  /** Somebody is here again: what was put off is tried at once. */
  #callNow() {
    const { phase } = this.model.link;
    if (phase.is === "away" && phase.next !== null && phase.why !== "") this.do({ do: "reconnect" });
  }

  /** On a phone the side covers the messages, which are out of reach then. */
  #setSide(isOpen) {
    document.body.classList.toggle("side-open", isOpen);
    for (const part of document.querySelectorAll("main > :not(header)")) part.inert = isOpen;
    at("menu").setAttribute("aria-expanded", String(isOpen));
  }

  openSide(isOpen) {
    this.#setSide(isOpen);
    at(isOpen ? "shut" : "menu").focus();
  }

  #bindDrop() {
    const main = document.querySelector("main");
    main.addEventListener("dragover", (event) => event.preventDefault());
    main.addEventListener("drop", (event) => {
      event.preventDefault();
      this.composer.sendFiles([...event.dataTransfer.files]);
    });
  }
}

function isRoom(name) {
  try {
    return roomNamed(name) === name;
  } catch {
    return false;
  }
}

/** The room that the page's address names behind `#`, or null. */
function roomInAddress() {
  try {
    return roomNamed(decodeURIComponent(location.hash.slice(1)));
  } catch {
    return null;
  }
}

new App().start();
