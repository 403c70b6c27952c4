// One request: all that it says, and the decision.

import type { VNode } from "preact";
import { Sentence } from "../act";
import { Deciding } from "../deciding";
import { Loaded, Screen, useLoaded } from "../parts";
import { go } from "../place";
import * as service from "../service";

export function One({ id }: { id: string }): VNode {
  const found = useLoaded(() => service.readRequest(id), id);
  return (
    <Screen name="request" title="admin.request.title" back="home">
      <Loaded from={found}>
        {(request) => (
          <>
            <p class="asks"><Sentence lines={request.lines} beside /></p>
            <Deciding request={request} left={() => go("home")} />
          </>
        )}
      </Loaded>
    </Screen>
  );
}
