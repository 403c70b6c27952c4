// The page's side of the two workers that check. The verifier holds the keys.
// Argon2id holds none.

import { Client } from "../shared/rpc";
import { scriptURL } from "./trusted";
import type { Work } from "./workers/stretch";

export type Yes = "yes" | "no" | "unchecked";

/** Verdict is verifier.Shown. */
export interface Verdict {
  state: string;
  checks: { signature: Yes; issuer: Yes; status: Yes };
  reason: string;
  status_as_of?: string;
  demo: boolean;
  reopened?: string; // a day
  kind?: string;
  issuer?: { id: string; name: string; class: string; country: string; desk: string; since: string; symbols: string };
  desk?: string;
  tries_left?: number;
  locked_until?: string;
  card?: Card;
  credential?: Record<string, unknown>;
  says_nothing?: boolean;
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

/** Opening is what the holder's card signs: docs/card.md, Opening a record online. */
export interface Opening {
  nonce: string; // the service's
  device: string;
  agency: string;
  record: string;
  purpose: string;
  parts: string[];
  minute: number; // since 1970
}

export interface Opened {
  verdict?: Verdict;
  handle?: number;
  network?: string;
  name?: string;
  demo: boolean;
  reopened?: string; // a day
  desk?: string;
  issued?: string;
  lease_until?: string;
  status_lists?: Record<string, string>;
  sequence?: number;
  seen?: number;
  trust_key_iat?: number;
}

let client: Client | undefined;
let stretcher: Client | undefined;

/** keys is the worker with the keys. It starts when it is first needed. */
export function keys(): Client {
  client ??= new Client(new Worker(scriptURL(WORKERS.verifier)));
  return client;
}

/** newVerifier is a verifier without this device's keys, for the self-test. */
export const newVerifier = (): Client => new Client(new Worker(scriptURL(WORKERS.verifier)));

/** terminate ends the worker with the keys, and every key with it. */
export function terminate(): void {
  client?.terminate();
  client = undefined;
}

function stretching(): Client {
  stretcher ??= new Client(new Worker(scriptURL(WORKERS.stretch)));
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
