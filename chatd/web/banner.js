// What is said above and below the messages: that there is no connection and when it is tried again, and how the talk stands.

import { at, setText, show } from "./dom.js";
import { spanShown } from "./moments.js";
import { talkWords } from "./talk.js";
import { line } from "./visible.js";

/** Draws both; whether their words change with time alone. */
export function drawBanners(model, now, wall) {
  const isCounting = drawLink(model, now);
  return drawTalk(model, wall) || isCounting;
}

function drawLink(model, now) {
  const { link } = model;
  const words = linkWords(link, model.wanted.nick);
  const { next } = link.phase;
  const waiting = model.outgoing.unsent.length;
  const unsent = waiting > 0 ? ` ${waiting} ${waiting === 1 ? "message waits" : "messages wait"} to be sent.` : "";
  const isWaiting = next !== null && ["away", "held"].includes(link.phase.is) && link.phase.why !== "";
  show(at("banner"), words !== null);
  // The seconds stand outside of what is read aloud at each change.
  setText(at("banner-next"), isWaiting ? `Next try in ${Math.max(1, Math.ceil((next - now) / 1000))} s.` : "");
  setText(at("banner-text"), words === null ? "" : `${words}${unsent}`);
  show(at("again"), link.phase.is === "away" && link.phase.why !== "");
  setText(at("again"), next === null ? "Come back" : "Try now");
  show(at("rename"), link.phase.is === "held");
  return isWaiting;
}

function linkWords({ phase, server }, nick) {
  const { is, next, why } = phase;
  switch (is) {
    case "up": return null;
    case "away":
      if (next === null) return "You left; nothing is heard until you are back.";
      return why === "" ? "Connecting…" : `Not connected: ${line(why)}.`;
    case "held":
      return phase.isNever ? line(why) : `The nickname ${line(nick)} is taken, perhaps by another window of yours.`;
    default: return server === null ? "Connecting…" : "Connecting again…";
  }
}

function drawTalk(model, wall) {
  const { state, wish } = model.talk;
  const isShown = state.is !== "registered" || wish !== null || model.views.focus === "talk";
  show(at("talk"), isShown);
  const seconds = state.is === "waiting" ? Math.max(0, Math.floor((wall - state.since) / 1000)) : 0;
  const since = seconds > 0 ? `, for ${spanShown(seconds * 1000)}` : "";
  const isWished = state.is === "registered" && wish !== null;
  const words = talkWords(model).replace(": /chat opens the talk", "");
  const shown = `Talk: ${line(words)}${since}`;
  setText(at("talk-text"), isShown ? shown : "");
  // Each second is no news to somebody who listens.
  at("talk-text").setAttribute("aria-live", state.is === "waiting" ? "off" : "polite");
  at("talk").classList.toggle("turn", state.turn === "yours");
  show(at("talk-open"), state.is === "ready");
  show(at("talk-pass"), state.turn === "yours");
  show(at("talk-end"), state.is !== "registered" || isWished);
  setText(at("talk-end"), state.is === "waiting" || isWished ? "Stop waiting" : "End");
  return state.is === "waiting";
}
