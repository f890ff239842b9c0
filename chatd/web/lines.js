// The lines of one view on the page: a log that stays at its end while its reader is there, and where the reader is otherwise.
//
// Each view has a log element of its own, so that a screen reader is told what comes and not what another view shows. Lines are made
// once, and anew where their version grows.

import { arrange, element } from "./dom.js";
import { nameIn, savedAs } from "./files.js";
import { isSending } from "./log.js";
import { dayOf, dayShown, momentShown, spanShown, timeShown } from "./moments.js";
import { hex, line, paragraph, size, unpacked } from "./visible.js";

/** So close to the end counts as there, and so close to the beginning asks for older lines. */
const END_PIXELS = 40;
const BEGIN_PIXELS = 300;

/** By so many lines a reader's place is known. */
const ANCHORS = 4;

/** Lines of one person that follow so closely have the name once. */
const AGAIN_MS = 5 * 60_000;

const HUES = 8;

const LINK = /https?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}]/gu;

const MARKS = {
  sending: () => ["…", "sending"],
  stored: () => ["✓", "stored"],
  sent: () => ["✓", "sent"],
  delivered: ({ by, rtt }) => {
    const many = by > 1 ? ` by ${by}` : "";
    return [`✓✓ ${spanShown(rtt)}`, `received${many} after ${spanShown(rtt)}`];
  },
  notSent: ({ why }) => failed(`not sent: ${line(why)}`),
  notAcknowledged: ({ why }) => failed(`not acknowledged: ${line(why)}`),
};

/** That is for all in words. */
function failed(words) {
  return [words, words];
}

/** One of a few colours for a name, always the same. */
export function hueOf(nick) {
  let sum = 0;
  for (const char of nick.toLowerCase()) sum = (sum * 31 + char.codePointAt(0)) % 9973;
  return `hue${sum % HUES}`;
}

export class Lines {
  constructor(key, label, { onScroll }) {
    this.key = key;
    this.made = new Map();
    this.node = element("div", "log");
    this.node.setAttribute("role", "log");
    this.node.setAttribute("aria-label", label);
    this.node.tabIndex = 0;
    this.isAtEnd = true;
    this.node.addEventListener("scroll", () => {
      this.isAtEnd = this.#toEnd() < END_PIXELS;
      onScroll(this);
    }, { passive: true });
    // A telephone's keyboard, or a line that grows, takes place from the log: who was at its end stays there.
    new ResizeObserver(() => {
      if (this.isAtEnd) this.toEnd();
    }).observe(this.node);
  }

  isAtBegin() {
    return this.node.scrollTop < BEGIN_PIXELS;
  }

  isAway() {
    return this.#toEnd() > 2 * this.node.clientHeight;
  }

  /** Draws what a view has; whoever reads back keeps the place, even where older lines come before it. */
  draw(view) {
    const anchors = this.isAtEnd ? [] : this.#firstSeen().map((line) => ({ line, top: line.offsetTop }));
    this.node.setAttribute("aria-busy", String(view.older === "asked"));
    arrange(this.node, this.#rows(view));
    if (this.isAtEnd) this.toEnd();
    // The first line that is seen may have been made anew.
    const anchor = anchors.find(({ line }) => line.isConnected);
    if (anchor && anchor.line.offsetTop !== anchor.top) this.node.scrollTop += anchor.line.offsetTop - anchor.top;
  }

  toEnd() {
    this.isAtEnd = true;
    this.node.scrollTop = this.node.scrollHeight;
  }

  /** Where reading goes on: at the first unread line, if it is not to be seen from the end. */
  toUnread() {
    this.toEnd();
    const mark = this.node.querySelector(".unread");
    if (mark && mark.offsetTop < this.node.scrollTop) {
      this.node.scrollTop = mark.offsetTop - 8;
      this.isAtEnd = false;
    }
  }

  scroll(pages) {
    this.node.scrollBy({ top: pages * this.node.clientHeight * 0.9 });
  }

  #firstSeen() {
    const lines = [...this.node.querySelectorAll(".line")];
    const first = lines.findIndex((line) => line.offsetTop + line.offsetHeight > this.node.scrollTop);
    return first < 0 ? [] : lines.slice(first, first + ANCHORS);
  }

  #toEnd() {
    return this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight;
  }

  #rows(view) {
    const made = new Map();
    const keep = (key, make) => {
      made.set(key, this.made.get(key) ?? make());
      return made.get(key);
    };
    const rows = [];
    if (view.older === "none" && this.key.startsWith("#")) rows.push(keep("begin", () => element("p", "edge", "This is where it begins.")));
    let [before, day] = [null, null];
    for (const entry of view.log.entries) {
      if (dayOf(entry.time) !== day) {
        day = dayOf(entry.time);
        rows.push(keep(`day ${entry.number}`, () => element("p", "edge day", element("span", "", dayShown(entry.time)))));
        before = null;
      }
      if (entry.number === view.firstUnread) {
        rows.push(keep("unread", () => element("p", "edge unread", element("span", "", "New"))));
        before = null;
      }
      const isAgain = isSameSpeaker(before, entry);
      rows.push(keep(`${entry.number} ${entry.version} ${isAgain} ${entry.place}`, () => row(this.key, entry, isAgain)));
      before = entry;
    }
    this.made = made;
    return rows;
  }
}

function isSameSpeaker(before, entry) {
  const isMessage = before?.kind === "message" && entry.kind === "message";
  return isMessage && before.from === entry.from && entry.time - before.time < AGAIN_MS;
}

function timeNode(wall) {
  const node = element("time", "", timeShown(wall));
  node.dateTime = new Date(wall).toISOString();
  node.title = momentShown(wall);
  return node;
}

function row(key, entry, isAgain) {
  const words = {
    gap: () => `messages ${entry.from} to ${entry.to} are missing`,
    event: () => line(entry.text),
    note: () => paragraph(entry.text),
  }[entry.kind];
  if (words) return element("div", `line ${entry.kind}`, timeNode(entry.time), element("div", "text", ...(entry.isTable ? tableNodes(words()) : [words()])));
  const classes = ["line", "message", isAgain && "again", entry.isMention && key.startsWith("#") && "mention", entry.isOwn && "own", isSending(entry) && "sending"];
  const nick = element("span", `nick ${hueOf(entry.from)}`, line(entry.from));
  const text = element("div", "text", ...contentNodes(key, entry));
  return element("div", classes.filter(Boolean).join(" "), timeNode(entry.time), nick, text, entry.isOwn ? markNode(entry.mark) : null);
}

/** Lines of two columns that are two spaces apart. */
function tableNodes(text) {
  return text.split("\n").map((one) => {
    const [left, right] = one.split(/ {2,}/);
    return right === undefined ? element("div", "", one) : element("div", "pair", element("code", "", left), element("span", "", right));
  });
}

function markNode(mark) {
  const [sign, words] = MARKS[mark.is](mark);
  const node = element("span", `mark ${mark.is}`);
  node.title = words;
  const seen = element("span", "", sign);
  if (sign === words) return element("span", `mark ${mark.is}`, sign);
  seen.setAttribute("aria-hidden", "true");
  node.append(seen, element("span", "hidden", words));
  return node;
}

function contentNodes(key, entry) {
  const { text, type } = entry.content;
  const isText = text !== undefined && (!type || /^text\/|json\b/.test(type));
  if (isText && (!type || (/^text\/plain\b/.test(type) && nameIn(type) === null))) return textNodes(text);
  return isText ? [...textNodes(text), text.endsWith("\n") ? "" : " ", fileNode(key, entry)] : [fileNode(key, entry)];
}

/** A text with its addresses as links: what a link shows is where it leads. */
function textNodes(text) {
  const nodes = [];
  let end = 0;
  for (const { 0: address, index } of text.matchAll(LINK)) {
    if (paragraph(address) !== address || !URL.canParse(address)) continue;
    nodes.push(paragraph(text.slice(end, index)), linkNode(address, address));
    end = index + address.length;
  }
  nodes.push(paragraph(text.slice(end)));
  return nodes;
}

function linkNode(address, words) {
  const node = element("a", "", words);
  node.href = address;
  node.target = "_blank";
  node.rel = "noopener noreferrer nofollow";
  return node;
}

/** What is no text is a file to be fetched: from the server where it keeps it, else from what was heard. */
function fileNode(key, { place, content }) {
  const bytes = content.text === undefined ? content.size : new Blob([content.text]).size;
  const [type] = (content.type ?? "bytes").split(";");
  const name = nameIn(content.type);
  // A name that is written from right to left turns around what is behind it no more than itself.
  const called = name === null ? [] : [element("bdi", "", line(name)), ", "];
  const node = element("a", "file", ...called, `${line(type)}, ${size(bytes)}`);
  node.download = name === null ? `chat-${place ?? "message"}` : savedAs(name);
  if (key.startsWith("#") && place !== null) {
    node.href = `api/rooms/${encodeURIComponent(key.slice(1))}/messages/${place}`;
  } else {
    node.href = "#";
    node.addEventListener("click", () => handOut(node, content), { once: true });
  }
  if (content.data !== undefined && !content.type) node.append(element("code", "", hex(unpacked(content.data.slice(0, 32)))));
  return node;
}

/** Always as bytes: a page that somebody sent is not to be opened as one of ours. */
function handOut(node, { text, data }) {
  node.href = URL.createObjectURL(new Blob([text ?? unpacked(data)], { type: "application/octet-stream" }));
}
