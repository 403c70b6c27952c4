// The first visit: the service worker, and the parts with a progress bar.

import { download, missing, store } from "./parts";
import { scriptURL } from "./trusted";

export interface Progress {
  percent: number;
  state: "loading" | "stopped" | "done";
}

let progress: Progress = { percent: 0, state: "loading" };
let running = false;
const listeners = new Set<() => void>();

export const now = (): Progress => progress;
export const complete = (): boolean => progress.state === "done";
export const onChange = (tell: () => void): void => { listeners.add(tell); };

function changed(next: Progress): void {
  progress = next;
  for (const tell of listeners) tell();
}

/** whenComplete waits until the download is complete. */
export function whenComplete(): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!complete()) return;
      listeners.delete(look);
      resolve();
    };
    onChange(look);
    look();
  });
}

/** load downloads the missing parts, and goes on when the network comes back. */
export async function load(): Promise<void> {
  if (running || complete()) return;
  running = true;
  try {
    const cache = await store();
    await download(cache, PARTS, (path) => fetch(path, { credentials: "omit" }), (have, all) =>
      changed({ percent: Math.floor((100 * have) / all), state: have === all ? "done" : "loading" }));
    if ((await missing(cache, PARTS)).length === 0) changed({ percent: 100, state: "done" });
  } catch {
    changed({ ...progress, state: "stopped" });
    setTimeout(() => void load(), 15_000);
  } finally {
    running = false;
  }
}

/** begin installs the service worker and starts the download. */
export async function begin(newer: () => void): Promise<void> {
  addEventListener("online", () => void load());
  void load();
  const registration = await navigator.serviceWorker.register(scriptURL("/check/sw.js"), { scope: "/check", updateViaCache: "none" });
  registration.addEventListener("updatefound", () => {
    const coming = registration.installing;
    coming?.addEventListener("statechange", () => {
      if (coming.state === "installed" && navigator.serviceWorker.controller) newer();
    });
  });
  if (registration.waiting) newer();
}
