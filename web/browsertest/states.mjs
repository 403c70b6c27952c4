// Every screen and every state, in three languages, at 320 px. axe-core looks at
// each with text at 200 %, and a picture is taken of it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { start } from "./chromium.mjs";
import { approved, at, check, enrolWithPIN, expect, language, open, press, problems, ready, result, screen, show, symbols, type, unlock } from "./page.mjs";
import { rememberStretches, stretchAnew } from "./stretches.mjs";

// Each on a device in another part of the world: a day is the same day in all.
export const english = (config) => inLanguage(config, "en", "America/Mexico_City");
export const arabic = (config) => inLanguage(config, "ar", "Africa/Cairo");
export const khmer = (config) => inLanguage(config, "km", "Asia/Phnom_Penh");

const all = [
  "confirmed", "unconfirmed", "status_old", "not_yet_in_use", "expired", "paused", "replaced", "out_of_use", "issuer_unknown",
  "does_not_match", "code_not_given", "wrong_code", "code_locked", "not_ours", "unreadable", "newer_version", "not_ready",
];

// dayIn is a day as the page has to write it: Chromium has words for all of these
// languages but Khmer, and digits are those of the catalogue.
const dayIn = ({ language, digits }, day) =>
  (language === "km" ? day : new Intl.DateTimeFormat(language, { dateStyle: "long", calendar: "gregory", numberingSystem: "latn", timeZone: "UTC" }).format(new Date(day)))
    .replace(/[0-9]/g, (d) => digits[d]);

async function inLanguage(config, code, timezoneId) {
  const { context, stop } = await start({ timezoneId });
  await rememberStretches(context);
  const found = [];
  const seen = new Set();
  const catalogue = JSON.parse(readFileSync(join(import.meta.dirname, "../catalogues", `${code}.json`), "utf8"));
  const words = (id) => catalogue.messages[id].text;
  try {
    // No card of version 1 is of a newer version. So the answer of the verifier is
    // changed on its way, and the page shows what it would show then.
    await context.addInitScript(() => {
      const listen = Worker.prototype.addEventListener;
      Worker.prototype.addEventListener = function (kind, listener, ...more) {
        return listen.call(this, kind, kind !== "message" ? listener : (event) => {
          if (sessionStorage.getItem("newer") && event.data?.result?.verdict?.state === "not_ours") event.data.result.verdict.state = "newer_version";
          listener(event);
        }, ...more);
      };
    });
    let page;
    const look = async (name) => {
      const was = await screen(page);
      await page.evaluate(() => document.querySelector("[data-testid=keep-open]")?.click());
      for (const problem of await problems(page)) found.push(`${code} ${name}: ${problem}`);
      expect((await screen(page)) === was, `${name} went away while it was looked at`);
      if (config.screens) {
        mkdirSync(join(config.screens, code), { recursive: true });
        await page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
        writeFileSync(join(config.screens, code, `${name}.png`), await page.screenshot({ fullPage: true, animations: "disabled" }));
      }
      seen.add(name);
    };
    const state = async (shown, given, want, lastDay = "") => {
      const { state, text } = await check(page, shown, given);
      expect(state === want, `a card shows ${state}, want ${want}`);
      expect(text.length > 40, `${want} says nothing`);
      const last = lastDay && dayIn(catalogue, lastDay);
      expect(!text.includes(words("record.last_day")) || text.includes(last), `the last day of a card is not ${last}: ${text}`);
      if (!seen.has(`state-${want}`)) await look(`state-${want}`);
    };

    page = await open(context, config.madeUp);
    if (code !== "en") await language(page, code);
    await look("start");
    await press(page, "scan");
    await at(page, "scan");
    await look("scan");
    await show(page, "x");
    await at(page, "neutral");
    await look("neutral");
    await page.close();

    page = await open(context, config.madeUp, { hash: `#invite=sci_nobody-approves-${code}` });
    await at(page, "invite");
    await look("invite");
    await enrolWithPIN(page);
    await symbols(page);
    await look("waiting");
    await fetch(`${config.madeUp}/made-up/approve?invitation=sci_nobody-approves-${code}`, { method: "POST" });
    await approved(page);
    await look("ready");

    const card = (name) => config.cards.find((c) => c.name === name);
    for (const c of config.cards.filter((c) => !c.name.startsWith("soon") && c.name !== "to be locked")) await state(c.digits, c.code, c.first, c.lastDay);
    const locked = card("to be locked");
    await ready(page);
    await show(page, locked.digits);
    await look("code");
    await press(page, "no-code");
    await at(page, "result");
    await look("state-code_not_given");
    await state(locked.digits, "9999999999", "wrong_code");
    for (let i = 0; i < 3; i++) await state(locked.digits, `999999999${i}`, "wrong_code");
    // The progress screen is there for as long as the code is stretched.
    await stretchAnew(page);
    await ready(page);
    await show(page, locked.digits);
    await page.fill("[data-testid=code]", "9999999998");
    await press(page, "open");
    await at(page, "progress");
    await at(page, "result");
    expect((await result(page)).state === "wrong_code", "the fifth wrong code");
    await state(locked.digits, locked.code, "code_locked");
    await state("https://example.org/not-a-card", null, "not_ours");
    await state({ name: "blank.png", mimeType: "image/png", buffer: Buffer.from(config.blankPNG, "base64") }, null, "unreadable");
    await page.evaluate(() => sessionStorage.setItem("newer", "1"));
    await state("https://example.org/newer", null, "newer_version");
    await page.evaluate(() => sessionStorage.removeItem("newer"));

    await ready(page);
    await page.locator("main .actions button").last().click();
    await at(page, "device");
    await look("device");
    await press(page, "selftest");
    await page.waitForFunction((ends) => ends.some((end) => document.querySelector("main .note")?.textContent.includes(end)), [words("selftest.good"), words("selftest.bad")]);
    expect((await page.textContent("main .note")).includes(words("selftest.good")), "the self-test finds a problem");
    await look("selftest");
    await page.locator("main .actions button").last().click();
    await at(page, "device");
    await press(page, "lock");
    await at(page, "unlock");
    await look("unlock");
    await unlock(page);

    for (const s of all) expect(seen.has(`state-${s}`), `${s} was never seen`);
    expect(page.problems.length === 0, `the page complains: ${page.problems.join("; ")}`);
    expect(found.length === 0, `axe-core and the width of the screen:\n  ${found.join("\n  ")}`);
    return `${seen.size} screens, of which ${all.length} states; axe-core finds nothing at 320 px and 200 % text`;
  } finally {
    await stop();
  }
}
