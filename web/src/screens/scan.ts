// The card's square: by camera, from a picture, or as digits from a hand scanner.

import { Camera } from "../camera";
import * as device from "../device";
import { h, button } from "../dom";
import * as keep from "../keep";
import * as offline from "../offline";
import { belongs, heading, onLeave, show } from "../screen";
import { onlyOne } from "../text";
import { readPicture, readSymbols } from "../symbols";
import { beside, has, say } from "../words";
import { code } from "./code";
import { home } from "./home";
import { invitationIn, invite } from "./invite";
import { neutral } from "./neutral";
import { desk, drawn, field, note, quiet, telephone } from "./parts";
import { judged } from "./result";

/** found goes on with what a symbol, a picture or a scanner gave; null when
 * nothing could be read, with the reason where one is known. */
export async function found(text: string | null, reason?: string): Promise<void> {
  if (device.open()) return text === null ? judged(null, undefined, reason) : code(text);
  const invitation = text === null ? null : invitationIn(text);
  if (invitation !== null && !(await keep.get("device"))) return invite(invitation);
  // Without a device everything gets the same words, whatever it was.
  neutral();
}

export function scan(): void {
  const video = h("video", { playsinline: true, muted: true, "aria-hidden": "true" });
  const hint = h("p", { class: "hint", "aria-live": "polite" }, beside("scan.hint"));
  const lamp = button(say("scan.torch"), () => void camera.toggleLamp(), { class: "quiet", hidden: true });
  const other = button(say("scan.flip"), () => void camera.next(), { class: "quiet", hidden: true });
  const tell = (id: string): void => hint.replaceChildren(beside(id));

  let foreign = "";
  let since = 0;
  const camera = new Camera(video, async (frame) => {
    const seen = onlyOne(await readSymbols(frame));
    if (seen === "several") return tell("reason.more_than_one_code");
    if (seen === null) {
      foreign = "";
      return;
    }
    // A square that is not ours may hang on the wall behind: it has to stay in
    // view a moment before it is taken for what was meant.
    if (!/^[0-9]{667}$/.test(seen)) {
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

  // Who sees nothing happen is told one thing to try after the other.
  let turn = 0;
  const hints = setInterval(() => tell(tips[turn++ % tips.length] ?? "scan.hint"), 6000);
  belongs(() => clearInterval(hints));
  const looking = (): void => {
    if (document.hidden) camera.pause();
    else begin();
  };
  document.addEventListener("visibilitychange", looking);
  belongs(() => document.removeEventListener("visibilitychange", looking));
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
    h("div", { class: "actions" }, quiet("action.back", () => void home(), { "data-testid": "back" })),
  );
  onLeave(() => camera.stop());
  begin();
}

const tips = ["scan.hint.light", "scan.hint.closer", "scan.hint.still", "scan.hint.farther", "scan.hint"];

const digitsInCard = 667;

/** otherWays are the picture and the digits. */
export function otherWays(): HTMLElement {
  const wrong = note();
  const picture = h("input", {
    type: "file", accept: "image/*,application/pdf", class: "unseen", "data-testid": "picture",
    change: () => { const file = picture.files?.[0]; picture.value = ""; if (file) void take(file, wrong); },
  });
  const digits = h("input", {
    type: "text", inputmode: "numeric", autocomplete: "off", spellcheck: "false", dir: "ltr", "data-testid": "digits",
    keydown: (e: KeyboardEvent) => { if (e.key === "Enter") { e.preventDefault(); send(); } },
    input: () => { if (digits.value.length === digitsInCard && /^[0-9]+$/.test(digits.value)) send(); },
  });
  const send = (): void => {
    const typed = digits.value.trim();
    digits.value = "";
    if (typed) void found(typed);
  };
  listenForScanner(digits);
  takeDrops((file) => void take(file, wrong));
  return h("div", { class: "ways" },
    h("label", { class: "quiet button" }, picture, drawn("ready.picture")),
    field(say("scan.digits"), digits, beside("scan.digits.hint")),
    wrong,
  );
}

async function take(file: File, wrong: HTMLElement): Promise<void> {
  wrong.replaceChildren(beside("page.loading"));
  await offline.whenComplete();
  const read = await readPicture(file);
  wrong.replaceChildren();
  if ("text" in read) return found(read.text);
  if (device.open()) return found(null, read.reason);
  wrong.replaceChildren(beside(has(`reason.${read.reason}`) ? `reason.${read.reason}` : "state.unreadable.next"));
}

// A hand scanner is a keyboard that types 667 digits, wherever the focus is.
function listenForScanner(digits: HTMLInputElement): void {
  const listen = (e: KeyboardEvent): void => {
    const typing = document.activeElement instanceof HTMLInputElement || document.activeElement instanceof HTMLSelectElement;
    if (typing || e.ctrlKey || e.metaKey || e.altKey || !/^[0-9]$/.test(e.key)) return;
    e.preventDefault();
    digits.value = e.key;
    digits.focus();
  };
  addEventListener("keydown", listen);
  belongs(() => removeEventListener("keydown", listen));
}

function takeDrops(take: (file: File) => void): void {
  const over = (e: DragEvent): void => e.preventDefault();
  const drop = (e: DragEvent): void => {
    e.preventDefault();
    const file = e.dataTransfer?.files[0];
    if (file) take(file);
  };
  addEventListener("dragover", over);
  addEventListener("drop", drop);
  belongs(() => { removeEventListener("dragover", over); removeEventListener("drop", drop); });
}
