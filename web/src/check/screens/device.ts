// This device: its lists, its lock, its language.

import { drawn, languageChoice, note, primary, quiet } from "../../shared/components";
import { h } from "../../shared/dom";
import { heading, show } from "../../shared/screen";
import { beside, has, moment, say } from "../../shared/words";
import * as pack from "../pack";
import { go } from "../router";
import { lock, wipe } from "../session";
import * as storage from "../storage";

const maxPack = 16 << 20;
const good = new Set(["pack.imported", "freshness.updated"]);

export async function device(given?: { said: string }): Promise<void> {
  const said = given?.said;
  const d = await storage.get("device");
  if (!d) return go("home");
  const state = pack.current();
  const wrong = note();
  const tell = (id: string): void => wrong.replaceChildren(beside(id));
  const file = h("input", {
    type: "file", class: "unseen", "data-testid": "pack",
    change: () => { const chosen = file.files?.[0]; file.value = ""; if (chosen) void take(chosen); },
  });
  const take = async (chosen: File): Promise<void> => {
    if (chosen.size > maxPack) return tell("pack.too_large");
    const reason = await pack.accept(await chosen.text()).catch(() => "pack_broken");
    await device({ said: reason === null ? "pack.imported" : reason === "pack_broken" ? "pack.not_for_us" : `reason.${reason}` });
  };
  const fetchNow = async (): Promise<void> => {
    tell("freshness.updating");
    try {
      const reason = await pack.update();
      await device({ said: reason === null ? "freshness.updated" : has(`reason.${reason}`) ? `reason.${reason}` : "freshness.later" });
    } catch (e) {
      if (e instanceof pack.Revoked) return gone({ why: "device.revoked" });
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
      quiet("device.lock", () => { lock(); void go("unlock"); }, { "data-testid": "lock" })),
    h("section", { class: "card" },
      h("h2", {}, say("pack.title")),
      state.kind === "refused" && h("p", { class: "note" }, beside(`reason.${state.reason}`)),
      opened && h("p", {}, say("device.lists", { date: when(opened.issued) })),
      opened && h("p", {}, say("device.lease", { date: when(opened.lease_until) })),
      h("div", { class: "actions" },
        primary("pack.fetch", () => void fetchNow(), { "data-testid": "fetch" }),
        h("label", { class: "quiet button" }, file, drawn("pack.import")))),
    h("section", { class: "card" }, h("h2", {}, say("settings.title")), languageChoice(() => void device())),
    h("div", { class: "actions" },
      quiet("selftest.run", () => void go("selftest"), { "data-testid": "selftest" }),
      quiet("device.remove", () => void go("removal")),
      quiet("action.back", () => void go("home"), { "data-testid": "back" })),
  );
}

/** removal asks once more before everything is removed. */
export function removal(): void {
  show("device",
    heading(say("device.remove")),
    h("p", { class: "lead" }, beside("device.remove.sure")),
    h("div", { class: "actions" },
      primary("device.remove", () => void wipe().then(() => gone({ why: "device.removed" })), { "data-testid": "remove" }),
      quiet("action.cancel", () => void go("home"))));
}

/** gone says that everything is gone: somebody removed it, or the network took
 * this device out of use. */
export function gone({ why }: { why: string }): void {
  show("device", heading(say("device.title")), h("p", { class: "lead", role: "status" }, beside(why)), quiet("action.close", () => void go("home")));
}
