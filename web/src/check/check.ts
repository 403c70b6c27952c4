// One check. Nothing here uses the network.

import * as pack from "./pack";
import * as storage from "./storage";
import { fromHex, keys, stretch, type Answer, type Verdict } from "./verifier";

/** check judges what was shown. Tabs take turns, and the tries are on the disk
 * before anybody sees the verdict, so that neither a second tab nor a pulled
 * battery gives more tries. A check without a wrong code writes nothing: the disk
 * would tell when it was. */
export function check(text: string | null, code: string | null, stretching: () => void = () => {}): Promise<Verdict> {
  return navigator.locks.request("card-check-tries", async () => {
    await pack.newest();
    const tries = (await storage.get("tries")) ?? null;
    const now = Math.floor(Date.now() / 1000);
    let answer = await keys().call<Answer>("recognise", [text, code, tries, now]);
    if (answer.stretch) {
      stretching();
      const { salt, ...work } = answer.stretch;
      const stretched = await stretch({ ...work, salt: fromHex(salt) });
      answer = await keys().call<Answer>("verify", [text, code, tries, now, stretched]);
    }
    if (!answer.verdict) throw new Error("no verdict");
    if (answer.tries !== (tries ?? noTries)) await storage.put("tries", answer.tries);
    return withReason(answer.verdict);
  }) as Promise<Verdict>;
}

const noTries = '{"hours":null}'; // as the verifier writes what counts nothing

// withReason says why the stored pack was refused. The verifier knows only that
// no pack is open.
function withReason(v: Verdict): Verdict {
  const state = pack.current();
  return v.state === "not_ready" && v.reason === "no_pack" && state.kind === "refused" ? { ...v, reason: state.reason } : v;
}
