// A real browser: Debian's Chromium, driven by playwright-core.
//
// CHATD_WEB_FOLDER serves the page's files from a folder instead of from the program: to work on them without building it.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { DEADLINE_MS } from "./programs.mjs";

const PLACES = [process.env.CHATD_CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8" };

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function start() {
  const executablePath = PLACES.find((place) => place && existsSync(place));
  // A browser that root runs has no sandbox of its own to begin with.
  const args = process.getuid() === 0 ? ["--no-sandbox"] : [];
  // A page that did not come from this machine, as far as the browser knows, may not call it.
  if (process.env.CHATD_WEB_FOLDER) args.push("--disable-features=LocalNetworkAccessChecks");
  return chromium.launch({ executablePath, args });
}

async function fromFolder(context, folder) {
  await context.route(/^http:[^?#]*\/(?:[\w-]+\.(?:js|css))?$/, (route) => {
    const name = new URL(route.request().url()).pathname.split("/").at(-1) || "index.html";
    if (!existsSync(join(folder, name))) return route.continue();
    const headers = { "content-type": TYPES[name.split(".").at(-1)], "content-security-policy": POLICY };
    return route.fulfill({ body: readFileSync(join(folder, name)), headers });
  });
}

/** A window with storage of its own, whose faults are kept in `faults`. */
export async function open(browser, address, { nick, hash = "", ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 700 }, ...options });
  if (process.env.CHATD_WEB_FOLDER) await fromFolder(context, process.env.CHATD_WEB_FOLDER);
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  page.faults = [];
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (/^http/.test(protocol) && origin !== new URL(address).origin) page.faults.push(`it asks ${origin}`);
  });
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => {
    // A daemon that is away is no fault of the page.
    if (message.type() === "error" && !/WebSocket connection/.test(message.text())) page.faults.push(message.text());
  });
  await page.goto(address + hash);
  if (nick) await named(page, nick);
  return page;
}

/** The first visit: a name is asked for, and the lobby joined. */
export async function named(page, nick) {
  await page.getByLabel("Nickname").fill(nick);
  await page.getByRole("button", { name: "Chat", exact: true }).click();
  await here(page, nick);
}

/** Waits until somebody is listed in the room that is seen; on a phone the list is there and not to be seen. */
export function here(page, nick) {
  return page.locator("#here li", { hasText: nick }).first().waitFor({ state: "attached" });
}

export async function says(page, text) {
  await page.locator("#text").fill(text);
  await page.locator("#text").press("Enter");
}

/** A line of the view that is seen, with this text. */
export function line(page, text) {
  return page.locator(".log .line", { hasText: text });
}
