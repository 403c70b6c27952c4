// An invitation, in an address or in what was scanned.

const form = /sci_[A-Za-z0-9_-]{8,128}/;

/** invitationIn finds the invitation in what somebody typed or pasted. */
export const invitationIn = (typed: string): string | null => form.exec(typed)?.[0] ?? null;

/** invitationScanned finds one in a symbol, which holds the whole address. */
export const invitationScanned = (text: string): string | null => (text.includes("#invite=") ? invitationIn(text) : null);

/** fromLink takes the invitation out of the address, where neither the history
 * nor a glance should find it. */
export function fromLink(): string | null {
  const found = location.hash.startsWith("#invite=") ? invitationIn(location.hash) ?? "" : null;
  if (location.hash) history.replaceState(null, "", location.pathname);
  return found;
}
