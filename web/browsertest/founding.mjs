// The first minutes of a network, counted; and its people before two replicas, of
// which each answers every other request.
import { add, answers, decide, handOver, joins, settle, somebody, standing, there, to } from "./admin.mjs";
import { startAlone } from "./chromium.mjs";
import { at, enrolWithPIN, expect, press, symbols } from "./page.mjs";

/** firstMinutes begins with the link that init prints, and ends with an agency, an
 * officer and a device that is let in. An action is a link that somebody opens, a
 * button that somebody presses, or a form that somebody fills in and sends. */
export async function firstMinutes(config) {
  const { service, link, key } = config.founding;
  const resolve = `MAP ${new URL(service).hostname} 127.0.0.1`;
  const begin = () => startAlone({ args: [`--host-resolver-rules=${resolve}`, `--ignore-certificate-errors-spki-list=${key}`] });
  const [admin, second] = await Promise.all([1, 2].map(() => somebody("en", "Asia/Bangkok", begin)));
  let actions = 0;
  const opens = (page, link) => { actions++; return page.goto(link); };
  const presses = (page, id) => { actions++; return press(page, id); };
  const goes = async (page, id, screen) => { await presses(page, id); await at(page, screen); };
  const sends = async (page, fields, button = "send") => {
    for (const [id, value] of Object.entries(fields)) {
      const field = page.locator(`[data-testid=${id}]`);
      if (value === true) await field.check();
      else if ((await field.evaluate((e) => e.tagName)) === "SELECT") await field.selectOption(value);
      else await field.fill(value);
    }
    await presses(page, button);
  };
  const agrees = async (page, state = "done") => { await at(page, "asked"); await presses(page, "agree"); await standing(page, state); };
  const joinsBy = async (page, link) => {
    await opens(page, link);
    await there(page, "make");
    await presses(page, "make");
    await there(page, "join");
    await presses(page, "join");
    await at(page, "home");
  };
  const pages = [admin.page, second.page];
  try {
    const began = performance.now();
    await joinsBy(admin.page, link);

    // The agency, and her who is its officer and answers for it.
    await goes(admin.page, "to-agencies", "agencies");
    await goes(admin.page, "add", "agency-new");
    await sends(admin.page, { name: "Made-up Border Post", class: "ImmigrationService", country: "utp", desk: "+00 11 222 333" });
    await agrees(admin.page);
    await goes(admin.page, "left", "agency");
    await goes(admin.page, "to-person-new", "person-new");
    await sends(admin.page, { handle: "desk-1", "roles-officer": true, "roles-admin": true });
    await agrees(admin.page);
    const hers = await admin.page.textContent("[data-testid=once]");
    await goes(admin.page, "passed", "people");
    await joinsBy(second.page, hers);

    // Her device, which is let in by the signs that she reads out.
    await goes(second.page, "to-devices", "devices");
    await goes(second.page, "add", "device-new");
    await sends(second.page, { label: "gate-1" });
    const invitation = await there(second.page, "once").then((e) => e.textContent());
    const device = await second.context.newPage();
    pages.push(device);
    device.setDefaultTimeout(120_000);
    await opens(device, invitation);
    actions++; // its PIN, twice, and its button
    await enrolWithPIN(device);
    const six = await symbols(device);
    await goes(admin.page, "back", "home");
    await goes(admin.page, "to-devices", "devices");
    await admin.page.waitForSelector("[data-testid=devices] a");
    actions++;
    await admin.page.click("[data-testid=devices] a");
    await there(admin.page, "symbols");
    await sends(admin.page, { symbols: six });
    await agrees(admin.page);
    await at(device, "ready"); // it asks by itself
    const seconds = Math.round((performance.now() - began) / 1000);
    expect(actions <= 25, `two people needed ${actions} actions`);
    for (const { page } of [admin, second]) expect(page.problems.length === 0, `the page complains: ${page.problems.join("; ")}`);
    return `from the printed link to an agency with an officer and an approved device: ${actions} actions of two people, ${seconds} s`;
  } catch (e) {
    const said = await Promise.all(pages.map(async (page) => `${page.url().split("#")[0]}: ${(await page.evaluate(() => document.body.innerText).catch(() => "")).slice(0, 400)}`));
    throw new Error(`${e.stack}\n${actions} actions\n${said.join("\n--\n")}`);
  } finally {
    await Promise.all([admin, second].map(({ stop }) => stop()));
  }
}

/** twoReplicas founds a network, signs in, agrees, loses a passkey, recovers and signs
 * out everywhere, while each request goes to the other replica than the one before. */
export async function twoReplicas(config) {
  const { service, link } = config.replicas;
  const [one, two, three] = await Promise.all([1, 2, 3].map(() => somebody("en", "Asia/Bangkok")));
  const signsIn = async ({ page }) => { await at(page, "signin"); await press(page, "signin"); };
  try {
    // The founding, and its end.
    await joins(one, link);
    await add(one.page, "operator-2", "operator", "done");
    await joins(two, await handOver(one.page));
    await to(one.page, "founding");
    await press(one.page, "close");
    await decide(one.page, "waits");
    await press(one.page, "left");
    await answers(two, "agree", "done");

    // An approval: what one asks at one replica, the other agrees to at the other.
    await add(one.page, "operator-3", "operator", "waits");
    const third = await handOver(one.page);
    await three.page.goto(third);
    await there(three.page, "trouble"); // nobody else has agreed yet
    await answers(two, "agree", "done");
    await joins(three, third);

    // Signing out and in.
    await press(three.page, "signout");
    await signsIn(three);
    await at(three.page, "home");

    // A passkey is lost: two replace it, and the old one opens nothing at either.
    await to(one.page, "people");
    await one.page.click("[data-testid=people] a >> text=operator-3");
    await at(one.page, "person");
    await press(one.page, "recover");
    await decide(one.page, "waits");
    const anew = await handOver(one.page);
    await answers(two, "agree", "done");
    for (let i = 0; i < 2; i++) {
      await three.page.goto(`${service}/admin`);
      await three.page.reload();
      await signsIn(three);
      await there(three.page, "trouble");
    }
    await joins(three, anew);

    // Signing out everywhere ends her session at both.
    await to(one.page, "people");
    await one.page.click("[data-testid=people] a >> text=operator-2");
    await at(one.page, "person");
    await press(one.page, "out");
    await settle(one, three);
    for (let i = 0; i < 3; i++) {
      await two.page.reload();
      await at(two.page, "signin");
    }
    await signsIn(two);
    await at(two.page, "home");
    const met = await (await fetch(`${service}/made-up/met`)).json();
    expect(met.every((n) => n > 30), `the replicas answered ${met} requests`);
    for (const { page } of [one, two, three]) expect(page.problems.length === 0, `the page complains: ${page.problems.join("; ")}`);
    return `founding, sign-in, approval, loss, recovery and sign out everywhere before two replicas, which answered ${met.join(" and ")} requests`;
  } catch (e) {
    const said = await Promise.all([one, two, three].map(async ({ page }) => `${page.url().split("#")[0]}: ${(await page.evaluate(() => document.body.innerText).catch(() => "")).slice(0, 400)}`));
    throw new Error(`${e.stack}\n${said.join("\n--\n")}`);
  } finally {
    await Promise.all([one, two, three].map(({ stop }) => stop()));
  }
}
