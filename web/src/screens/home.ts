// Where one begins: not set up, locked, waiting for approval, or ready.

import * as device from "../device";
import { h } from "../dom";
import * as keep from "../keep";
import * as pack from "../pack";
import { heading, show } from "../screen";
import { beside, say } from "../words";
import { deviceScreen } from "./device";
import { invite } from "./invite";
import { languageChoice, primary, quiet } from "./parts";
import { otherWays, scan } from "./scan";
import { unlock } from "./unlock";
import { waiting } from "./waiting";

/** home shows the screen that this device is at. */
export async function home(): Promise<void> {
  const d = await keep.get("device");
  if (!d) return start();
  if (!device.open()) return unlock();
  if (d.state === "pending") return waiting();
  ready();
}

function start(): void {
  show("start",
    heading(say("start.title")),
    h("p", { class: "lead" }, beside("start.device")),
    h("div", { class: "actions" },
      primary("start.invite", () => invite("")),
      quiet("start.without", scan, { "data-testid": "scan" }),
    ),
    languageChoice(() => void home()),
  );
}

/** ready waits for the next card. */
export function ready(): void {
  const state = pack.current();
  show("ready",
    heading(say("ready.title")),
    state.kind === "refused" && h("p", { class: "note" }, beside(`reason.${state.reason}`)),
    primary("ready.scan", scan, { "data-testid": "scan", class: "primary huge" }),
    otherWays(),
    h("div", { class: "actions" }, quiet("ready.device", () => void deviceScreen())),
  );
}
