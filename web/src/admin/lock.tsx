// One press locks the network: whoever stands at a door that is being broken in reads
// no page.

import type { VNode } from "preact";
import { Act } from "./asking";
import { agree } from "./deciding";
import { forget } from "./names";
import * as service from "./service";
import { Beside } from "./words";

async function lock(): Promise<void> {
  const { request } = await service.lockNetwork();
  try {
    await agree(request);
  } catch (e) {
    await service.withdrawRequest(request.id).catch(() => undefined); // nobody else is to find it waiting
    throw e;
  }
  forget();
  service.ended.value = "locked";
  service.me.value = null;
}

export const Lock = (): VNode => (
  <>
    <Act id="admin.lock" act={lock} testid="lock" />
    {service.me.value?.demo && <p class="hint" data-testid="lock-demo"><Beside id="admin.lock.demo" /></p>}
  </>
);
