// An invitation, and the lock that this device's key is kept under.

import * as device from "../device";
import { h } from "../dom";
import * as keep from "../keep";
import { newPasskey, newPIN, passkeys } from "../lock";
import * as offline from "../offline";
import { pinDigits, weakness } from "../pin";
import { heading, show } from "../screen";
import { Refused, Unreachable } from "../service";
import { asciiDigits } from "../text";
import { beside, say } from "../words";
import { home } from "./home";
import { field, note, primary, quiet, secret } from "./parts";
import { waiting } from "./waiting";

const form = /sci_[A-Za-z0-9_-]{8,128}/;

/** fromLink takes the invitation out of the address, where neither the history
 * nor a glance should find it. */
export function fromLink(): string | null {
  const found = location.hash.startsWith("#invite=") ? form.exec(location.hash)?.[0] ?? "" : null;
  if (location.hash) history.replaceState(null, "", location.pathname);
  return found;
}

/** invitationIn finds one in what was scanned. */
export const invitationIn = (text: string): string | null => (text.includes("#invite=") ? form.exec(text)?.[0] ?? null : null);

export function invite(invitation: string): void {
  const link = h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off", dir: "ltr", value: invitation, "data-testid": "invitation" });
  const pin = secret({ "data-testid": "pin" });
  const again = secret({ "data-testid": "pin-again" });
  const wrong = note();
  const say_ = (id: string, values = {}): void => wrong.replaceChildren(beside(id, values));

  const enrol = async (lock: () => Promise<{ lock: keep.Lock; key: CryptoKey } | null>): Promise<void> => {
    const found = form.exec(link.value)?.[0];
    if (!found) return say_("invite.refused");
    try {
      const made = await lock();
      if (!made) return say_("invite.no_passkey");
      show("invite", heading(say("invite.title")), h("p", { class: "lead working", "aria-live": "polite" }, beside("invite.working")), h("progress", {}));
      await offline.whenComplete();
      await device.enrol(found, made);
      await waiting();
    } catch (e) {
      invite(found);
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
    h("div", { class: "actions" }, quiet("action.back", () => void home())),
  );
}
