// Days and moments in the language of a page, in the digits 0 to 9: whoever shows them
// writes them in the digits that all numbers of a screen have. A day is the same day
// everywhere. A moment has another time of day elsewhere, and may have another date.

import { isDay } from "./text";

/** birth writes YYYYMMDD, YYYYMM or YYYY with dashes. It makes up no month and no
 * day that is not known. */
export function birth(date: string): string {
  return [date.slice(0, 4), date.slice(4, 6), date.slice(6, 8)].filter(Boolean).join("-");
}

export type When = string | number | Date;

/** day writes a day (YYYY-MM-DD), or the local day of a moment. */
export const day = (at: When, language: string): string => format(at, language, { dateStyle: "long" });

/** moment writes the local date and time. */
export const moment = (at: When, language: string): string => format(at, language, { dateStyle: "long", timeStyle: "short" });

/** clock writes the local time of day. */
export const clock = (at: When, language: string): string => format(at, language, { timeStyle: "short" });

function format(at: When, language: string, how: Intl.DateTimeFormatOptions): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return String(at);
  // A text with a date alone is midnight in UTC (ECMA-262 §21.4.1.32).
  const whole = typeof at === "string" && isDay(at);
  // A browser without this language would write in its own, which may be any.
  // Everybody can read numbers.
  if (Intl.DateTimeFormat.supportedLocalesOf(language).length === 0) return inNumbers(date, whole, how);
  return new Intl.DateTimeFormat(language, { ...how, ...(whole ? { timeZone: "UTC" } : {}), calendar: "gregory", numberingSystem: "latn" }).format(date);
}

// inNumbers writes the form of ISO 8601, with a space between date and time.
function inNumbers(date: Date, whole: boolean, how: Intl.DateTimeFormatOptions): string {
  const east = whole ? 0 : -date.getTimezoneOffset(); // minutes
  const [days, time] = new Date(date.getTime() + east * 60_000).toISOString().split("T");
  return [how.dateStyle && days, how.timeStyle && time?.slice(0, 5)].filter(Boolean).join(" ");
}
