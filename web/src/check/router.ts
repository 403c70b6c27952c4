// The screens of this page and what each is given. A card goes scan → code →
// result. check.ts judges it in between and knows no screen.

import { router } from "../shared/router";
import type { Verdict } from "./verifier";

/** Wrong says why the code before was wrong. */
export interface Wrong {
  reason: string;
  tries?: number; // that are left
}

interface Screens {
  /** home shows start, unlock, waiting or ready, as this device is. */
  home: undefined;
  /** scan looks through the camera. */
  scan: undefined;
  /** code asks for the code of the card that was shown, if it needs one. */
  code: { shown: string; wrong?: Wrong };
  /** result shows a verdict. A null verdict stands for a picture in which nothing
   * was read, and why says what the verifier cannot know. */
  result: { verdict: Verdict | null; shown?: string; why?: string | undefined };
  /** neutral is the answer to every paper without a device. */
  neutral: undefined;
  invite: { invitation: string };
  waiting: undefined;
  unlock: { why: string } | undefined;
  device: { said: string } | undefined;
  removal: undefined;
  /** gone says why everything of the device is gone. */
  gone: { why: "device.removed" | "device.revoked" };
  selftest: undefined;
}

export const { begin, go } = router<Screens>();
