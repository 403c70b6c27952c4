// The pack: trust list, status and answers lists, and this device's envelope.
// It is fetched on a timer that begins when the device is opened, with a random
// delay; a check never starts it, because that would tell when and where one
// was made.

import { ask, Refused } from "../shared/service";
import * as keep from "./keep";
import { bearer, onLock, onNews, tell, wipe } from "./session";
import { keys, type Opened } from "./verifier";

export type State =
  | { kind: "none" }
  | { kind: "ready"; opened: Opened }
  | { kind: "refused"; reason: string };

let state: State = { kind: "none" };
let sequence = 0; // of what is open
let skew = 0; // seconds that the service's clock is ahead
let late = false; // the last update did not arrive
const watchers = new Set<() => void>();

export const current = (): State => state;
export const isLate = (): boolean => late;
/** clockIsOff tells that this device and the service disagree about the time. */
export const clockIsOff = (): boolean => Math.abs(skew) > 600;

export function watch(tell: () => void): void {
  watchers.add(tell);
}

function changed(next: State): void {
  state = next;
  for (const tell of watchers) tell();
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

async function openFile(file: string): Promise<Opened> {
  const d = await keep.get("device");
  if (!d) throw new Error("no device");
  const kept = await keep.get("pack");
  return keys().call<Opened>("openPack", [
    file, { network: d.network, id: d.id, root: d.root, sequence: kept?.sequence ?? 0, seen: kept?.seen ?? 0 }, nowSeconds(),
  ]);
}

/** open takes the pack that is kept into use. */
export async function open(): Promise<void> {
  const kept = await keep.get("pack");
  if (!kept) return changed({ kind: "refused", reason: "no_pack" });
  const opened = await openFile(kept.file);
  if (opened.verdict) return changed({ kind: "refused", reason: opened.verdict.reason });
  sequence = kept.sequence;
  await remember(kept.file, opened, kept.fetched);
  changed({ kind: "ready", opened });
}

/** newest makes sure that no tab judges by a pack older than another tab's. */
export async function newest(): Promise<void> {
  const kept = await keep.get("pack");
  if (kept && kept.sequence > sequence) await open();
}

function remember(file: string, opened: Opened, fetched: number): Promise<boolean> {
  return keep.putPack({ file, sequence: opened.sequence ?? 0, seen: opened.seen ?? 0, fetched });
}

/** take accepts a pack from wherever it came. It answers with the reason of a
 * refusal, or with null; one that is refused changes nothing. */
export async function take(file: string): Promise<string | null> {
  const opened = await openFile(file);
  if (opened.verdict) return opened.verdict.reason;
  if (await remember(file, opened, Date.now())) {
    sequence = opened.sequence ?? 0;
    changed({ kind: "ready", opened });
    tell("pack");
  } else {
    await open();
  }
  return null;
}

/** update fetches the newest pack and takes it. */
export async function update(): Promise<string | null> {
  const token = bearer();
  if (!token) return "no_pack";
  try {
    // The pack may be replaced between the two requests: then they carry
    // different numbers, and are asked for again.
    let reason = await fetchOnce(token);
    if (reason === "pack_broken") reason = await fetchOnce(token);
    late = reason !== null;
    for (const tell of watchers) tell();
    return reason;
  } catch (e) {
    late = true;
    for (const tell of watchers) tell();
    throw e;
  }
}

async function fetchOnce(token: string): Promise<string | null> {
  const lists = await ask("/pack");
  const date = Date.parse(lists.headers.get("date") ?? "");
  if (!Number.isNaN(date)) skew = Math.round((date - Date.now()) / 1000);
  const text = await lists.text();
  let sealed: Response;
  try {
    sealed = await ask("/api/v1/devices/self/envelope", { token });
  } catch (e) {
    // Taken out of use: nothing of it stays here.
    if (e instanceof Refused && (e.status === 401 || e.status === 403)) {
      await wipe();
      throw new Revoked();
    }
    throw e;
  }
  const { envelope } = (await sealed.json()) as { envelope: string };
  return take(`{"lists":${text},"envelope":${JSON.stringify(envelope)}}`);
}

export class Revoked extends Error {}

// close forgets what is open; the worker that held it goes with it.
function close(): void {
  sequence = 0;
  clearTimeout(timer);
  changed({ kind: "none" });
}

const hour = 3_600_000;
let timer: ReturnType<typeof setTimeout> | undefined;

/** keepFresh updates soon after the device was opened, at a random moment, and
 * then every four to six hours. A device that cannot check anything does not
 * wait. Without a network nothing is asked: it looks again, as randomly, after
 * a minute. */
export function keepFresh(revoked: () => void): void {
  clearTimeout(timer);
  const wait = (ms: number): void => {
    timer = setTimeout(() => {
      if (!navigator.onLine) return wait((1 + Math.random()) * 60_000);
      update().catch((e: unknown) => { if (e instanceof Revoked) revoked(); });
      wait((4 + 2 * Math.random()) * hour);
    }, ms);
  };
  wait(state.kind === "ready" ? Math.random() * 60_000 : 0);
}

/** listen takes the newer pack that another tab has taken, and closes with the
 * device. */
export function listen(): void {
  onNews("pack", () => { if (bearer()) void newest(); });
  onLock(close);
}
