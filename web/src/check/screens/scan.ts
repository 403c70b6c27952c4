// The card's square, by camera.

import { desk, quiet, telephone } from "../../shared/components";
import { h, button } from "../../shared/dom";
import { onLeaveNext, heading, onLeave, show } from "../../shared/screen";
import { beside, say } from "../../shared/words";
import { Camera } from "../camera";
import { found } from "../found";
import * as offline from "../offline";
import { go } from "../router";
import { looksLikeCard, onlyOne } from "../scanned";
import { otherWays } from "../ways";

export function scan(): void {
  const video = h("video", { playsinline: true, muted: true, "aria-hidden": "true" });
  const hint = h("p", { class: "hint", "aria-live": "polite" }, beside("scan.hint"));
  const lamp = button(say("scan.torch"), () => void camera.toggleLamp(), { class: "quiet", hidden: true });
  const other = button(say("scan.flip"), () => void camera.next(), { class: "quiet", hidden: true });
  const tell = (id: string): void => hint.replaceChildren(beside(id));

  let foreign = "";
  let since = 0;
  const camera = new Camera(video, async (symbols) => {
    const seen = onlyOne(symbols);
    if (seen === "several") return tell("reason.more_than_one_code");
    if (seen === null) {
      foreign = "";
      return;
    }
    // A symbol that is not ours may hang on the wall behind. It counts only after
    // it has stayed in view for a moment.
    if (!looksLikeCard(seen)) {
      if (seen !== foreign) [foreign, since] = [seen, performance.now()];
      if (performance.now() - since < 1200) return;
    }
    navigator.vibrate?.(60);
    await found(seen);
  });
  camera.ready = (features) => {
    lamp.hidden = !features.lamp;
    other.hidden = !features.others;
  };

  // An officer who sees nothing happen gets one hint after the other.
  let turn = 0;
  const hints = setInterval(() => tell(tips[turn++ % tips.length] ?? "scan.hint"), 6000);
  onLeaveNext(() => clearInterval(hints));
  const looking = (): void => {
    if (document.hidden) camera.pause();
    else begin();
  };
  document.addEventListener("visibilitychange", looking);
  onLeaveNext(() => document.removeEventListener("visibilitychange", looking));
  const begin = (): void => void offline.whenComplete().then(() => camera.start()).catch((e: unknown) => {
    const why = e instanceof DOMException ? e.name : "";
    clearInterval(hints);
    tell(why === "NotAllowedError" ? "scan.refused" : why === "NotReadableError" ? "scan.busy" : "scan.no_camera");
    document.querySelector(".finder")?.classList.add("empty");
  });

  show("scan",
    heading(say("scan.title")),
    h("div", { class: "finder" }, video, h("div", { class: "frame", "aria-hidden": "true" })),
    hint,
    h("div", { class: "row" }, lamp, other),
    otherWays(),
    desk() && h("p", { class: "hint" }, beside("scan.number", { desk: telephone(desk()) })),
    h("div", { class: "actions" }, quiet("action.back", () => void go("home"), { "data-testid": "back" })),
  );
  onLeave(() => camera.stop());
  begin();
}

const tips = ["scan.hint.light", "scan.hint.closer", "scan.hint.still", "scan.hint.farther", "scan.hint"];
