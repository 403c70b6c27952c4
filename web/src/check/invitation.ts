// An invitation, in an address or in what was scanned.

const form = /sci_[A-Za-z0-9_-]{8,128}/;

/** invitationIn finds the invitation in a text that somebody typed or pasted. */
export const invitationIn = (typed: string): string | null => form.exec(typed)?.[0] ?? null;

/** invitationScanned finds an invitation in a symbol, which holds the whole address. */
export const invitationScanned = (text: string): string | null => (text.includes("#invite=") ? invitationIn(text) : null);

/** fromLink takes the invitation out of the address, so that neither the history
 * nor a glance finds it there. */
export function fromLink(): string | null {
  const found = location.hash.startsWith("#invite=") ? invitationIn(location.hash) ?? "" : null;
  if (location.hash) history.replaceState(null, "", location.pathname);
  return found;
}
