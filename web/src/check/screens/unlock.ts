// The lock screen of a device that was set up before.

import { field, languageChoice, note, primary, quiet, secret } from "../../shared/components";
import { h } from "../../shared/dom";
import { heading, show } from "../../shared/screen";
import { asciiDigits } from "../../shared/text";
import { beside, clock, say } from "../../shared/words";
import * as device from "../device";
import * as offline from "../offline";
import * as pack from "../pack";
import { go } from "../router";
import * as storage from "../storage";
import { unlocked } from "../unlocked";

export async function unlock(given?: { why: string }): Promise<void> {
  const why = given?.why;
  const d = await storage.get("device");
  if (!d) return go("home");
  const pin = secret({ "data-testid": "pin" });
  const wrong = note();

  const open = async (typed?: string): Promise<void> => {
    wrong.replaceChildren(beside("unlock.working"));
    try {
      await offline.whenComplete();
      const done = await device.unlock(typed);
      pin.value = "";
      if (!done.open) {
        wrong.replaceChildren(done.until ? beside("unlock.wait", { time: clock(done.until) })
          : done.left !== undefined ? beside("unlock.wrong", { tries: done.left }) : "");
        return pin.focus();
      }
      if (d.state === "active") {
        await pack.open();
        unlocked();
      }
      await go("home");
    } catch {
      wrong.replaceChildren(beside(d.lock.kind === "passkey" ? "action.again" : "page.problem"));
    }
  };

  const way = d.lock.kind === "passkey"
    ? primary("unlock.passkey", () => void open(), { "data-testid": "passkey" })
    : h("form", { submit: (e: Event) => { e.preventDefault(); void open(asciiDigits(pin.value)); } },
      field(say("unlock.pin"), pin),
      h("button", { type: "submit", class: "primary", "data-testid": "unlock" }, say("unlock.open")));
  show("unlock",
    heading(say("unlock.title")),
    why && h("p", { class: "hint" }, beside(why)),
    way,
    wrong,
    h("details", {}, h("summary", {}, say("pin.forgotten.ask")),
      h("p", {}, beside("pin.forgotten")), quiet("device.remove", () => void go("removal"))),
    languageChoice(() => void unlock(given)),
  );
  pin.focus();
}
