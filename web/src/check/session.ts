// The session of an open device: its token, what ends when it is locked, and
// what its tabs tell each other.

import * as keep from "./keep";
import { end } from "./verifier";

let token: string | undefined; // while the device is open
const endings: (() => void)[] = [];
const channel = new BroadcastChannel("card-check");

export const open = (): boolean => token !== undefined;
export const bearer = (): string | undefined => token;

/** begin opens the session with the device's token. */
export const begin = (found: string): void => { token = found; };

/** onLock runs something whenever the device is locked. */
export const onLock = (work: () => void): void => void endings.push(work);

/** lock closes the device: the worker ends, and every key with it. */
export function lock(): void {
  token = undefined;
  for (const work of endings) work();
  end();
}

/** wipe removes everything that this device was given. */
export async function wipe(): Promise<void> {
  lock();
  await keep.forget();
  tell("wiped");
}

type News = "pack" | "wiped";

/** tell says something to the other tabs; this one does not hear it. */
export const tell = (news: News): void => channel.postMessage(news);

/** onNews runs something when another tab has told it. */
export const onNews = (news: News, work: () => void): void =>
  channel.addEventListener("message", ({ data }) => { if (data === news) work(); });
