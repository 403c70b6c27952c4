// What waits for whoever is signed in, and the ways to everything else.

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { Device } from "../contract";
import { Entry } from "../deciding";
import { Lock } from "../lock";
import { learn } from "../names";
import { leads, parts, watches } from "../may";
import { Loaded, Press, Screen, useLoaded } from "../parts";
import { to } from "../place";
import * as service from "../service";
import { Beside, Say } from "../words";

// outside are the devices that wait for somebody else than who invited them. What waits
// to be agreed to is shown without them, should they not be there.
async function outside(): Promise<Device[]> {
  if (!leads()) return [];
  const { devices } = await service.listDevices("").catch(() => ({ devices: [] }));
  return devices.filter((d) => d.state === "pending" && d.invited_by !== service.me.value?.id);
}

export function Home(): VNode {
  const found = useLoaded(async () => {
    const [{ requests }, devices] = await Promise.all([service.listRequests(), outside()]);
    return { requests, devices };
  });
  const alarms = useLoaded(async () => (watches() ? (await service.listAlarms()).alarms.length : 0));
  useEffect(() => {
    void learn();
    const look = (): void => { if (document.visibilityState === "visible") void found.again(); };
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  return (
    <Screen name="home" title="admin.home.title">
      {Boolean(alarms.value) && <p class="note late" data-testid="to-look-at"><a href={to("alarms")}><Say id="admin.home.alarms" values={{ count: alarms.value ?? 0 }} /></a></p>}
      <Loaded from={found}>
        {({ requests, devices }) => {
          const open = requests.filter((r) => r.state === "waits" || r.state === "ask_again");
          const mine = open.filter((r) => r.mine);
          const others = open.filter((r) => !r.mine);
          return (
            <>
              {mine.length + devices.length === 0 && <p data-testid="nothing"><Beside id="admin.home.nothing" /></p>}
              {mine.length > 0 && <ul class="list" data-testid="mine">{mine.map((r) => <Entry key={r.id} request={r} href={to("request", r.id)} />)}</ul>}
              {devices.length > 0 && (
                <ul class="list" data-testid="waiting-devices">
                  {devices.map((d) => <li key={d.id}><a href={to("device", `/${d.id}`)}><Say id="admin.home.device" values={{ device: <bdi>{d.label}</bdi> }} /></a></li>)}
                </ul>
              )}
              {others.length > 0 && (
                <>
                  <h2><Say id="admin.home.others" /></h2>
                  <ul class="list" data-testid="others">{others.map((r) => <Entry key={r.id} request={r} href={to("request", r.id)} />)}</ul>
                </>
              )}
              <Press id="admin.home.again" act={found.again} testid="again" />
            </>
          );
        }}
      </Loaded>
      <h2><Say id="admin.home.more" /></h2>
      <nav>
        <ul class="list">
          {parts().map((part) => <li key={part}><a href={to(part)} data-testid={`to-${part}`}><Say id={`admin.${part}.title`} /></a></li>)}
        </ul>
      </nav>
      <Lock />
    </Screen>
  );
}
