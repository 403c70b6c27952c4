// The status bar on top of every screen: how old the lists are, until when this
// device may check, and what it waits for.

import { h, type Child } from "../shared/dom";
import { beside, day, onChange, say } from "../shared/words";
import * as offline from "./offline";
import * as pack from "./pack";
import { open } from "./session";
import * as storage from "./storage";

const hour = 3_600_000;

export async function draw(): Promise<void> {
  const bar = document.getElementById("statusbar");
  if (!bar) return;
  const d = await storage.get("device").catch(() => undefined);
  const [level, lines] = says(d);
  bar.dataset["level"] = level;
  bar.replaceChildren(...download(), ...lines);
}

function download(): Child[] & Node[] {
  const { percent, state } = offline.now();
  if (state === "done") return [];
  const id = state === "loading" ? "page.download" : percent > 0 ? "page.download.resume" : "page.download.offline";
  return [h("p", { class: "download" }, say(id, { percent }), h("progress", { max: 100, value: percent, "data-testid": "download" }))];
}

// says gives the level of the bar (good, late, stop or none) and its lines.
function says(d: storage.Device | undefined): [string, Node[]] {
  if (!d || !open() || d.state === "pending") return ["none", []];
  const state = pack.current();
  const lines: Node[] = [];
  const line = (child: Node): void => { lines.push(h("p", {}, child)); };
  if (pack.clockIsOff()) line(beside("reason.clock"));
  if (state.kind !== "ready") {
    line(beside(state.kind === "refused" ? `reason.${state.reason}` : "reason.no_pack"));
    return ["stop", lines];
  }
  const { opened } = state;
  const lists = Object.values(opened.status_lists ?? {}).map((at) => Date.parse(at));
  const oldest = Math.min(Date.parse(opened.issued ?? ""), ...lists);
  const age = Date.now() - oldest;
  const lease = Date.parse(opened.lease_until ?? "") - Date.now();
  const late = age > 24 * hour;
  if (lease <= 0) {
    line(beside("freshness.lease_over"));
    return ["stop", lines];
  }
  line(!late ? say("freshness.today") : say("freshness.days", { days: Math.floor(age / (24 * hour)) }));
  line(say(lease < 48 * hour ? "freshness.lease" : "device.lease", { days: Math.floor(lease / (24 * hour)), date: day(opened.lease_until ?? "") }));
  if (late || lease < 24 * hour) line(beside("freshness.update"));
  if (!navigator.onLine) line(say("page.offline"));
  else if (pack.isLate()) line(beside("freshness.later"));
  if (opened.demo) line(say("page.demo"));
  if (opened.reopened) line(beside("page.reopened", { date: { day: opened.reopened } }));
  return [late || pack.clockIsOff() || lease < 24 * hour ? "late" : "good", lines];
}

/** begin draws the bar now, whenever something changes, and every minute. */
export function begin(): void {
  const again = (): void => void draw();
  pack.onChange(again);
  offline.onChange(again);
  onChange(again);
  addEventListener("online", again);
  addEventListener("offline", again);
  setInterval(again, 60_000);
  again();
}
