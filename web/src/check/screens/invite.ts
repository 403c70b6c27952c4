// An invitation, and the lock that this device's key is kept under.

import { field, note, primary, quiet, secret } from "../../shared/components";
import { h } from "../../shared/dom";
import { heading, show } from "../../shared/screen";
import { Refused, Unreachable } from "../../shared/service";
import { asciiDigits } from "../../shared/text";
import { beside, say } from "../../shared/words";
import * as device from "../device";
import { invitationIn } from "../invitation";
import { newPasskey, newPIN, passkeys } from "../lock";
import * as offline from "../offline";
import { pinDigits, weakness } from "../pin";
import { go } from "../router";
import * as storage from "../storage";

export function invite({ invitation }: { invitation: string }): void {
  const link = h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off", dir: "ltr", value: invitation, "data-testid": "invitation" });
  const pin = secret({ "data-testid": "pin" });
  const again = secret({ "data-testid": "pin-again" });
  const wrong = note();
  const say_ = (id: string, values = {}): void => wrong.replaceChildren(beside(id, values));

  const enrol = async (lock: () => Promise<{ lock: storage.Lock; key: CryptoKey } | null>): Promise<void> => {
    const found = invitationIn(link.value);
    if (found === null) return say_("invite.refused");
    try {
      const made = await lock();
      if (!made) return say_("invite.no_passkey");
      show("invite", heading(say("invite.title")), h("p", { class: "lead working", "aria-live": "polite" }, beside("invite.working")), h("progress", {}));
      await offline.whenComplete();
      await device.enrol(found, made);
      await go("waiting");
    } catch (e) {
      invite({ invitation: found });
      const place = document.querySelector(".note");
      place?.replaceChildren(beside(e instanceof Unreachable ? "invite.offline" : e instanceof Refused && e.code === "invitation_refused" ? "invite.refused" : "page.problem"));
    }
  };

  const withPIN = (): void => {
    const typed = asciiDigits(pin.value);
    const weak = weakness(typed);
    if (weak) return say_(`pin.${weak}`, { digits: pinDigits });
    if (typed !== asciiDigits(again.value)) return say_("pin.differ");
    void enrol(() => newPIN(typed));
  };
  const withPasskey = (): void => void enrol(() => newPasskey().catch(() => null));

  show("invite",
    heading(say("invite.title")),
    h("p", { class: "lead" }, beside("invite.lead")),
    field(say("start.invite"), link),
    wrong,
    passkeys() && primary("unlock.passkey", withPasskey, { "data-testid": "passkey" }),
    h("form", { class: "card", submit: (e: Event) => { e.preventDefault(); withPIN(); } },
      h("h2", {}, say("pin.choose")),
      h("p", { class: "hint" }, beside("pin.rules", { digits: pinDigits })),
      field(say("unlock.pin"), pin),
      field(say("pin.again"), again),
      h("button", { type: "submit", class: "primary", "data-testid": "enrol" }, say("invite.begin")),
    ),
    h("div", { class: "actions" }, quiet("action.back", () => void go("home"))),
  );
}
