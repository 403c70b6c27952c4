// One check. Nothing in here asks the network anything.

import * as keep from "./keep";
import * as pack from "./pack";
import { fromHex, keys, stretch, type Answer, type Verdict } from "./verifier";

/** check judges what was shown. Two tabs take turns, and the tries are on the
 * disk before anybody sees the verdict: neither a second tab nor a pulled
 * battery gives more tries. */
export function check(text: string | null, code: string | null, stretching: () => void = () => {}): Promise<Verdict> {
  return navigator.locks.request("card-check-tries", async () => {
    await pack.newest();
    const tries = (await keep.get("tries")) ?? null;
    const now = Math.floor(Date.now() / 1000);
    let answer = await keys().call<Answer>("recognise", [text, code, tries, now]);
    if (answer.stretch) {
      stretching();
      const { salt, ...work } = answer.stretch;
      const stretched = await stretch({ ...work, salt: fromHex(salt) });
      answer = await keys().call<Answer>("verify", [text, code, tries, now, stretched]);
    }
    if (!answer.verdict) throw new Error("no verdict");
    await keep.put("tries", answer.tries);
    return withReason(answer.verdict);
  }) as Promise<Verdict>;
}

// Without an open pack the verifier says that there is none; why the one that
// is kept was not opened was heard when it was tried.
function withReason(v: Verdict): Verdict {
  const state = pack.current();
  return v.state === "not_ready" && v.reason === "no_pack" && state.kind === "refused" ? { ...v, reason: state.reason } : v;
}
