// Something that can be asked for, with what it means.

import type { VNode } from "preact";
import { Press } from "./parts";
import { Beside, Say } from "./words";

export function Act({ id, act, testid }: { id: string; act: () => Promise<void>; testid: string }): VNode {
  return (
    <section>
      <h2><Say id={id} /></h2>
      <p class="hint"><Beside id={`${id}.hint`} /></p>
      <Press id={id} act={act} testid={testid} />
    </section>
  );
}
