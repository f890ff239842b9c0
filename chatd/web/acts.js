// What the commands do. A command is { do: NAME, ... } as commands.js makes it of a line, or a button of the page.

import { help } from "./commands.js";
import { ask, isUp, note } from "./core.js";
import { awayTold } from "./heard.js";
import { leaveServer, reconnect } from "./link.js";
import { summary, spanShown } from "./moments.js";
import { disown, pump, sayTo } from "./outgoing.js";
import { askJoin, askMembers, askOlder, unwantRoom, wantRoom } from "./rooms.js";
import { bridge, hangUp, openTalk, pass, unbridge } from "./talk.js";
import { nickKey, roomKey, roomOf } from "./views.js";

/** Said where something can only be asked over a connection. */
const AWAY = "there is no connection; it will do when there is: try again then";

/** These need one. */
const ONLINE = ["who", "whois", "rooms", "listRooms", "topic", "history", "chat", "pass"];

const ACTS = {
  help: (model, at, { name }) => note(model, at, help(name), name === undefined),
  nick: beCalled,
  join,
  leave,
  msg: direct,
  go,
  topic: askTopic,
  away: (model, at, { text }) => beAway(model, at, text),
  back: (model, at) => beAway(model, at, null),
  ignore,
  unignore,
  bridge: (model, at, { wish }) => bridge(model, at, wish),
  unbridge,
  chat: openTalk,
  pass,
  rtt: showTimes,
  clear,
  reconnect,
  quit,
  who,
  whois: (model, at, { nick }) => ask(model, at, "whois", { nick }, { what: "whois", key: model.views.focus }),
  rooms: (model, at) => ask(model, at, "rooms", {}, { what: "rooms", key: model.views.focus }),
  listRooms: (model, at) => ask(model, at, "rooms", { limit: 100 }, { what: "listRooms" }),
  history,
};

/** Does what a person asked for. */
export function act(model, at, command) {
  if (command.do !== "quit") model.isLeaving = false;
  if (ONLINE.includes(command.do) && !isUp(model)) note(model, at, AWAY);
  else ACTS[command.do](model, at, command);
  pump(model, at);
}

/** What was typed makes no sense, for this reason. */
export function misunderstood(model, at, why) {
  note(model, at, why);
}

function beCalled(model, at, { nick, port }) {
  if (port) note(model, at, "a browser cannot be called: the port is not used");
  if (isUp(model)) return ask(model, at, "nick", { nick }, { what: "nick", nick });
  if (model.wanted.nick !== nick) disown(model);
  model.wanted.nick = nick;
  note(model, at, `you will be called ${nick}`);
  if (model.link.phase.is === "held") reconnect(model, at);
}

function join(model, at, { room }) {
  const isNew = !model.rooms.has(room);
  wantRoom(model, room);
  if (isNew && isUp(model)) askJoin(model, at, room);
  else if (isNew) note(model, at, `#${room} is joined as soon as there is a connection`);
}

function leave(model, at, { room: named }) {
  const key = named === undefined ? model.views.focus : roomKey(named);
  const room = roomOf(key);
  if (room !== null && model.rooms.has(room)) {
    unwantRoom(model, room);
    if (isUp(model)) ask(model, at, "leave", { room }, { what: "quiet" });
    return note(model, at, `you left #${room}`);
  }
  if (room !== null) return note(model, at, `you are not in #${room}`);
  if (key === "server") return note(model, at, "this view stays; /quit ends it all");
  if (key !== "talk" || model.talk.state.is === "registered") return model.views.close(key);
  note(model, at, "/unbridge or /quit first: you wait for a talk");
}

function direct(model, at, { nick, text }) {
  model.views.open(nickKey(nick), `@${nick}`);
  if (text === undefined) model.views.see(nickKey(nick));
  else sayTo(model, at, { nick }, { text });
}

function go(model, at, { place }) {
  if (place === undefined) return showViews(model, at);
  const isNick = place.startsWith("@");
  const key = isNick ? nickKey(place.slice(1)) : numbered(model, place) ?? place;
  if (isNick) model.views.open(key, place);
  if (model.views.get(key)) return model.views.see(key);
  note(model, at, `there is no such view: ${key === "talk" ? "/bridge waits for one" : "/join it"}`);
}

/** The view with this number, unless a room is called so. */
function numbered({ views }, key) {
  const room = roomOf(key);
  return room !== null && /^\d+$/.test(room) && !views.get(key) ? views.sorted()[Number(room) - 1]?.[0] : undefined;
}

function showViews(model, at) {
  const lines = model.views.sorted().map(([key, view], index) => {
    const here = key === model.views.focus ? " (here)" : "";
    const mentions = view.mentions > 0 ? `, ${view.mentions} for you` : "";
    return `${index + 1} ${view.title}${here}${view.unread > 0 ? ` ${view.unread} unread${mentions}` : ""}`;
  });
  note(model, at, lines.join("\n"));
}

function askTopic(model, at, { text }) {
  const room = roomOf(model.views.focus);
  if (room === null) return note(model, at, "this view is no room");
  const topic = text === undefined ? {} : { topic: text === "-" ? "" : text };
  ask(model, at, "topic", { room, ...topic }, { what: "topic", key: model.views.focus });
}

function beAway(model, at, text) {
  const { wanted, views } = model;
  const before = wanted.away;
  wanted.away = text;
  if (isUp(model)) ask(model, at, "away", { text: text ?? "" }, { what: "away", text, before, key: views.focus });
  else note(model, at, awayTold(text));
}

function ignore(model, at, { nick }) {
  const { ignored } = model.wanted;
  if (nick !== undefined) {
    ignored.set(nick.toLowerCase(), nick);
    return note(model, at, `you hear nothing of ${nick} any more`);
  }
  note(model, at, ignored.size === 0 ? "you ignore nobody" : `you ignore ${[...ignored.values()].join(", ")}`);
}

function unignore(model, at, { nick }) {
  const known = model.wanted.ignored.delete(nick.toLowerCase());
  note(model, at, `${nick}: ${known ? "you hear of them again" : "they were not ignored"}`);
}

function showTimes(model, at) {
  const shown = (what, times) => {
    const all = summary(times);
    return all === null ? `${what}: none yet` : `${what}: p50 ${spanShown(all.p50)}, p99 ${spanShown(all.p99)}, of ${all.count}`;
  };
  const { stored, delivered } = model.times;
  note(model, at, `${shown("to the reader and back", delivered)}\n${shown("to the server and back", stored)}`);
}

function clear(model) {
  const view = model.views.get(model.views.focus);
  view.log.clear();
  view.firstUnread = null;
  view.older = "unknown";
  view.oldest = null;
}

function who(model, at, { room }) {
  const named = room ?? roomOf(model.views.focus);
  if (named === null) return note(model, at, "this view is no room: /who ROOM");
  askMembers(model, at, named, model.views.focus);
}

function history(model, at, { count }) {
  const key = model.views.focus;
  if (roomOf(key) === null) return note(model, at, "this view is no room: nobody keeps it");
  if (model.views.get(key).older === "none") return note(model, at, "there is nothing older");
  askOlder(model, at, key, count);
}

/** Ends the talk, or the waiting for one; where there is neither, the connection. What is not sent is given up when it is said twice. */
function quit(model, at) {
  if (hangUp(model, at)) return;
  const count = model.outgoing.unsent.length;
  if (count > 0 && !model.isLeaving) {
    model.isLeaving = true;
    return note(model, at, `${count} not sent yet; /quit once more goes without, and they are sent when you are back`);
  }
  leaveServer(model, at);
}
