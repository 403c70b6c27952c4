// Six symbols that two people compare, until the device is approved.

import { note, quiet } from "../../shared/components";
import { h } from "../../shared/dom";
import { heading, onLeave, show } from "../../shared/screen";
import { Refused } from "../../shared/service";
import { beside, say, text } from "../../shared/words";
import * as device from "../device";
import * as pack from "../pack";
import { go } from "../router";
import { wipe } from "../session";
import * as storage from "../storage";
import { unlocked } from "../unlocked";

const pollInterval = 4000;

export async function waiting(): Promise<void> {
  const d = await storage.get("device");
  if (!d) return go("home");
  const signs = h("ol", { class: "signs", dir: "ltr", "data-testid": "symbols" });
  const wrong = note();
  let left = false;
  let timer: ReturnType<typeof setTimeout>;

  const look = async (): Promise<void> => {
    clearTimeout(timer);
    if (left) return;
    if (document.visibilityState === "visible") {
      try {
        if (await device.approved()) return first();
        wrong.replaceChildren();
      } catch (e) {
        if (e instanceof Refused && (e.status === 401 || e.status === 404)) {
          await wipe();
          return show("waiting", heading(say("waiting.title")), h("p", { class: "note" }, beside("waiting.gone")), quiet("action.close", () => void go("home")));
        }
        wrong.replaceChildren(beside("page.offline"));
      }
    }
    timer = setTimeout(() => void look(), pollInterval);
  };

  show("waiting",
    heading(say("waiting.title")),
    h("p", { class: "lead" }, beside("waiting.symbols")),
    signs,
    h("p", {}, beside("waiting.why")),
    h("p", { class: "hint" }, beside("waiting.keep")),
    wrong,
    h("div", { class: "actions" }, quiet("waiting.check", () => void look(), { "data-testid": "check-approval" })),
  );
  onLeave(() => { left = true; clearTimeout(timer); });
  const symbols = await device.symbols(d);
  signs.replaceChildren(...[...symbols].map((s, i) =>
    h("li", { "aria-label": text("waiting.sign", { position: i + 1, sign: s }) }, h("span", { "aria-hidden": "true" }, s))));
  void look();
}

// first fetches the first pack at once: no check could be inferred from it.
async function first(): Promise<void> {
  show("waiting", heading(say("waiting.title")), h("p", { class: "lead" }, beside("waiting.approved")), h("progress", {}));
  try {
    await pack.update();
  } catch {
    // The screen that follows says that there is no pack yet.
  }
  if (pack.current().kind === "none") await pack.open();
  unlocked();
  await go("home");
}
