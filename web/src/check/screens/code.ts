// The holder is asked in a language of the holder's, and types or says the code.

import { primary, quiet, secret } from "../../shared/components";
import { h, button } from "../../shared/dom";
import { onLeaveNext, heading, onLeave, show } from "../../shared/screen";
import { pictogram } from "../../shared/shapes";
import { inDigits, onlyDigits } from "../../shared/text";
import { beside, catalogue, language, languages, say, text } from "../../shared/words";
import { check } from "../check";
import { go, type Wrong } from "../router";

const codeDigits = 10;

const lastDigit = /\p{Nd}\P{Nd}*$/u; // with the uncounted characters after it

let holder: string | undefined; // the language of the last holder; never kept

/** code asks for the code of a card that is one of ours. Anything else is judged
 * at once. */
export async function code({ shown, wrong }: { shown: string; wrong?: Wrong }): Promise<void> {
  if (!wrong) {
    const first = await check(shown, null);
    if (first.state !== "code_not_given") return go("result", { verdict: first, shown });
  }
  const theirs = (holder && (await catalogue(holder))) || language();
  const entry = secret({ "data-testid": "code", "aria-describedby": "typed", "aria-label": text("code.title") });
  entry.classList.add("code");
  const typed = h("p", { class: "hint", id: "typed" });
  const open = primary("code.open", () => void send(), { "data-testid": "open" });

  const count = (): void => {
    const n = onlyDigits(entry.value).length;
    typed.replaceChildren(say("code.digits", { count: n }));
    open.disabled = n !== codeDigits;
    entry.dataset["full"] = String(n === codeDigits);
  };
  const put = (digit: string): void => {
    if (onlyDigits(entry.value).length < codeDigits) entry.value += digit;
    count();
  };
  const send = async (): Promise<void> => {
    const given = onlyDigits(entry.value);
    entry.value = "";
    await judge(shown, given);
  };
  entry.addEventListener("input", count);
  entry.addEventListener("keydown", (e) => { if (e.key === "Enter" && !open.disabled) void send(); });
  onLeaveNext(() => { entry.value = ""; });

  const keypad = h("div", { class: "keypad", dir: "ltr", role: "group", "aria-label": text("code.title") },
    ..."1234567890".split("").map((d) => button(inDigits(d, theirs.digits), () => put(inDigits(d, theirs.digits)), { lang: theirs.language })),
    button("⌫", () => { entry.value = entry.value.replace(lastDigit, ""); count(); }, { "aria-label": text("code.delete"), class: "delete" }));
  const eye = button(say("code.show"), () => {
    const shownNow = entry.classList.toggle("secret");
    eye.replaceChildren(say(shownNow ? "code.show" : "code.hide"));
    eye.setAttribute("aria-pressed", String(!shownNow));
  }, { class: "quiet", "aria-pressed": "false" });
  const choice = h("select", {
    "aria-label": text("consent.language"), "data-testid": "holder-language",
    change: () => { holder = choice.value; void code({ shown, wrong: wrong ?? { reason: "" } }); },
  }, ...languages.map((l) => h("option", { value: l.language, lang: l.language, selected: l.language === theirs.language }, l.name)));

  show("code",
    heading(say("code.title")),
    wrong?.reason && h("p", { class: "note", role: "alert" }, beside(`reason.${wrong.reason}`), " ", wrong.tries !== undefined && say("code.tries", { tries: wrong.tries })),
    h("section", { class: "consent", lang: theirs.language, dir: theirs.direction },
      h("p", { class: "ask step" }, pictogram("code.ask"), beside("consent.holder", {}, theirs)),
      h("p", {}, beside("consent.what", {}, theirs)),
      h("p", { class: "choice" }, choice)),
    h("div", { class: "entry" }, entry, eye),
    typed,
    keypad,
    h("div", { class: "actions" },
      open,
      quiet("code.without", () => void judgeWithout(shown), { "data-testid": "no-code" })),
  );
  count();
  entry.focus({ preventScroll: true });
}

async function judgeWithout(shown: string): Promise<void> {
  await go("result", { verdict: await check(shown, null), shown });
}

/** judge checks with the code, while a bar moves and the seconds count. */
async function judge(shown: string, given: string): Promise<void> {
  const began = Date.now();
  const seconds = h("span", { class: "seconds" });
  const timer = setInterval(() => { seconds.textContent = inDigits(Math.round((Date.now() - began) / 1000), language().digits); }, 250);
  show("progress",
    heading(say("progress.title")),
    h("p", { class: "lead" }, beside("progress.lead")),
    h("progress", { "aria-label": text("progress.title") }),
    h("p", { class: "count", "aria-hidden": "true" }, seconds));
  onLeave(() => clearInterval(timer));
  await go("result", { verdict: await check(shown, given), shown });
}
