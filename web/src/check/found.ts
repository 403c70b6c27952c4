// Camera, picture and hand scanner all end here.

import { invitationScanned } from "./invitation";
import { go } from "./router";
import * as session from "./session";
import * as storage from "./storage";

/** found goes on with the text of a symbol. The text is null when nothing could
 * be read, and the reason says why where it is known. */
export async function found(text: string | null, reason?: string): Promise<void> {
  if (session.open()) return text === null ? go("result", { verdict: null, why: reason }) : go("code", { shown: text });
  const invitation = text === null ? null : invitationScanned(text);
  if (invitation !== null && !(await storage.get("device"))) return go("invite", { invitation });
  // Without a device every text gets the same words.
  return go("neutral");
}
