// The self-test: what this device needs for a check, tried one by one.

import { h } from "../dom";
import * as keep from "../keep";
import * as offline from "../offline";
import * as pack from "../pack";
import { heading, show } from "../screen";
import { mark } from "../shapes";
import { fromHex, keys, stretch, type Answer } from "../verifier";
import { beside, say } from "../words";
import { deviceScreen } from "./device";
import { note, quiet } from "./parts";

type Outcome = "yes" | "no" | "unchecked";

const tests: [string, () => Promise<Outcome>][] = [
  ["selftest.storage", storage],
  ["selftest.clock", async () => (pack.clockIsOff() ? "no" : "yes")],
  ["selftest.program", programs],
  ["selftest.lists", async () => (pack.current().kind === "ready" ? "yes" : "no")],
  ["selftest.camera", camera],
];

export async function selfTest(): Promise<void> {
  const rows = tests.map(([id]) => {
    const sign = h("span", {}, mark("unchecked"));
    const word = h("strong", {}, say("answer.unchecked"));
    return { sign, word, row: h("li", { "data-testid": id, "data-answer": "unchecked" }, sign, h("span", {}, say(id)), word) };
  });
  const end = note();
  show("selftest",
    heading(say("selftest.title")),
    h("div", { class: "checks" }, h("ul", {}, ...rows.map((r) => r.row))),
    end,
    h("div", { class: "actions" }, quiet("action.back", () => void deviceScreen())));
  let bad = false;
  for (const [i, [, test]] of tests.entries()) {
    const found = await test().catch((): Outcome => "no");
    const r = rows[i];
    if (!r) continue;
    r.row.dataset["answer"] = found;
    r.row.className = found;
    r.sign.replaceChildren(mark(found));
    r.word.replaceChildren(say(`answer.${found}`));
    bad ||= found === "no";
  }
  end.replaceChildren(beside(bad ? "selftest.bad" : "selftest.good"));
}

async function storage(): Promise<Outcome> {
  const tries = await keep.get("tries");
  if (tries !== undefined) await keep.put("tries", tries);
  return offline.complete() ? "yes" : "no";
}

// programs runs Argon2id against a known answer (RFC 9106 has none without a
// secret; this one was computed by x/crypto/argon2), and asks the verifier
// about a text that is no card.
async function programs(): Promise<Outcome> {
  const made = await stretch({ password: "0123456789", salt: fromHex("000102030405060708090a0b0c0d0e0f"), passes: 3, kib: 65536, lanes: 1, size: 32 });
  const known = fromHex(KNOWN);
  if (made.some((b, i) => b !== known[i])) return "no";
  const answer = await keys().call<Answer>("recognise", ["self-test", null, null, Math.floor(Date.now() / 1000)]);
  const expected = pack.current().kind === "ready" ? "not_ours" : "not_ready";
  return answer.verdict?.state === expected ? "yes" : "no";
}

async function camera(): Promise<Outcome> {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.some((d) => d.kind === "videoinput") ? "yes" : "unchecked";
}

const KNOWN = "d93f419fdcff6687bd3c6bd7d242bb43aa83d9e44c17d36b8209546583be72da";
