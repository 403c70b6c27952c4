// The steps of an officer on the page. A step waits for what the officer would
// wait for, and fails when it does not come.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export const pin = "83514927";
export const patience = 120_000; // the machine may be busy

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class Failure extends Error {}

export function expect(holds, what) {
  if (!holds) throw new Failure(what);
}

/** open opens the page, and waits for the whole download. */
export async function open(context, address, { hash = "" } = {}) {
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.problems = [];
  page.on("pageerror", (e) => page.problems.push(String(e)));
  page.on("console", (m) => { if (m.type() === "error" && !/Failed to load resource|net::ERR_/.test(m.text())) page.problems.push(m.text()); });
  await page.goto(`${address}/check${hash}`);
  await complete(page, address);
  return page;
}

/** complete waits for the first download. */
export async function complete(page, address) {
  const { items } = await (await fetch(`${address}/check/parts.json`)).json();
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
  await until(async () => (await parts(page)).length >= items.length, "the download ends");
}

/** parts are the parts of the download that have arrived. */
export const parts = (page) => page.evaluate(async () => (await (await caches.open("card-check-parts")).keys()).map((r) => new URL(r.url).pathname));

/** until asks again and again until something holds. */
export async function until(holds, what, ms = patience) {
  for (const began = Date.now(); !(await holds());) {
    expect(Date.now() - began < ms, `waited in vain: ${what}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

export const screen = (page) => page.evaluate(() => document.body.dataset.screen);

export const at = (page, ...names) => page.waitForFunction((names) => names.includes(document.body.dataset.screen), names);

export const press = (page, id) => page.click(`[data-testid=${id}]`);

/** enrolWithPIN accepts an invitation. The device then waits for approval. */
export async function enrolWithPIN(page) {
  await at(page, "invite");
  await page.fill("[data-testid=pin]", pin);
  await page.fill("[data-testid=pin-again]", pin);
  await press(page, "enrol");
}

/** approved has the officer press the button that asks whether the device was
 * approved, instead of waiting for the page to ask. */
export async function approved(page) {
  await press(page, "check-approval");
  await at(page, "ready");
}

/** symbols are the six symbols that are read out. */
export async function symbols(page) {
  await page.waitForFunction(() => document.querySelectorAll("[data-testid=symbols] li").length === 6);
  return page.evaluate(() => [...document.querySelectorAll("[data-testid=symbols] li")].map((li) => li.textContent.trim()).join(""));
}

export async function unlock(page) {
  await at(page, "unlock");
  await page.fill("[data-testid=pin]", pin);
  await press(page, "unlock");
  await at(page, "ready");
}

/** ready goes back to the screen on which the next card is shown. A result may have
 * closed by itself meanwhile. */
export async function ready(page) {
  for (let i = 0; i < 20; i++) {
    const now = await screen(page);
    if (now === "ready") return;
    const way = { result: "close", scan: "back", device: "back", code: "no-code" }[now];
    if (way) await page.click(`[data-testid=${way}]`, { timeout: 5000 }).catch(() => {});
    await page.waitForFunction((now) => document.body.dataset.screen !== now, now, { timeout: 5000 }).catch(() => {});
  }
  throw new Failure(`no way back from ${await screen(page)}`);
}

/** show gives a text to the page as a hand scanner would. */
export async function show(page, text) {
  const field = page.locator("[data-testid=digits]");
  await field.fill(text);
  if (!/^[0-9]{667}$/.test(text)) await field.press("Enter");
  await at(page, "code", "result", "neutral");
}

/** picture gives a picture to the page. */
export async function picture(page, file) {
  await page.setInputFiles("[data-testid=picture]", file);
  await at(page, "code", "result", "neutral");
}

/** type types the holder's code and waits for the result. */
export async function type(page, code) {
  await at(page, "code");
  await page.fill("[data-testid=code]", code);
  await press(page, "open");
  await at(page, "result");
  return result(page);
}

export const result = (page) => page.evaluate(() => {
  const section = document.querySelector("#main [data-state]");
  return { state: section?.dataset.state, band: section?.dataset.band, text: section?.textContent ?? "" };
});

/** check is a whole check: text or picture, code, result. */
export async function check(page, shown, code) {
  await ready(page);
  if (typeof shown === "string") await show(page, shown);
  else await picture(page, shown);
  if ((await screen(page)) === "result") return result(page);
  if (code === null) {
    await press(page, "no-code");
    await at(page, "result");
    return result(page);
  }
  return type(page, code);
}

/** language chooses a language, on a screen that has the choice. */
export async function language(page, code) {
  await page.selectOption("[data-testid=language]", code);
  await page.waitForFunction((code) => document.documentElement.lang === code, code);
}

/** shiftClock makes the device's clock run ahead by seconds, or behind. */
export const shiftClock = (page, seconds) => page.evaluate((seconds) => {
  globalThis.Date = class extends (globalThis.unshifted ??= Date) {
    constructor(...a) { if (a.length) super(...a); else super(globalThis.unshifted.now() + seconds * 1000); }
    static now() { return globalThis.unshifted.now() + seconds * 1000; }
  };
}, seconds);

/** problems lists what axe-core finds with text at 200 %, and whether anything
 * needs scrolling sideways. */
export async function problems(page) {
  await page.evaluate(() => { document.documentElement.style.fontSize = "200%"; });
  // Animations end before anything is measured.
  await page.evaluate(() => Promise.all(document.getAnimations().filter((a) => Number.isFinite(a.effect?.getComputedTiming().endTime)).map((a) => a.finished)));
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await axe.run(document, { resultTypes: ["violations"] });
    const list = violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.join(" ")} (${n.any.map((a) => a.message).join(" ").slice(0, 110)})`).slice(0, 3).join(", ")}`);
    const wide = document.documentElement.scrollWidth - innerWidth;
    if (wide > 1) {
      const widest = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1);
      list.push(`wider than the screen by ${wide} px: ${widest.slice(-1).map((e) => e.outerHTML.slice(0, 80))}`);
    }
    return list;
  });
  await page.evaluate(() => { document.documentElement.style.fontSize = ""; });
  return found;
}

/** kept is everything that the browser stores for the page, as text. */
export const kept = (page) => page.evaluate(async () => {
  const said = [document.documentElement.outerHTML, document.title, location.href, JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage })];
  for (const { name } of await indexedDB.databases()) {
    const db = await new Promise((done, failed) => { const r = indexedDB.open(name); r.onsuccess = () => done(r.result); r.onerror = () => failed(r.error); });
    for (const store of db.objectStoreNames) {
      for (const what of ["getAll", "getAllKeys"]) {
        const all = await new Promise((done) => { const r = db.transaction(store).objectStore(store)[what](); r.onsuccess = () => done(r.result); });
        said.push(JSON.stringify(all, (_, v) => (v instanceof ArrayBuffer || ArrayBuffer.isView(v) ? "bytes" : v)));
      }
    }
    db.close();
  }
  for (const name of await caches.keys()) for (const r of await (await caches.open(name)).keys()) said.push(r.url);
  for (const input of document.querySelectorAll("input")) said.push(input.value);
  return said.join("\n");
});
