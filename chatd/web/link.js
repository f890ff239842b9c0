// The connection: which phase it is in, when it is tried again, and what is asked when it is there.
//
// While the nickname is somebody else's (our own lost connection's, or another tab's, most often) nothing is said under any other: it
// is asked for again, until it can be had or the person takes another.

import { ask, isConnected, isUp, pauseOf, tell } from "./core.js";
import { spanShown } from "./moments.js";
import { askJoin, newHistory, roomLost, wantDefault } from "./rooms.js";
import { outgoingLost } from "./outgoing.js";
import { askBridge, talkLost } from "./talk.js";

/** The pauses between two calls grow from the first to the longest; half of each is chance, so that all whom a daemon lost do not
 * come back at once. */
const PAUSE_MS_FIRST = 300;
const PAUSE_MS_MAX = 10_000;

/** Between two times that a nickname is asked for which somebody else has. */
const HELD_MS = 2_000;

/** A connection that lasted so long is no reason to call with longer pauses. */
const STEADY_MS = 2_000;

/** A call that is not answered in this time is given up. */
const CALL_MS_MAX = 15_000;

/** A browser does not tell of the server's pings: after so much silence it is asked whether it is there. */
const SILENCE_MS = 20_000;

/** The most content of a message, until the daemon says what it takes. */
const MESSAGE_BYTES_ASSUMED = 65_530;

/** From which phase one may come to which. */
const EDGES = {
  away: ["calling", "away"],
  calling: ["greeting", "away"],
  greeting: ["up", "held", "away"],
  held: ["greeting", "away"],
  up: ["away"],
};

export function newLink(at) {
  return {
    phase: { is: "away", next: at.now, why: "" },
    pause: PAUSE_MS_FIRST,
    since: at.now,
    heardAt: at.now,
    isTold: false,
    heldTold: null,
    nick: null,
    server: null,
    history: null,
    messageBytes: MESSAGE_BYTES_ASSUMED,
    bye: null,
  };
}

/** The one place where the phase changes. */
function go(model, phase) {
  const from = model.link.phase.is;
  if (!EDGES[from].includes(phase.is)) throw new Error(`no way leads from ${from} to ${phase.is}`);
  model.link.phase = phase;
}

/** When the daemon is called, the nickname asked for, or silence broken, the next time. */
export function nextCall(model) {
  const { phase, heardAt } = model.link;
  if (phase.is === "up") return heardAt + SILENCE_MS;
  return phase.next ?? Infinity;
}

export function tickLink(model, at) {
  const { phase } = model.link;
  const isLate = [...model.asked.values()].some((asked) => asked.deadline <= at.now);
  if (isConnected(model) && isLate) {
    model.out.push({ do: "hangUp" });
    return lost(model, at, "it does not answer");
  }
  if (nextCall(model) > at.now) return;
  if (phase.is === "away") {
    go(model, { is: "calling", next: at.now + CALL_MS_MAX });
    model.out.push({ do: "call" });
  } else if (phase.is === "calling") {
    model.out.push({ do: "hangUp" });
    notCalled(model, at, "it does not answer");
  } else if (phase.is === "held") {
    go(model, { is: "greeting" });
    greet(model, at);
  } else if (phase.is === "up") {
    model.link.heardAt = at.now;
    ask(model, at, "ping", {}, { what: "quiet" });
  }
}

/** The daemon was reached. */
export function called(model, at) {
  go(model, { is: "greeting" });
  model.link.heardAt = at.now;
  greet(model, at);
}

/** The daemon was not reached, for this reason. */
export function notCalled(model, at, why) {
  stayAway(model, at, why);
}

/** Calls now, whatever was waited for; over a connection that is there the whole begins anew. */
export function reconnect(model, at) {
  if (isUp(model) || model.link.phase.is === "greeting") {
    model.out.push({ do: "hangUp" });
    lost(model, at, "as you wish");
  }
  const { phase } = model.link;
  if (phase.is === "away" || phase.is === "held") phase.next = at.now;
  tickLink(model, at);
}

/** The person has enough: no connection is wanted until they say so. */
export function leaveServer(model, at) {
  if (isConnected(model) || model.link.phase.is === "calling") model.out.push({ do: "hangUp" });
  if (isConnected(model)) lost(model, at, "you left");
  if (model.link.phase.is === "calling") stayAway(model, at, "you left");
  model.link.phase = { is: "away", next: null, why: "you left" };
}

/** The connection is gone: nothing asked has an answer, and nothing is had any more. */
export function lost(model, at, why) {
  if (!isConnected(model)) {
    if (model.link.phase.is === "calling") stayAway(model, at, why);
    return;
  }
  const wasUp = isUp(model);
  const { link } = model;
  link.bye = null;
  model.asked.clear();
  for (const room of model.rooms.values()) roomLost(room);
  for (const view of model.views.all.values()) if (view.older === "asked") view.older = "unknown";
  talkLost(model, at);
  outgoingLost(model);
  if (wasUp) {
    // One that is lost again and again at once is called at growing pauses.
    if (at.now - link.since >= STEADY_MS) link.pause = PAUSE_MS_FIRST;
    link.since = at.now;
  }
  stayAway(model, at, why);
}

function stayAway(model, at, why) {
  const { link } = model;
  const pause = link.pause / 2 + (at.chance * link.pause) / 2;
  link.pause = Math.min(2 * link.pause, PAUSE_MS_MAX);
  go(model, { is: "away", next: at.now + pause, why });
  if (!link.isTold) {
    link.isTold = true;
    tell(model, at, `${link.server === null ? "no daemon yet" : "lost the daemon"} (${why}); looking for it`);
  }
}

function greet(model, at) {
  const { nick } = model.wanted;
  ask(model, at, "hello", { version: 1, agent: "chatd web page", ...(nick === null ? {} : { nick }) }, { what: "hello" });
}

/** The server does not take the greeting. */
export function notGreeted(model, at, refusal) {
  const { nick } = model.wanted;
  const mayPass = ["nickname_in_use", "rate_limited"].includes(refusal.error);
  const isNever = ["bad_nickname", "forbidden"].includes(refusal.error) && nick !== null;
  if (!mayPass && !isNever) {
    model.out.push({ do: "hangUp" });
    return lost(model, at, refusal.message);
  }
  if (model.link.heldTold !== nick) {
    model.link.heldTold = nick;
    tell(model, at, `the nickname ${nick} cannot be had${mayPass ? " yet: asking again" : ""}; /nick NAME takes another`);
  }
  const next = mayPass ? at.now + pauseOf(refusal.retry_after, HELD_MS) : null;
  go(model, { is: "held", next, why: refusal.message, isNever });
}

/** The server knows who calls: what is wanted is asked for. */
export function greeted(model, at, reply) {
  const { link } = model;
  const wasUp = link.server !== null;
  const gone = spanShown(at.now - link.since);
  if (Number.isSafeInteger(reply.limits?.message)) link.messageBytes = reply.limits.message;
  Object.assign(link, { nick: reply.nick, server: reply.server ?? "chatd", heldTold: null, isTold: false, since: at.now });
  go(model, { is: "up" });
  tell(model, at, wasUp ? `found the daemon after ${gone}; you are ${link.nick}` : `connected; you are ${link.nick}`);
  const before = link.history;
  link.history = reply.history ?? null;
  if (before !== null && before !== link.history) newHistory(model, at);
  if (model.read.history !== link.history) model.read = { history: link.history, rooms: {} };
  if (model.wanted.isNew) wantDefault(model, reply.default_room);
  for (const room of model.rooms.keys()) askJoin(model, at, room);
  if (model.wanted.away !== null) ask(model, at, "away", { text: model.wanted.away }, { what: "away", text: model.wanted.away, before: null, key: null });
  askBridge(model, at);
}
