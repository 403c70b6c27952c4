// What a page says, in the language that was chosen. English is inside of the
// app; the other catalogues are fetched, or come with the first download.

import { h } from "./dom";
import { fill, inDigits, lookUp } from "./text";

let chosen: Catalogue = ENGLISH;
const loaded = new Map<string, Catalogue>([["en", ENGLISH]]);

export const languages = LANGUAGES;

/** Memory is where a page remembers the language. */
export interface Memory {
  read(): Promise<string | undefined>;
  write(language: string): Promise<void>;
}

let memory: Memory | undefined;

/** language is the one that the officer reads. */
export const language = (): Catalogue => chosen;

/** catalogue fetches one; null when it has not arrived yet. */
export async function catalogue(code: string): Promise<Catalogue | null> {
  const known = loaded.get(code);
  if (known) return known;
  const path = CATALOGUES[code];
  if (!path) return null;
  try {
    const answer = (await caches.match(path)) ?? (await fetch(path));
    if (!answer.ok) return null;
    const found = (await answer.json()) as Catalogue;
    loaded.set(code, found);
    return found;
  } catch {
    return null;
  }
}

/** choose makes a language the page's, and remembers it. */
export async function choose(code: string): Promise<boolean> {
  const found = await catalogue(code);
  if (!found) return false;
  use(found);
  for (const tell of watchers) tell();
  await memory?.write(code);
  return true;
}

const watchers = new Set<() => void>();

/** watch is told when another language was chosen. */
export const watch = (tell: () => void): void => { watchers.add(tell); };

function use(found: Catalogue): void {
  chosen = found;
  document.documentElement.lang = found.language;
  document.documentElement.dir = found.direction;
}

/** begin takes the language of the last time, or the browser's. */
export async function begin(kept: Memory): Promise<void> {
  memory = kept;
  const code = (await kept.read()) ?? preferred();
  const found = code && code !== "en" ? await catalogue(code) : ENGLISH;
  if (found) use(found);
}

function preferred(): string | undefined {
  const known = new Set(languages.map((l) => l.language));
  return navigator.languages.map((l) => l.toLowerCase().split("-")[0]).find((l) => known.has(l));
}

export type Values = Record<string, string | number | Node>;

/** text says a message plainly, for labels and announcements. */
export function text(id: string, values: Values = {}, from: Catalogue = chosen): string {
  return say(id, values, from).textContent ?? "";
}

/** has tells whether there is such a message at all. */
export const has = (id: string): boolean => id in ENGLISH.messages;

/** say is a message with its values in it. What the language lacks is said in English. */
export function say(id: string, values: Values = {}, from: Catalogue = chosen): HTMLSpanElement {
  const { text: message, speaks } = lookUp(id, from, ENGLISH);
  const span = h("span", speaks === chosen ? {} : { lang: speaks.language, dir: speaks.direction });
  for (const piece of fill(message)) {
    if (typeof piece === "string") {
      span.append(piece);
      continue;
    }
    const value = values[piece.name] ?? "";
    // Names and telephone numbers keep their own direction.
    span.append(value instanceof Node ? value : h("bdi", {}, typeof value === "number" ? inDigits(value, speaks.digits) : value));
  }
  return span;
}

/** beside is a message, with the English under it where a machine made it. */
export function beside(id: string, values: Values = {}, from: Catalogue = chosen): HTMLSpanElement {
  const message = say(id, values, from);
  if (!lookUp(id, from, ENGLISH).byMachine) return message;
  const again = Object.fromEntries(Object.entries(values).map(([name, v]) => [name, v instanceof Node ? v.cloneNode(true) : v]));
  const english = say(id, again, ENGLISH);
  english.className = "english";
  return h("span", {}, message, english);
}

/** day is a date as the officer writes it. */
export function day(at: string | number | Date): string {
  return format(at, { dateStyle: "long" });
}

/** moment is a date with its time. */
export function moment(at: string | number | Date): string {
  return format(at, { dateStyle: "long", timeStyle: "short" });
}

/** clock is a time of day. */
export function clock(at: string | number | Date): string {
  return format(at, { timeStyle: "short" });
}

function format(at: string | number | Date, how: Intl.DateTimeFormatOptions): string {
  try {
    return new Intl.DateTimeFormat(chosen.language, { ...how, calendar: "gregory" }).format(new Date(at));
  } catch {
    return new Date(at).toISOString();
  }
}
