// Cards that were withdrawn, paused or replaced, and lists that are not as they
// should be. None of them is ever green or blue. The made-up network has the cards
// in use in its first pack, and not in its second.
import { createHash } from "node:crypto";
import { start } from "./chromium.mjs";
import { rememberStretches } from "./stretches.mjs";
import { at, check, enrolWithPIN, expect, open, press, ready, screen, shiftClock, unlock } from "./page.mjs";

const hour = 3600;
const good = ["green", "blue"];

/** never checks the three cards, and knows what they have to show. */
async function never(page, config, want, when, all = true) {
  let checks = 0;
  const cards = config.cards.filter((c) => c.name.startsWith("soon"));
  for (const card of all || config.long ? cards : cards.slice(0, 1)) {
    const { state, band } = await check(page, card.digits, card.code);
    expect(!good.includes(band), `${card.name}, ${when}: ${band}`);
    const expected = want === "second" ? card.second : want;
    expect(state === expected, `${card.name}, ${when}: ${state}, want ${expected}`);
    checks++;
  }
  return checks;
}

async function enrolled(context, config, invitation) {
  const page = await open(context, config.madeUp, { hash: `#invite=sci_${invitation}` });
  await enrolWithPIN(page);
  await at(page, "ready");
  return page;
}

const deviceOf = (page) => page.evaluate(() => new Promise((done, failed) => {
  const r = indexedDB.open("card-check");
  r.onerror = () => failed(r.error);
  r.onsuccess = () => {
    const get = r.result.transaction("kept").objectStore("kept").get("device");
    get.onsuccess = () => { r.result.close(); done(get.result.id); };
  };
}));

/** bring imports a pack from a stick, made of these lists and this envelope. */
async function bring(page, config, lists, envelope = lists) {
  const device = await deviceOf(page);
  const file = await (await fetch(`${config.madeUp}/made-up/pack?device=${device}&lists=${lists}&envelope=${envelope}`)).text();
  await ready(page);
  await page.locator("main .actions button").last().click();
  await at(page, "device");
  await page.setInputFiles("[data-testid=pack]", { name: "pack.json", mimeType: "application/json", buffer: Buffer.from(file) });
  await page.waitForSelector("main [role=status]"); // what became of it
  const said = await page.textContent("main");
  await press(page, "back");
  await at(page, "ready");
  return said;
}

export async function packs(config) {
  const { context, stop } = await start();
  await rememberStretches(context);
  try {
    let page = await enrolled(context, config, "packs-0001");
    let checks = 0;
    // While the lists are young nothing is known against the cards. So the second
    // half of the scenario can fail.
    for (const card of config.cards.filter((c) => c.name.startsWith("soon"))) {
      const { band } = await check(page, card.digits, card.code);
      expect(good.includes(band), `${card.name} in the first pack: ${band}`);
    }
    // The lists of the first pack are past their date: a status that is not known
    // is not shown as one that is.
    await shiftClock(page, 4 * 24 * hour);
    checks += await never(page, config, "status_old", "four days later");
    await shiftClock(page, 8 * 24 * hour);
    checks += await never(page, config, "not_ready", "after the lease");
    await shiftClock(page, -2 * 24 * hour);
    checks += await never(page, config, "not_ready", "with the clock two days behind");
    await shiftClock(page, 0);

    // The page takes nothing of half an update.
    await bring(page, config, 2, 1);
    await bring(page, config, 1, 2);
    const { state } = await check(page, config.cards.find((c) => c.name === "soon paused").digits, "0123456789");
    expect(state === "unconfirmed", `after half an update: ${state}`);

    await bring(page, config, 2);
    checks += await never(page, config, "second", "with the second pack");
    for (const [lists, envelope] of [[1, 1], [1, 2], [2, 1]]) {
      await bring(page, config, lists, envelope);
      checks += await never(page, config, "second", `after lists ${lists} with envelope ${envelope} were brought`, false);
    }
    // The clock goes back to where the first pack was made, or further.
    await shiftClock(page, -2.5 * hour);
    checks += await never(page, config, "not_ready", "with the clock before the second pack");
    await shiftClock(page, 4 * 24 * hour);
    checks += await never(page, config, "second", "four days later: what a list says against a card stays");

    await page.close();
    page = await open(context, config.madeUp);
    await unlock(page);
    checks += await never(page, config, "second", "after the page was opened anew");
    return `${checks} checks of cards that are withdrawn, paused or replaced, or whose status is not known: none green, none blue`;
  } finally {
    await stop();
  }
}

export async function tabs(config) {
  const { context, stop } = await start();
  await rememberStretches(context);
  try {
    const first = await enrolled(context, config, "tabs-0001");
    const second = await open(context, config.madeUp);
    await unlock(second);
    const paused = config.cards.find((c) => c.name === "soon paused");
    expect((await check(first, paused.digits, paused.code)).state === "unconfirmed", "the first pack is in use");
    // One tab has the card's code asked when the other takes the newer pack.
    await ready(first);
    await first.locator("[data-testid=digits]").fill(paused.digits);
    await at(first, "code");
    await bring(second, config, 2);
    await first.fill("[data-testid=code]", paused.code);
    await press(first, "open");
    await at(first, "result");
    expect((await first.getAttribute("#main [data-state]", "data-state")) === "paused", "a tab goes on with the older pack");
    const checks = (await never(first, config, "second", "in the tab that did not fetch", false)) + (await never(second, config, "second", "in the tab that did"));
    // Neither tab gets back to the older pack.
    await bring(first, config, 1);
    return `${checks + 1 + (await never(second, config, "second", "after the other tab brought the older pack", false))} checks in two tabs, one of them with the older pack: none green, none blue`;
  } finally {
    await stop();
  }
}

/** stored is what the page keeps on the disk, by name. */
const stored = (page) => page.evaluate(async () => {
  const said = { local: JSON.stringify({ ...localStorage }), session: JSON.stringify({ ...sessionStorage }) };
  const db = await new Promise((done, failed) => { const r = indexedDB.open("card-check"); r.onsuccess = () => done(r.result); r.onerror = () => failed(r.error); });
  const ask = (what) => new Promise((done) => { const r = db.transaction("kept").objectStore("kept")[what](); r.onsuccess = () => done(r.result); });
  const [names, values] = [await ask("getAllKeys"), await ask("getAll")];
  db.close();
  const bytes = (b) => Array.from(new Uint8Array(b.buffer ?? b), (n) => n.toString(16).padStart(2, "0")).join("");
  names.forEach((name, i) => { said[name] = JSON.stringify(values[i], (_, v) => (v instanceof ArrayBuffer || ArrayBuffer.isView(v) ? bytes(v) : v)); });
  return said;
});

// The pack is fetched on a timer, and may be another one meanwhile: of when it was fetched
// nothing is kept.
const changed = (before, after) => {
  const members = Object.keys(JSON.parse(after.pack));
  expect(members.every((m) => ["file", "sequence", "seen", "trustKey"].includes(m)), `of the pack is kept ${members}`);
  return Object.keys(after).filter((name) => name !== "pack" && after[name] !== before[name]);
};

/** tells asks whether storage tells of a check more than the hour: a right code leaves
 * nothing, and a wrong one an hour, under a name to which the card's digits do not lead. */
async function tells(page, before, digits, when, what) {
  const after = await stored(page);
  const names = changed(before, after);
  if (when === null) {
    expect(names.length === 0, `${what} changed ${names.join(", ")}`);
    return "";
  }
  expect(names.join() === "tries", `${what} changed ${names.join(", ")}`);
  const [, name, hours] = /^"\{\\"hours\\":\{\\"([0-9a-f]{32})\\":\[([0-9,]+)\]\}\}"$/.exec(after.tries) ?? [];
  expect(name !== undefined, `${what} left ${after.tries}`);
  const hour = (ms) => Math.floor(ms / 3_600_000);
  for (const h of hours.split(",")) expect(Number(h) >= hour(when) && Number(h) <= hour(Date.now()), `${what}: ${h} is no hour in which it was`);
  // Twelve bytes are 29 digits (docs/card.md, Digits and symbol).
  const blocks = digits.match(/.{29}/g).map((b) => Buffer.from(BigInt(b).toString(16).padStart(24, "0"), "hex"));
  for (const of of [Buffer.concat(blocks), Buffer.from(digits)]) {
    for (const label of ["", "safeconduct/tries/1", "safeconduct/tries/2"]) {
      const plain = createHash("sha256").update(label).update(of).digest("hex");
      expect(!JSON.stringify(after).includes(plain.slice(0, 12)), `${what}: the digits lead to what is kept`);
    }
  }
  for (let i = 0; i + 12 <= digits.length; i += 29) expect(!JSON.stringify(after).includes(digits.slice(i, i + 12)), `${what}: digits of the card are kept`);
  return name;
}

/** tries shows that nothing gives wrong codes back, and that what counts them tells of no
 * card and of no minute. */
export async function tries(config) {
  const { context, stop } = await start();
  const { context: elsewhere, stop: stopElsewhere } = await start();
  await rememberStretches(context);
  await rememberStretches(elsewhere);
  try {
    let page = await enrolled(context, config, "tries-0001");
    const { digits, code } = config.cards.find((c) => c.name === "unconfirmed");
    const before = await stored(page);
    const began = Date.now();
    expect((await check(page, digits, code)).state === "unconfirmed", "the right code");
    await tells(page, before, digits, null, "a right code");
    for (let i = 0; i < 3; i++) expect((await check(page, digits, `000000000${i}`)).state === "wrong_code", `wrong code ${i}`);
    const here = await tells(page, before, digits, began, "three wrong codes");
    const counted = await stored(page);
    expect((await check(page, digits, code)).state === "unconfirmed", "the right code after them");
    await tells(page, counted, digits, null, "a right code after wrong ones");
    const second = await enrolled(elsewhere, config, "tries-0002");
    const clean = await stored(second);
    expect((await check(second, digits, "0000000000")).state === "wrong_code", "a wrong code on another device");
    expect((await tells(second, clean, digits, began, "a wrong code on another device")) !== here, "two devices count under one name");
    await page.reload();
    await unlock(page);
    const other = await open(context, config.madeUp);
    await unlock(other);
    expect((await check(other, digits, "0000000003")).state === "wrong_code", "the fourth, in another tab");
    expect((await check(page, digits, "0000000004")).state === "wrong_code", "the fifth");
    expect((await check(page, digits, code)).state === "code_locked", "the right code after five wrong ones");
    expect((await check(other, digits, code)).state === "code_locked", "the other tab");
    await page.reload();
    await unlock(page);
    expect((await check(page, digits, code)).state === "code_locked", "after a reload");
    await shiftClock(page, -30 * 60);
    expect((await check(page, digits, code)).state === "code_locked", "with the clock half an hour behind");
    return "five wrong codes, over a reload and in two tabs, lock the card; neither a reload, another tab nor a clock set back opens it; what is kept says in which hours, under a name of this device's own";
  } finally {
    await stop();
    await stopElsewhere();
  }
}
