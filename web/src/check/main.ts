// The page on which officers check cards.

import { primary } from "../shared/components";
import { h } from "../shared/dom";
import { Terminated } from "../shared/rpc";
import { show, heading } from "../shared/screen";
import { begin, say } from "../shared/words";
import { fromLink } from "./invitation";
import * as offline from "./offline";
import * as pack from "./pack";
import { go } from "./router";
import { beginScreens } from "./screens";
import * as session from "./session";
import * as statusbar from "./statusbar";
import * as storage from "./storage";
import { resetIdleTimer } from "./unlocked";

// wentWrong leaves no half of an answer on the screen. A call that ended because
// the device was locked is nothing wrong.
function wentWrong(e: PromiseRejectionEvent): void {
  e.preventDefault();
  if (e.reason instanceof Terminated) return;
  show("start", heading(say("page.problem")), primary("action.again", () => void go("home")));
}

// able tells whether this browser can check cards. A browser hides most of what
// that takes from an address that is not secure.
function able(): boolean {
  return isSecureContext && "DecompressionStream" in self && "locks" in navigator && "caches" in self && "serviceWorker" in navigator;
}

async function start(): Promise<void> {
  // The invitation leaves the address before anything else happens.
  const invitation = fromLink();
  await begin({ read: () => storage.get("language"), write: (language) => storage.put("language", language) });
  beginScreens();
  const skip = document.querySelector(".skip");
  skip?.replaceChildren(say("page.skip"));
  if (!able()) return show("start", heading(say("page.title")), h("p", { class: "lead" }, say("page.browser")));
  addEventListener("unhandledrejection", wentWrong);
  statusbar.begin();
  pack.listen();
  session.onNews("wiped", () => { session.lock(); void go("home"); });
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, resetIdleTimer);
  addEventListener("hashchange", () => { const again = fromLink(); if (again !== null) void go("invite", { invitation: again }); });
  // A page in the back-forward cache shows nothing when it comes back.
  addEventListener("pagehide", () => document.getElementById("main")?.replaceChildren());
  addEventListener("pageshow", (e) => { if (e.persisted) void go("home"); });
  if (invitation !== null) await go("invite", { invitation });
  else await go("home");
  const tell = (id: string): void => {
    document.getElementById("notice")?.remove();
    document.getElementById("statusbar")?.after(h("p", { id: "notice", class: "plain" }, say(id)));
  };
  await offline.begin(() => tell("page.newer")).catch(() => tell("page.storage"));
}

start().catch(() => show("start", heading(say("page.title")), h("p", { class: "lead" }, say("page.storage"))));
