// The text of a symbol or a scanner, before anything is checked. A card is 667
// digits and nothing else (docs/card.md). A scanner is a keyboard, and types more
// than the symbol holds.

import { asciiDigits } from "../shared/text";

const digitsInCard = 667;

/** looksLikeCard tells whether a text is 667 digits: the form of our cards. */
export const looksLikeCard = (text: string): boolean => text.length === digitsInCard && /^[0-9]+$/.test(text);

/** onlyOne is the symbol that was meant among those in view: ours, if there is
 * one. Of two of ours neither was, because a code would be tried on the wrong one. */
export function onlyOne(texts: string[]): string | null | "several" {
  const ours = new Set(texts.filter(looksLikeCard));
  if (ours.size > 1) return "several";
  const [first] = ours.size === 1 ? ours : texts;
  return first ?? null;
}

// Keyboards on which the keys of the digits 1 to 9 and 0 give other characters. A
// scanner types those where the device is set to another keyboard than it is.
const rows = [
  "&é\"'(-è_çà", // French
  "&é\"'(§è!çà", // Belgian
  "+ěščřžýáíé", // Czech
  "+ľščťžýáíé", // Slovak
  "ๅ/-ภถุึคตจ", // Thai
];

/** fromScanner takes off what scanners add to the digits of a card. A text that is
 * no card comes back as it was, without the white space around it. */
export function fromScanner(typed: string): string {
  const text = typed.replace(/^[\p{Z}\p{C}]+|[\p{Z}\p{C}]+$/gu, "");
  return readings(text).find(looksLikeCard) ?? text;
}

const nearly = 500; // digits: a scanner that types too fast loses some

/** nearlyCard tells whether a text was a card before a scanner got it wrong. A text
 * that begins with a scheme belongs to another system (RFC 3986 §3.1). */
export function nearlyCard(text: string): boolean {
  if (looksLikeCard(text) || /^[a-z][a-z0-9+.-]*:/i.test(text)) return false;
  return readings(text).some((reading) => {
    const digits = reading.replace(/[^0-9]/g, "").length;
    return digits >= nearly && digits >= 0.9 * reading.length;
  });
}

// readings gives the digits that a scanner may have meant, one reading for each
// keyboard. Blanks are left out, and so is the identifier by which a scanner may
// say that it read a QR code: ]Q and a digit (ISO/IEC 15424). A keyboard may make
// anything of its first two characters.
function readings(text: string): string[] {
  const keys = [...text.replace(/[\p{Z}\p{C}]/gu, "")];
  return [asciiDigits(text), ...rows.map((row) => typedOn(row, keys))].map((r) => r.replace(/^[^0-9]{1,2}[0-6](?=[0-9]{667}$)/, ""));
}

function typedOn(row: string, keys: string[]): string {
  const digit = new Map([...row].map((sign, i) => [sign, String((i + 1) % 10)]));
  return keys.map((key) => digit.get(key) ?? key).join("");
}
