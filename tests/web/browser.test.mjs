// The page in a real browser, against the real daemon.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { here, line, open, says, start } from "./browser.mjs";
import { Daemon, OldClient, terminal } from "./programs.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const PHONE = { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true };

let browser;
let daemon;

before(async () => {
  browser = await start();
  daemon = await Daemon.start();
});

after(async () => {
  await browser?.close();
  await daemon?.end();
});

/** Windows that are closed behind the test, and had no fault. */
async function windows(t, ...wishes) {
  const pages = [];
  t.after(() => Promise.all(pages.map((page) => page.context().close())));
  pages.push(...(await Promise.all(wishes.map(({ at = daemon, ...options }) => open(browser, at.address, options)))));
  pages.faultless = () => assert.deepEqual(pages.flatMap((page) => page.faults), []);
  return pages;
}

/** Until this is so, looking again and again as Playwright does. */
function holds(page, condition, argument) {
  return page.waitForFunction(condition, argument);
}

test("two windows, a terminal, a v0.5 client and a script in one room see each other", async (t) => {
  const pages = await windows(t, { nick: "Ada" }, { nick: "Bob" });
  const [ada, bob] = pages;
  const cy = await terminal(daemon, "Cy");
  t.after(() => cy.end());
  const old = await OldClient.connect(daemon, "Oldie");
  t.after(() => old.end());
  for (const page of pages) for (const nick of ["Ada", "Bob", "Cy", "Oldie"]) await here(page, nick);
  const speakers = [["Ada", (text) => says(ada, text)], ["Bob", (text) => says(bob, text)], ["Cy", (text) => cy.type(text)], ["Oldie", (text) => old.say(text)], ["guest-\\d+", (text) => daemon.says("lobby", text)]];
  for (const [nick, speak] of speakers) {
    const text = `hello, says ${nick}`;
    await speak(text);
    for (const page of pages) await line(page, text).waitFor();
    if (nick !== "Cy") await cy.line(new RegExp(`${nick}: hello, says`));
    if (nick !== "Oldie") await old.hears(text);
  }
  // Both who give receipts have it, and how long that took stands beside it, for a screen reader in words.
  const log = ada.getByRole("log", { name: "Messages in #lobby" });
  await log.getByText(/received by \d+ after [\d.]+ m?s/).waitFor();
  await line(ada, "hello, says Ada").getByText(/^✓✓ [\d.]+ m?s$/).waitFor();
  pages.faultless();
});

test("people and rooms by hand: joined, left, away, ignored, written to", async (t) => {
  const pages = await windows(t, { nick: "Ada", hash: "#hand" }, { nick: "Bob", hash: "#hand" });
  const [ada, bob] = pages;
  await here(ada, "Bob");
  await bob.getByRole("button", { name: "Away", exact: true }).click();
  await ada.locator("#here li", { hasText: "Bob" }).getByText("away").waitFor();
  await line(ada, /Bob is away$/).waitFor();
  await bob.locator("#here li", { hasText: "Bob" }).getByText("you, away", { exact: true }).waitFor();
  await bob.getByRole("button", { name: "Away", exact: true }).click();
  await line(ada, "Bob is back").waitFor();
  await ada.getByRole("button", { name: "Bob", exact: true }).click();
  await says(ada, "only for you");
  await bob.getByRole("button", { name: "@Ada 1 unread, 1 for you" }).click();
  await line(bob, "only for you").waitFor();
  await line(ada, "only for you").locator(".mark.delivered").waitFor();
  await ada.getByRole("button", { name: "Who is it?" }).click();
  await line(ada, "in #hand").waitFor();
  await ada.getByRole("button", { name: "Ignore" }).click();
  await says(bob, "not heard");
  await line(bob, "not heard").locator(".mark.sent").waitFor();
  await ada.getByRole("button", { name: "Hear again" }).click();
  await says(bob, "heard again");
  await line(ada, "heard again").waitFor();
  assert.equal(await line(ada, "not heard").count(), 0);
  await ada.getByLabel("Join a room").fill("#Other");
  await ada.getByLabel("Join a room").press("Enter");
  await ada.getByRole("heading", { name: "#other" }).waitFor();
  await says(ada, "/topic what else there is");
  await ada.locator("#topic", { hasText: "what else there is" }).waitFor();
  await says(ada, "/joim x");
  await line(ada, "did you mean /join?").waitFor();
  await ada.locator("#text").fill("");
  await ada.getByRole("button", { name: "Leave #other" }).click();
  await ada.getByRole("button", { name: "#other", exact: true }).waitFor({ state: "detached" });
  await ada.evaluate(() => { location.hash = "#by-address"; });
  await ada.getByRole("heading", { name: "#by-address" }).waitFor();
  // The rooms are those of before after a reload, too.
  await ada.goto(daemon.address);
  await ada.reload();
  for (const room of ["#by-address", "#hand", "#lobby"]) await ada.getByRole("button", { name: room, exact: true }).waitFor();
  assert.equal(await ada.getByRole("button", { name: "#other", exact: true }).count(), 0);
  pages.faultless();
});

test("a restart of the daemon loses nothing, doubles nothing and is told", async (t) => {
  const own = await Daemon.start();
  const pages = await windows(t, { nick: "Ada", at: own }, { nick: "Bob", at: own });
  t.after(() => own.end());
  const [ada, bob] = pages;
  await says(ada, "before");
  await line(bob, "before").waitFor();
  await own.stop();
  await ada.getByText(/Next try in \d+ s/).waitFor();
  await says(ada, "meanwhile");
  await ada.getByText("1 message waits to be sent.").waitFor();
  await ada.getByRole("button", { name: "Try now" }).click();
  await own.begin();
  for (const page of pages) await page.evaluate(() => window.dispatchEvent(new Event("online")));
  await line(ada, "meanwhile").locator(".mark.stored, .mark.delivered").waitFor();
  await line(bob, "meanwhile").waitFor();
  await ada.locator("#banner").waitFor({ state: "hidden" });
  for (const page of pages) for (const text of ["before", "meanwhile"]) assert.equal(await line(page, text).count(), 1);
});

test("what waits to be sent outlives a reload", async (t) => {
  const [ada, bob] = await windows(t, {}, { nick: "Bob", hash: "#reload" });
  let isCut = false;
  const sockets = new Set();
  await ada.routeWebSocket(/\/ws$/, (socket) => {
    if (isCut) return socket.close();
    sockets.add(socket);
    socket.connectToServer();
  });
  await ada.goto(`${daemon.address}#reload`);
  await ada.reload();
  await ada.getByLabel("Nickname").fill("Ada");
  await ada.keyboard.press("Enter");
  await here(ada, "Bob");
  isCut = true;
  for (const socket of sockets) await socket.close();
  await ada.locator("#banner").waitFor();
  await says(ada, "kept over a reload");
  await ada.reload();
  await line(ada, "kept over a reload").waitFor();
  isCut = false;
  await line(bob, "kept over a reload").waitFor();
  await line(ada, "kept over a reload").locator(".mark.stored, .mark.delivered").waitFor();
  assert.equal(await line(bob, "kept over a reload").count(), 1);
  await ada.reload();
  await line(ada, "kept over a reload").waitFor();
  assert.equal(await line(ada, "kept over a reload").count(), 1);
});

test("a browser that has no room to keep what is typed says so once, and it is sent all the same", async (t) => {
  const own = await Daemon.start();
  t.after(() => own.end());
  const pages = await windows(t, { nick: "Ada", at: own });
  const [ada] = pages;
  await ada.evaluate(() => {
    for (let size = 1 << 20; size > 0; size >>= 1) {
      try {
        for (let count = 0; ; count += 1) localStorage.setItem(`full ${size} ${count}`, "x".repeat(size));
      } catch {
        // There is no room for so much: for less?
      }
    }
  });
  await says(ada, "no need to keep it");
  await line(ada, "no need to keep it").locator(".mark.stored").waitFor();
  await own.stop();
  await ada.locator("#banner").waitFor();
  for (const text of ["first", "second"]) await says(ada, text);
  await ada.getByText("2 messages wait to be sent.").waitFor();
  assert.equal(await line(ada, "this browser keeps nothing more").count(), 1);
  await own.begin();
  await ada.evaluate(() => window.dispatchEvent(new Event("online")));
  for (const text of ["first", "second"]) await line(ada, text).locator(".mark.stored").waitFor();
  pages.faultless();
});

test("scrolling up brings older messages, and the place that is read stays", async (t) => {
  for (let number = 1; number <= 250; number += 1) await daemon.says("long", `message number ${number}.`);
  const pages = await windows(t, { nick: "Ada", hash: "#long" });
  const [ada] = pages;
  await line(ada, "message number 250.").waitFor();
  assert.equal(await line(ada, "message number 1.").count(), 0);
  const log = ada.locator(".log");
  const place = async () => Math.round((await line(ada, "message number 215.").boundingBox()).y);
  await log.evaluate((node) => node.scrollTo(0, 250));
  const before = await place();
  await line(ada, "message number 130.").waitFor({ state: "attached" });
  assert.equal(await place(), before);
  await log.hover();
  while ((await line(ada, "message number 1.").count()) === 0) await ada.mouse.wheel(0, -4_000);
  await log.evaluate((node) => node.scrollTo(0, 0));
  await ada.getByText("This is where it begins.").waitFor();
  assert.equal(await ada.locator(".log .message").count(), 250);
  // Who reads back is left there by what comes.
  const top = await log.evaluate((node) => node.scrollTop);
  await daemon.says("long", "one more");
  await line(ada, "one more").waitFor({ state: "attached" });
  assert.equal(await log.evaluate((node) => node.scrollTop), top);
  await ada.getByRole("button", { name: "To the newest" }).click();
  await holds(ada, () => {
    const node = document.querySelector(".log");
    return node.scrollHeight - node.scrollTop - node.clientHeight < 2;
  });
  pages.faultless();
});

test("a talk with turns between a window and a terminal", async (t) => {
  const pages = await windows(t, { nick: "Ada", hash: "#talkers" });
  const [ada] = pages;
  const cy = await terminal(daemon, "Cyd", "talkers");
  t.after(() => cy.end());
  cy.type("/bridge Ada --turns yes --direct");
  await cy.line(/waiting for Ada/);
  await says(ada, "/bridge Cyd");
  // A browser cannot be called: both are told so, and the server relays.
  await line(ada, "Cyd would talk past the server").waitFor();
  await cy.line(/Ada does not listen: the server will relay/);
  await ada.getByRole("button", { name: "Open the talk" }).click();
  await ada.getByText("Talk: your turn, with Cyd").waitFor();
  await says(ada, "I begin");
  await cy.line(/Ada: I begin/);
  await ada.getByText("Talk: Cyd's turn").waitFor();
  // Out of turn the line stays where it was typed.
  await says(ada, "too early");
  await holds(ada, () => document.querySelector("#text").value === "too early");
  await ada.locator("#text").fill("");
  cy.type("/go talk");
  cy.type("I answer");
  await line(ada, "I answer").waitFor();
  await ada.getByRole("button", { name: "Give the turn" }).click();
  await ada.getByText("Talk: Cyd's turn").waitFor();
  await ada.getByRole("button", { name: "End", exact: true }).click();
  await cy.line(/Ada ended the talk/);
  await ada.getByText("you ended the talk").waitFor();
  await ada.getByText("Talk: registered").waitFor();
  pages.faultless();
});

test("a talk that was open is open again after a restart of the daemon, and after a reload", async (t) => {
  const own = await Daemon.start();
  t.after(() => own.end());
  const [ada] = await windows(t, { nick: "Ada", at: own });
  const cy = await terminal(own, "Cyd");
  t.after(() => cy.end());
  cy.type("/bridge");
  await cy.line(/waiting for anyone/);
  await ada.getByRole("button", { name: "Find somebody to talk to" }).click();
  await ada.getByRole("button", { name: "Open the talk" }).click();
  await ada.getByText("Talk: in a talk with Cyd").waitFor();
  await own.stop();
  await ada.getByText("Talk: you will wait for Cyd when there is a connection").waitFor();
  await says(ada, "are you there?");
  await line(ada, "not connected: you will wait for Cyd").waitFor();
  assert.equal(await ada.locator("#text").inputValue(), "are you there?");
  await ada.locator("#text").fill("");
  await own.begin();
  await ada.evaluate(() => window.dispatchEvent(new Event("online")));
  await ada.getByText("Talk: in a talk with Cyd").waitFor();
  await says(ada, "there we are again");
  await cy.line(/Ada: there we are again/);
  await ada.reload();
  await ada.getByText("Talk: in a talk with Cyd").waitFor();
  await ada.getByRole("button", { name: "talk", exact: true }).click();
  await says(ada, "and once more");
  await cy.line(/Ada: and once more/);
});

test("what was under way in a talk that was lost is not acknowledged", async (t) => {
  const own = await Daemon.start();
  t.after(() => own.end());
  const pages = await windows(t, { nick: "Ada", at: own }, { nick: "Bob", at: own });
  const [ada, bob] = pages;
  await says(ada, "/bridge Bob");
  await says(bob, "/bridge Ada");
  await ada.getByRole("button", { name: "Open the talk" }).click();
  await ada.getByText("Talk: in a talk with Bob").waitFor();
  // It hears and answers nothing meanwhile.
  own.program.child.kill("SIGSTOP");
  await says(ada, "into the hole");
  await says(ada, "/reconnect");
  await line(ada, "into the hole").getByText("not acknowledged: the connection was lost; it may have arrived").waitFor();
  own.program.child.kill("SIGCONT");
  await ada.getByText("Talk: in a talk with Bob").waitFor();
  pages.faultless();
});

test("script in a nick, a message or a topic stays text", async (t) => {
  const nick = "<img src=x onerror=fault()>";
  const pages = await windows(t, { nick: "Ada", hash: "#script" }, { nick, hash: "#script" });
  const [ada, evil] = pages;
  const script = "<script>fault()</script><b>\u202eb\u001b[2J";
  await says(evil, script);
  await says(evil, "/topic <i>topic</i>");
  await says(evil, "see javascript:fault() and https://example.org/<b>");
  const text = await line(ada, "<script>").locator(".text").textContent();
  assert.equal(text, "<script>fault()</script><b>\\u{202e}b\\e[2J");
  await ada.locator("#topic", { hasText: "<i>topic</i>" }).waitFor();
  await line(ada, "see javascript").waitFor();
  const made = await ada.evaluate(() => [document.querySelectorAll(".log script, .log b, .log img, #topic i").length, [...document.querySelectorAll(".log a")].map((link) => link.href)]);
  assert.deepEqual(made, [0, ["https://example.org/"]]);
  assert.equal(await line(ada, "<script>").locator(".nick").textContent(), nick);
  pages.faultless();
  // And if some ever became markup, the browser would not run it.
  const hasRun = await ada.evaluate(() => {
    const inline = document.createElement("script");
    inline.textContent = "window.hasRun = true";
    document.head.append(inline);
    return window.hasRun === true;
  });
  assert.equal(hasRun, false);
});

test("bytes are a link with type and size, and come as they were sent", async (t) => {
  const pages = await windows(t, { nick: "Ada", hash: "#files" }, { nick: "Bob", hash: "#files" });
  const [ada, bob] = pages;
  const bytes = Buffer.from([0, 255, 1, 2, 10]);
  await ada.locator("#file").setInputFiles({ name: "a picture.png", mimeType: "image/png", buffer: bytes });
  const link = bob.getByRole("link", { name: "a picture.png, image/png, 5 bytes" });
  const [download] = await Promise.all([bob.waitForEvent("download"), link.click()]);
  assert.equal(download.suggestedFilename(), "a picture.png");
  const answer = await fetch(download.url());
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes);
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  assert.match(answer.headers.get("content-disposition"), /^attachment/);
  // To one person nothing is kept by the server: the bytes are those that were heard.
  await bob.locator("#here").getByText("Ada").click();
  await bob.locator("#file").setInputFiles({ name: "page.html", mimeType: "text/html", buffer: Buffer.from("<script>1</script>") });
  await ada.getByRole("button", { name: "@Bob" }).click();
  const [direct] = await Promise.all([ada.waitForEvent("download"), ada.getByRole("link", { name: "page.html, text/html, 18 bytes" }).click()]);
  assert.equal(readFileSync(await direct.path(), "utf8"), "<script>1</script>");
  await ada.getByRole("button", { name: "#files" }).click();
  await bob.getByRole("button", { name: "#files" }).click();
  await ada.locator("#file").setInputFiles({ name: "large.bin", mimeType: "", buffer: Buffer.alloc(70_000) });
  await ada.getByText("that has 70000 bytes; the limit is 65530 bytes").waitFor();
  await daemon.says("files", Buffer.from([0xff, 0xfe]));
  await bob.getByRole("link", { name: /bytes, 2 bytes/ }).getByText("ff fe").waitFor();
  pages.faultless();
});

test("a file has its name on the other side, whatever it is called", async (t) => {
  const pages = await windows(t, { nick: "Ada", hash: "#names" }, { nick: "Bob", hash: "#names" });
  const [ada, bob] = pages;
  const got = async (words) => {
    const [download] = await Promise.all([bob.waitForEvent("download"), bob.getByRole("link", { name: words, exact: true }).click()]);
    return download.suggestedFilename();
  };
  await ada.locator("#file").setInputFiles([
    { name: "отчёт (2).pdf", mimeType: "application/pdf", buffer: Buffer.from([255]) },
    { name: "קובץ.txt", mimeType: "text/plain", buffer: Buffer.from("a text with a name\n") },
  ]);
  assert.equal(await got("отчёт (2).pdf, application/pdf, 1 byte"), "отчёт (2).pdf");
  assert.equal(await got("קובץ.txt, text/plain, 19 bytes"), "קובץ.txt");
  assert.equal(await line(bob, "a text with a name").locator(".text").textContent(), "a text with a name\nקובץ.txt, text/plain, 19 bytes");
  // Names of strangers are shown as they are, and saved as what does no harm.
  const type = `text/html; name*=UTF-8''${encodeURIComponent("../a\u202egpj.exe")}`;
  await fetch(`${daemon.address}api/rooms/names/messages`, { method: "POST", body: "<b>", headers: { "content-type": type } });
  assert.equal(await got("../a\\u{202e}gpj.exe, text/html, 3 bytes"), "__a_u{202e}gpj.exe");
  pages.faultless();
});

test("a file goes where it was chosen, dropped or pasted, whatever is seen when it has been read", async (t) => {
  const pages = await windows(t, { nick: "Ada", hash: "#chosen" });
  const [ada] = pages;
  await ada.evaluate(() => {
    const { arrayBuffer } = Blob.prototype;
    window.reads = [];
    window.readCount = 0;
    Blob.prototype.arrayBuffer = function () {
      return new Promise((read) => window.reads.push(async () => {
        read(await arrayBuffer.call(this));
        window.readCount += 1;
      }));
    };
  });
  const given = (name, how) => ada.evaluate(([name, how]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.of(255)], name));
    const [at, event] = {
      drop: ["main", new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })],
      paste: ["#text", new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true })],
    }[how];
    document.querySelector(at).dispatchEvent(event);
  }, [name, how]);
  const file = { name: "chosen", mimeType: "", buffer: Buffer.from([255]) };
  const [chooser] = await Promise.all([ada.waitForEvent("filechooser"), ada.getByRole("button", { name: "Send a file" }).click()]);
  await ada.getByRole("button", { name: "#lobby", exact: true }).click();
  await chooser.setFiles(file);
  await ada.getByRole("button", { name: "#chosen", exact: true }).click();
  await given("dropped", "drop");
  await given("pasted", "paste");
  await ada.getByRole("button", { name: "Send", exact: true }).and(ada.locator("#hint button")).click();
  await holds(ada, () => window.reads.length === 3);
  await ada.getByRole("button", { name: "#lobby", exact: true }).click();
  await ada.evaluate(() => window.reads.forEach((read) => read()));
  await holds(ada, () => window.readCount === 3);
  await ada.getByRole("button", { name: /^#chosen/ }).click();
  for (const name of ["chosen", "dropped", "pasted"]) await line(ada, `${name}, application/octet-stream`).waitFor();
  await ada.getByRole("button", { name: "#lobby", exact: true }).click();
  assert.equal(await line(ada, "application/octet-stream").count(), 0);
  pages.faultless();
});

test("the keyboard is enough", async (t) => {
  const pages = await windows(t, {}, { nick: "Bob", hash: "#keys" });
  const [ada] = pages;
  await ada.goto(`${daemon.address}#keys`);
  await ada.reload();
  await ada.keyboard.type("Ada");
  await ada.keyboard.press("Enter");
  await here(ada, "Bob");
  await ada.keyboard.type("bo");
  await ada.keyboard.press("Tab");
  await ada.keyboard.type("hi");
  await ada.keyboard.press("Tab");
  assert.equal(await ada.locator("#text").inputValue(), "Bob: hi");
  // A Tab that completes nothing leaves the line.
  assert.notEqual(await ada.evaluate(() => document.activeElement.id), "text");
  await ada.keyboard.press("Escape");
  await ada.keyboard.press("Enter");
  await line(ada, "Bob: hi").waitFor();
  await ada.keyboard.type("/join other");
  await ada.keyboard.press("Enter");
  await ada.getByRole("heading", { name: "#other" }).waitFor();
  await daemon.says("keys", "Ada: come back");
  await ada.locator("#rooms .badge.mention").waitFor();
  await ada.keyboard.press("Alt+a");
  await ada.getByRole("heading", { name: "#keys" }).waitFor();
  await ada.getByText("New", { exact: true }).waitFor();
  await ada.keyboard.press("Alt+ArrowDown");
  await ada.keyboard.press("Alt+1");
  await ada.getByRole("heading", { name: "server" }).waitFor();
  await ada.keyboard.press("ArrowUp");
  assert.equal(await ada.locator("#text").inputValue(), "/join other");
  // Each thing that takes the focus shows it.
  for (let step = 0; step < 20; step += 1) {
    await ada.keyboard.press("Tab");
    const outline = await ada.evaluate(() => document.activeElement === document.body ? "solid" : getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, "solid");
  }
  pages.faultless();
});

test("several pasted lines are one message, or one each, and never a command", async (t) => {
  const pages = await windows(t, { nick: "Ada", hash: "#paste" });
  const [ada] = pages;
  const paste = (text) => ada.locator("#text").evaluate((field, pasted) => {
    const data = new DataTransfer();
    data.setData("text/plain", pasted);
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  }, text);
  await paste("/quit\nreally\n");
  await ada.locator("#text").press("Enter");
  await line(ada, "/quit").getByText("really").waitFor();
  await paste("one each\ntwo each\n");
  await ada.getByRole("button", { name: "A message each" }).click();
  await line(ada, "two each").waitFor();
  assert.equal(await line(ada, "one each").textContent().then((text) => text.includes("two each")), false);
  pages.faultless();
});

test("a phone has all of it: nothing is wider than it, and the lists are a press away", async (t) => {
  const pages = await windows(t, { nick: "Ada", hash: "#phone", ...PHONE }, { nick: "Bob", hash: "#phone" });
  const [ada, bob] = pages;
  await says(bob, `a long word ${"x".repeat(300)} and https://example.org/${"y".repeat(200)}`);
  await line(ada, "a long word").waitFor();
  const width = () => ada.evaluate(() => document.scrollingElement.scrollWidth);
  assert.equal(await width(), PHONE.viewport.width);
  await ada.getByRole("button", { name: "Rooms and people" }).click();
  await ada.getByRole("button", { name: "Bob" }).click();
  await ada.getByRole("heading", { name: "@Bob" }).waitFor();
  await ada.locator("#side").waitFor({ state: "hidden" });
  await says(ada, "from a phone");
  await bob.locator("#people .badge.mention").waitFor();
  assert.equal(await width(), PHONE.viewport.width);
  pages.faultless();
});

test("the longest nickname leaves the buttons beside it where they are", async (t) => {
  const nick = "a.nickname.of.thirty-two.letters";
  const pages = await windows(t, { nick, hash: "#wide", ...PHONE }, { nick: "Bob", hash: "#wide" });
  const [long, bob] = pages;
  await long.getByRole("button", { name: "Rooms and people" }).click();
  await long.getByRole("button", { name: "Away", exact: true }).click();
  await long.locator("#here li", { hasText: nick }).getByText("you, away").click();
  await long.getByRole("button", { name: "Close the list" }).click();
  await here(bob, nick);
  const widths = () => [...document.querySelectorAll("#side *")].map((node) => node.getBoundingClientRect().right - document.querySelector("#side").getBoundingClientRect().right);
  for (const page of pages) assert.ok(Math.max(...(await page.evaluate(widths))) <= 0);
  // Nor does it lie over what stands beside it, on a phone in one line.
  await says(bob, `a long line: ${"and so on ".repeat(20)}`);
  await says(long, "an answer");
  await line(long, "an answer").locator(".mark.delivered").waitFor();
  for (const text of ["a long line", "an answer"]) {
    const [name, time, words] = await line(long, text).evaluate((node) => [".nick", "time", ".text"].map((part) => {
      const { clientWidth, scrollWidth } = node.querySelector(part);
      return { clientWidth, scrollWidth };
    }));
    assert.ok(name.clientWidth > 20 && time.scrollWidth <= time.clientWidth && words.scrollWidth <= words.clientWidth && words.clientWidth <= 360, JSON.stringify([name, time, words]));
  }
  pages.faultless();
});

test("a message that is not sent can be read as any other, however long the reason is", async (t) => {
  const pages = await windows(t, { nick: "Ada", hash: "#refused", ...PHONE }, { nick: "Bob", hash: "#refused" });
  for (const page of pages) {
    await says(page, "/msg somebody.who.is.not.here the text of this message");
    await says(page, "/go @somebody.who.is.not.here");
    await line(page, "the text of this message").locator(".mark.notSent").waitFor();
    const { text, mark } = await line(page, "the text of this message").evaluate((node) => {
      const box = (part) => node.querySelector(part).getBoundingClientRect().toJSON();
      return { text: box(".text"), mark: box(".mark") };
    });
    assert.ok(text.width > 200 && mark.top >= text.bottom, JSON.stringify({ text, mark }));
    // And what can be done with somebody of a long name is there.
    const { x, width } = await page.getByRole("button", { name: "Ignore" }).boundingBox();
    assert.ok(x + width <= page.viewportSize().width);
  }
  pages.faultless();
});

test("who reads the newest message still does when a keyboard takes half of the phone", async (t) => {
  const pages = await windows(t, { nick: "Ada", hash: "#short", ...PHONE });
  const [ada] = pages;
  await says(ada, `first ${"and so on ".repeat(300)}`);
  await says(ada, "the newest");
  await line(ada, "the newest").waitFor();
  const isAtEnd = () => {
    const log = [...document.querySelectorAll(".log")].find((node) => node.clientHeight > 0);
    return log.scrollHeight > 2 * log.clientHeight && log.scrollHeight - log.scrollTop - log.clientHeight < 2;
  };
  await holds(ada, isAtEnd);
  await line(ada, "the newest").getByText("✓").waitFor();
  await ada.setViewportSize({ width: 360, height: 340 });
  await ada.evaluate(() => new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen))));
  assert.ok(await ada.evaluate(isAtEnd), "nothing that comes later has to bring it back");
  pages.faultless();
});

test("who names nobody at the first visit is a guest", async (t) => {
  const pages = await windows(t, { hash: "#nobody" });
  const [page] = pages;
  await page.getByLabel("Nickname").waitFor();
  await page.keyboard.press("Escape");
  await here(page, "guest-");
  pages.faultless();
});

test("dark and light are the reader's wish", async (t) => {
  const [page] = await windows(t, { nick: "Ada", colorScheme: "dark" });
  const light = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).reduce((sum, part) => sum + Number(part), 0) / 3);
  assert.ok((await light()) < 64);
  await page.emulateMedia({ colorScheme: "light" });
  assert.ok((await light()) > 192);
});

test("a second window of one browser takes another name, and both keep theirs", async (t) => {
  const pages = await windows(t, { nick: "Ada", hash: "#twice" });
  const [ada] = pages;
  const eve = await ada.context().newPage();
  await eve.goto(`${daemon.address}#twice`);
  await eve.getByText("The nickname Ada is taken").waitFor();
  await eve.getByRole("button", { name: "Another name" }).click();
  await eve.getByLabel("Nickname").fill("Eve");
  await eve.keyboard.press("Enter");
  await here(ada, "Eve");
  await ada.reload();
  await here(ada, "Eve");
  await here(eve, "Ada");
  await holds(ada, () => document.querySelector("#me").textContent === "Ada");
  await holds(eve, () => document.querySelector("#me").textContent === "Eve");
  pages.faultless();
});

test("notifications are asked for by a click only, and come when somebody means us", async (t) => {
  const pages = await windows(t, {}, { nick: "Bob", hash: "#bell" });
  const [ada, bob] = pages;
  await ada.addInitScript(() => {
    window.rung = [];
    window.asked = 0;
    let permission = "default";
    window.Notification = class extends EventTarget {
      constructor(title, { body }) {
        super();
        window.rung.push(`${title}: ${body}`);
      }
      static get permission() {
        return permission;
      }
      static async requestPermission() {
        window.asked += 1;
        permission = "granted";
        return permission;
      }
    };
    Document.prototype.hasFocus = () => false;
  });
  await ada.goto(`${daemon.address}#bell`);
  await ada.reload();
  await ada.getByLabel("Nickname").fill("Ada");
  await ada.keyboard.press("Enter");
  await here(ada, "Bob");
  assert.equal(await ada.evaluate(() => window.asked), 0);
  await ada.getByRole("button", { name: "Notify" }).click();
  await says(bob, "nothing of note");
  await says(bob, "Ada: look \u202ehere");
  await holds(ada, () => window.rung.length > 0);
  assert.deepEqual(await ada.evaluate(() => [window.asked, window.rung]), [1, ["#bell: Bob: Ada: look \\u{202e}here"]]);
  await holds(ada, () => document.title.startsWith("(2!) #bell"));
  // Browsers of telephones have the word, and throw.
  await ada.evaluate(() => {
    window.Notification = class {
      constructor() {
        throw new TypeError("Illegal constructor");
      }
      static permission = "granted";
    };
  });
  await says(bob, "Ada: and here");
  await line(ada, "and here").waitFor();
  await ada.getByRole("button", { name: "Notify" }).waitFor({ state: "hidden" });
  pages.faultless();
});

test("it works below a path, in a default room of another name, and with an address that makes no sense", async (t) => {
  const own = await Daemon.start({ config: '[http]\nbase_path = "/chat/"\n[server]\ndefault_room = "home"\n' });
  t.after(() => own.end());
  assert.match(own.address, /\/chat\/$/);
  const page = await open(browser, own.address, { nick: "Ada", hash: "#%E0%A4%A" });
  t.after(() => page.context().close());
  await page.getByRole("heading", { name: "#home" }).waitFor();
  await says(page, "from below");
  await line(page, "from below").locator(".mark.stored").waitFor();
  assert.deepEqual(page.faults, []);
});

test("axe-core finds nothing, whatever is shown", async (t) => {
  const clear = async (page, what) => {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${what}: ${id}: ${html}: ${failureSummary}`));
    assert.deepEqual(found, []);
  };
  const [first, ada, bob] = await windows(t, {}, { nick: "Ada", hash: "#axe" }, { nick: "Bob", hash: "#axe", colorScheme: "dark", ...PHONE });
  await first.getByLabel("Nickname").waitFor();
  await clear(first, "the first visit");
  await says(bob, "Ada: see https://example.org/");
  await says(ada, "hello");
  await daemon.says("axe", Buffer.from([255]));
  await says(ada, "/help");
  await says(ada, "/away lunch");
  await line(ada, "you are away: lunch").waitFor();
  await clear(ada, "a room");
  await clear(bob, "a room on a phone in the dark");
  await bob.getByRole("button", { name: "Rooms and people" }).click();
  await clear(bob, "the lists");
  await says(ada, "/bridge Bob");
  await ada.getByText("Talk: waiting for Bob").waitFor();
  await clear(ada, "a talk");
  await ada.emulateMedia({ colorScheme: "dark" });
  await clear(ada, "a talk in the dark");
});
