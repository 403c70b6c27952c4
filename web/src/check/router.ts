// The screens of this page. Who shows a card goes scan → code → result; what
// judges it in between is check.ts, which knows no screen.

import { router } from "../shared/router";
import type { Verdict } from "./verifier";

/** Wrong says how the code before was wrong. */
export interface Wrong {
  reason: string;
  tries?: number; // that are left
}

interface Screens {
  /** home is where this device begins: set up or not, locked, waiting, ready. */
  home: undefined;
  /** scan looks through the camera. */
  scan: undefined;
  /** code asks for the code of the card that was shown, where it needs one. */
  code: { shown: string; wrong?: Wrong };
  /** result shows a verdict; null asks for the one on a picture in which nothing
   * was read, and why then says more than the verifier can know. */
  result: { verdict: Verdict | null; shown?: string; why?: string | undefined };
  /** neutral is what every paper gets without a device. */
  neutral: undefined;
  invite: { invitation: string };
  waiting: undefined;
  unlock: { why: string } | undefined;
  device: { said: string } | undefined;
  removal: undefined;
  /** gone says that everything of the device is gone, and why. */
  gone: { why: "device.removed" | "device.revoked" };
  selftest: undefined;
}

export const { begin, go } = router<Screens>();
