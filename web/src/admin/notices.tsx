// What somebody should know wherever she is on this page: changes that she can still
// stop, with the day on which they count.

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { Sentence } from "./act";
import type { WaitingChange } from "./contract";
import { leads } from "./may";
import { learn } from "./names";
import { place, to } from "./place";
import * as service from "./service";
import { Say, moment } from "./words";

// So many are named, on the first screen and on every other one; the rest is behind a
// link.
const [first, elsewhere] = [3, 1];

/** Notices stand at the top of every screen. They say nothing while nothing is known. */
export function Notices(): VNode | null {
  const stoppable = useSignal<WaitingChange[]>([]);
  const screen = place.value.screen;
  useEffect(() => {
    if (!leads()) return;
    void service.listChanges().then(({ changes }) => {
      const mine = changes.filter((c) => c.mine);
      stoppable.value = mine;
      for (const agency of new Set(mine.slice(0, first).map((c) => c.agency))) void learn(agency); // names of whom they are about
    }, () => undefined);
  }, [screen]);
  const all = stoppable.value;
  const few = screen === "home" ? first : elsewhere;
  if (all.length === 0) return null;
  return (
    <section class="note late" data-testid="stoppable">
      <p><strong><Say id="admin.notice.stoppable" /></strong></p>
      <ul>
        {all.slice(0, few).map((c) => (
          <li key={c.change}>
            <a href={to("change", String(c.change))}><Sentence lines={c.lines} /></a>
            <span class="hint block"><Say id="admin.change.counts" /> <bdi>{moment(c.counts)}</bdi></span>
          </li>
        ))}
      </ul>
      {all.length > few && <p><a href={to("changes")}><Say id="admin.notice.more" values={{ count: all.length - few }} /></a></p>}
    </section>
  );
}
