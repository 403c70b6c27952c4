// Small things about text that have nothing to do with a page.

/** fill cuts a message at its {placeholders}. */
export function fill(message: string): (string | { name: string })[] {
  return message
    .split(/(\{[a-z_]+\})/)
    .filter((piece) => piece !== "")
    .map((piece) => (/^\{[a-z_]+\}$/.test(piece) ? { name: piece.slice(1, -1) } : piece));
}

/** lookUp finds a message; what a catalogue lacks is said in English, and what
 * nobody wrote is said by its name, which a test would notice. */
export function lookUp(id: string, from: Catalogue, english: Catalogue): { text: string; speaks: Catalogue; byMachine: boolean } {
  const own = from.messages[id];
  return own
    ? { text: own.text, speaks: from, byMachine: own.mark === "machine" }
    : { text: english.messages[id]?.text ?? id, speaks: english, byMachine: false };
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

/** asciiDigits makes ASCII of the digits of any script, and drops spaces and
 * dashes: a number as it was read off a paper. */
export function asciiDigits(typed: string): string {
  return typed.replace(/[\p{Z}\p{Pd}\t\r\n]/gu, "").replace(/\p{Nd}/gu, (d) => {
    // Blocks of decimal digits run from zero to nine, and begin after something
    // that is none, or after another block (The Unicode Standard, §4.6).
    const at = d.codePointAt(0) ?? 0;
    let value = 0;
    while (/^\p{Nd}$/u.test(String.fromCodePoint(at - value - 1))) value++;
    return String(value % 10);
  });
}
