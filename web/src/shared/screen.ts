// One screen at a time. The screen before is gone from the page. Title, address
// and history never change.

import { h, type Child } from "./dom";

let endings: (() => void)[] = [];
let coming: (() => void)[] = [];

/** onLeave registers work for when the current screen goes away. */
export const onLeave = (work: () => void): void => void endings.push(work);

/** onLeaveNext does so for the screen that is being made and will be shown next. */
export const onLeaveNext = (work: () => void): void => void coming.push(work);

/** show replaces the screen and moves the focus to its heading. */
export function show(name: string, ...children: Child[]): void {
  for (const work of endings) work();
  [endings, coming] = [coming, []];
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
