// The self-test tries one by one what this device needs for a check. Then it reads
// and judges sample cards as any card.

import { note, quiet } from "../../shared/components";
import { h } from "../../shared/dom";
import type { Client } from "../../shared/rpc";
import { heading, onLeave, show } from "../../shared/screen";
import { mark } from "../../shared/shapes";
import { beside, say } from "../../shared/words";
import * as offline from "../offline";
import * as pack from "../pack";
import { go } from "../router";
import { onlyOne } from "../scanned";
import * as storage from "../storage";
import { readSymbols } from "../symbols";
import { newVerifier, fromHex, stretch, type Answer, type Opened } from "../verifier";

type Outcome = "yes" | "no" | "unchecked";

const tests: [string, () => Promise<Outcome>][] = [
  ["selftest.storage", storageWorks],
  ["selftest.clock", async () => (pack.clockIsOff() ? "no" : "yes")],
  ["selftest.lists", async () => (pack.current().kind === "ready" ? "yes" : "no")],
  ["selftest.camera", camera],
];

interface Row {
  li: HTMLLIElement;
  sign: HTMLSpanElement;
  word: HTMLElement;
}

function row(name: string, label: Node): Row {
  const sign = h("span", {}, mark("unchecked"));
  const word = h("strong", {}, say("answer.unchecked"));
  return { sign, word, li: h("li", { "data-testid": name, "data-answer": "unchecked" }, sign, h("span", {}, label), word) };
}

function settle(r: Row, found: Outcome): void {
  r.li.dataset["answer"] = found;
  r.li.className = found;
  r.sign.replaceChildren(mark(found));
  r.word.replaceChildren(say(`answer.${found}`));
}

export async function selftest(): Promise<void> {
  const rows = tests.map(([id]) => row(id, say(id)));
  const cards = h("ul", { "data-testid": "samples" });
  const end = note();
  let left = false;
  show("selftest",
    heading(say("selftest.title")),
    h("div", { class: "checks" }, h("ul", {}, ...rows.map((r) => r.li)), h("h2", {}, say("selftest.program")), cards),
    end,
    h("div", { class: "actions" }, quiet("action.back", () => void go("device"))));
  onLeave(() => { left = true; });
  let bad = false;
  for (const [i, [, test]] of tests.entries()) {
    const found = await test().catch((): Outcome => "no");
    const r = rows[i];
    if (r) settle(r, found);
    bad ||= found === "no";
  }
  end.replaceChildren(say("page.loading"));
  try {
    const { verifier, sample } = await openSample();
    onLeave(() => verifier.terminate());
    for (const card of sample.cards) {
      if (left) return;
      const r = row(`sample.${card.state}`, say(`state.${card.state}.heading`));
      cards.append(r.li);
      const found = await judge(verifier, card, sample.now).catch(() => "");
      settle(r, found === card.state ? "yes" : "no");
      bad ||= found !== card.state;
    }
    verifier.terminate();
  } catch {
    bad = true;
  }
  if (left) return;
  end.classList.toggle("good", !bad);
  end.replaceChildren(beside(bad ? "selftest.bad" : "selftest.good"));
}

interface Sample {
  now: number;
  file: string;
  device: { network: string; device: string; private: string; root: object };
  cards: SampleCard[];
}

interface SampleCard {
  state: string;
  code: string | null;
  modules: string; // base64
  side: number;
}

async function openSample(): Promise<{ verifier: Client; sample: Sample }> {
  const kept = (await caches.match(SAMPLE)) ?? (await fetch(SAMPLE));
  const sample = (await kept.json()) as Sample;
  const verifier = newVerifier();
  const { network, device: id, root } = sample.device;
  await verifier.call("take", [sample.device.private]);
  const opened = await verifier.call<Opened>("openPack", [
    sample.file, { network, id, root: JSON.stringify(root), sequence: 0, seen: 0, trustKey: 0 }, sample.now,
  ]);
  if (!opened.handle) throw new Error("sample pack");
  return { verifier, sample };
}

// judge draws a symbol, reads it as a picture of the camera, and checks it at the
// sample's own time. Wrong codes are counted nowhere.
async function judge(verifier: Client, card: SampleCard, now: number): Promise<string> {
  const text = onlyOne(await readSymbols(draw(card)));
  const asked = await verifier.call<Answer>("recognise", [text, card.code, null, now]);
  if (!asked.stretch) return asked.verdict?.state ?? "";
  const { salt, ...work } = asked.stretch;
  const stretched = await stretch({ ...work, salt: fromHex(salt) });
  const answer = await verifier.call<Answer>("verify", [text, card.code, null, now, stretched]);
  return answer.verdict?.state ?? "";
}

function draw({ modules, side }: SampleCard): ImageData {
  const scale = 5;
  const quiet = 4;
  const size = (side + 2 * quiet) * scale;
  const picture = new ImageData(size, size);
  picture.data.fill(255);
  const bits = Uint8Array.from(atob(modules), (c) => c.charCodeAt(0));
  for (let y = 0; y < side * scale; y++) {
    for (let x = 0; x < side * scale; x++) {
      const i = Math.floor(y / scale) * side + Math.floor(x / scale);
      if (((bits[i >> 3] ?? 0) & (0x80 >> (i & 7))) === 0) continue;
      const at = 4 * ((y + quiet * scale) * size + x + quiet * scale);
      picture.data.fill(0, at, at + 3);
    }
  }
  return picture;
}

async function storageWorks(): Promise<Outcome> {
  const tries = await storage.get("tries");
  if (tries !== undefined) await storage.put("tries", tries);
  return offline.complete() ? "yes" : "no";
}

async function camera(): Promise<Outcome> {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.some((d) => d.kind === "videoinput") ? "yes" : "unchecked";
}
