// The answer: one band, one shape, words, and the next step. It closes by itself
// and leaves nothing in the page.

import { desk, primary, quiet, telephone } from "../../shared/components";
import { h, type Child } from "../../shared/dom";
import { onLeave, show } from "../../shared/screen";
import { bands, mark, pictogram, shape } from "../../shared/shapes";
import { inDigits } from "../../shared/text";
import { beside, clock, day, has, language, moment, say } from "../../shared/words";
import { check } from "../check";
import { opened } from "../record";
import { go } from "../router";
import type { Verdict } from "../verifier";

const openFor = 30; // seconds

/** result shows a verdict, or the one on a picture in which nothing was read. */
export async function result({ verdict, shown, why }: { verdict: Verdict | null; shown?: string; why?: string | undefined }): Promise<void> {
  const v = verdict ?? (await check(null, null));
  const reason = v.state === "unreadable" && why ? why : v.reason;
  const band = bands[v.state] ?? "grey";
  const number = v.issuer?.desk || v.desk || desk();
  const seconds = h("span", { class: "seconds" });
  const keepOpen = quiet("result.keep", () => { clearInterval(timer); countdown.remove(); }, { "data-testid": "keep-open" });
  const countdown = h("div", { class: "countdown", "data-testid": "countdown" },
    h("progress", { max: openFor, value: openFor, "aria-hidden": "true" }), say("result.seconds", { seconds }), keepOpen);

  const again = v.state === "wrong_code" && shown !== undefined
    ? (): void => void go("code", { shown, wrong: { reason: v.reason, tries: v.tries_left ?? 0 } })
    : undefined;

  let left = openFor;
  const timer = setInterval(() => {
    left--;
    tick();
    if (left <= 0) void go("home");
  }, 1000);
  const tick = (): void => {
    seconds.textContent = inDigits(left, language().digits);
    const bar = countdown.querySelector("progress");
    if (bar) bar.value = left;
  };
  tick();

  show("result",
    h("section", { class: `result ${band}`, "data-state": v.state, "data-band": band, "aria-live": "polite" },
      h("header", { class: "band" },
        shape(v.state),
        h("div", {},
          h("h1", { "data-focus": true }, beside(headingFor(v))),
          v.state === "status_old" && v.status_as_of && h("p", {}, beside("state.status_old.days", { days: daysSince(v.status_as_of) })),
          // Two answers are grey although they are sure, so they get no word for it.
          !["replaced", "out_of_use"].includes(v.state) && h("p", { class: "colour" }, say(`band.${band}`)))),
      v.demo && h("p", { class: "demo" }, say("page.demo")),
      v.reopened && h("p", { class: "demo", "data-testid": "reopened" }, beside("page.reopened", { date: { day: v.reopened } })),
      h("div", { class: "next" },
        h("h2", {}, say("result.next")),
        ...steps(v.state, reason),
        v.says_nothing && h("p", { class: "step", "data-testid": "says-nothing" }, pictogram("result.says_nothing"), beside("result.says_nothing")),
        v.kind && has(`kind.${v.kind}`) && h("p", { class: "why" }, beside(`kind.${v.kind}`)),
        v.state === "wrong_code" && h("p", { class: "why" }, say("code.tries", { tries: v.tries_left ?? 0 })),
        v.locked_until && h("p", { class: "why" }, say("code.locked", { time: clock(v.locked_until) })),
        number && h("p", {}, say("result.call", { desk: telephone(number) }))),
      opened(v),
      v.state !== "does_not_match" && checks(v)),
    (v.card || v.credential) && h("footer", { class: "footer" }, beside("footer.card_not_person")),
    h("div", { class: "actions" },
      again && primary("action.again", again, { "data-testid": "again" }),
      (again ? quiet : primary)("action.new", () => void go("scan"), { "data-testid": "new" }),
      quiet("action.close", () => void go("home"), { "data-testid": "close" })),
    countdown,
  );
  onLeave(() => clearInterval(timer));
}

function headingFor(v: Verdict): string {
  const id = `state.${v.state}.heading`;
  const credential = v.credential && has(`${id}.credential`) ? `${id}.credential` : id;
  return v.reason === "mission_of_nationality" && has(`${credential}.mission`) ? `${credential}.mission` : credential;
}

// More light does not help with these reasons. They say themselves what to do.
const ownStep = ["drawn_page", "nearly_card", "more_than_one_code", "too_large"];

function steps(state: string, reason: string): Child[] {
  const step = (id: string): Child => h("p", { class: "step" }, pictogram(id), beside(id));
  if (state === "unreadable" && ownStep.includes(reason) && has(`reason.${reason}`)) {
    return [step(`reason.${reason}`), step("result.hand_back")];
  }
  const why = reason && has(`reason.${reason}`) && state !== "does_not_match";
  return [step(`state.${state}.next`), why && h("p", { class: "why" }, beside(`reason.${reason}`))];
}

function daysSince(at: string): number {
  return Math.max(0, Math.floor((Date.now() - Date.parse(at)) / 86_400_000));
}

// checks shows the three questions, each with yes, no, or "could not check". It
// shows none of them for a state that asked none.
function checks(v: Verdict): Child {
  const all = ["signature", "issuer", "status"] as const;
  if (all.every((c) => v.checks[c] === "unchecked") && !v.issuer) return null;
  return h("div", { class: "checks" },
    h("h2", {}, say("result.checks")),
    h("ul", {}, ...all.map((c) => h("li", { class: v.checks[c] },
      mark(v.checks[c]), h("span", {}, say(`check.${c}`)), h("strong", {}, say(`answer.${v.checks[c]}`))))),
    v.issuer && h("p", { "data-testid": "issuer" }, say("result.issued_by", { agency: v.issuer.name })),
    v.issuer && h("p", { class: "why", "data-testid": "agency" }, say("result.agency", {
      country: v.issuer.country, date: day(v.issuer.since), symbols: h("bdi", { class: "agency-symbols", dir: "ltr" }, v.issuer.symbols),
    })),
    v.status_as_of && h("p", {}, say("result.as_of", { date: moment(v.status_as_of) })));
}
