// The talk: which is wished for, and how far it is. The server says when a peer is found, who may write and when it ends; its word is
// taken as it comes.
//
// The wish stays over a lost connection, the talk does not: the server has told the peer that we are gone. The state is
// { is: "registered" }, { is: "waiting", since, peer? }, { is: "ready", peer } or { is: "open", peer, turn: "free"|"yours"|"theirs" }.

import { ask, isUp, news, note, noteIn, put, timeOf } from "./core.js";
import { contentOf } from "./heard.js";
import { takeBackSaid } from "./outgoing.js";
import { folded } from "./views.js";

/** The state in a few words. */
export function talkWords({ is, peer, turn }) {
  switch (is) {
    case "waiting": return `waiting for ${peer ?? "anyone"}`;
    case "ready": return `${peer} is ready: /chat opens the talk`;
    case "open":
      return { free: `in a talk with ${peer}`, yours: `your turn, with ${peer}`, theirs: `${peer}'s turn` }[turn];
    default: return "no talk";
  }
}

function isOn({ talk }) {
  return talk.state.is === "ready" || talk.state.is === "open";
}

function setTurn(model, turn) {
  const { state } = model.talk;
  if (state.is === "open" && (turn === "yours" || turn === "theirs")) state.turn = turn;
}

/** Why nothing can be said in the talk now; nothing where something can. */
export function maySay({ talk: { state } }) {
  switch (state.is) {
    case "open": return state.turn === "theirs" ? `it is ${state.peer}'s turn; yours is kept` : null;
    case "ready": return `${state.peer} is ready: /chat opens the talk`;
    case "waiting": return "nobody is there yet for a talk";
    default: return "there is no talk: /bridge waits for one";
  }
}

/** Something of ours is under way: a message gives the turn away. */
export function saidInTalk(model) {
  if (model.talk.state.turn === "yours") setTurn(model, "theirs");
}

/** `/bridge`: a talk is wished for, { peer, turns, direct }. */
export function bridge(model, at, wish) {
  if (isOn(model)) return note(model, at, "there is a talk already: /quit ends it");
  if (wish.direct) note(model, at, "a browser cannot be called: this talk is relayed");
  model.talk.wish = wish;
  model.views.open("talk", "talk");
  model.views.see("talk");
  if (isUp(model)) askBridge(model, at);
  else note(model, at, "you will wait for a talk as soon as there is a connection");
}

export function askBridge(model, at) {
  const { wish } = model.talk;
  if (wish === null) return;
  ask(model, at, "bridge", { turns: wish.turns, ...(wish.peer === null ? {} : { peer: wish.peer }) }, { what: "bridge" });
}

/** We wait: a peer who was there already is told of next. */
export function bridged(model, at, reply) {
  if (model.talk.wish === null) return;
  model.talk.state = { is: "waiting", since: timeOf({ time: reply.since }, at), peer: model.talk.wish.peer };
  tellTalk(model, at);
}

export function notBridged(model, at, refusal) {
  if (refusal.error === "shutting_down") return;
  model.talk.wish = null;
  note(model, at, `no talk: ${refusal.message}`);
}

/** `/unbridge`: no talk is wished for any more. */
export function unbridge(model, at) {
  if (model.talk.state.is === "open") return note(model, at, "the talk is open: /quit ends it");
  if (model.talk.wish === null && model.talk.state.is === "registered") return note(model, at, "you wait for no talk");
  model.talk.wish = null;
  model.talk.state = { is: "registered" };
  if (isUp(model)) ask(model, at, "unbridge", {}, { what: "quiet" });
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
  if (state.turn === "yours") return ask(model, at, "pass", {}, { what: "pass" });
  const why = { theirs: "it is not your turn", free: "in this talk both write at will" };
  note(model, at, why[state.turn] ?? maySay(model));
}

/** `/quit`: ends the talk, or the peer's waiting for it; whether there was one. */
export function hangUp(model, at) {
  if (!isOn(model)) return false;
  model.talk.wish = null;
  model.talk.state = { is: "registered" };
  ask(model, at, "hangup", {}, { what: "quiet" });
  takeBackSaid(model, "the talk was ended before it was sent");
  noteIn(model, at, "talk", "you ended the talk");
  return true;
}

/** The connection is gone, and the talk with it. */
export function talkLost(model, at) {
  const { state } = model.talk;
  if (isOn(model)) noteIn(model, at, "talk", `the talk with ${state.peer} is over: the connection was lost`);
  model.talk.state = { is: "registered" };
  takeBackSaid(model, "the connection was lost; it may have arrived");
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
  noteIn(model, at, "talk", talkWords(model.talk.state) + why);
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
      talk.state = { is: "ready", peer: event.peer };
      tellTalk(model, at);
      return news(model, { news: "mention", key: "talk", entry: null });
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

function talkMessage(model, at, event) {
  setTurn(model, event.turn);
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
  if (reason === "timeout") talk.wish = null;
  model.views.open("talk", "talk");
  noteIn(model, at, "talk", words[reason] ?? `the talk with ${peer} is over: ${reason}`);
  takeBackSaid(model, "the talk ended before it was sent");
  if (talk.wish !== null) talk.state = { is: "waiting", since: at.wall, peer: talk.wish.peer };
}

/** The peer is called otherwise. */
export function peerRenamed(model, at, nick, newNick) {
  const { state } = model.talk;
  if (!isOn(model) || folded(state.peer) !== folded(nick)) return;
  state.peer = newNick;
  noteIn(model, at, "talk", `${nick} is now ${newNick}`);
}
