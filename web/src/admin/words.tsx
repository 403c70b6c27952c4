// The messages of this page as elements of Preact. They follow the language that
// is chosen.

import { signal } from "@preact/signals";
import type { VNode } from "preact";
import type { When } from "../shared/dates";
import { inDigits, lookUp, splitPlaceholders } from "../shared/text";
import * as words from "../shared/words";

const turned = signal(0);
words.onChange(() => { turned.value++; });

/** follow makes the component that is being drawn follow the language. */
const follow = (): Catalogue => { void turned.value; return words.language(); };

export type Values = Record<string, string | number | VNode | words.When>;

interface Message {
  id: string;
  values?: Values;
}

/** Say is a message with its values in it. English replaces what the language lacks. */
export function Say({ id, values = {} }: Message): VNode {
  return said(id, values, follow());
}

/** Beside is a message. The English stands under it where a machine translated it. */
export function Beside({ id, values = {} }: Message): VNode {
  const chosen = follow();
  if (!lookUp(id, chosen, ENGLISH).byMachine) return said(id, values, chosen);
  return <span>{said(id, values, chosen)}{said(id, values, ENGLISH, "english")}</span>;
}

function said(id: string, values: Values, from: Catalogue, look?: string): VNode {
  const { text: message, speaks } = lookUp(id, from, ENGLISH);
  const own = speaks === words.language() ? {} : { lang: speaks.language, dir: speaks.direction };
  return (
    <span {...own} class={look}>
      {splitPlaceholders(message).map((piece) => {
        if (typeof piece === "string") return piece;
        const value = values[piece.name] ?? "";
        // Names and numbers keep their own direction.
        if (typeof value === "object") return words.isWhen(value) ? <bdi>{words.written(value, speaks)}</bdi> : value;
        return <bdi>{typeof value === "number" ? inDigits(value, speaks.digits) : value}</bdi>;
      })}
    </span>
  );
}

/** text is a message as plain text, for labels of what shows none. */
export function text(id: string, values: Record<string, string | number> = {}): string {
  follow();
  return words.text(id, values);
}

/** number is a number in the digits of the language. */
export const number = (n: number | string): string => inDigits(n, follow().digits);

/** moment is a date with its time. */
export function moment(at: When): string {
  follow();
  return words.moment(at);
}

/** day is a date. */
export function day(at: When): string {
  follow();
  return words.day(at);
}
