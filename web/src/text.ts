// Small things about text that have nothing to do with a page.

/** fill cuts a message at its {placeholders}. */
export function fill(message: string): (string | { name: string })[] {
  return message
    .split(/(\{[a-z_]+\})/)
    .filter((piece) => piece !== "")
    .map((piece) => (/^\{[a-z_]+\}$/.test(piece) ? { name: piece.slice(1, -1) } : piece));
}

/** inDigits writes a number in the digits of a script. */
export function inDigits(n: number | string, digits: string): string {
  const script = [...digits];
  return String(n).replace(/[0-9]/g, (d) => script[Number(d)] ?? d);
}

/** countDigits counts decimal digits of any script. */
export function countDigits(typed: string): number {
  return typed.match(/\p{Nd}/gu)?.length ?? 0;
}

/** looksLikeCard tells whether a text is 667 digits: the form of our cards. */
export const looksLikeCard = (text: string): boolean => /^[0-9]{667}$/.test(text);

/** asciiDigits makes ASCII of the digits of any script, and drops spaces and
 * dashes: a number as it was read off a paper. */
export function asciiDigits(typed: string): string {
  return typed.replace(/[\p{Z}\p{Pd}\t\r\n]/gu, "").replace(/\p{Nd}/gu, (d) => {
    // Every block of decimal digits runs from zero to nine, and begins after
    // something that is none (The Unicode Standard, §4.6).
    let zero = d.codePointAt(0) ?? 0;
    let value = 0;
    while (value < 9 && /^\p{Nd}$/u.test(String.fromCodePoint(zero - 1))) {
      zero--;
      value++;
    }
    return String(value);
  });
}

/** onlyOne is the symbol that was meant among those in view: ours, if there is
 * one; of two of ours none, for a code would be tried on the wrong one. */
export function onlyOne(texts: string[]): string | null | "several" {
  const ours = new Set(texts.filter(looksLikeCard));
  if (ours.size > 1) return "several";
  const [first] = ours.size === 1 ? ours : texts;
  return first ?? null;
}
