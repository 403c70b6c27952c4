// What a symbol or a scanner gave, before anything is asked about it.

/** looksLikeCard tells whether a text is 667 digits: the form of our cards. */
export const looksLikeCard = (text: string): boolean => /^[0-9]{667}$/.test(text);

/** onlyOne is the symbol that was meant among those in view: ours, if there is
 * one; of two of ours none, for a code would be tried on the wrong one. */
export function onlyOne(texts: string[]): string | null | "several" {
  const ours = new Set(texts.filter(looksLikeCard));
  if (ours.size > 1) return "several";
  const [first] = ours.size === 1 ? ours : texts;
  return first ?? null;
}
