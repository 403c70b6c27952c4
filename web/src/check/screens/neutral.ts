// Without a device every paper gets the same words. A person who has its number
// and its code may ask whether it is in use.

import { desk, field, quiet, secret, telephone } from "../../shared/components";
import { h } from "../../shared/dom";
import { heading, show } from "../../shared/screen";
import { ask, Refused, Unreachable } from "../../shared/service";
import { onlyDigits } from "../../shared/text";
import { beside, say } from "../../shared/words";
import { go } from "../router";

interface Paper {
  answer: "unknown" | "in_use" | "not_in_use";
  desk: string;
}

export function neutral(): void {
  const words = h("p", { class: "lead", role: "status", "data-testid": "neutral" }, said("unknown", desk()));
  const number = h("input", { type: "text", inputmode: "numeric", autocomplete: "off", dir: "ltr", "data-testid": "number" });
  const code = secret({ "data-testid": "code" });
  const send = async (): Promise<void> => {
    const body = { number: onlyDigits(number.value), code: onlyDigits(code.value) };
    code.value = "";
    words.replaceChildren(beside("page.loading"));
    let id = "unknown";
    let from = desk();
    try {
      const paper = (await (await ask("/api/v1/papers", { method: "POST", body })).json()) as Paper;
      id = paper.answer;
      from = paper.desk || from;
    } catch (e) {
      if (e instanceof Unreachable) id = "offline";
      else if (e instanceof Refused && e.status === 429) id = "busy";
    }
    words.replaceChildren(said(id, from));
  };
  show("neutral",
    heading(say("neutral.title")),
    words,
    h("form", { class: "card", submit: (e: Event) => { e.preventDefault(); void send(); } },
      h("p", {}, beside("neutral.lead")),
      field(say("neutral.number"), number, beside("neutral.number.hint")),
      field(say("neutral.code"), code),
      h("button", { type: "submit", class: "primary", "data-testid": "ask" }, say("neutral.ask"))),
    h("div", { class: "actions" }, quiet("action.back", () => void go("home"))),
  );
}

function said(id: string, number: string): HTMLElement {
  return beside(`neutral.${id}`, { desk: telephone(number) });
}
