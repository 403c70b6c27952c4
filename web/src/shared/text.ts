// Functions about text that know nothing of a page.

/** splitPlaceholders cuts a message at its {placeholders}. */
export function splitPlaceholders(message: string): (string | { name: string })[] {
  return message
    .split(/(\{[a-z_]+\})/)
    .filter((piece) => piece !== "")
    .map((piece) => (/^\{[a-z_]+\}$/.test(piece) ? { name: piece.slice(1, -1) } : piece));
}

/** lookUp finds a message. English replaces a message that a catalogue lacks. The
 * id replaces one that nobody wrote, which a test would notice. */
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

/** isDay tells whether a text is a day of ISO 8601, YYYY-MM-DD. */
export const isDay = (text: string): boolean => /^\d{4}-\d\d-\d\d$/.test(text);

// unseen matches what may stand between digits: spaces, dashes, combining marks,
// and characters that show nothing. Direction marks, for example, come along when
// a number is copied.
const unseen = /[\p{Z}\p{Pd}\p{Cc}\p{Cf}\p{M}\p{Default_Ignorable_Code_Point}]/gu;

/** asciiDigits makes ASCII of the digits of any script, and drops unseen
 * characters, spaces and dashes: a number as it was read off a paper. */
export function asciiDigits(typed: string): string {
  return typed.replace(unseen, "").replace(/\p{Nd}/gu, (d) => {
    // A block of decimal digits runs from zero to nine. It begins after something
    // else, or after another block (The Unicode Standard, §4.6).
    const at = d.codePointAt(0) ?? 0;
    let value = 0;
    while (/^\p{Nd}$/u.test(String.fromCodePoint(at - value - 1))) value++;
    return String(value % 10);
  });
}

/** onlyDigits gives the digits of a text and drops the rest. A field counts the
 * digits of a code with it, and uses the code that it gives: a digit that is
 * counted is a digit that is used. */
export const onlyDigits = (typed: string): string => asciiDigits(typed).replace(/[^0-9]/g, "");
