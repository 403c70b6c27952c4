// The page's side of the two workers that check: the verifier, which holds the
// keys, and Argon2id, which holds none.

import { Line } from "../shared/rpc";
import { program } from "./trusted";
import type { Work } from "./workers/stretch";

export type Yes = "yes" | "no" | "unchecked";

/** Verdict is verifier.Shown. */
export interface Verdict {
  state: string;
  checks: { signature: Yes; issuer: Yes; status: Yes };
  reason: string;
  status_as_of?: string;
  demo: boolean;
  kind?: string;
  issuer?: { id: string; name: string; class: string; country: string; desk: string };
  desk?: string;
  tries_left?: number;
  locked_until?: string;
  card?: Card;
  credential?: Record<string, unknown>;
}

export interface Card {
  handle: string;
  name?: string;
  birth_date?: string;
  sex?: number;
  nationality?: string;
  status?: number;
  decision_level?: number;
  issued: string;
  last_day: string;
  names_shortened?: boolean;
  blank?: boolean;
  mission_may_be_contacted?: boolean;
}

export interface Stretch {
  password: string;
  salt: string; // hex
  passes: number;
  kib: number;
  lanes: number;
  size: number;
}

export interface Answer {
  verdict: Verdict | null;
  stretch?: Stretch;
  tries: string;
}

export interface Opened {
  verdict?: Verdict;
  handle?: number;
  network?: string;
  name?: string;
  demo: boolean;
  desk?: string;
  issued?: string;
  lease_until?: string;
  status_lists?: Record<string, string>;
  sequence?: number;
  seen?: number;
}

let line: Line | undefined;
let stretcher: Line | undefined;

/** keys is the worker with the keys; it starts when it is first needed. */
export function keys(): Line {
  line ??= new Line(new Worker(program(WORKERS.verifier)));
  return line;
}

/** another is a verifier without this device's keys, for the self-test. */
export const another = (): Line => new Line(new Worker(program(WORKERS.verifier)));

/** end ends the worker, and with it every key that it held. */
export function end(): void {
  line?.end();
  line = undefined;
}

function stretching(): Line {
  stretcher ??= new Line(new Worker(program(WORKERS.stretch)));
  return stretcher;
}

/** stretch runs Argon2id. */
export const stretch = (work: Work): Promise<Uint8Array<ArrayBuffer>> => stretching().call("stretch", [work]);

/** warm starts both workers before they are needed. */
export async function warm(): Promise<void> {
  await Promise.all([keys().call("begin"), stretching().call("begin")]);
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
}
