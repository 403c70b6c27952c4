// Six symbols that two people compare, until the device is approved.

import * as device from "../device";
import { h } from "../dom";
import * as keep from "../keep";
import * as pack from "../pack";
import { heading, onLeave, show } from "../screen";
import { Refused } from "../service";
import { beside, say, text } from "../words";
import { begun } from "../app";
import { home } from "./home";
import { note, quiet } from "./parts";

const every = 4000;

export async function waiting(): Promise<void> {
  const d = await keep.get("device");
  if (!d) return home();
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
          await device.wipe();
          return show("waiting", heading(say("waiting.title")), h("p", { class: "note" }, beside("waiting.gone")), quiet("action.close", () => void home()));
        }
        wrong.replaceChildren(beside("page.offline"));
      }
    }
    timer = setTimeout(() => void look(), every);
  };

  show("waiting",
    heading(say("waiting.title")),
    h("p", { class: "lead" }, beside("waiting.symbols")),
    signs,
    h("p", {}, beside("waiting.why")),
    h("p", { class: "hint" }, beside("waiting.keep")),
    wrong,
    h("div", { class: "actions" }, quiet("waiting.check", () => void look())),
  );
  onLeave(() => { left = true; clearTimeout(timer); });
  const symbols = await device.symbols(d);
  signs.replaceChildren(...[...symbols].map((s, i) =>
    h("li", { "aria-label": text("waiting.sign", { position: i + 1, sign: s }) }, h("span", { "aria-hidden": "true" }, s))));
  void look();
}

// first gets the first pack; this is no check, so it need not wait.
async function first(): Promise<void> {
  show("waiting", heading(say("waiting.title")), h("p", { class: "lead" }, beside("waiting.approved")), h("progress", {}));
  try {
    await pack.update();
  } catch {
    // The screen that follows says that there is no pack yet.
  }
  if (pack.current().kind === "none") await pack.open();
  begun();
  await home();
}
