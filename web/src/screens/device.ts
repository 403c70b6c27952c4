// This device: its lists, its lock, its language.

import * as device from "../device";
import { h } from "../dom";
import * as keep from "../keep";
import * as pack from "../pack";
import { heading, show } from "../screen";
import { beside, has, moment, say } from "../words";
import { home } from "./home";
import { drawn, languageChoice, note, primary, quiet } from "./parts";
import { selfTest } from "./selftest";
import { unlock } from "./unlock";

const maxPack = 16 << 20;
const good = new Set(["pack.imported", "freshness.updated"]);

export async function deviceScreen(said?: string): Promise<void> {
  const d = await keep.get("device");
  if (!d) return home();
  const state = pack.current();
  const wrong = note();
  const tell = (id: string): void => wrong.replaceChildren(beside(id));
  const file = h("input", {
    type: "file", class: "unseen", "data-testid": "pack",
    change: () => { const chosen = file.files?.[0]; file.value = ""; if (chosen) void take(chosen); },
  });
  const take = async (chosen: File): Promise<void> => {
    if (chosen.size > maxPack) return tell("pack.too_large");
    const reason = await pack.take(await chosen.text()).catch(() => "pack_broken");
    await deviceScreen(reason === null ? "pack.imported" : reason === "pack_broken" ? "pack.not_for_us" : `reason.${reason}`);
  };
  const fetchNow = async (): Promise<void> => {
    tell("freshness.updating");
    try {
      const reason = await pack.update();
      await deviceScreen(reason === null ? "freshness.updated" : has(`reason.${reason}`) ? `reason.${reason}` : "freshness.later");
    } catch (e) {
      if (e instanceof pack.Revoked) return revoked();
      tell("freshness.later");
    }
  };
  const opened = state.kind === "ready" ? state.opened : undefined;
  const when = (at?: string): string => (at ? moment(at) : "");
  const facts: [string, string][] = [["device.name", d.label], ["device.network", opened?.name ?? ""]];
  show("device",
    heading(say("device.title")),
    said && h("p", { class: good.has(said) ? "note good" : "note", role: "status" }, beside(said)),
    wrong,
    h("section", { class: "card" },
      h("dl", {}, ...facts.filter(([, v]) => v).flatMap(([id, v]) => [h("dt", {}, say(id)), h("dd", {}, h("bdi", {}, v))])),
      h("p", {}, say("device.agency", { agency: d.agency })),
      quiet("device.lock", () => { device.lock(); void unlock(); }, { "data-testid": "lock" })),
    h("section", { class: "card" },
      h("h2", {}, say("pack.title")),
      state.kind === "refused" && h("p", { class: "note" }, beside(`reason.${state.reason}`)),
      opened && h("p", {}, say("device.lists", { date: when(opened.issued) })),
      opened && h("p", {}, say("device.lease", { date: when(opened.lease_until) })),
      h("div", { class: "actions" },
        primary("pack.fetch", () => void fetchNow(), { "data-testid": "fetch" }),
        h("label", { class: "quiet button" }, file, drawn("pack.import")))),
    h("section", { class: "card" }, h("h2", {}, say("settings.title")), languageChoice(() => void deviceScreen())),
    h("div", { class: "actions" },
      quiet("selftest.run", () => void selfTest(), { "data-testid": "selftest" }),
      quiet("device.remove", removal),
      quiet("action.back", () => void home(), { "data-testid": "back" })),
  );
}

/** removal asks once more before everything goes. */
export function removal(): void {
  show("device",
    heading(say("device.remove")),
    h("p", { class: "lead" }, beside("device.remove.sure")),
    h("div", { class: "actions" },
      primary("device.remove", () => void device.wipe().then(() => gone("device.removed")), { "data-testid": "remove" }),
      quiet("action.cancel", () => void home())));
}

/** revoked says that the network took this device out of use. */
export const revoked = (): void => gone("device.revoked");

function gone(id: string): void {
  show("device", heading(say("device.title")), h("p", { class: "lead", role: "status" }, beside(id)), quiet("action.close", () => void home()));
}
