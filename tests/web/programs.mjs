// The real programs: a daemon on a port of its own, the terminal client line by line, and a client of the v0.5 protocol.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Nothing here takes that long on a machine that is not stuck. */
export const DEADLINE_MS = 60_000;

const CHECKOUT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const FOLDER = process.env.CHATD_BIN_DIR ?? join(CHECKOUT, "target/debug");

const CONFIG = `[limits]
clients_per_ip = "off"
accept_rate = "off"
exempt = ["127.0.0.1/32"]
`;

/** Waits until `found` gives something, asking again whenever something came. */
class Ears {
  constructor() {
    this.waiting = new Set();
  }

  came() {
    for (const wake of this.waiting) wake();
  }

  async until(what, found) {
    const began = Date.now();
    for (let answer = found(); ; answer = found()) {
      if (answer) return answer;
      const left = began + DEADLINE_MS - Date.now();
      if (left <= 0) throw new Error(`${what} did not come: ${this.all?.()}`);
      await new Promise((wake) => {
        const timer = setTimeout(wake, left);
        const woken = () => {
          clearTimeout(timer);
          this.waiting.delete(woken);
          wake();
        };
        this.waiting.add(woken);
      });
    }
  }
}

/** A program with its lines. */
class Program extends Ears {
  constructor(name, args, options = {}) {
    super();
    this.text = "";
    this.child = spawn(join(FOLDER, name), args, { stdio: ["pipe", "pipe", "pipe"], ...options });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        this.text += text;
        this.came();
      });
    }
    this.ended = once(this.child, "exit");
  }

  all() {
    return this.text;
  }

  line(pattern) {
    return this.until(pattern, () => this.text.match(pattern));
  }

  type(line) {
    this.child.stdin.write(`${line}\n`);
  }

  async end(signal = "SIGTERM") {
    this.child.kill(signal);
    await this.ended;
  }
}

export class Daemon {
  static async start({ config = "" } = {}) {
    const daemon = new Daemon();
    daemon.folder = mkdtempSync(join(tmpdir(), "chatd-web-"));
    daemon.port = 0;
    writeFileSync(join(daemon.folder, "chatd.toml"), CONFIG + config);
    await daemon.begin();
    return daemon;
  }

  async begin() {
    const { folder } = this;
    const args = ["--config", join(folder, "chatd.toml"), "--listen", `127.0.0.1:${this.port}`];
    const places = ["--control", join(folder, "control"), "--state-dir", join(folder, "state")];
    this.program = new Program("chatd", [...args, ...places]);
    const [, address] = await this.program.line(/web client at (http:\S+)\n/);
    this.address = address;
    this.port = Number(new URL(address).port);
    await this.program.line(/control socket /);
  }

  /** Ends it and begins it anew on the same port. */
  async restart() {
    await this.stop();
    await this.begin();
  }

  stop() {
    return this.program.end();
  }

  async end() {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }

  /** A script says something, over a connection of its own. */
  async says(room, body) {
    const request = http.request(`${this.address}api/rooms/${room}/messages`, { method: "POST", agent: false });
    request.end(body);
    const [response] = await once(request, "response");
    response.resume();
    await once(response, "end");
    if (response.statusCode !== 200) throw new Error(`${response.statusCode}`);
  }
}

/** `chatctl chat --plain` over TCP. */
export async function terminal(daemon, nick, room = "lobby") {
  const args = ["-s", `tcp://127.0.0.1:${daemon.port}`, "--as", nick, "chat", "--plain", "--room", room];
  const program = new Program("chatctl", args, { env: { ...process.env, HOME: daemon.folder } });
  await program.line(new RegExp(`you are ${nick}`));
  return program;
}

/** A client that speaks v0.5 and nothing else. */
export class OldClient extends Ears {
  static async connect(daemon, nick) {
    const client = new OldClient();
    client.socket = net.connect(daemon.port, "127.0.0.1");
    client.bytes = Buffer.alloc(0);
    client.heard = [];
    client.socket.on("data", (bytes) => client.read(bytes));
    await once(client.socket, "connect");
    const name = Buffer.from(nick);
    client.frame(3, Buffer.concat([Buffer.alloc(16), Buffer.of(name.length), name]));
    await client.until("an Ack", () => client.heard.find(({ type }) => type === 4));
    return client;
  }

  frame(type, payload) {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(payload.length + 4, 0);
    head.writeUInt32BE(type, 4);
    this.socket.write(Buffer.concat([head, payload]));
  }

  say(text) {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    this.frame(0, Buffer.concat([length, bytes]));
  }

  read(bytes) {
    this.bytes = Buffer.concat([this.bytes, bytes]);
    while (this.bytes.length >= 4 && this.bytes.length >= 4 + this.bytes.readUInt32BE(0)) {
      const end = 4 + this.bytes.readUInt32BE(0);
      this.heard.push({ type: this.bytes.readUInt32BE(4), payload: this.bytes.subarray(8, end) });
      this.bytes = this.bytes.subarray(end);
    }
    this.came();
  }

  all() {
    return this.heard.map(({ type, payload }) => `${type}: ${payload}`).join("\n");
  }

  hears(text) {
    return this.until(text, () => this.heard.some(({ type, payload }) => type === 1 && payload.toString().endsWith(text)));
  }

  end() {
    this.socket.destroy();
  }
}
