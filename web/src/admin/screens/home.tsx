// What waits for whoever is signed in, and the ways to everything else.

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { Entry } from "../deciding";
import { Lock } from "../lock";
import { learn } from "../names";
import { parts, watches } from "../may";
import { Loaded, Press, Screen, useLoaded } from "../parts";
import { to } from "../place";
import * as service from "../service";
import { Beside, Say } from "../words";

export function Home(): VNode {
  const found = useLoaded(service.listRequests);
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
        {({ requests }) => {
          const open = requests.filter((r) => r.state === "waits" || r.state === "ask_again");
          const mine = open.filter((r) => r.mine);
          const others = open.filter((r) => !r.mine);
          return (
            <>
              {mine.length === 0 && <p data-testid="nothing"><Beside id="admin.home.nothing" /></p>}
              {mine.length > 0 && <ul class="list" data-testid="mine">{mine.map((r) => <Entry key={r.id} request={r} href={to("request", r.id)} />)}</ul>}
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
