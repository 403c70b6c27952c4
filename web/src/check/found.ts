// Where a card goes from: the camera, a picture and a hand scanner end here.

import { invitationScanned } from "./invitation";
import * as keep from "./keep";
import { go } from "./router";
import * as session from "./session";

/** found goes on with what a symbol, a picture or a scanner gave; null when
 * nothing could be read, with the reason where one is known. */
export async function found(text: string | null, reason?: string): Promise<void> {
  if (session.open()) return text === null ? go("result", { verdict: null, why: reason }) : go("code", { shown: text });
  const invitation = text === null ? null : invitationScanned(text);
  if (invitation !== null && !(await keep.get("device"))) return go("invite", { invitation });
  // Without a device everything gets the same words, whatever it was.
  return go("neutral");
}
