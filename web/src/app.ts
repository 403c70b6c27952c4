// The page on which officers check cards.

import * as device from "./device";
import { h } from "./dom";
import * as offline from "./offline";
import * as pack from "./pack";
import { Ended } from "./rpc";
import { show, heading } from "./screen";
import { revoked } from "./screens/device";
import { home } from "./screens/home";
import { fromLink, invite } from "./screens/invite";
import { primary } from "./screens/parts";
import { unlock } from "./screens/unlock";
import * as strip from "./strip";
import * as symbols from "./symbols";
import * as verifier from "./verifier";
import { begin, say } from "./words";

const idle = 5 * 60_000;

/** begun is called when the device was opened: from then on the lists are kept
 * fresh, and somebody has to use it or it closes. */
export function begun(): void {
  void Promise.all([symbols.warm(), verifier.warm()]).catch(() => {}); // whoever needs them hears of it
  pack.keepFresh(revoked);
  used();
}

let closing: ReturnType<typeof setTimeout> | undefined;

function used(): void {
  clearTimeout(closing);
  if (!device.open()) return;
  closing = setTimeout(() => {
    device.lock();
    void unlock("unlock.closed");
  }, idle);
}

// Whatever goes wrong, no half of an answer stays on the screen. What ended
// because the device was closed is nothing wrong.
function wentWrong(e: PromiseRejectionEvent): void {
  e.preventDefault();
  if (e.reason instanceof Ended) return;
  show("start", heading(say("page.problem")), primary("action.again", () => void home()));
}

// able tells whether this browser has what a check needs. Without a secure
// address it hides most of it.
function able(): boolean {
  return isSecureContext && "DecompressionStream" in self && "locks" in navigator && "caches" in self && "serviceWorker" in navigator;
}

async function start(): Promise<void> {
  // Before anything else: an invitation does not stay in the address.
  const invitation = fromLink();
  await begin();
  const skip = document.querySelector(".skip");
  skip?.replaceChildren(say("page.skip"));
  if (!able()) return show("start", heading(say("page.title")), h("p", { class: "lead" }, say("page.browser")));
  addEventListener("unhandledrejection", wentWrong);
  strip.begin();
  pack.listen(() => { device.lock(); void home(); });
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, used);
  addEventListener("hashchange", () => { const again = fromLink(); if (again !== null) invite(again); });
  // A page that is put away shows nothing when it is taken out again.
  addEventListener("pagehide", () => document.getElementById("main")?.replaceChildren());
  addEventListener("pageshow", (e) => { if (e.persisted) void home(); });
  if (invitation !== null) invite(invitation);
  else await home();
  const tell = (id: string): void => {
    document.getElementById("notice")?.remove();
    document.getElementById("strip")?.after(h("p", { id: "notice", class: "plain" }, say(id)));
  };
  await offline.begin(() => tell("page.newer")).catch(() => tell("page.storage"));
}

start().catch(() => show("start", heading(say("page.title")), h("p", { class: "lead" }, say("page.storage"))));
