// The people of a network, each with a browser and a passkey of their own: they join
// by a link, ask, agree, say no, lose a passkey, and sign out. Every screen is looked
// at as those of the other page are.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "./chromium.mjs";
import { at, enrolWithPIN, expect, open, patience, press, problems, symbols, until } from "./page.mjs";

export const adminEnglish = (config) => authority(config, "en", "America/Mexico_City");
export const adminArabic = (config) => authority(config, "ar", "Africa/Cairo");
export const adminKhmer = (config) => authority(config, "km", "Asia/Phnom_Penh");

const whole = (code) => JSON.parse(readFileSync(join(import.meta.dirname, "../catalogues", `${code}.json`), "utf8"));
const catalogue = (code) => whole(code).messages;
const english = catalogue("en");

// drawn are the screens of which docs/screens has a picture.
const drawn = ["signin", "join", "home", "request", "person-new", "once", "agency-change", "notices", "alarms-all"].map((name) => `admin-${name}`);

/** Somebody is a person with a browser, whose passkeys are on one device. */
export async function somebody(code, timezoneId, begin = () => start({ timezoneId })) {
  const { context, stop } = await begin();
  await context.addInitScript((code) => { try { localStorage.setItem("language", code); } catch { /* no page yet */ } }, code);
  await context.grantPermissions(["clipboard-write"]);
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.problems = [];
  page.on("pageerror", (e) => page.problems.push(String(e)));
  page.on("console", (m) => { if (m.type() === "error" && !/Failed to load resource/.test(m.text())) page.problems.push(m.text()); });
  const cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const device = (transport) => cdp.send("WebAuthn.addVirtualAuthenticator", { options: {
    protocol: "ctap2", ctap2Version: "ctap2_1", transport, hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true,
  } });
  const { authenticatorId } = await device("internal");
  const verified = (isUserVerified) => cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified });
  return {
    context, page, stop, verified,
    // another is a second device, which is at hand until it is put aside again.
    another: async () => {
      const { authenticatorId } = await device("usb");
      return { aside: () => cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled: false }) };
    },
  };
}

export const there = (page, id) => page.waitForSelector(`[data-testid=${id}]`);
export const standing = (page, state) => page.waitForSelector(`[data-testid=standing][data-state=${state}]`);

/** joins opens a link and joins with a new passkey. */
export async function joins({ page }, link, look = async () => {}) {
  await page.goto("about:blank");
  await page.goto(link);
  await there(page, "make");
  expect(!page.url().includes("#"), "the secret of the link stays in the address");
  await look(page, "admin-join");
  await press(page, "make");
  await at(page, "join-sign");
  await there(page, "join");
  await look(page, "admin-join-sign");
  await press(page, "join");
  await at(page, "home");
  await there(page, "again");
}

/** to goes to a part of the page from its first screen. */
export async function to(page, part) {
  await page.goto(`${new URL(page.url()).origin}/admin#home`);
  await at(page, "home");
  await press(page, `to-${part}`);
  await at(page, part);
}

/** decide agrees to what was just asked for, and hands over what is shown once. */
export async function decide(page, state, look = async () => {}) {
  await at(page, "asked");
  await look(page, "admin-asked");
  await press(page, "agree");
  await standing(page, state);
}

export async function handOver(page, look = async () => {}) {
  const link = await page.textContent("[data-testid=once]");
  await look(page, "admin-once");
  await press(page, "passed");
  return link;
}

/** add asks to take somebody in. */
export async function add(page, handle, role, state, look) {
  await to(page, "people");
  await press(page, "add");
  await at(page, "person-new");
  await page.fill("[data-testid=handle]", handle);
  await page.check(`[data-testid=roles-${role}]`);
  await press(page, "send");
  await decide(page, state, look);
}

/** answers finds the one request that waits for somebody, and decides it. */
export async function answers({ page }, how, state, look = async () => {}) {
  await page.goto(`${new URL(page.url()).origin}/admin#home`);
  await at(page, "home");
  await press(page, "again");
  await page.waitForSelector("[data-testid=mine] a");
  await look(page, "admin-home");
  await page.click("[data-testid=mine] a");
  await at(page, "request");
  await there(page, how);
  await look(page, "admin-request");
  await press(page, how);
  await standing(page, state);
  await press(page, "left");
  await at(page, "home");
}

/** opens has somebody open the one request that waits for her. */
async function opens({ page }) {
  await page.goto(`${new URL(page.url()).origin}/admin#home`);
  await at(page, "home");
  await press(page, "again");
  await page.click("[data-testid=mine] a");
  await at(page, "request");
  await there(page, "agree");
}

/** says waits until a screen says what went wrong, in these words. */
const says = (page, words) => page.waitForFunction((words) => document.querySelector("[data-testid=trouble]")?.textContent.includes(words), words);

/** settle agrees to what was just asked for, and has a second person agree if that is
 * not enough. */
export async function settle({ page }, other) {
  await at(page, "asked");
  await press(page, "agree");
  const state = await (await there(page, "standing")).getAttribute("data-state");
  await press(page, "left");
  if (state === "waits") await answers(other, "agree", "done");
}

/** agency admits an agency, and invites a device of it. */
async function agency(one, two, look) {
  await to(one.page, "agencies");
  await press(one.page, "add");
  await at(one.page, "agency-new");
  await look(one.page, "admin-agency-new");
  await one.page.fill("[data-testid=name]", "Made-up Border Post");
  await one.page.selectOption("[data-testid=class]", "ImmigrationService");
  await one.page.fill("[data-testid=country]", "utp");
  await one.page.fill("[data-testid=desk]", "+00 11 222 333");
  await press(one.page, "send");
  await settle(one, two);
  await to(one.page, "agencies");
  await one.page.waitForSelector("[data-testid=agencies] li");
  await one.page.click("[data-testid=agencies] a");
  await there(one.page, "suspend");
  await look(one.page, "admin-agency");
  const id = one.page.url().split("/").at(-1);

  // What it may sign is changed, and each of the other forms says what it lacks.
  await press(one.page, "to-agency-change");
  await at(one.page, "agency-change");
  await there(one.page, "send");
  await look(one.page, "admin-agency-change");
  await one.page.fill("[data-testid=desk]", "+00 11 222 444");
  await press(one.page, "send");
  await settle(one, two);
  // Two replace the key for packs, and the list names both.
  await to(one.page, "signing");
  await there(one.page, "change-pack");
  await look(one.page, "admin-signing");
  await press(one.page, "change-pack");
  await settle(one, two);
  await to(one.page, "signing");
  await one.page.waitForSelector("[data-use=pack] >> nth=1");
  await look(one.page, "admin-signing-two");

  for (const form of ["agency-partner", "agency-quota", "agency-compromised"]) {
    await one.page.goto(`${new URL(one.page.url()).origin}/admin#${form}/${id}`);
    await at(one.page, form);
    await there(one.page, "send");
    if (form !== "agency-partner") {
      await press(one.page, "send");
      await there(one.page, "trouble");
    }
    await look(one.page, `admin-${form}`);
  }

  await to(one.page, "devices");
  await one.page.selectOption("[data-testid=whose]", { label: "Made-up Border Post" });
  await press(one.page, "add");
  await at(one.page, "device-new");
  await one.page.fill("[data-testid=label]", "gate-1");
  await press(one.page, "send");
  await there(one.page, "once");
  await look(one.page, "admin-device-new");
  const link = await handOver(one.page);
  await at(one.page, "devices");
  return link;
}

/** device lets an invited device in by the signs that it shows, and takes it out again. */
async function device({ context }, service, link, one, two, look) {
  const shown = await open(context, service, { hash: new URL(link).hash });
  await enrolWithPIN(shown);
  const six = await symbols(shown);
  const list = async ({ page }) => {
    await to(page, "devices");
    await page.waitForSelector("[data-testid=devices] a");
    await look(page, "admin-devices");
    await page.click("[data-testid=devices] a");
    await at(page, "device");
    await there(page, "revoke");
  };
  await list(one);
  expect((await one.page.locator("[data-testid=symbols]").count()) === 0, "whoever invited a device is asked to let it in");
  await list(two);
  await look(two.page, "admin-device");
  await press(two.page, "send");
  await there(two.page, "trouble");
  await two.page.fill("[data-testid=symbols]", six.replace(/./, (sign) => (sign === "A" ? "B" : "A")));
  await press(two.page, "send");
  await two.page.waitForFunction((words) => document.querySelector("[data-testid=trouble]")?.textContent.includes(words), english["admin.problem.symbols_differ"].text);
  await two.page.fill("[data-testid=symbols]", six);
  await press(two.page, "send");
  await settle(two, one);
  await at(shown, "ready"); // it asks by itself, every few seconds
  await list(two);
  await press(two.page, "revoke");
  await settle(two, one);
  await shown.close();
}

// What a demonstration never has, because nothing waits there and nothing goes wrong.
const soon = new Date(Date.now() + 20 * 3600_000).toISOString();
const hex = (digit) => digit.repeat(32);
const lines = (act, more) => [["do", act], ["agency", ""], ["by", hex("1")], ["expires", soon], ...more].map(([at, value]) => ({ at, value }));
const leaves = (at, value) => (typeof value === "object" ? Object.entries(value).flatMap(([name, inner]) => leaves(`${at}.${name}`, inner)) : [[at, String(value)]]);
const alarms = [
  { code: "signer_away" }, { code: "roster_mismatch" }, { code: "rows_mismatch" }, { code: "log_stopped" }, { code: "publishing_stopped", since: "2026-11-29T05:00:00Z" },
  { code: "quota_exceeded", agency: hex("2"), since: "2026-11-28T00:00:00Z" }, { code: "look_ups", agency: hex("2"), count: 31 },
  { code: "changes_waiting", count: 2, until: soon }, { code: "founding_open", until: soon }, { code: "founding_reopened", since: "2026-11-28T00:00:00Z", until: soon },
];

/** madeUp looks at screens with answers that nobody gave: changes that can be stopped,
 * every alarm, a decision with all that it says, and what an embassy agrees to. */
async function madeUp(page, service, look, words, digits) {
  const answer = (path, body) => page.route(`**/api/v1/${path}`, (route) => route.fulfill({ json: body }));
  const decision = JSON.parse(readFileSync(join(import.meta.dirname, "../../claims/testdata/screening-everything.json"), "utf8"));
  await answer("changes", { changes: [1, 2, 3, 4].map((n) => ({
    change: n, do: "agency.admit", agency: "", lines: lines("agency.admit", [["what.id", hex(String(n))], ["what.name", `Made-up House ${n}`]]), counts: soon, agreed: [hex("1"), hex("f")], mine: true,
    who: [{ id: hex("1"), agency: "", agreed: true }, { id: hex("f"), agency: "", agreed: true }],
  })) });
  await answer("alarms", { alarms });
  const spent = {
    id: hex("b"), do: "agency.suspend", agency: hex("2"), state: "ask_again", expires: soon, people: 2, apart: true, delayed: false, agreed: [hex("1")], mine: false,
    lines: lines("agency.suspend", [["what.id", hex("2")]]),
  };
  await answer("agencies", { agencies: [["2", "Made-up Border Post", "ImmigrationService"], ["4", "Made-up Embassy", "x_DiplomaticMission"]].map(([digit, name, of]) => ({
    id: hex(digit), name, class: of, country: "UTP", desk: "+00 11", since: "2026-03-01", symbols: "ABCDEF", signs: { kinds: [] }, state: "active",
  })) });
  await answer("requests", { requests: [spent] });
  await answer(`requests/${hex("b")}`, spent);
  await answer(`requests/${hex("a")}`, {
    id: hex("a"), do: "attestation.issue", agency: hex("2"), state: "waits", expires: soon, people: 2, apart: false, delayed: false, agreed: [hex("1")], mine: false,
    who: [{ id: hex("1"), agency: hex("2"), handle: "desk-1", agreed: true }, { id: hex("3"), agency: hex("2"), handle: "desk-2", agreed: false }], others: 2,
    lines: lines("attestation.issue", [["what.case", hex("c")], ["what.kind", "screening"], ["what.level", "formal_identification"], ["what.order", "AAAA"],
      ["order.kind", "screening"], ["order.valid_until", "0"], ["order.salt", "AAAA"], ...leaves("order.claims", decision)]),
  });
  await page.goto(`${service}/admin#home`);
  await at(page, "home");
  await there(page, "stoppable");
  await there(page, "to-look-at");
  await look(page, "admin-notices");
  expect((await page.locator("[data-testid=stoppable] li").count()) === 3, "the first screen names another number of changes than three");
  const shown = await page.locator("[data-testid=stoppable] .hint bdi").allTextContents();
  expect(digits === "0123456789" || shown.every((text) => !/[0-9]/.test(text)), `dates have other digits than numbers: ${shown}`);
  expect((await page.textContent("[data-testid=others]")).includes(words["admin.request.again"].text), "nobody is told that a request has to be asked for again");
  await page.click("[data-testid=others] a");
  await standing(page, "ask_again");
  await there(page, "no");
  expect((await page.locator("[data-testid=agree]").count()) === 0, "a yes is asked for that could not be the last");
  expect((await page.locator("[data-testid=stoppable] li").count()) === 1, "another screen names more changes than one");
  await look(page, "admin-ask-again");
  await page.goto(`${service}/admin#home`);
  await at(page, "home");
  await press(page, "to-alarms");
  await page.waitForSelector("[data-testid=alarm] >> nth=9");
  await look(page, "admin-alarms-all");
  // Who made a change is said by agency to whoever may not list them, and a device that
  // waits stands on the first screen.
  await answer("sessions/self", { id: hex("5"), agency: hex("2"), agency_name: "Made-up Border Post", roles: ["admin"], handle: "desk-5", network: "Made-up network", demo: true, signed_in: soon, keys: [] });
  await page.route("**/api/v1/{people,programs}*", (route) => route.fulfill({ json: { people: [], programs: [] } }));
  await page.route("**/api/v1/devices*", (route) => route.fulfill({ json: { devices: [
    { id: hex("7"), agency: hex("2"), label: "gate-7", state: "pending", invited_by: hex("6") }, { id: hex("8"), agency: hex("2"), label: "gate-8", state: "pending", invited_by: hex("5") },
  ] } }));
  await page.goto(`${service}/admin#change/1`);
  await page.reload();
  await there(page, "agreed-by");
  const made = { by: await page.textContent("[data-testid=agreed-by]"), asked: await page.textContent("[data-testid=asked-by]") };
  expect(made.asked.includes(words["admin.network.itself"].text), `who asked for a change: ${made.asked}`);
  expect(made.by.includes(words["admin.network.itself"].text) && made.by.includes(words["admin.change.none"].text), `who agreed to a change: ${made.by}`);
  expect(digits !== "0123456789" || made.by.includes("2"), `how many agreed to a change: ${made.by}`);
  await look(page, "admin-change-waits");
  await page.goto(`${service}/admin#home`);
  await there(page, "waiting-devices");
  expect((await page.locator("[data-testid=waiting-devices] li").count()) === 1 && (await page.textContent("[data-testid=waiting-devices]")).includes("gate-7"), "another device is shown than the one that waits for her");
  await page.click("[data-testid=waiting-devices] a");
  await at(page, "device");
  await page.waitForSelector("[data-testid=symbols]");
  for (const path of ["{people,programs}*", "devices*", "sessions/self"]) await page.unroute(`**/api/v1/${path}`);
  await page.goto(`${service}/admin#request/${hex("a")}`);
  await page.reload();
  await there(page, "order");
  expect(!(await page.textContent("[data-testid=order]")).includes("order."), "a part of a decision has no words");
  for (const code of ["x_MultidisciplinaryTeam", "balance_of_probabilities", "do_not_detain", "x_ForcedCriminality", "true"]) {
    expect(!(await page.textContent("[data-testid=order]")).includes(code), `${code} has no words`);
  }
  await look(page, "admin-decision");

  // Somebody of an embassy, who may list nobody: she sees names and words, or nothing.
  const asks = (digit, act, more) => ({
    id: hex(digit), do: act, agency: hex("4"), state: "waits", expires: soon, people: 2, apart: false, delayed: false, agreed: [hex("6")], mine: false,
    who: [{ id: hex("5"), agency: hex("4"), agreed: false }, { id: hex("6"), agency: hex("4"), agreed: true }], lines: lines(act, more),
  });
  const embassy = [
    asks("d", "record.open", [["what.record", hex("e")], ["what.keeper", hex("2")], ["what.purpose", "danger_to_life"]]),
    asks("e", "number.look_up", [["what.order", "AAAA"], ["order.kind", "EMERGENCY_TRAVEL_DOCUMENT"], ["order.issuing_state", "UTO"], ["order.document_number", "L898902C3"], ["order.birth_date", "740812"]]),
  ];
  await answer("sessions/self", { id: hex("5"), agency: hex("4"), agency_name: "Made-up Embassy", roles: ["mission"], handle: "desk-5", network: "Made-up network", demo: true, signed_in: soon, keys: [] });
  const keys = ["trust", "status", "pack", "log"].map((use, i) => asks(String(5 + i), "signing.change", [["what.use", use]]));
  await answer("requests", { requests: keys });
  await page.goto(`${service}/admin#home`);
  await page.reload();
  await page.waitForSelector("[data-do='signing.change'] >> nth=3");
  const titles = await page.locator("[data-do='signing.change'] a").allTextContents();
  expect(new Set(titles).size === keys.length, `requests to replace keys read the same: ${titles}`);
  await answer("requests", { requests: embassy });
  for (const q of embassy) await answer(`requests/${q.id}`, q);
  await page.reload();
  for (const q of embassy) {
    await page.goto(`${service}/admin#home`);
    await page.waitForSelector(`[data-do="${q.do}"] a`);
    // An id stands under the name that it stands for, or where machines read.
    const ids = async (where) => {
      const text = await page.evaluate(() => {
        const main = document.querySelector("main").cloneNode(true);
        for (const e of main.querySelectorAll(".id, details")) e.remove();
        return main.textContent;
      });
      expect(!/[0-9a-f]{32}/.test(text), `${where} shows a bare id: ${text}`);
    };
    await ids("home");
    await look(page, "admin-embassy");
    await page.click(`[data-do="${q.do}"] a`);
    await at(page, "request");
    await there(page, "facts");
    await ids(q.do);
    const text = await page.textContent("main");
    expect(!/legal_aid|EMERGENCY_TRAVEL/.test(text), `${q.do} shows a code`);
    await look(page, `admin-embassy-${q.do}`);
  }
  for (const path of ["changes", "alarms", "agencies", "requests", "sessions/self", ...["a", "b", "d", "e"].map((digit) => `requests/${hex(digit)}`)]) await page.unroute(`**/api/v1/${path}`);
  await page.reload();
}

/** readSquare reads the square as a camera would, with a reader that nobody here wrote. */
async function readSquare(page) {
  const file = join(tmpdir(), `square-${crypto.randomUUID()}.png`);
  try {
    writeFileSync(file, await page.locator("[data-testid=square]").screenshot());
    return execFileSync("zbarimg", ["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file], { encoding: "utf8" }).trim();
  } finally {
    rmSync(file, { force: true });
  }
}

/** visitor has no passkey at all. The page of the demo signs her in as one person, who
 * asks for something, and then as another one, who agrees to it. */
export async function visitor(config) {
  const { context, stop } = await start();
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    const becomes = async (handle) => {
      await page.goto(config.service.replace("localhost", "127.0.0.1"));
      expect(page.url() === `${config.service}/`, "the page is not at the name that passkeys are for");
      await page.click(`form button >> text=${handle}`);
      await at(page, "home");
    };
    await becomes("operator-1");
    await add(page, "auditor-9", "auditor", "waits");
    await handOver(page);
    await becomes("operator-2");
    await answers({ page }, "agree", "done");
    await page.goto(config.service);
    await page.click("form button >> text=officer-1");
    await page.waitForURL(`${config.service}/check`);
    return "a visitor without a passkey asks as one person of the demo and agrees as another";
  } finally {
    await stop();
  }
}

async function authority(config, code, timezoneId) {
  const { service, link } = config.authority[code];
  const found = [];
  const seen = new Set();
  const [words, { digits }] = [catalogue(code), whole(code)];
  const look = async (page, name) => {
    if (seen.has(name)) return;
    seen.add(name);
    for (const problem of await problems(page)) found.push(`${code} ${name}: ${problem}`);
    if (!config.screens || !drawn.includes(name)) return;
    mkdirSync(join(config.screens, code), { recursive: true });
    await page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
    writeFileSync(join(config.screens, code, `${name}.png`), await page.screenshot({ fullPage: true, animations: "disabled" }));
  };
  const lookAt = async (page, part) => {
    await to(page, part);
    await page.waitForFunction((words) => !document.querySelector("main").textContent.includes(words), words["page.loading"].text);
    await look(page, `admin-${part}`);
  };
  const [one, two, three] = await Promise.all([1, 2, 3].map(() => somebody(code, timezoneId)));
  try {
    // Nobody is signed in, and no link opens anything that nobody made.
    await one.page.goto(`${service}/admin`);
    await at(one.page, "signin");
    await look(one.page, "admin-signin");
    await press(one.page, "signin");
    await there(one.page, "trouble");
    await one.page.goto("about:blank");
    await one.page.goto(`${service}/admin#join=there-is-no-such-secret`);
    await there(one.page, "trouble");
    await look(one.page, "admin-no-link");

    // The first operator joins by the link of the founding.
    await joins(one, link, look);
    expect((await one.page.textContent("[data-testid=demo]")).includes(words["page.demo"].text), "no banner says that this is a demo network");
    await lookAt(one.page, "founding");

    // A form says what it lacks, where the focus is, and leads to each field.
    await to(one.page, "people");
    await press(one.page, "add");
    await at(one.page, "person-new");
    await there(one.page, "send");
    await press(one.page, "send");
    await there(one.page, "trouble");
    expect(await one.page.evaluate(() => document.activeElement?.dataset.testid === "trouble"), "the focus is not at what went wrong");
    await look(one.page, "admin-person-new");
    await one.page.click("[data-testid=trouble] a >> nth=0");
    expect(await one.page.evaluate(() => document.activeElement?.dataset.testid === "handle"), "a fault does not lead to its field");

    // While the network is being founded, one operator is enough.
    await add(one.page, "operator-2", "operator", "done", look);
    const text = await one.page.textContent("[data-testid=once]");
    expect((await readSquare(one.page)) === text, "the square holds something else than the link");
    // The clipboard is one for all that are played side by side.
    await one.page.evaluate(() => {
      const write = navigator.clipboard.writeText.bind(navigator.clipboard);
      navigator.clipboard.writeText = (text) => { globalThis.copied = text; return write(text); };
    });
    await press(one.page, "copy");
    await until(() => one.page.evaluate((text) => globalThis.copied === text, text), "the link is copied");
    const second = await handOver(one.page, look);
    await at(one.page, "people");
    await one.page.waitForSelector("[data-testid=people] li >> nth=1");
    await look(one.page, "admin-people");

    // The second joins with the keyboard alone.
    await two.page.goto(second);
    await there(two.page, "make");
    for (const button of ["make", "join"]) {
      await there(two.page, button);
      for (let i = 0; i < 20 && !(await two.page.evaluate((id) => document.activeElement?.dataset.testid === id, button)); i++) await two.page.keyboard.press("Tab");
      await two.page.keyboard.press("Enter");
    }
    await at(two.page, "home");
    await there(two.page, "nothing");
    // The link is good once.
    await three.page.goto(second);
    await there(three.page, "trouble");

    // The end of the founding needs two, and so does everything from then on.
    await to(one.page, "founding");
    await press(one.page, "close");
    await decide(one.page, "waits");
    await press(one.page, "left");
    await answers(two, "agree", "done", look);
    await lookAt(one.page, "founding");
    await there(one.page, "over");

    await add(one.page, "operator-3", "operator", "waits", look);
    const third = await handOver(one.page);
    await three.page.goto("about:blank");
    await three.page.goto(third);
    await there(three.page, "trouble");
    await answers(two, "agree", "done");
    await joins(three, third);

    // One says no, and nobody can agree any more.
    await add(one.page, "auditor-1", "auditor", "waits");
    await handOver(one.page);
    await answers(two, "no", "withdrawn");
    await three.page.goto(`${service}/admin#home`);
    await press(three.page, "again");
    await there(three.page, "nothing");

    // A window that stays open shows what was: what is agreed to there says so, whether
    // it was taken back meanwhile or its time is over.
    await add(one.page, "auditor-2", "auditor", "waits");
    await opens(two);
    await press(one.page, "no");
    await standing(one.page, "withdrawn");
    await press(one.page, "left");
    await at(one.page, "people");
    await press(two.page, "agree");
    await says(two.page, words["admin.problem.state_conflict"].text);
    await add(one.page, "auditor-3", "auditor", "waits");
    await handOver(one.page);
    await opens(two);
    const late = /\/requests\/[0-9a-f]{32}\/approvals$/;
    await two.page.route(late, (route) => route.fulfill({ status: 409, contentType: "application/problem+json", json: { code: "approval_stale", status: 409, title: "", type: "/problems/approval_stale" } }));
    await press(two.page, "agree");
    await says(two.page, words["admin.problem.approval_stale"].text);
    await look(two.page, "admin-stale");
    await two.page.unroute(late);
    await press(two.page, "no");
    await standing(two.page, "withdrawn");
    await press(two.page, "left");

    // A program has a token, which is shown once.
    await lookAt(one.page, "programs");
    await press(one.page, "add");
    await at(one.page, "program-new");
    await there(one.page, "send");
    await look(one.page, "admin-program-new");
    await one.page.fill("[data-testid=label]", "backup");
    await one.page.check("[data-testid=role-auditor]");
    await press(one.page, "send");
    await decide(one.page, "waits");
    expect(/^[A-Za-z0-9_-]{20,}$/.test(await handOver(one.page)), "no token is shown");
    await answers(three, "agree", "done");

    // The third loses every passkey. The old one opens nothing, wherever it is.
    await to(one.page, "people");
    await one.page.click("[data-testid=people] a >> text=operator-3");
    await at(one.page, "person");
    await there(one.page, "recover");
    await look(one.page, "admin-person");
    await press(one.page, "recover");
    await decide(one.page, "waits");
    const anew = await handOver(one.page);
    await answers(two, "agree", "done");
    await press(three.page, "again");
    await at(three.page, "signin");
    await there(three.page, "ended");
    await look(three.page, "admin-signin-over");
    await press(three.page, "signin");
    await there(three.page, "trouble");
    await joins(three, anew);

    // A second passkey of one's own is added with the first.
    await lookAt(two.page, "me");
    const key = await two.another();
    await press(two.page, "add-key");
    await at(two.page, "asked");
    await key.aside();
    await decide(two.page, "done");
    await press(two.page, "left");
    await at(two.page, "me");
    await two.page.waitForSelector("[data-testid=keys] li >> nth=1");
    await look(two.page, "admin-me-two");

    // Signing out everywhere ends this session, too.
    await press(one.page, "signout");
    await at(one.page, "signin");
    await one.page.reload();
    await at(one.page, "signin");
    await press(one.page, "signin");
    await at(one.page, "home");
    await to(one.page, "me");
    // Whoever goes back has decided nothing, and finds it among what waits.
    await press(one.page, "out");
    await at(one.page, "asked");
    await one.page.goBack();
    await at(one.page, "home");
    await answers(one, "no", "withdrawn");
    await to(one.page, "me");
    await press(one.page, "out");
    await decide(one.page, "done");
    await press(one.page, "left");
    await at(one.page, "signin");
    // A passkey that does not know whose hand it is in counts for nothing.
    await one.verified(false);
    await press(one.page, "signin");
    await there(one.page, "trouble");
    await one.verified(true);
    // What began in the second in which all sessions ended has ended with them.
    await new Promise((done) => setTimeout(done, 1100));
    await press(one.page, "signin");
    await at(one.page, "me");

    const invitation = await agency(one, two, look);
    expect(invitation.startsWith(`${service}/check#invite=`), "the link leads elsewhere than to the page for devices");
    // A whole device is slow, and says the same in every language.
    if (code === "en") await device(three, service, invitation, one, two, look);
    for (const part of ["devices", "agencies", "changes", "alarms"]) await lookAt(one.page, part);
    await madeUp(one.page, service, look, words, digits);
    const kept = await one.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie + location.href);
    for (const secret of [link, second, third, anew]) expect(!kept.includes(secret.split("=").at(-1)), "a secret is left in the browser");
    for (const { page } of [one, two, three]) expect(page.problems.length === 0, `the page complains: ${page.problems.join("; ")}`);
    expect(found.length === 0, `axe-core and the width of the screen:\n  ${found.join("\n  ")}`);
    return `three people join, agree, say no, recover, sign out and in again; ${seen.size} screens, at which axe-core finds nothing at 320 px and 200 % text`;
  } catch (e) {
    const pages = await Promise.all([one, two, three].map(async ({ page }) => `${page.url()}: ${(await page.evaluate(() => document.body.innerText).catch(() => "")).slice(0, 400)}`));
    throw new Error(`${e.stack}\n${found.join("\n")}\n${pages.join("\n--\n")}`);
  } finally {
    await Promise.all([one, two, three].map(({ stop }) => stop()));
  }
}
