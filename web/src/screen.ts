// One screen at a time. What was shown before is gone from the page; the title,
// the address and the history never change.

import { h, type Child } from "./dom";
import { text } from "./words";

const endings = new Set<() => void>();

/** onLeave runs something when the screen that is shown now goes away. */
export function onLeave(work: () => void): void {
  endings.add(work);
}

/** show replaces the screen and moves the focus to its heading. */
export function show(name: string, ...children: Child[]): void {
  for (const work of endings) work();
  endings.clear();
  document.body.dataset["screen"] = name;
  const main = document.getElementById("main");
  if (!main) return;
  main.replaceChildren(...children.filter((c): c is Node | string => Boolean(c)));
  scrollTo(0, 0);
  const heading = main.querySelector<HTMLElement>("[data-focus]") ?? main.querySelector<HTMLElement>("h1") ?? main;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** heading is the h1 of a screen. */
export const heading = (child: Child): HTMLHeadingElement => h("h1", {}, child);

/** announce says something to who does not look. */
export function announce(id: string): void {
  const said = document.getElementById("said");
  if (said) said.textContent = text(id);
}
