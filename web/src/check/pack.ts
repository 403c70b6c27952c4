// The pack: trust list, status and answers lists, and this device's envelope. A
// timer fetches it, with a random delay after the device was unlocked. A check
// never fetches it, because that would tell when and where somebody was checked.

import { ask, Refused } from "../shared/service";
import { bearer, onLock, onNews, tell, wipe } from "./session";
import * as storage from "./storage";
import { keys, type Opened } from "./verifier";

export type State =
  | { kind: "none" }
  | { kind: "ready"; opened: Opened }
  | { kind: "refused"; reason: string };

let state: State = { kind: "none" };
let opens: storage.Counted = { sequence: 0 }; // the pack that is open, or was refused
let skew = 0; // seconds that the service's clock is ahead
let late = false; // the last update did not arrive
const listeners = new Set<() => void>();

export const current = (): State => state;
export const isLate = (): boolean => late;
/** clockIsOff tells whether this device and the service disagree about the time. */
export const clockIsOff = (): boolean => Math.abs(skew) > 600;

export function onChange(tell: () => void): void {
  listeners.add(tell);
}

function changed(next: State): void {
  state = next;
  for (const tell of listeners) tell();
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000);

async function openFile(file: string): Promise<Opened> {
  const d = await storage.get("device");
  if (!d) throw new Error("no device");
  const kept = await storage.get("pack");
  return keys().call<Opened>("openPack", [
    file, {
      network: d.network, id: d.id, root: d.root, sequence: kept?.sequence ?? 0, seen: kept?.seen ?? 0, trustKey: kept?.trustKey ?? 0,
    }, nowSeconds(),
  ]);
}

/** open opens the stored pack. */
export async function open(): Promise<void> {
  const kept = await storage.get("pack");
  if (!kept?.file) return changed({ kind: "refused", reason: "no_pack" });
  opens = kept;
  const opened = await openFile(kept.file);
  if (opened.verdict) return changed({ kind: "refused", reason: opened.verdict.reason });
  await remember(kept.file, opened);
  changed({ kind: "ready", opened });
}

/** newest opens the pack that another tab has stored, if it is newer. */
export async function newest(): Promise<void> {
  const kept = await storage.get("pack");
  if (kept && storage.isNewer(kept, opens)) await open();
}

function remember(file: string, opened: Opened): Promise<boolean> {
  return storage.putPack({ file, ...counted(opened) });
}

const counted = (o: Opened) => ({ sequence: o.sequence ?? 0, seen: o.seen ?? 0, trustKey: o.trust_key_iat ?? 0 });

/** accept opens and stores a pack, wherever it came from. It gives the reason of a
 * refusal, or null. A pack that is refused changes nothing, unless the root has named
 * another key in it: what the old one has signed is over at once. */
export async function accept(file: string): Promise<string | null> {
  const opened = await openFile(file);
  if (opened.verdict) {
    if (await storage.putCounted(counted(opened))) {
      await open();
      tell("pack");
    }
    return opened.verdict.reason;
  }
  if (await remember(file, opened)) {
    opens = counted(opened);
    changed({ kind: "ready", opened });
    tell("pack");
  } else {
    await open();
  }
  return null;
}

/** update fetches the newest pack and accepts it. */
export async function update(): Promise<string | null> {
  const token = bearer();
  if (!token) return "no_pack";
  try {
    // The service may publish between the two requests. Their numbers then differ,
    // and both are made again.
    let reason = await fetchOnce(token);
    if (reason === "pack_broken") reason = await fetchOnce(token);
    late = reason !== null;
    for (const tell of listeners) tell();
    return reason;
  } catch (e) {
    late = true;
    for (const tell of listeners) tell();
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
    // The device was taken out of use, and nothing of it stays here.
    if (e instanceof Refused && (e.status === 401 || e.status === 403)) {
      await wipe();
      throw new Revoked();
    }
    throw e;
  }
  const { envelope } = (await sealed.json()) as { envelope: string };
  return accept(`{"lists":${text},"envelope":${JSON.stringify(envelope)}}`);
}

export class Revoked extends Error {}

// close forgets the open pack. Its worker ends at the same time.
function close(): void {
  opens = { sequence: 0 };
  clearTimeout(timer);
  changed({ kind: "none" });
}

const hour = 3_600_000;
let timer: ReturnType<typeof setTimeout> | undefined;

/** scheduleUpdates updates the pack at a random moment of the first minute, and
 * then every four to six hours. A device that cannot check anything updates at
 * once. Without a network it sends nothing, and looks again after a minute or
 * two. */
export function scheduleUpdates(revoked: () => void): void {
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

/** listen opens newer packs of other tabs, and closes the pack with the device. */
export function listen(): void {
  onNews("pack", () => { if (bearer()) void newest(); });
  onLock(close);
}
