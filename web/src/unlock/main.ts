// The page on which two people open a locked network. It needs no session, and nothing
// of it is kept: what the first person signed goes on in a link to the second.

import { desk, languageChoice, note, primary, quiet, telephone } from "../shared/components";
import { h, type Child } from "../shared/dom";
import { NotUsed, passkeys, use } from "../shared/passkey";
import { heading, show } from "../shared/screen";
import { ask, Refused } from "../shared/service";
import { begin, beside, has, moment, say } from "../shared/words";
import { handed, linkTo, type Signed } from "./link";

/** Line is a place of an act and what stands there. */
interface Line {
  at: string;
  value: string;
}

/** Drawn is the act that opens the network, as the service made it. */
interface Drawn {
  act: string;
  lines: Line[];
  options: unknown;
}

/** Unlocking is how far those have come who have agreed. */
interface Unlocking {
  open: boolean;
  agreed: number;
  people: number;
  root: boolean;
}

const command = "safeconduct unlock --link";

async function post<T>(path: string, body: unknown): Promise<T> {
  return (await (await ask(`/api/v1/unlock${path}`, { method: "POST", body })).json()) as T;
}

// wordsOf says what went wrong.
function wordsOf(e: unknown): string {
  if (e instanceof NotUsed) return "locked.problem.passkey";
  if (!(e instanceof Refused)) return "locked.problem.away";
  switch (e.code) {
    case "approval_invalid": return "locked.problem.refused";
    case "approval_stale": case "invalid_request": return "locked.problem.stale";
    case "state_conflict": return "locked.not";
    default: return "locked.problem.away";
  }
}

// locked shows a screen of a locked network. In another language it is drawn again as it
// was: a link that stands on it is nowhere else.
const locked = (again: () => void, ...more: Child[]): void => show("locked",
  heading(say("locked.title")),
  h("p", { class: "lead" }, beside("locked.lead", { desk: telephone(desk()) })),
  ...more,
  languageChoice(again));

// turn counts the links that were opened here: an answer that comes late takes the
// screen from no newer one.
let turn = 0;

// first shows the act to the first person, or to the second who has the link of the
// first.
async function first(by?: Signed): Promise<void> {
  const mine = ++turn;
  let drawn: Drawn;
  try {
    drawn = await post<Drawn>("/options", by ? { act: by.act } : {});
    if (mine !== turn) return;
  } catch (e) {
    if (mine !== turn) return;
    if (e instanceof Refused && e.code === "state_conflict") return opened("locked.not");
    return locked(() => void first(by), h("p", { class: "note", role: "alert", "data-testid": "trouble" }, beside(wordsOf(e))), quiet("locked.anew", () => void first()));
  }
  agreeing(drawn, by);
}

// agreed agrees to the act with a passkey, and says where that leads.
function agreed(drawn: Drawn, by: Signed | undefined, wrong: HTMLElement): () => Promise<void> {
  let busy = false;
  const mine = turn;
  return async (): Promise<void> => {
    if (busy) return;
    busy = true;
    wrong.replaceChildren();
    try {
      const response = await use(drawn.options);
      const responses = by ? [by.response, response] : [response];
      const now = await post<Unlocking>("", { act: drawn.act, responses });
      if (now.open) return opened("locked.opens");
      if (mine === turn) second(drawn, { act: drawn.act, response }, now);
    } catch (e) {
      wrong.replaceChildren(beside(wordsOf(e)));
    } finally {
      busy = false;
    }
  };
}

// placeOf and valueOf are a line of the act in words. A place that this page has no words
// for is shown as it stands.
const placeOf = ({ at }: Line): Child => (has(`locked.at.${at}`) ? say(`locked.at.${at}`) : h("bdi", { dir: "ltr" }, at));

function valueOf({ at, value }: Line): Child {
  switch (at) {
    case "do": return value === "network.unlock" ? say("locked.unlock") : h("bdi", { dir: "ltr" }, value);
    case "agency": return value === "" ? say("locked.network") : h("bdi", {}, value);
    case "by": return value === "" ? say("locked.nobody") : h("bdi", { dir: "ltr" }, value);
    case "expires": return h("bdi", {}, moment(value));
    default: return h("bdi", { dir: "ltr", class: "id" }, value);
  }
}

function agreeing(drawn: Drawn, by?: Signed): void {
  const wrong = note();
  const agree = agreed(drawn, by, wrong);
  const until = drawn.lines.find((l) => l.at === "expires")?.value ?? "";
  locked(() => agreeing(drawn, by),
    h("p", {}, beside(by ? "locked.second" : "locked.two")),
    wrong,
    h("div", { class: "actions" }, primary("locked.agree", () => void agree(), { "data-testid": "agree" })),
    h("p", { class: "hint" }, beside("locked.until", { when: { moment: until } })),
    h("details", {},
      h("summary", {}, say("locked.all")),
      h("dl", { "data-testid": "signed" }, ...drawn.lines.flatMap((l) => [h("dt", {}, placeOf(l)), h("dd", {}, valueOf(l))]))),
  );
}

// second hands on what the first person has signed. The link stays whoever agrees here:
// it is on this screen alone.
function second(drawn: Drawn, by: Signed, now: Unlocking): void {
  const wrong = note();
  const agree = agreed(drawn, by, wrong);
  const link = linkTo(location.origin + location.pathname, by);
  const copied = h("p", { class: "hint", role: "status" });
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(link).catch(() => getSelection()?.selectAllChildren(shown));
    copied.replaceChildren(say("locked.copied"));
  };
  const shown = h("p", { class: "handed", dir: "ltr", tabindex: "0", "data-testid": "link" }, link);
  locked(() => second(drawn, by, now),
    h("p", { class: "note good", role: "status", "data-testid": "one" },
      beside(now.root ? "locked.root" : "locked.one", { command: h("bdi", { dir: "ltr" }, command) })),
    h("section", { class: "card" },
      h("h2", {}, say("locked.link")), shown, copied,
      h("div", { class: "actions" }, quiet("locked.copy", () => void copy(), { "data-testid": "copy" }))),
    wrong,
    !now.root && h("div", { class: "actions" }, primary("locked.agree", () => void agree(), { "data-testid": "next" })),
  );
}

function opened(id: string): void {
  show("opened",
    heading(say(id)),
    h("p", {}, h("a", { href: "/admin", "data-testid": "opened" }, say("locked.signin"))));
}

const memory = {
  read: async (): Promise<string | undefined> => { try { return localStorage.getItem("language") ?? undefined; } catch { return undefined; } },
  write: async (language: string): Promise<void> => { try { localStorage.setItem("language", language); } catch { /* this browser keeps nothing */ } },
};

const noPasskeys = (): void => locked(noPasskeys, h("p", { class: "note" }, beside("locked.browser")));

async function start(): Promise<void> {
  const by = handed();
  await begin(memory);
  document.querySelector(".skip")?.replaceChildren(say("page.skip"));
  if (!passkeys()) return noPasskeys();
  // A link that is opened where this page is shown already changes nothing but the part
  // of the address that a browser keeps to itself.
  addEventListener("hashchange", () => {
    const late = handed();
    if (late) void first(late);
  });
  await first(by);
}

void start();
