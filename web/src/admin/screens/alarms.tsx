// What the service finds that somebody should look at: for whoever runs the network, and
// for who audits it.

import type { VNode } from "preact";
import { Named } from "../act";
import type { Alarm } from "../contract";
import { Loaded, Press, Screen, useLoaded } from "../parts";
import { to } from "../place";
import * as service from "../service";
import { agencies } from "../whose";
import { Beside, Say } from "../words";

// Those that cannot wait: what is signed or served may not be what it seems.
const grave: readonly string[] = ["roster_mismatch", "rows_mismatch", "log_stopped", "publishing_stopped", "signer_away"];

// Where more is to be seen of some of them.
const places: Partial<Record<Alarm["code"], string>> = { changes_waiting: "changes", founding_open: "founding", founding_reopened: "founding" };

// What whoever runs the service types to know more of some of them.
const commands: Partial<Record<Alarm["code"], string>> = {
  roster_mismatch: "safeconduct log verify", rows_mismatch: "safeconduct fsck", publishing_stopped: "safeconduct doctor",
};

export function Alarms(): VNode {
  const found = useLoaded(async () => {
    const [{ alarms }] = await Promise.all([service.listAlarms(), agencies()]); // their names
    return alarms;
  });
  return (
    <Screen name="alarms" title="admin.alarms.title" back="home">
      <Loaded from={found}>
        {(alarms) => (
          <>
            {alarms.length === 0 && <p data-testid="nothing"><Beside id="admin.alarms.lead" /></p>}
            <ul class="list" data-testid="alarms">{alarms.map((a) => <One key={a.code + (a.agency ?? "") + (a.asker ?? "")} of={a} />)}</ul>
            <Press id="admin.home.again" act={found.again} testid="again" />
          </>
        )}
      </Loaded>
    </Screen>
  );
}

function One({ of: a }: { of: Alarm }): VNode {
  const more = a.agency ? to("agency", a.agency) : places[a.code] && to(places[a.code] ?? "");
  const values = {
    agency: a.agency ? <Named id={a.agency} bare /> : <Say id="admin.network.itself" />, count: a.count ?? 0,
    asker: <bdi dir="ltr">{a.asker ?? "–"}</bdi>,
    when: a.since ? { day: a.since } : "", until: a.until ? { moment: a.until } : "", command: <bdi dir="ltr">{commands[a.code] ?? ""}</bdi>,
  };
  return (
    <li data-testid="alarm" data-code={a.code} class={grave.includes(a.code) ? "grave" : ""}>
      <strong><Beside id={`admin.alarm.${a.code}`} values={values} /></strong>
      <span class="hint block"><Beside id={`admin.alarm.${a.code}.do`} values={values} /></span>
      {more && <a href={more}><Say id="admin.alarm.more" /></a>}
    </li>
  );
}
