// The other ways to show a card: a picture, or the digits from a hand scanner.

import { drawn, field, note } from "../shared/components";
import { h } from "../shared/dom";
import { onLeaveNext } from "../shared/screen";
import { beside, has, say } from "../shared/words";
import { found } from "./found";
import * as offline from "./offline";
import { fromScanner, looksLikeCard, nearlyCard } from "./scanned";
import { open } from "./session";
import { readPicture } from "./symbols";

/** otherWays are the fields for a picture and for the digits. */
export function otherWays(): HTMLElement {
  const wrong = note();
  const picture = h("input", {
    type: "file", accept: "image/*,application/pdf", class: "unseen", "data-testid": "picture",
    change: () => { const file = picture.files?.[0]; picture.value = ""; if (file) void take(file, wrong); },
  });
  const digits = h("input", {
    type: "text", inputmode: "numeric", autocomplete: "off", spellcheck: "false", dir: "ltr", "data-testid": "digits",
    keydown: (e: KeyboardEvent) => { if (e.key === "Enter") { e.preventDefault(); send(); } },
    input: () => { if (looksLikeCard(fromScanner(digits.value))) send(); },
  });
  const send = (): void => {
    const typed = fromScanner(digits.value);
    digits.value = "";
    if (typed) void (nearlyCard(typed) ? found(null, "nearly_card") : found(typed));
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
  if (open()) return found(null, read.reason);
  wrong.replaceChildren(beside(has(`reason.${read.reason}`) ? `reason.${read.reason}` : "state.unreadable.next"));
}

// A hand scanner types 667 digits, wherever the focus is, and perhaps something
// before them. The space key is left out, because it presses buttons.
function listenForScanner(digits: HTMLInputElement): void {
  const listen = (e: KeyboardEvent): void => {
    const typing = document.activeElement instanceof HTMLInputElement || document.activeElement instanceof HTMLSelectElement;
    if (typing || e.ctrlKey || e.metaKey || e.altKey || e.key === " " || [...e.key].length !== 1) return;
    e.preventDefault();
    digits.value = e.key;
    digits.focus();
  };
  addEventListener("keydown", listen);
  onLeaveNext(() => removeEventListener("keydown", listen));
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
  onLeaveNext(() => { removeEventListener("dragover", over); removeEventListener("drop", drop); });
}
