// The page on which officers check cards.

import { h } from "../shared/dom";
import { primary } from "../shared/pieces";
import { Ended } from "../shared/rpc";
import { show, heading } from "../shared/screen";
import { begin, say } from "../shared/words";
import { used } from "./inuse";
import { fromLink } from "./invitation";
import * as keep from "./keep";
import * as offline from "./offline";
import * as pack from "./pack";
import { go } from "./router";
import { beginScreens } from "./screens";
import * as session from "./session";
import * as strip from "./strip";

// Whatever goes wrong, no half of an answer stays on the screen. What ended
// because the device was closed is nothing wrong.
function wentWrong(e: PromiseRejectionEvent): void {
  e.preventDefault();
  if (e.reason instanceof Ended) return;
  show("start", heading(say("page.problem")), primary("action.again", () => void go("home")));
}

// able tells whether this browser has what a check needs. Without a secure
// address it hides most of it.
function able(): boolean {
  return isSecureContext && "DecompressionStream" in self && "locks" in navigator && "caches" in self && "serviceWorker" in navigator;
}

async function start(): Promise<void> {
  // Before anything else: an invitation does not stay in the address.
  const invitation = fromLink();
  await begin({ read: () => keep.get("language"), write: (language) => keep.put("language", language) });
  beginScreens();
  const skip = document.querySelector(".skip");
  skip?.replaceChildren(say("page.skip"));
  if (!able()) return show("start", heading(say("page.title")), h("p", { class: "lead" }, say("page.browser")));
  addEventListener("unhandledrejection", wentWrong);
  strip.begin();
  pack.listen();
  session.onNews("wiped", () => { session.lock(); void go("home"); });
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, used);
  addEventListener("hashchange", () => { const again = fromLink(); if (again !== null) void go("invite", { invitation: again }); });
  // A page that is put away shows nothing when it is taken out again.
  addEventListener("pagehide", () => document.getElementById("main")?.replaceChildren());
  addEventListener("pageshow", (e) => { if (e.persisted) void go("home"); });
  if (invitation !== null) await go("invite", { invitation });
  else await go("home");
  const tell = (id: string): void => {
    document.getElementById("notice")?.remove();
    document.getElementById("strip")?.after(h("p", { id: "notice", class: "plain" }, say(id)));
  };
  await offline.begin(() => tell("page.newer")).catch(() => tell("page.storage"));
}

start().catch(() => show("start", heading(say("page.title")), h("p", { class: "lead" }, say("page.storage"))));
