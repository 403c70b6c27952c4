// A browser that is no device: it learns nothing, asks nothing, and keeps
// nothing.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { start } from "./chromium.mjs";
import { slowLine } from "./line.mjs";
import { at, expect, open, parts, patience, picture, press, screen, show, until } from "./page.mjs";

/** stranger shows everything there is to a page without a device. */
export async function stranger(config) {
  const { context, stop } = await start();
  try {
    const page = await open(context, config.service);
    // What the service worker answers from the disk goes nowhere; what it fetches
    // itself is in this log, too.
    const requests = [];
    context.on("request", async (r) => {
      const answer = await r.response().catch(() => null);
      if (!answer?.fromServiceWorker()) requests.push(r.url());
    });
    const digits = () => Array.from({ length: 667 }, () => Math.floor(10 * Math.random())).join("");
    const shown = [
      ...config.demo.cards.map((c) => c.digits), ...config.cards.slice(0, 6).map((c) => c.digits),
      ...Array.from({ length: 8 }, digits), "0".repeat(667), "9".repeat(667), digits().slice(1), digits() + "0",
      "https://example.org/", "http://192.0.2.1/check", "HC1:6BFOXN%TS3DH0YOJ58S S-W5HDC *M0II5XHC9B5G2+$N IOP-IA%NFQGRJPC%OQHIZC4.OI:OI",
      "shc:/5676290952432060346029243740446031222959532654603460292540772804336028702864716745222809286133314564376531415906402203064504590856435503414245413640370636654171372412363803043756220467374075323239254334433260573601064137333912707426350769625364643945753638652852454535422237213876065244343160345309240950", "openid4vp://?request_uri=x",
      "BEGIN:VCARD\nFN:Somebody\nEND:VCARD", "WIFI:S:gate;T:WPA;P:secret;;", "eyJhbGciOiJFUzI1NiJ9.e30.AA~", "DC03FR000001", "I<UTOD231458907", " ", "٠١٢٣٤٥٦٧٨٩", "card", "\u202Eabc",
      ...config.demo.cards.slice(0, 4).map((c) => ({ file: join(config.folder, c.png) })),
    ].filter((s) => typeof s !== "string" || s.trim());
    const answers = new Set();
    const before = page.url();
    for (const one of shown) {
      await press(page, "scan");
      await at(page, "scan");
      if (typeof one === "string") await show(page, one);
      else await picture(page, { name: "card.png", mimeType: "image/png", buffer: readFileSync(one.file) });
      expect((await screen(page)) === "neutral", `another screen than for the rest: ${await screen(page)}`);
      // Names that only tie a label to its field are drawn anew for every screen.
      answers.add(await page.evaluate(() => document.body.innerHTML.replace(/field-[0-9a-f-]{36}/g, "field")));
      await page.locator("main .actions button").last().click();
      await at(page, "start");
    }
    expect(shown.length >= 40, `only ${shown.length} inputs`);
    expect(answers.size === 1, `${answers.size} different answers`);
    await page.waitForTimeout(300);
    expect(requests.length === 0, `requests: ${requests.join(", ")}`);
    expect(page.url() === before && (await page.title()) === "Card check", "the address or the title changed");
    return `${shown.length} cards, certificates, addresses and random digits: one and the same screen to the byte, and no request`;
  } finally {
    await stop();
  }
}

/** firstVisit loads the page over a slow line that breaks in the middle. */
export async function firstVisit(config) {
  const { context, stop } = await start();
  const line = await slowLine(config.service, 400);
  try {
    const { items, bytes } = await (await fetch(`${config.service}/check/parts.json`)).json();
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    const began = Date.now();
    await page.goto(`${line.address}/check`);
    await page.waitForSelector("[data-testid=download]");
    const firstSeen = Date.now() - began;
    const percent = () => page.evaluate(() => document.querySelector("[data-testid=download]")?.value ?? 100);
    const steps = new Set();
    await until(async () => steps.add(await percent()).size > 2, "the bar moves");
    // The whole takes a minute at 400 kbit/s; the timed test only begins so.
    if (!config.long) line.kbit = 4000;
    await until(async () => steps.add(await percent()) && (await percent()) >= 50, "half of it");
    line.broken = true;
    await until(async () => /\d/.test(await page.textContent("#statusbar")) && (await parts(page)).length > 0, "the strip says how far it came");
    await page.waitForTimeout(500);
    const kept = await parts(page);
    expect(kept.length < items.length, "all was here before the line broke");
    const before = line.log.length;
    line.broken = false;
    await page.reload();
    await until(async () => (await parts(page)).length >= items.length, "the rest arrives", 180_000);
    await page.waitForFunction(() => !document.querySelector("[data-testid=download]"));
    const twice = line.log.slice(before).filter((path) => kept.includes(path));
    expect(twice.length === 0, `fetched again although they were there: ${twice.join(", ")}`);
    return `${Math.round(bytes / 1024)} KiB in ${items.length} parts; ${Math.round(line.bytes / 1024)} KiB came over the line, broken once; the bar is there after ${firstSeen} ms at 400 kbit/s` +
      ` and stood at ${steps.size} values; ${kept.length} parts were there at the break and none was fetched again${config.long ? `; ${Math.round((Date.now() - began) / 1000)} s in all at 400 kbit/s` : ""}`;
  } finally {
    line.close();
    await stop();
  }
}
