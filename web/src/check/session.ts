// The session of an unlocked device: its token, the work that ends with it, and
// the news that its tabs tell each other.

import * as storage from "./storage";
import { terminate } from "./verifier";

let token: string | undefined; // while the device is unlocked
const endings: (() => void)[] = [];
const channel = new BroadcastChannel("card-check");

export const open = (): boolean => token !== undefined;
export const bearer = (): string | undefined => token;

/** begin opens the session with the device's token. */
export const begin = (found: string): void => { token = found; };

/** onLock registers work for whenever the device is locked. */
export const onLock = (work: () => void): void => void endings.push(work);

/** lock locks the device: the worker ends, and every key with it. */
export function lock(): void {
  token = undefined;
  for (const work of endings) work();
  terminate();
}

/** wipe locks the device and removes everything that it was given, in all tabs. */
export async function wipe(): Promise<void> {
  lock();
  await storage.forget();
  tell("wiped");
}

type News = "pack" | "wiped";

/** tell sends news to the other tabs. This one does not hear it. */
export const tell = (news: News): void => channel.postMessage(news);

/** onNews registers work for news from another tab. */
export const onNews = (news: News, work: () => void): void =>
  channel.addEventListener("message", ({ data }) => { if (data === news) work(); });
