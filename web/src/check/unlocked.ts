// An unlocked device: its lists are kept fresh, and it locks itself when nobody
// uses it.

import * as pack from "./pack";
import { go } from "./router";
import * as session from "./session";
import * as symbols from "./symbols";
import * as verifier from "./verifier";

const idleTimeout = 5 * 60_000;

/** unlocked starts what runs while the device is unlocked. */
export function unlocked(): void {
  void Promise.all([symbols.warm(), verifier.warm()]).catch(() => {}); // a check that needs them will say so
  pack.scheduleUpdates(() => void go("gone", { why: "device.revoked" }));
  resetIdleTimer();
}

let closing: ReturnType<typeof setTimeout> | undefined;

/** resetIdleTimer restarts the time after which the device locks itself. */
export function resetIdleTimer(): void {
  clearTimeout(closing);
  if (!session.open()) return;
  closing = setTimeout(() => {
    session.lock();
    void go("unlock", { why: "unlock.closed" });
  }, idleTimeout);
}
