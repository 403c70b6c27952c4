// The first screen: not set up, locked, waiting for approval, or ready.

import { languageChoice, primary, quiet } from "../../shared/components";
import { h } from "../../shared/dom";
import { heading, show } from "../../shared/screen";
import { beside, say } from "../../shared/words";
import * as pack from "../pack";
import { go } from "../router";
import { open } from "../session";
import * as storage from "../storage";
import { otherWays } from "../ways";

/** home shows the screen that fits the state of this device. */
export async function home(): Promise<void> {
  const d = await storage.get("device");
  if (!d) return start();
  if (!open()) return go("unlock");
  if (d.state === "pending") return go("waiting");
  ready();
}

function start(): void {
  show("start",
    heading(say("start.title")),
    h("p", { class: "lead" }, beside("start.device")),
    h("div", { class: "actions" },
      primary("start.invite", () => void go("invite", { invitation: "" })),
      quiet("start.without", () => void go("scan"), { "data-testid": "scan" }),
    ),
    languageChoice(() => void home()),
  );
}

// ready waits for the next card.
function ready(): void {
  const state = pack.current();
  show("ready",
    heading(say("ready.title")),
    state.kind === "refused" && h("p", { class: "note" }, beside(`reason.${state.reason}`)),
    primary("ready.scan", () => void go("scan"), { "data-testid": "scan", class: "primary huge" }),
    otherWays(),
    h("div", { class: "actions" }, quiet("ready.device", () => void go("device"))),
  );
}
