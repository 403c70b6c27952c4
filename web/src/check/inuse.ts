// A device that was opened: its lists are kept fresh, and somebody has to use it
// or it closes.

import * as pack from "./pack";
import { go } from "./router";
import * as session from "./session";
import * as symbols from "./symbols";
import * as verifier from "./verifier";

const idle = 5 * 60_000;

/** begun is called when the device was opened. */
export function begun(): void {
  void Promise.all([symbols.warm(), verifier.warm()]).catch(() => {}); // whoever needs them hears of it
  pack.keepFresh(() => void go("gone", { why: "device.revoked" }));
  used();
}

let closing: ReturnType<typeof setTimeout> | undefined;

/** used begins the time anew after which the device closes by itself. */
export function used(): void {
  clearTimeout(closing);
  if (!session.open()) return;
  closing = setTimeout(() => {
    session.lock();
    void go("unlock", { why: "unlock.closed" });
  }, idle);
}
