// This device: how it becomes one, and how it is opened.

import { ask } from "../shared/service";
import * as keep from "./keep";
import { fromPasskey, fromPIN } from "./lock";
import * as session from "./session";
import { keys } from "./verifier";

interface Enrolment {
  device: string;
  agency: string;
  agency_name: string;
  label: string;
  token: string;
  network: string;
  root: unknown;
  state: "pending" | "active";
}

/** enrol makes a key, shows its public half to the service, and keeps the
 * private one under the lock. */
export async function enrol(invitation: string, { lock, key }: { lock: keep.Lock; key: CryptoKey }): Promise<void> {
  const public_key = await keys().call<string>("newDevice");
  const answer = await ask("/api/v1/enrolments", { method: "POST", body: { invitation, public_key } });
  const made = (await answer.json()) as Enrolment;
  const kept = await keys().call<{ iv: Uint8Array<ArrayBuffer>; sealed: ArrayBuffer }>("seal", [key, made.token]);
  await keep.forget(); // what another network gave, if there was one
  await keep.put("device", {
    id: made.device, network: made.network, root: JSON.stringify(made.root), public: public_key,
    agency: made.agency_name, label: made.label, state: made.state, lock, ...kept,
  });
  await keep.put("guesses", { wrong: 0, until: 0 });
  session.begin(made.token);
  // What is not asked to stay may be swept away when the disk gets full.
  void navigator.storage?.persist?.();
}

/** symbols are the six that two people compare. */
export function symbols(d: keep.Device): Promise<string> {
  return keys().call("symbols", [d.network, d.root, d.public]);
}

/** approved asks whether somebody has approved this device meanwhile. */
export async function approved(): Promise<boolean> {
  const answer = await ask("/api/v1/devices/self", { token: session.bearer() });
  const self = (await answer.json()) as { state: string };
  if (self.state !== "active") return false;
  const d = await keep.get("device");
  if (d) await keep.put("device", { ...d, state: "active" });
  return true;
}

const freeGuesses = 5;

/** unlock opens the device with a PIN, or with its passkey. Wrong PINs cost
 * time: from the sixth on a minute, and each time twice as long. */
export async function unlock(pin?: string): Promise<{ open: true } | { open: false; left?: number; until?: number }> {
  const d = await keep.get("device");
  if (!d) return { open: false };
  if (d.lock.kind === "passkey") {
    const key = await fromPasskey(d.lock.salt, d.lock.credential);
    return key && (await use(key, d)) ? { open: true } : { open: false };
  }
  const { salt } = d.lock;
  return navigator.locks.request("card-check-unlock", async () => {
    const guesses = (await keep.get("guesses")) ?? { wrong: 0, until: 0 };
    if (Date.now() < guesses.until) return { open: false, until: guesses.until };
    // Counted before it is tried, so that closing the page gives none back.
    const wrong = guesses.wrong + 1;
    const until = wrong < freeGuesses ? 0 : Date.now() + 60_000 * 2 ** Math.min(wrong - freeGuesses, 10);
    await keep.put("guesses", { wrong, until });
    if (!(await use(await fromPIN(pin ?? "", salt), d))) {
      return until ? { open: false, until } : { open: false, left: freeGuesses - wrong };
    }
    await keep.put("guesses", { wrong: 0, until: 0 });
    return { open: true };
  }) as Promise<{ open: true } | { open: false; left?: number; until?: number }>;
}

async function use(key: CryptoKey, d: keep.Device): Promise<boolean> {
  const found = await keys().call<string | false>("unlock", [key, d.iv, d.sealed]);
  if (found === false) return false;
  session.begin(found);
  return true;
}
