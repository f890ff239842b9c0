// The page: one room over a WebSocket. What people say is put in as text, never as markup.

const ROOM = "lobby";
const RETRY_MS_MAX = 30_000;

const state = document.querySelector("#state");
const messages = document.querySelector("#messages");
const form = document.querySelector("#post");
const text = document.querySelector("#text");

let socket;
let retryMs = 500;
let last;
let requests = 0;

function ask(request, fields) {
  const id = fields.id ?? `r${++requests}`;
  socket.send(JSON.stringify({ request, ...fields, id }));
}

function show(from, said, time) {
  const wasAtEnd = messages.scrollTop + messages.clientHeight >= messages.scrollHeight - 8;
  const line = document.createElement("p");
  const name = document.createElement("strong");
  name.textContent = from;
  line.append(name, " ", said);
  line.title = time;
  messages.append(line);
  if (wasAtEnd) line.scrollIntoView();
}

function hear(frame) {
  if (frame.event === "message" && frame.room === ROOM) {
    last = frame.seq;
    show(frame.from, frame.text ?? "(bytes)", frame.time);
  } else if (frame.event === "gap") {
    last = frame.to_seq;
    show("…", `messages ${frame.from_seq} to ${frame.to_seq} are missing`, "");
  } else if (frame.event === "bye") {
    state.textContent = frame.reason;
  } else if (frame.reply === "past") {
    ask("join", { room: ROOM, after: last ?? 0 });
  } else if (frame.ok === false) {
    state.textContent = frame.message;
  } else if (frame.ok && frame.seq) {
    last = Math.max(last ?? 0, frame.seq);
  }
}

function connect() {
  const address = new URL("ws", document.baseURI);
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address, "chat.v1");
  socket.addEventListener("open", () => {
    retryMs = 500;
    state.textContent = "Connected";
    ask("hello", { version: 1, agent: "page" });
    if (last === undefined) ask("history", { room: ROOM, limit: 50, id: "past" });
    else ask("join", { room: ROOM, after: last });
  });
  socket.addEventListener("message", (message) => hear(JSON.parse(message.data)));
  socket.addEventListener("close", () => {
    state.textContent = "Not connected; trying again…";
    setTimeout(connect, retryMs * (0.5 + Math.random()));
    retryMs = Math.min(2 * retryMs, RETRY_MS_MAX);
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  const id = randomId();
  ask("post", { room: ROOM, text: text.value, id });
  show("you", text.value, "");
  text.value = "";
});

// A UUID of version 4. `crypto.randomUUID` is there in secure contexts only, and a chat in a local network is none.
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

connect();
