// The messages of a page, in the language that was chosen. English is part of
// the app. The other catalogues are fetched, or come with the first download.

import * as dates from "./dates";
import { h } from "./dom";
import { splitPlaceholders, inDigits, lookUp } from "./text";

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

/** catalogue fetches a catalogue. It is null while it has not arrived. */
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

/** choose changes the language of the page, and remembers it. */
export async function choose(code: string): Promise<boolean> {
  const found = await catalogue(code);
  if (!found) return false;
  use(found);
  for (const tell of listeners) tell();
  await memory?.write(code);
  return true;
}

const listeners = new Set<() => void>();

/** onChange calls tell whenever another language was chosen. */
export const onChange = (tell: () => void): void => { listeners.add(tell); };

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

/** When is a day or a moment in a message, which is written as the message is: in the
 * English beside a language it is English. */
export type When = { day: dates.When } | { moment: dates.When };

/** isWhen tells whether a value is one. */
export const isWhen = (value: object): value is When => "day" in value || "moment" in value;

/** written is a day or a moment in the words and digits of a catalogue. Browsers know
 * other digits for a language than its catalogue has: of one screen they are of one kind. */
export const written = (when: When, from: Catalogue = chosen): string =>
  inDigits("day" in when ? dates.day(when.day, from.language) : dates.moment(when.moment, from.language), from.digits);

export type Values = Record<string, string | number | Node | When>;

/** text is a message as plain text, for labels and announcements. */
export function text(id: string, values: Values = {}, from: Catalogue = chosen): string {
  return say(id, values, from).textContent ?? "";
}

/** has tells whether there is such a message. */
export const has = (id: string): boolean => id in ENGLISH.messages;

/** say is a message with its values in it. English replaces what the language lacks. */
export function say(id: string, values: Values = {}, from: Catalogue = chosen): HTMLSpanElement {
  const { text: message, speaks } = lookUp(id, from, ENGLISH);
  const span = h("span", speaks === chosen ? {} : { lang: speaks.language, dir: speaks.direction });
  for (const piece of splitPlaceholders(message)) {
    if (typeof piece === "string") {
      span.append(piece);
      continue;
    }
    const value = values[piece.name] ?? "";
    // Names and telephone numbers keep their own direction.
    span.append(value instanceof Node ? value : h("bdi", {}, typeof value === "number" ? inDigits(value, speaks.digits) : typeof value === "object" ? written(value, speaks) : value));
  }
  return span;
}

/** byMachine tells whether nobody has read a message since a machine translated it. */
export const byMachine = (id: string): boolean => lookUp(id, chosen, ENGLISH).byMachine;

/** beside is a message. The English stands under it where a machine translated it. */
export function beside(id: string, values: Values = {}, from: Catalogue = chosen): HTMLSpanElement {
  const message = say(id, values, from);
  if (!lookUp(id, from, ENGLISH).byMachine) return message;
  const again = Object.fromEntries(Object.entries(values).map(([name, v]) => [name, v instanceof Node ? v.cloneNode(true) : v]));
  const english = say(id, again, ENGLISH);
  english.className = "english";
  return h("span", {}, message, english);
}

/** day is a date as the officer writes it. */
export const day = (at: dates.When): string => written({ day: at });

/** moment is a date with its time. */
export const moment = (at: dates.When): string => written({ moment: at });

/** clock is a time of day. */
export const clock = (at: dates.When): string => inDigits(dates.clock(at, chosen.language), chosen.digits);
