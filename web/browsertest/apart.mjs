// A browser that is no device: it learns nothing, asks nothing, and keeps
// nothing.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { start } from "./chromium.mjs";
import { at, expect, open, picture, press, screen, show } from "./page.mjs";

/** stranger shows everything there is to a page without a device. */
export async function stranger(config) {
  const { context, stop } = await start();
  try {
    const page = await open(context, config.service);
    const requests = [];
    context.on("request", (r) => requests.push(r.url()));
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
  try {
    const { items, bytes } = await (await fetch(`${config.service}/check/parts.json`)).json();
    const page = await context.newPage();
    const network = await context.newCDPSession(page);
    await network.send("Network.enable");
    const line = (offline, kbit) => network.send("Network.emulateNetworkConditions", { offline, latency: 100, downloadThroughput: (kbit * 1000) / 8, uploadThroughput: (kbit * 1000) / 8 });
    const asked = new Map();
    network.on("Network.responseReceived", ({ response }) => {
      const path = new URL(response.url).pathname;
      if (items.some((i) => i.path === path) && !response.fromServiceWorker && !response.fromDiskCache) asked.set(path, (asked.get(path) ?? 0) + 1);
    });
    let arrived = 0;
    network.on("Network.loadingFinished", ({ encodedDataLength }) => { arrived += encodedDataLength; });
    const percent = () => page.evaluate(() => document.querySelector("[data-testid=download]")?.value ?? null);
    const have = () => page.evaluate(async () => (await (await caches.open("card-check-parts")).keys()).map((r) => new URL(r.url).pathname));

    // The whole takes a minute at 400 kbit/s; the timed test only begins so.
    await line(false, 400);
    const began = Date.now();
    await page.goto(`${config.service}/check`);
    await page.waitForSelector("[data-testid=download]");
    const firstSeen = Date.now() - began;
    const steps = new Set();
    while (steps.size < 3) {
      steps.add(await percent());
      await page.waitForTimeout(250);
    }
    if (!config.long) await line(false, 4000);
    while ((await percent()) < 50) {
      steps.add(await percent());
      await page.waitForTimeout(100);
    }
    await line(true, 0);
    await page.waitForTimeout(1000);
    const kept = await have();
    expect(kept.length > 0 && kept.length < items.length, `${kept.length} of ${items.length} parts at the break`);
    const stopped = await page.textContent("#strip");
    await line(false, config.long ? 400 : 4000);
    await page.reload();
    await page.waitForFunction(async (n) => (await (await caches.open("card-check-parts")).keys()).length >= n, items.length, { timeout: 180_000 });
    const twice = kept.filter((path) => asked.get(path) > 1);
    expect(twice.length === 0, `fetched again although they were there: ${twice.join(", ")}`);
    await page.waitForFunction(() => !document.querySelector("[data-testid=download]"));
    const seconds = Math.round((Date.now() - began) / 1000);
    return `${Math.round(bytes / 1024)} KiB in ${items.length} parts, ${Math.round(arrived / 1024)} KiB came over the line; progress after ${firstSeen} ms at 400 kbit/s` +
      `; ${kept.length} parts were there at the break and none was fetched again${config.long ? `; ${seconds} s in all at 400 kbit/s` : ""}${stopped ? "" : ""}`;
  } finally {
    await stop();
  }
}
