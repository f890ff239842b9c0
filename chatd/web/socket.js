// The WebSocket: one object of the vocabulary is one text message. It knows no request and keeps nothing; what comes is told to `ears`:
// opened(), heard(frame), closed(why). After `close` nothing is told any more.

const SUBPROTOCOL = "chat.v1";

const NORMAL = 1000;

export class Socket {
  constructor(base, ears) {
    const address = new URL("ws", base);
    address.protocol = address.protocol.replace("http", "ws");
    this.isOpen = false;
    this.socket = new WebSocket(address, SUBPROTOCOL);
    this.listen("open", () => {
      this.isOpen = true;
      ears.opened();
    });
    this.listen("message", ({ data }) => {
      if (typeof data === "string") ears.heard(JSON.parse(data));
    });
    this.listen("close", ({ reason }) => {
      const otherwise = this.isOpen ? "the connection was lost" : "nobody answers";
      this.socket = null;
      ears.closed(reason || otherwise);
    });
  }

  listen(name, ear) {
    const { socket } = this;
    socket.addEventListener(name, (event) => {
      if (this.socket === socket) ear(event);
    });
  }

  say(frame) {
    this.socket?.send(JSON.stringify(frame));
  }

  close() {
    const { socket } = this;
    this.socket = null;
    socket?.close(NORMAL);
  }
}
