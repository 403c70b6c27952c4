// Somebody locks the network with a press; two people open it again, each in a browser
// of their own, on a page that nobody has to sign in to.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { add, handOver, joins, somebody, there } from "./admin.mjs";
import { at, expect, language, press, problems, until } from "./page.mjs";

const answers = async (service, path) => {
  try {
    const answer = await fetch(service + path);
    return { status: answer.status, code: answer.ok ? "" : (await answer.json()).code };
  } catch {
    return { status: 0, code: "" }; // one process has ended, and the next one not begun
  }
};

export async function lock(config) {
  const { service, link } = config.lock;
  const found = [];
  const look = async (page, name) => { for (const problem of await problems(page)) found.push(`${name}: ${problem}`); };
  const [one, two, other] = await Promise.all([1, 2, 3].map(() => somebody("en", "Asia/Bangkok")));
  try {
    await joins(one, link);
    await add(one.page, "operator-2", "operator", "done");
    await joins(two, await handOver(one.page));
    await add(one.page, "auditor-1", "auditor", "done");
    await joins(other, await handOver(one.page));

    // Nobody is asked twice: one press, one touch. It is the auditor who has the time.
    await at(other.page, "home");
    await there(other.page, "lock");
    await look(other.page, "admin-home");
    await other.verified(false);
    await press(other.page, "lock");
    await there(other.page, "trouble");
    expect((await answers(service, "/readyz")).status === 200, "somebody whose hand nobody knows has locked the network");
    await other.verified(true);
    const began = Date.now();
    await press(other.page, "lock");
    await at(other.page, "signin");
    await there(other.page, "unlock");
    await look(other.page, "admin-signin-locked");
    await until(async () => (await answers(service, "/readyz")).code === "locked", "the network is locked");
    const took = Date.now() - began;

    // Whoever was signed in is not, and whoever comes to sign in is led to the page.
    await press(two.page, "again");
    await at(two.page, "signin");
    expect((await two.page.textContent("[data-testid=ended]")).includes("locked"), "the page does not say why");
    for (const path of ["/check", "/pack", "/trust-list"]) expect((await answers(service, path)).status === 200, `${path} is not served`);
    expect((await answers(service, "/api/v1/agencies")).code === "locked", "an agency is read in a locked network");
    await one.page.goto(`${service}/admin`);
    await at(one.page, "locked");
    expect(new URL(one.page.url()).pathname === "/unlock", "the page for signing in leads nowhere");
    await there(one.page, "agree");
    // All that is signed is in words, in every language.
    for (const code of ["ar", "km", "en"]) {
      await language(one.page, code);
      await there(one.page, "agree");
      await one.page.click("summary");
      const places = await one.page.locator("[data-testid=signed] dt").allTextContents();
      expect(places.length === 5 && places.every((place) => place && !/^[a-z_]+(\.[a-z_]+)*$/.test(place)), `what is signed has no words: ${places}`);
      expect(!(await one.page.textContent("[data-testid=signed]")).includes("network.unlock"), "what is done has no words");
      const when = await one.page.locator("[data-testid=signed] dd").nth(3).textContent();
      expect(code === "en" || !/[0-9]/.test(when), `a date has other digits than numbers: ${when}`);
      await look(one.page, `locked, ${code}`);
      if (!config.screens) continue;
      mkdirSync(join(config.screens, code), { recursive: true });
      await one.page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
      writeFileSync(join(config.screens, code, "locked.png"), await one.page.screenshot({ fullPage: true, animations: "disabled" }));
    }

    await there(one.page, "agree");
    await one.verified(false);
    await press(one.page, "agree");
    await until(async () => (await one.page.textContent("[role=alert]")) !== "", "it says that no passkey was used");
    await one.verified(true);
    await press(one.page, "agree");
    await there(one.page, "one");
    await look(one.page, "unlock-one");
    const handed = await one.page.textContent("[data-testid=link]");
    // The same person once more is no second one, and does not lose the link.
    await press(one.page, "next");
    await until(async () => (await one.page.textContent("[role=alert]")).includes("second person"), "it says that it takes another one");
    expect(await one.page.textContent("[data-testid=link]") === handed, "the link is gone");

    // Who only reads the log opens nothing, and the second may be anywhere.
    for (const [who, opens] of [[other, false], [two, true]]) {
      // One opens it where she has the page already, the other anywhere.
      await who.page.goto(opens ? `${service}/unlock` : "about:blank");
      if (opens) await there(who.page, "agree");
      await who.page.goto(handed);
      await until(async () => (await who.page.evaluate(() => document.body.innerText)).includes("You are the second"), "it says who is the second");
      await there(who.page, "agree");
      expect(!who.page.url().includes("#"), "what the first has signed stays in the address");
      await press(who.page, "agree");
      if (opens) await there(who.page, "opened");
      else await until(async () => (await who.page.textContent("[role=alert]")).includes("second person"), "an auditor is no second person");
    }
    await look(two.page, "unlock-opened");
    await until(async () => (await answers(service, "/readyz")).status === 200, "the network is open again");

    await two.page.goto(`${service}/unlock`);
    await there(two.page, "opened"); // it is not locked
    await two.page.goto(`${service}/admin`);
    await at(two.page, "signin"); // the session of before is over
    await press(two.page, "signin");
    await at(two.page, "home");
    for (const { page } of [one, two, other]) expect(page.problems.length === 0, `the page complains: ${page.problems.join("; ")}`);
    expect(found.length === 0, `axe-core and the width of the screen:\n  ${found.join("\n  ")}`);
    return `an auditor locks the network with one press, closed after ${(took / 1000).toFixed(1)} s; two people open it again in two browsers`;
  } catch (e) {
    const pages = await Promise.all([one, two, other].map(async ({ page }) => `${page.url()}: ${(await page.evaluate(() => document.body.innerText).catch(() => "")).slice(0, 400)}`));
    throw new Error(`${e.stack}\n${found.join("\n")}\n${pages.join("\n--\n")}`);
  } finally {
    await Promise.all([one, two, other].map(({ stop }) => stop()));
  }
}
