// What was just asked for: shown as it will be signed, decided, and what is shown once
// handed over, before anything else.

import type { VNode } from "preact";
import { Sentence } from "../act";
import { asked, Deciding } from "../deciding";
import { Screen } from "../parts";

export function JustAsked({ of }: { of: NonNullable<typeof asked.value> }): VNode {
  return (
    <Screen name="asked" title="admin.asked.title">
      <p class="asks"><Sentence lines={of.request.lines} beside /></p>
      <Deciding request={of.request} once={of.once} left={() => { asked.value = null; }} />
    </Screen>
  );
}
