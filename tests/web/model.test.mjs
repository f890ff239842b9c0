import assert from "node:assert/strict";
import test from "node:test";
import { page } from "./modules.mjs";

const chat = await page("model.js");
const { parse } = await page("commands.js");
const { isNamed } = await page("heard.js");

const HISTORY = "11111111-1111-4111-8111-111111111111";

/** A model with a server whose words the test speaks, and a clock that it turns. */
class Scene {
  constructor(settings = {}) {
    this.now = 0;
    this.ids = 0;
    this.model = chat.newModel({ nick: "Ada", rooms: ["lobby"], context: 20, ...settings }, this.at());
    this.out = [];
  }

  at() {
    this.ids += 1;
    const wall = Date.UTC(2026, 0, 31, 12) + this.now;
    return { now: this.now, wall, chance: 1, uuid: `00000000-0000-4000-8000-${String(this.ids).padStart(12, "0")}` };
  }

  drain() {
    this.out = this.model.out.splice(0);
    return this.out;
  }

  do(change) {
    change(this.at());
    return this.drain();
  }

  tick(ms = 0) {
    this.now += ms;
    return this.do((at) => chat.tick(this.model, at));
  }

  hear(frame) {
    return this.do((at) => chat.received(this.model, at, frame));
  }

  act(command) {
    return this.do((at) => chat.act(this.model, at, command));
  }

  say(text) {
    return this.do((at) => chat.say(this.model, at, { text }));
  }

  /** The last requests of this name. */
  asked(request) {
    return this.out.filter((output) => output.do === "ask" && output.frame.request === request).map(({ frame }) => frame);
  }

  answer(request, reply = {}) {
    const [frame] = this.asked(request);
    assert.ok(frame, `${request} was asked: ${JSON.stringify(this.out)}`);
    return this.hear({ reply: frame.id, ok: true, ...reply });
  }

  /** Connects, greets and joins a room in which so many messages were said and so many are. */
  /** Also anew, at the next try. */
  arrive({ seq = 0, members = 2, history = HISTORY, nick = "Ada" } = {}) {
    this.tick(Math.max(0, chat.next(this.model) - this.now));
    this.do((at) => chat.called(this.model, at));
    const joining = this.answer("hello", { nick, server: "here", history, limits: { message: 100 } });
    this.out = joining;
    return this.answer("join", { room: "lobby", seq, members });
  }

  lose() {
    return this.do((at) => chat.disconnected(this.model, at, "the connection was lost"));
  }

  view(key = "#lobby") {
    return this.model.views.get(key);
  }

  texts(key) {
    return this.view(key).log.entries.map((entry) => entry.text ?? entry.content?.text ?? `${entry.from} to ${entry.to} missing`);
  }

  mark(key) {
    return this.view(key).log.entries.findLast((entry) => entry.isOwn).mark;
  }

  message(seq, text, fields = {}) {
    return this.hear({ event: "message", room: "lobby", seq, time: "2026-01-31T12:00:00Z", message_id: `m${seq}`, from: "Bob", text, ...fields });
  }
}

test("it connects, says its name, joins its rooms and asks what was said last", () => {
  const scene = new Scene();
  scene.tick();
  assert.deepEqual(scene.out, [{ do: "call" }]);
  scene.do((at) => chat.called(scene.model, at));
  assert.equal(scene.asked("hello")[0].nick, "Ada");
  scene.answer("hello", { nick: "Ada", server: "here", history: HISTORY, limits: {} });
  assert.deepEqual(scene.asked("join").map(({ room, after }) => [room, after]), [["lobby", undefined]]);
  scene.answer("join", { room: "lobby", seq: 7, members: 2 });
  assert.deepEqual(scene.asked("history").map(({ before, limit }) => [before, limit]), [[8, 20]]);
});

test("a lost daemon is called at growing pauses, and missed messages come once", () => {
  const scene = new Scene();
  scene.arrive();
  scene.message(1, "one");
  scene.tick(5_000);
  scene.lose();
  const pauses = [];
  for (let round = 0; round < 8; round += 1) {
    const pause = chat.next(scene.model) - scene.now;
    pauses.push(pause);
    assert.deepEqual(scene.tick(pause), [{ do: "call" }]);
    scene.do((at) => chat.notCalled(scene.model, at, "nobody answers"));
  }
  assert.deepEqual(pauses, [300, 600, 1200, 2400, 4800, 9600, 10_000, 10_000]);
  scene.tick(10_000);
  scene.do((at) => chat.called(scene.model, at));
  scene.answer("hello", { nick: "Ada", server: "here", history: HISTORY, limits: {} });
  const [{ after, id }] = scene.asked("join");
  assert.equal(after, 1);
  scene.message(1, "one", { history: id });
  scene.message(2, "two", { history: id });
  assert.deepEqual(scene.texts(), ["one", "two"]);
});

test("why a daemon says goodbye is told within a sentence", () => {
  const scene = new Scene();
  scene.arrive();
  scene.hear({ event: "bye", reason: "The daemon is ending." });
  scene.lose();
  assert.equal(scene.model.link.phase.why, "The daemon is ending");
  assert.equal(scene.texts("server").at(-1), "lost the daemon (The daemon is ending); looking for it");
});

test("a message keeps its id over connections, and is there once", () => {
  const scene = new Scene();
  scene.arrive();
  const [first] = scene.say("hi").filter(({ frame }) => frame?.request === "post");
  assert.equal(scene.mark().is, "sending");
  scene.lose();
  assert.equal(scene.mark().is, "sending");
  scene.tick(300);
  scene.do((at) => chat.called(scene.model, at));
  scene.answer("hello", { nick: "Ada", server: "here", history: HISTORY, limits: {} });
  const [{ id: join }] = scene.asked("join");
  // It had arrived: the replay has it, and it is not posted again.
  scene.message(1, "hi", { history: join, message_id: first.frame.id, from: "Ada" });
  assert.equal(scene.mark().is, "stored");
  scene.hear({ reply: join, ok: true, room: "lobby", seq: 1, members: 2 });
  assert.deepEqual(scene.asked("post"), []);
  assert.deepEqual(scene.texts(), ["hi"]);
});

test("what was not sent before a reload goes out under its first id", () => {
  const id = "7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d2e";
  const scene = new Scene({ unsent: [{ id, to: { room: "lobby" }, content: { text: "kept" }, time: 1 }] });
  const out = scene.arrive();
  const posts = out.filter(({ frame }) => frame?.request === "post");
  assert.deepEqual(posts.map(({ frame }) => [frame.id, frame.text, frame.receipt]), [[id, "kept", true]]);
});

test("what another window typed is not said under another name", () => {
  const scene = new Scene({ unsent: [{ id: "theirs", to: { room: "lobby" }, content: { text: "of another window" }, time: 1, nick: "Ada", isAdopted: true }, { id: "ours", to: { room: "lobby" }, content: { text: "of this one" }, time: 2, nick: "Ada" }] });
  scene.tick();
  scene.do((at) => chat.called(scene.model, at));
  scene.hear({ reply: scene.asked("hello")[0].id, ok: false, error: "nickname_in_use", message: "Taken." });
  scene.act({ do: "nick", nick: "Eve" });
  scene.answer("hello", { nick: "Eve", server: "here", history: HISTORY, limits: {} });
  scene.answer("join", { room: "lobby", seq: 0, members: 2 });
  assert.deepEqual(scene.asked("post").map(({ id }) => id), ["ours"]);
  assert.equal(scene.texts().includes("of another window"), false);
  assert.deepEqual([...scene.model.outgoing.disowned], ["theirs"]);
});

test("marks go from sending to stored to received with the round-trip time", () => {
  const scene = new Scene();
  scene.arrive();
  scene.say("hi");
  const [{ id, receipt }] = scene.asked("post");
  assert.equal(receipt, true);
  scene.now += 4;
  scene.hear({ reply: id, ok: true, room: "lobby", seq: 1, time: "2026-01-31T12:00:00Z" });
  assert.deepEqual(scene.mark(), { is: "stored" });
  scene.now += 8;
  for (const by of ["Bob", "Cy"]) scene.hear({ event: "delivered", message_id: id, by });
  assert.deepEqual(scene.mark(), { is: "delivered", by: 2, rtt: 12 });
  scene.act({ do: "rtt" });
  assert.match(scene.texts().at(-1), /reader and back: p50 12 ms, p99 12 ms, of 1\nto the server and back: p50 4 ms/);
});

test("a refusal is told and the text comes back; a full store is tried again", () => {
  const scene = new Scene();
  scene.arrive();
  scene.say("one");
  const [{ id }] = scene.asked("post");
  scene.hear({ reply: id, ok: false, error: "store_unavailable", message: "The disk is full.", retry_after: 2 });
  assert.equal(scene.mark().is, "sending");
  assert.equal(chat.next(scene.model), scene.now + 2_000);
  scene.tick(2_000);
  assert.equal(scene.asked("post")[0].id, id);
  const out = scene.hear({ reply: id, ok: false, error: "id_conflict", message: "Another." });
  assert.deepEqual(scene.mark(), { is: "notSent", why: "Another." });
  assert.deepEqual(out, [{ do: "news", news: "returned", key: "#lobby", text: "one" }]);
  assert.match(JSON.stringify(scene.say("x".repeat(101))), /returned/);
});

test("what comes elsewhere is unread, with a line before the first; what names us rings", () => {
  const scene = new Scene({ rooms: ["lobby", "ops"] });
  scene.arrive();
  chat.see(scene.model, "#ops");
  scene.message(1, "one");
  const out = scene.message(2, "Ada: look");
  assert.equal(out.find(({ news }) => news === "mention").key, "#lobby");
  const view = scene.view();
  assert.deepEqual([view.unread, view.mentions, view.firstUnread], [2, 1, view.log.entries[0].number]);
  chat.see(scene.model, "#lobby");
  assert.deepEqual([view.unread, view.mentions], [0, 0]);
  assert.notEqual(view.firstUnread, null);
  chat.see(scene.model, "#ops");
  assert.equal(view.firstUnread, null);
});

test("while nobody looks at the page even the view that is seen gets unread", () => {
  const scene = new Scene();
  scene.arrive();
  chat.look(scene.model, false);
  scene.message(1, "one");
  assert.equal(scene.view().unread, 1);
  assert.equal(scene.model.read.rooms.lobby, 0);
  chat.look(scene.model, true);
  assert.deepEqual([scene.view().unread, scene.model.read.rooms.lobby], [0, 1]);
});

test("after a reload the line is before what was not read", () => {
  const scene = new Scene({ read: { history: HISTORY, rooms: { lobby: 1 } } });
  scene.arrive({ seq: 2 });
  const [{ id }] = scene.asked("history");
  scene.message(1, "one", { history: id });
  scene.message(2, "two", { history: id });
  scene.hear({ reply: id, ok: true, room: "lobby", count: 2, more: false, forgotten: 0 });
  const entry = scene.view().log.entries.find(({ number }) => number === scene.view().firstUnread);
  assert.equal(entry.content.text, "two");
  assert.equal(scene.view().older, "none");
});

test("a gap that we were too slow for is filled", () => {
  const scene = new Scene();
  scene.arrive();
  scene.message(1, "one");
  scene.hear({ event: "gap", room: "lobby", from_seq: 2, to_seq: 3 });
  const [{ id, after, before }] = scene.asked("history");
  assert.deepEqual([after, before], [1, 4]);
  scene.message(4, "four");
  scene.message(3, "three", { history: id });
  scene.hear({ reply: id, ok: true, room: "lobby", count: 1, more: false, forgotten: 2 });
  assert.deepEqual(scene.texts(), ["one", "2 to 2 missing", "three", "four"]);
});

test("what was asked for over a connection that is gone is asked for again", () => {
  const scene = new Scene();
  scene.arrive({ seq: 5 });
  assert.equal(scene.asked("history").length, 1);
  scene.hear({ event: "gap", room: "lobby", from_seq: 6, to_seq: 7 });
  scene.lose();
  scene.arrive({ seq: 7 });
  assert.deepEqual(scene.asked("history").map(({ after, before }) => [after, before]), [[undefined, 6], [5, 8]]);
});

test("a page of messages that nobody wants to hear is no reason to ask for it again", () => {
  const scene = new Scene({ ignored: ["Bob"] });
  scene.arrive({ seq: 500 });
  const [{ id, before }] = scene.asked("history");
  assert.equal(before, 501);
  scene.message(481, "unheard", { history: id });
  scene.hear({ reply: id, ok: true, room: "lobby", count: 1, more: true, forgotten: 0 });
  scene.do((at) => chat.wantOlder(scene.model, at));
  assert.equal(scene.asked("history")[0].before, 481);
});

test("being away that was refused is not shown as if it held", () => {
  const scene = new Scene();
  scene.arrive();
  const refuse = () => scene.hear({ reply: scene.asked("away")[0].id, ok: false, error: "too_large", message: "No." });
  scene.act({ do: "away", text: "lunch" });
  scene.answer("away", { away: "lunch" });
  assert.equal(scene.texts().at(-1), "you are away: lunch");
  scene.act({ do: "away", text: "a very long word" });
  refuse();
  assert.deepEqual([scene.model.wanted.away, scene.texts().at(-1)], ["lunch", "No."]);
  scene.lose();
  scene.act({ do: "away", text: "a very long word" });
  assert.equal(scene.texts().at(-1), "you are away: a very long word");
  scene.tick(Math.max(0, chat.next(scene.model) - scene.now));
  scene.do((at) => chat.called(scene.model, at));
  scene.answer("hello", { nick: "Ada", server: "here", history: HISTORY, limits: { message: 100 } });
  refuse();
  assert.equal(scene.model.wanted.away, null);
});

test("people come, go, are renamed and away; who is ignored is not heard", () => {
  const scene = new Scene();
  scene.arrive();
  scene.answer("members", { room: "lobby", members: [{ nick: "Ada" }, { nick: "Bob", away: true }], more: false });
  const room = scene.model.rooms.get("lobby");
  const listed = () => [...room.members.values()].map(({ nick, isAway }) => nick + (isAway ? " (away)" : ""));
  assert.deepEqual(listed(), ["Ada", "Bob (away)"]);
  scene.hear({ event: "joined", room: "lobby", nick: "Cy" });
  scene.hear({ event: "renamed", room: "lobby", nick: "Bob", new_nick: "Rob" });
  scene.hear({ event: "left", room: "lobby", nick: "Cy" });
  assert.deepEqual(listed(), ["Ada", "Rob (away)"]);
  scene.act({ do: "ignore", nick: "Bob" });
  scene.message(1, "unheard");
  assert.ok(!scene.texts().includes("unheard"));
  scene.act({ do: "unignore", nick: "BOB" });
  scene.message(2, "heard");
  assert.ok(scene.texts().includes("heard"));
});

test("a direct message opens a view, and is acknowledged", () => {
  const scene = new Scene();
  scene.arrive();
  scene.hear({ event: "message", to: "Ada", time: "2026-01-31T12:00:00Z", message_id: "d", from: "Bob", text: "psst", receipt: true });
  assert.deepEqual(scene.asked("receipt").map(({ message_id: id }) => id), ["d"]);
  assert.deepEqual([scene.view("@bob").title, scene.view("@bob").unread, scene.view("@bob").mentions], ["@Bob", 1, 1]);
});

test("a talk with turns: found, opened, said, given back where it ends", () => {
  const scene = new Scene();
  scene.arrive();
  scene.act({ do: "bridge", wish: { peer: null, turns: "yes", direct: false } });
  scene.answer("bridge", { since: "2026-01-31T12:00:00Z" });
  assert.equal(scene.model.talk.state.is, "waiting");
  scene.hear({ event: "talk_ready", peer: "Bob", turns: true });
  scene.act({ do: "chat" });
  scene.answer("chat", { peer: "Bob", turn: "yours" });
  scene.hear({ event: "talk_started", peer: "Bob", turn: "yours" });
  scene.say("first");
  const [{ id }] = scene.asked("say");
  assert.equal(scene.model.talk.state.turn, "theirs");
  const refused = scene.say("out of turn");
  assert.ok(refused.some(({ news, text }) => news === "returned" && text === "out of turn"));
  scene.hear({ reply: id, ok: true, message_id: id, time: "2026-01-31T12:00:01Z", turn: "theirs" });
  scene.hear({ event: "talk_message", from: "Bob", time: "2026-01-31T12:00:02Z", message_id: "t", text: "back", turn: "yours" });
  assert.equal(scene.asked("receipt")[0].message_id, "t");
  assert.equal(scene.model.talk.state.turn, "yours");
  scene.say("never answered");
  const lost = scene.lose();
  assert.ok(lost.some(({ news, text }) => news === "returned" && text === "never answered"));
  assert.deepEqual(scene.mark("talk"), { is: "notAcknowledged", why: "the connection was lost; it may have arrived" });
  assert.equal(scene.model.talk.state.is, "registered");
  assert.notEqual(scene.model.talk.wish, null);
});

test("what was under way when a talk ended is not acknowledged, and what was not is not sent", () => {
  const ends = [
    [(scene) => scene.hear({ event: "talk_ended", peer: "Bob", reason: "hangup" }), "the talk ended"],
    [(scene) => scene.lose(), "the connection was lost"],
    [(scene) => scene.act({ do: "quit" }), "you ended the talk"],
  ];
  for (const [end, why] of ends) {
    const scene = talking();
    scene.hear({ event: "talk_started", peer: "Bob", turn: "free" });
    // The server takes no more at once.
    for (let number = 0; number < 17; number += 1) scene.say(`${number}`);
    end(scene);
    const { entries } = scene.view("talk").log;
    const marks = entries.filter(({ kind }) => kind === "message").map(({ mark }) => mark);
    assert.deepEqual(marks[0], { is: "notAcknowledged", why: `${why}; it may have arrived` });
    assert.deepEqual(marks.slice(15).map(({ is }) => is), ["notAcknowledged", "notSent"]);
    assert.equal(marks.at(-1).why, `${why} before it was sent`);
  }
});

test("what the server took in a talk and the peer did not acknowledge is counted at its end", () => {
  const scene = talking();
  scene.hear({ event: "talk_started", peer: "Bob", turn: "free" });
  for (const text of ["one", "two", "three"]) {
    const [{ id }] = scene.say(text).map(({ frame }) => frame);
    scene.hear({ reply: id, ok: true, message_id: id });
    if (text === "one") scene.hear({ event: "delivered", message_id: id, by: "Bob" });
  }
  const marks = () => scene.view("talk").log.entries.filter(({ kind }) => kind === "message").map(({ mark }) => mark.is);
  assert.deepEqual(marks(), ["delivered", "sent", "sent"], "nobody keeps what is said in a talk");
  scene.say("under way");
  scene.hear({ event: "talk_ended", peer: "Bob", reason: "hangup" });
  assert.deepEqual(marks(), ["delivered", "notAcknowledged", "notAcknowledged", "notAcknowledged"]);
  assert.ok(scene.texts("talk").includes("Bob ended the talk; 2 of yours not acknowledged"), scene.texts("talk").join("; "));
});

test("a view is gone to by its number unless a room is called so", () => {
  const scene = new Scene();
  scene.arrive();
  const went = (typed) => {
    scene.act(parse(typed));
    return scene.model.views.focus;
  };
  assert.equal(went("/go 1"), "server");
  assert.equal(went("/go 2"), "#lobby");
  went("/go");
  assert.equal(scene.texts().at(-1), "1 server\n2 #lobby (here)");
  assert.equal(went("/join 1"), "#1");
  assert.equal(went("/go 1"), "#1");
  assert.equal(went("/go 3"), "#lobby");
  assert.equal(went("/go 9"), "#lobby");
  assert.equal(scene.texts().at(-1), "there is no such view: /join it");
});

test("what was chosen for one place is said there or nowhere", () => {
  const scene = new Scene();
  scene.arrive();
  const file = { data: "/w==", size: 1, type: "text/plain" };
  chat.see(scene.model, "#lobby");
  const lobby = chat.place(scene.model);
  scene.act({ do: "msg", nick: "Bob" });
  scene.do((at) => chat.say(scene.model, at, file, lobby));
  assert.equal(scene.asked("post")[0].room, "lobby");
  scene.act({ do: "leave", room: "lobby" });
  scene.do((at) => chat.say(scene.model, at, file, lobby));
  assert.deepEqual(scene.asked("post"), []);
  assert.equal(scene.texts("@bob").at(-1), "a file is not sent: #lobby was closed while it was read");
});

test("what was chosen in a talk is not said in the next one", () => {
  const scene = talking();
  const file = { data: "/w==", size: 1, type: "" };
  const talk = chat.place(scene.model);
  scene.hear({ event: "talk_turn", turn: "theirs" });
  scene.hear({ event: "talk_turn", turn: "yours" });
  scene.do((at) => chat.say(scene.model, at, file, talk));
  assert.equal(scene.asked("say")[0].peer, "Bob");
  scene.hear({ event: "talk_ended", peer: "Bob", reason: "hangup" });
  scene.hear({ event: "talk_ready", peer: "Eve" });
  scene.hear({ event: "talk_started", peer: "Eve" });
  scene.do((at) => chat.say(scene.model, at, file, talk));
  assert.deepEqual(scene.asked("say"), []);
  assert.equal(scene.texts("talk").at(-1), "a file is not sent: when it was chosen there was another talk, or none");
});

/** In a talk with Bob, who was found where anyone would do; it is our turn. */
function talking() {
  const scene = new Scene();
  scene.arrive();
  scene.act({ do: "bridge", wish: { peer: null, turns: "yes", direct: false } });
  scene.answer("bridge", { since: "2026-01-31T12:00:00Z" });
  scene.hear({ event: "talk_ready", peer: "Bob", turns: true });
  scene.act({ do: "chat" });
  scene.answer("chat", { peer: "Bob", turn: "yours" });
  scene.hear({ event: "talk_started", peer: "Bob", turn: "yours" });
  return scene;
}

/** Connects again, and is asked for this talk. */
function asksAgain(scene) {
  scene.tick(Math.max(0, chat.next(scene.model) - scene.now));
  scene.do((at) => chat.called(scene.model, at));
  scene.answer("hello", { nick: "Ada", server: "here", history: HISTORY, limits: {} });
  return scene.asked("bridge")[0];
}

test("what is typed into a talk while there is no connection comes back, and why is said", () => {
  const scene = talking();
  scene.lose();
  const returned = (text) => scene.say(text).filter(({ news }) => news === "returned").map(({ key, text: back }) => [key, back]);
  assert.deepEqual(returned("on my way"), [["talk", "on my way"]]);
  assert.equal(scene.texts("talk").at(-1), "not connected: you will wait for Bob when there is a connection");
  scene.act({ do: "unbridge" });
  assert.deepEqual(returned("nobody hears it"), [["talk", "nobody hears it"]]);
  assert.equal(scene.texts("talk").at(-1), "not connected: there is no talk");
  assert.deepEqual(scene.model.outgoing.unsent, []);
});

test("an open talk is opened again with the same peer after a loss, and then is as any other", () => {
  const scene = talking();
  scene.lose();
  assert.equal(asksAgain(scene).peer, "Bob");
  scene.answer("bridge", { since: "2026-01-31T12:00:00Z" });
  assert.equal(scene.model.talk.state.peer, "Bob");
  // The server did not know yet that this connection of Bob's is lost, too.
  scene.hear({ event: "talk_ready", peer: "bob", turns: true });
  assert.equal(scene.asked("chat")[0].peer, "bob");
  scene.hear({ event: "talk_ended", peer: "bob", reason: "gone" });
  assert.deepEqual([scene.model.talk.state.peer, scene.asked("bridge")], ["Bob", []]);
  scene.hear({ event: "talk_ready", peer: "Bob", turns: true });
  scene.answer("chat", { peer: "Bob", turn: "theirs" });
  scene.hear({ event: "talk_started", peer: "Bob", turn: "theirs" });
  scene.hear({ event: "talk_message", from: "Bob", time: "2026-01-31T12:00:02Z", message_id: "t", text: "back", turn: "yours" });
  scene.say("and I");
  assert.equal(scene.asked("say")[0].peer, "Bob");
  // Once he has gone by himself anyone will do, as it was wished.
  scene.hear({ event: "talk_ended", peer: "Bob", reason: "gone" });
  assert.equal("peer" in scene.asked("bridge")[0], false);
  assert.equal(scene.model.talk.state.peer, null);
});

test("a talk is opened again after a reload, and who was only found is not wished for by name", () => {
  const kept = chat.talkKept(talking().model);
  const scene = new Scene({ talk: JSON.parse(JSON.stringify(kept)) });
  assert.equal(asksAgain(scene).peer, "Bob");
  scene.answer("bridge", { since: "2026-01-31T12:00:00Z" });
  scene.hear({ event: "talk_ready", peer: "Bob", turns: true });
  assert.equal(scene.asked("chat").length, 1);
  scene.act({ do: "quit" });
  assert.equal(chat.talkKept(scene.model), null);
  const found = new Scene();
  found.arrive();
  found.act({ do: "bridge", wish: { peer: null, turns: "any", direct: false } });
  found.answer("bridge");
  found.hear({ event: "talk_ready", peer: "Bob" });
  found.lose();
  assert.equal("peer" in asksAgain(found), false);
});

test("waiting can be taken back, and what crosses that changes nothing", () => {
  const scene = new Scene();
  scene.arrive();
  scene.act({ do: "bridge", wish: { peer: "Bob", turns: "any", direct: false } });
  scene.answer("bridge");
  scene.act({ do: "unbridge" });
  assert.equal(scene.asked("hangup").length, 1);
  scene.hear({ event: "talk_ready", peer: "Bob" });
  scene.hear({ event: "talk_started", peer: "Bob" });
  assert.deepEqual([scene.model.talk.state.is, scene.asked("chat")], ["registered", []]);
  scene.act({ do: "unbridge" });
  assert.equal(scene.asked("hangup").length, 0);
});

test("/quit ends the waiting for a talk before it ends all", () => {
  const scene = new Scene();
  scene.arrive();
  scene.act({ do: "bridge", wish: { peer: null, turns: "any", direct: false } });
  scene.answer("bridge");
  scene.act({ do: "quit" });
  assert.equal(scene.asked("hangup").length, 1);
  assert.deepEqual([scene.model.talk.state.is, scene.model.talk.wish], ["registered", null]);
  assert.equal(scene.texts("talk").at(-1), "you wait for no talk any more; /quit again ends all");
  scene.act({ do: "bridge", wish: { peer: null, turns: "any", direct: false } });
  scene.lose();
  assert.deepEqual(scene.act({ do: "quit" }), []);
  assert.equal(scene.model.talk.wish, null);
  scene.act({ do: "quit" });
  assert.equal(scene.model.link.phase.why, "you left");
});

test("a browser cannot be called: a talk past the server is relayed, and that is told", () => {
  const scene = new Scene();
  scene.arrive();
  scene.act({ do: "bridge", wish: { peer: "Bob", turns: "any", direct: true } });
  assert.equal("direct" in scene.asked("bridge")[0], false);
  assert.ok(scene.texts("talk").includes("a browser cannot be called: this talk is relayed"));
  scene.answer("bridge");
  scene.hear({ event: "talk_ready", peer: "Bob", turns: false, direct: true });
  assert.match(scene.texts("talk").at(-1), /^Bob would talk past the server/);
  scene.act({ do: "chat" });
  assert.deepEqual(scene.asked("chat").map(({ peer, direct }) => [peer, direct]), [["Bob", undefined]]);
});

test("who is here for the first time is in the server's default room, whatever it is called", () => {
  const first = (settings) => {
    const scene = new Scene({ isNew: true, ...settings });
    scene.tick();
    scene.do((at) => chat.called(scene.model, at));
    scene.answer("hello", { nick: "Ada", server: "here", default_room: "home", history: HISTORY, limits: {} });
    return [scene.asked("join").map(({ room }) => room), scene.model.views.focus];
  };
  assert.deepEqual(first({ rooms: [] }), [["home"], "#home"]);
  assert.deepEqual(first({ rooms: ["ops"] }), [["ops", "home"], "#ops"]);
  assert.deepEqual(first({ rooms: ["ops"], isNew: false }), [["ops"], "#ops"]);
});

test("a nickname that somebody has is asked for again, until another is taken", () => {
  const scene = new Scene();
  scene.tick();
  scene.do((at) => chat.called(scene.model, at));
  const [{ id }] = scene.asked("hello");
  scene.hear({ reply: id, ok: false, error: "nickname_in_use", message: "Taken." });
  assert.equal(scene.model.link.phase.is, "held");
  scene.tick(2_000);
  assert.equal(scene.asked("hello")[0].nick, "Ada");
  scene.hear({ reply: scene.asked("hello")[0].id, ok: false, error: "nickname_in_use", message: "Taken." });
  scene.act({ do: "nick", nick: "Eve" });
  assert.equal(scene.asked("hello")[0].nick, "Eve");
});

test("a server that says nothing more is asked, then called anew", () => {
  const scene = new Scene();
  scene.arrive();
  scene.tick(20_000);
  assert.equal(scene.asked("ping").length, 1);
  scene.tick(30_000);
  assert.deepEqual(scene.out[0], { do: "hangUp" });
  assert.equal(scene.model.link.phase.is, "away");
});

test("a new history owes all there is, and numbers of before mean nothing", () => {
  const scene = new Scene();
  scene.arrive();
  scene.message(9, "old");
  scene.lose();
  scene.tick(300);
  scene.do((at) => chat.called(scene.model, at));
  scene.answer("hello", { nick: "Ada", server: "here", history: "another", limits: {} });
  assert.equal(scene.asked("join")[0].after, 0);
  scene.message(1, "new");
  assert.deepEqual([scene.texts()[0], scene.texts().at(-1)], ["old", "new"]);
});

test("who leaves is not called back, until they want to be", () => {
  const scene = new Scene();
  scene.arrive();
  assert.deepEqual(scene.act({ do: "quit" }).at(-1), { do: "hangUp" });
  assert.equal(chat.next(scene.model), Infinity);
  assert.deepEqual(scene.act({ do: "reconnect" }), [{ do: "call" }]);
});

test("a message names us where the nick stands alone", () => {
  for (const [text, nick] of [["ada: hi", "Ada"], ["(ADA)", "ada"], ["ask ada", "ada"], ["adam, ada!", "ada"]]) assert.ok(isNamed(text, nick), text);
  for (const [text, nick] of [["adam", "ada"], ["canada", "ada"], ["ada-2", "ada"], ["", "ada"], ["x", ""]]) assert.ok(!isNamed(text, nick), text);
});

test("whatever a server says in whatever order, the model stands", () => {
  let seed = 1;
  const random = (below) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  const words = ["joined", "left", "renamed", "away", "topic", "presence", "gap", "message", "delivered", "notice", "talk_waiting", "talk_ready", "talk_started", "talk_turn", "talk_message", "talk_ended", "strange"];
  const acts = [{ do: "join", room: "ops" }, { do: "leave" }, { do: "bridge", wish: { peer: null, turns: "any", direct: false } }, { do: "unbridge" }, { do: "chat" }, { do: "pass" }, { do: "quit" }, { do: "reconnect" }, { do: "msg", nick: "Bob", text: "x" }, { do: "go", place: "talk" }, { do: "history", count: 5 }, { do: "clear" }, { do: "nick", nick: "Eve" }];
  for (let round = 0; round < 300; round += 1) {
    const scene = new Scene();
    scene.arrive();
    let pending = [];
    for (let step = 0; step < 40; step += 1) {
      pending = [...pending, ...scene.out.filter((output) => output.do === "ask").map(({ frame }) => frame)];
      const event = words[random(words.length)];
      const seq = random(20);
      const frame = { event, room: "lobby", nick: "Bob", new_nick: "Rob", away: "", topic: "", members: 3, seq, from_seq: seq, to_seq: seq + random(3), from: "Bob", peer: "Bob", text: "x", message_id: `m${seq}`, turn: ["yours", "theirs"][random(2)], reason: "gone" };
      const asked = pending.splice(random(pending.length + 1), 1)[0];
      const inputs = [
        () => scene.hear(frame),
        () => asked && scene.hear({ reply: asked.id, ok: random(3) > 0, seq, error: "limit_reached", message: "No.", nick: "Ada", members: asked.request === "members" ? [] : 2, room: asked.room, rooms: [] }),
        () => scene.act(acts[random(acts.length)]),
        () => scene.say("hi"),
        () => scene.tick(random(12_000)),
        () => scene.model.link.phase.is === "calling" && scene.do((at) => chat.called(scene.model, at)),
        () => scene.lose(),
      ];
      inputs[random(inputs.length)]();
      if (scene.out.some((output) => output.do === "hangUp" || output.do === "call")) pending = [];
    }
    for (const view of scene.model.views.all.values()) {
      const places = view.log.entries.map(({ place }) => place).filter((place) => place !== null);
      assert.deepEqual(places, [...places].sort((one, other) => one - other));
    }
  }
});
