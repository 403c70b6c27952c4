// Alarms. The service tells them to whoever runs it, and nothing to this page yet.

import type { VNode } from "preact";
import { Screen } from "../parts";
import { Beside } from "../words";

export function Alarms(): VNode {
  return <Screen name="alarms" title="admin.alarms.title" back="home"><p data-testid="nothing"><Beside id="admin.alarms.lead" /></p></Screen>;
}
