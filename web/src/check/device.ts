// This device: how it is enrolled, and how it is unlocked.

import { ask } from "../shared/service";
import { fromPasskey, fromPIN } from "./lock";
import * as session from "./session";
import * as storage from "./storage";
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

/** enrol makes a key pair, sends the public key to the service, and stores the
 * private key under the lock. */
export async function enrol(invitation: string, { lock, key }: { lock: storage.Lock; key: CryptoKey }): Promise<void> {
  const public_key = await keys().call<string>("newDevice");
  const answer = await ask("/api/v1/enrolments", { method: "POST", body: { invitation, public_key } });
  const made = (await answer.json()) as Enrolment;
  const kept = await keys().call<{ iv: Uint8Array<ArrayBuffer>; sealed: ArrayBuffer }>("seal", [key, made.token]);
  await storage.forget(); // everything of an enrolment before this one
  await storage.put("device", {
    id: made.device, network: made.network, root: JSON.stringify(made.root), public: public_key,
    agency: made.agency_name, label: made.label, state: made.state, lock, ...kept,
  });
  await storage.put("guesses", { wrong: 0, until: 0 });
  session.begin(made.token);
  // A browser may evict storage that was not marked as persistent.
  void navigator.storage?.persist?.();
}

/** symbols are the six symbols that two people compare. */
export function symbols(d: storage.Device): Promise<string> {
  return keys().call("symbols", [d.network, d.root, d.public]);
}

/** approved asks whether somebody has approved this device meanwhile. */
export async function approved(): Promise<boolean> {
  const answer = await ask("/api/v1/devices/self", { token: session.bearer() });
  const self = (await answer.json()) as { state: string };
  if (self.state !== "active") return false;
  const d = await storage.get("device");
  if (d) await storage.put("device", { ...d, state: "active" });
  return true;
}

const freeAttempts = 5;

/** unlock opens the device with a PIN, or with its passkey. The fifth wrong PIN
 * costs a minute, and each one after it twice as long. */
export async function unlock(pin?: string): Promise<{ open: true } | { open: false; left?: number; until?: number }> {
  const d = await storage.get("device");
  if (!d) return { open: false };
  if (d.lock.kind === "passkey") {
    const key = await fromPasskey(d.lock.salt, d.lock.credential);
    return key && (await use(key, d)) ? { open: true } : { open: false };
  }
  const { salt } = d.lock;
  return navigator.locks.request("card-check-unlock", async () => {
    const attempts = (await storage.get("guesses")) ?? { wrong: 0, until: 0 };
    if (Date.now() < attempts.until) return { open: false, until: attempts.until };
    // An attempt counts before it is tried, so that closing the page gives none back.
    const wrong = attempts.wrong + 1;
    const until = wrong < freeAttempts ? 0 : Date.now() + 60_000 * 2 ** Math.min(wrong - freeAttempts, 10);
    await storage.put("guesses", { wrong, until });
    if (!(await use(await fromPIN(pin ?? "", salt), d))) {
      return until ? { open: false, until } : { open: false, left: freeAttempts - wrong };
    }
    await storage.put("guesses", { wrong: 0, until: 0 });
    return { open: true };
  }) as Promise<{ open: true } | { open: false; left?: number; until?: number }>;
}

async function use(key: CryptoKey, d: storage.Device): Promise<boolean> {
  const found = await keys().call<string | false>("unlock", [key, d.iv, d.sealed]);
  if (found === false) return false;
  session.begin(found);
  return true;
}
