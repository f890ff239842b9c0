// The talk: which is wished for, and how far it is. The server says when a peer is found, who may write and when it ends; its word is
// taken as it comes.
//
// The wish stays over a lost connection, the talk does not: the server has told the peer that we are gone. Whoever was in an open talk
// then waits for the same peer, and opens it again. The state is
// { is: "registered" }, { is: "waiting", since, peer? }, { is: "ready", peer } or { is: "open", peer, turn: "free"|"yours"|"theirs" }.

import { ask, isUp, news, note, noteIn, put, timeOf } from "./core.js";
import { contentOf } from "./heard.js";
import { takeBackSaid, unacknowledged } from "./outgoing.js";
import { folded } from "./views.js";

/**
 * `wish` is { peer, turns, direct }, the peer being null where anyone will do. `again` is { peer, isBack }: with whom a talk is to be open
 * again, whoever was wished for before; once something was heard of that one (`isBack`) the talk is as any other.
 */
export function newTalk(kept) {
  const wish = kept?.wish ?? null;
  const again = wish !== null && kept.peer ? { peer: kept.peer, isBack: false } : null;
  return { wish, again, state: { is: "registered" } };
}

/** What of it outlives a reload of the page: nothing, or { wish, peer }. */
export function talkKept({ talk: { wish, again, state } }) {
  if (wish === null) return null;
  return { wish, peer: state.is === "open" ? state.peer : again?.peer ?? null };
}

/** The state in a few words. */
export function talkWords(model) {
  const { is, peer, turn } = model.talk.state;
  switch (is) {
    case "waiting": return `waiting for ${peer ?? "anyone"}`;
    case "ready": return `${peer} is ready: /chat opens the talk`;
    case "open":
      return { free: `in a talk with ${peer}`, yours: `your turn, with ${peer}`, theirs: `${peer}'s turn` }[turn];
    default: return registeredWords(model);
  }
}

function isOn({ talk }) {
  return talk.state.is === "ready" || talk.state.is === "open";
}

function setTurn(model, turn) {
  const { state } = model.talk;
  if (state.is === "open" && (turn === "yours" || turn === "theirs")) state.turn = turn;
}

/** How far the talk is where none is found or waited for: who has a nickname is registered for one. */
function registeredWords(model) {
  const { wish } = model.talk;
  if (wish !== null) return `you will wait for ${wished(model.talk) ?? "one"} when there is a connection`;
  if (!isUp(model)) return "not connected";
  return model.wanted.nick === null ? "a guest has none: /nick NAME takes a nickname" : "registered, and in no talk";
}

/** Why nothing can be said in the talk now; nothing where something can. */
export function maySay(model) {
  const { state, wish } = model.talk;
  switch (state.is) {
    case "open": return state.turn === "theirs" ? `it is ${state.peer}'s turn; yours is kept` : null;
    case "ready": return `${state.peer} is ready: /chat opens the talk`;
    case "waiting": return "nobody is there yet for a talk";
    default:
      if (!isUp(model)) return wish === null ? "not connected: there is no talk" : `not connected: ${registeredWords(model)}`;
      return wish === null ? "there is no talk: /bridge waits for one" : "nobody is there yet for a talk";
  }
}

/** Something of ours is under way: a message gives the turn away. */
export function saidInTalk(model) {
  if (model.talk.state.turn === "yours") setTurn(model, "theirs");
}

/** `/bridge`: a talk is wished for, { peer, turns, direct }. */
export function bridge(model, at, wish) {
  if (isOn(model)) return note(model, at, "there is a talk already: /quit ends it");
  Object.assign(model.talk, { wish, again: null });
  model.views.open("talk", "talk");
  model.views.see("talk");
  if (wish.direct) note(model, at, "a browser cannot be called: this talk is relayed");
  if (isUp(model)) askBridge(model, at);
  else note(model, at, "you will wait for a talk as soon as there is a connection");
}

/** Who is waited for; null is anyone. */
function wished({ again, wish }) {
  return again?.peer ?? wish.peer;
}

export function askBridge(model, at) {
  const { wish } = model.talk;
  if (wish === null) return;
  const peer = wished(model.talk);
  ask(model, at, "bridge", { turns: wish.turns, ...(peer === null ? {} : { peer }) }, { what: "bridge" });
}

/** We wait: a peer who was there already is told of next. */
export function bridged(model, at, reply) {
  if (model.talk.wish === null) return;
  model.talk.state = { is: "waiting", since: timeOf({ time: reply.since }, at), peer: wished(model.talk) };
  tellTalk(model, at);
}

export function notBridged(model, at, refusal) {
  const { talk } = model;
  if (isOn(model)) {
    // A peer was found meanwhile; what is wished for is asked for when that one leaves.
    if (talk.wish !== null) talk.again = { peer: talk.state.peer, isBack: true };
  } else if (refusal.error !== "shutting_down") {
    unwish(talk);
    note(model, at, `no talk: ${refusal.message}`);
  }
}

function unwish(talk) {
  talk.wish = talk.again = null;
}

/** `/unbridge`: no talk is wished for any more. */
export function unbridge(model, at) {
  if (model.talk.state.is === "open") return note(model, at, "the talk is open: /quit ends it");
  if (model.talk.wish === null && model.talk.state.is === "registered") return note(model, at, "you wait for no talk");
  unwish(model.talk);
  model.talk.state = { is: "registered" };
  // The other side may have opened the talk meanwhile: that one is ended, too.
  if (isUp(model)) ask(model, at, "hangup", {}, { what: "quiet" });
  note(model, at, "you wait for no talk any more");
}

/** `/chat`: the talk is opened. */
export function openTalk(model, at) {
  const { state } = model.talk;
  if (state.is === "ready") return ask(model, at, "chat", { peer: state.peer }, { what: "openTalk" });
  note(model, at, state.is === "open" ? `the talk with ${state.peer} is open already` : maySay(model));
}

/** `/pass`: the turn is given away. */
export function pass(model, at) {
  const { state } = model.talk;
  if (state.turn === "yours") return ask(model, at, "pass", { peer: state.peer }, { what: "pass" });
  const why = { theirs: "it is not your turn", free: "in this talk both write at will" };
  note(model, at, why[state.turn] ?? maySay(model));
}

/**
 * `/quit`: ends the talk, or the waiting for one; whether there was any of it. Who says so when the peer has just ended it waits again, and
 * does not mean to end all.
 */
export function hangUp(model, at) {
  if (model.talk.wish === null) return false;
  const words = isOn(model) ? `you ended the talk${unacknowledged(model)}` : "you wait for no talk any more; /quit again ends all";
  unwish(model.talk);
  model.talk.state = { is: "registered" };
  if (isUp(model)) ask(model, at, "hangup", {}, { what: "quiet" });
  takeBackSaid(model, "you ended the talk");
  noteIn(model, at, "talk", words);
  return true;
}

/** The connection is gone, and the talk with it. */
export function talkLost(model, at) {
  const { state, wish } = model.talk;
  if (isOn(model)) noteIn(model, at, "talk", `the talk with ${state.peer} is over: the connection was lost${unacknowledged(model)}`);
  if (state.is === "open" && wish !== null) model.talk.again = { peer: state.peer, isBack: false };
  model.talk.state = { is: "registered" };
  takeBackSaid(model, "the connection was lost");
}

/** The answer to `chat`, `pass` or something said: it may tell whose turn it is. */
export function turnTold(model, reply) {
  setTurn(model, reply.turn);
}

/** What was said was refused: whose turn it is the server knows better. */
export function notSaid(model, refusal) {
  if (!["not_your_turn", "not_in_talk"].includes(refusal.error) && model.talk.state.turn === "theirs") setTurn(model, "yours");
}

/** Says how far the talk is, in its view. */
function tellTalk(model, at, why = "") {
  model.views.open("talk", "talk");
  noteIn(model, at, "talk", talkWords(model) + why);
}

/** An event of the talk. */
export function talkHeard(model, at, event) {
  const { talk } = model;
  const begins = ["talk_waiting", "talk_ready", "talk_started"].includes(event.event);
  // It crossed our word that we do not wait any more.
  if (begins && talk.wish === null) return;
  switch (event.event) {
    case "talk_waiting":
      talk.state = { is: "waiting", since: timeOf({ time: event.since }, at), peer: event.peer ?? null };
      return tellTalk(model, at);
    case "talk_ready":
      return found(model, at, event);
    case "talk_started":
      talk.state = { is: "open", peer: event.peer, turn: event.turn ?? "free" };
      tellTalk(model, at);
      return news(model, { news: "mention", key: "talk", entry: null });
    case "talk_turn":
      setTurn(model, event.turn);
      return tellTalk(model, at, event.reason ? ` (${event.reason})` : "");
    case "talk_message":
      return talkMessage(model, at, event);
    case "talk_ended":
      return talkEnded(model, at, event.reason ?? "");
  }
}

function found(model, at, { peer, direct }) {
  const { talk } = model;
  talk.state = { is: "ready", peer };
  tellTalk(model, at);
  if (direct === true) noteIn(model, at, "talk", `${peer} would talk past the server; a browser cannot be called: the server will relay`);
  news(model, { news: "mention", key: "talk", entry: null });
  if (talk.again !== null && folded(talk.again.peer) === folded(peer)) openTalk(model, at);
}

function talkMessage(model, at, event) {
  setTurn(model, event.turn);
  if (model.talk.again !== null) model.talk.again.isBack = true;
  model.views.open("talk", "talk");
  const message = { kind: "message", id: event.message_id, from: event.from, content: contentOf(event), isOwn: false, isMention: true };
  put(model, "talk", timeOf(event, at), null, message);
  ask(model, at, "receipt", { message_id: event.message_id }, { what: "quiet" });
}

function talkEnded(model, at, reason) {
  const { talk } = model;
  const { is, peer } = talk.state;
  // It crossed our word that we do not want it any more.
  if (is === "registered") return;
  talk.state = { is: "registered" };
  const words = {
    timeout: "nobody came in time: you wait for no talk any more",
    hangup: `${peer} ended the talk`,
    gone: `${peer} is gone`,
    left: `${peer} does not want to talk any more`,
  };
  if (reason === "timeout") unwish(talk);
  model.views.open("talk", "talk");
  noteIn(model, at, "talk", (words[reason] ?? `the talk with ${peer} is over: ${reason}`) + unacknowledged(model));
  takeBackSaid(model, "the talk ended");
  if (talk.wish !== null) waitAgain(model, at, reason);
}

/** The server waits for another. It may have paired us with what it did not know yet to be gone: that was not what was wished for. */
function waitAgain(model, at, reason) {
  const { talk } = model;
  const isFound = talk.again !== null && (talk.again.isBack || reason !== "gone");
  if (isFound) talk.again = null;
  talk.state = { is: "waiting", since: at.wall, peer: wished(talk) };
  // It still waits for the one alone with whom the talk was to be open again.
  if (isFound) askBridge(model, at);
}

/** The peer is called otherwise. */
export function peerRenamed(model, at, nick, newNick) {
  const { state } = model.talk;
  if (!isOn(model) || folded(state.peer) !== folded(nick)) return;
  state.peer = newNick;
  noteIn(model, at, "talk", `${nick} is now ${newNick}`);
}
