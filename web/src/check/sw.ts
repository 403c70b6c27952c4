// The service worker, by which the page opens without a network. It answers for
// the page's own files and for nothing else: requests to the service pass by it.
// It installs the shell as a whole, version by version. The page itself downloads
// the parts, with a progress bar.

import { download, store } from "./parts";

interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}

interface Fetching extends Event {
  request: Request;
  respondWith(answer: Promise<Response>): void;
}

const scope = self as unknown as {
  registration: { active: unknown };
  clients: { claim(): Promise<void> };
  addEventListener(kind: string, listener: (event: never) => void): void;
};

const shell = `card-check-shell-${VERSION}`;

async function install(): Promise<void> {
  const cache = await caches.open(shell);
  await Promise.all(SHELL.map(async (path) => {
    const answer = await fetch(path, { cache: "no-cache", credentials: "omit" });
    if (!answer.ok) throw new Error("shell");
    await cache.put(path, answer);
  }));
  // A newer version takes over only with all of its parts. Until then the one that
  // is here goes on working.
  if (scope.registration.active) await download(await store(), PARTS, (path) => fetch(path, { credentials: "omit" }), () => {});
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith("card-check-shell-") && name !== shell) await caches.delete(name);
  }
  const parts = new Set(PARTS.map((p) => p.path));
  const cache = await caches.open("card-check-parts");
  for (const request of await cache.keys()) {
    if (!parts.has(new URL(request.url).pathname)) await cache.delete(request);
  }
  await scope.clients.claim();
}

async function answer(request: Request, path: string): Promise<Response> {
  const here = (await (await caches.open(shell)).match(path)) ?? (await (await store()).match(path));
  return here ?? fetch(request);
}

scope.addEventListener("install", (event: Extendable) => event.waitUntil(install()));
scope.addEventListener("activate", (event: Extendable) => event.waitUntil(activate()));
scope.addEventListener("fetch", (event: Fetching) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (url.pathname === "/check" || url.pathname.startsWith("/check/")) event.respondWith(answer(event.request, url.pathname));
});
