// What was agreed to and does not count yet. Until then it can be stopped.

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { Facts, Named, Sentence } from "../act";
import { valueAt } from "../acts";
import type { Agreeing, WaitingChange } from "../contract";
import { ask } from "../deciding";
import { learn, nameOf } from "../names";
import { Loaded, Press, Row, Screen, useLoaded } from "../parts";
import { to } from "../place";
import * as service from "../service";
import { Beside, Say, moment } from "../words";

export function Changes(): VNode {
  const found = useLoaded(service.listChanges);
  useEffect(() => { void learn(); }, []);
  return (
    <Screen name="changes" title="admin.changes.title" back="home">
      <p><Beside id="admin.changes.lead" /></p>
      <Loaded from={found}>
        {({ changes }) => (
          <>
            {changes.length === 0 && <p data-testid="nothing"><Say id="admin.none" /></p>}
            <ul class="list" data-testid="changes">
              {changes.map((c) => (
                <li key={c.change}>
                  <a href={to("change", String(c.change))}><Sentence lines={c.lines} /></a>
                  <span class="hint"><Say id="admin.change.counts" /> <bdi>{moment(c.counts)}</bdi></span>
                </li>
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </Screen>
  );
}

export function OneChange({ id }: { id: string }): VNode {
  const found = useLoaded(async () => (await service.listChanges()).changes.find((c) => String(c.change) === id) ?? null, id);
  return (
    <Screen name="change" title="admin.change.title" back="changes">
      <Loaded from={found}>{(c) => (c ? <Change change={c} /> : <p><Beside id="admin.problem.not_found" /></p>)}</Loaded>
    </Screen>
  );
}

function Change({ change: c }: { change: WaitingChange }): VNode {
  useEffect(() => { void learn(c.agency); }, []);
  return (
    <>
      <p class="asks"><Sentence lines={c.lines} beside /></p>
      <dl class="facts">
        <Row label={<Say id="admin.change.counts" />}><bdi>{moment(c.counts)}</bdi></Row>
        <Made change={c} />
      </dl>
      {c.mine && <div class="actions"><Press id="admin.change.stop" act={() => ask(service.stopChange(c.change), "changes")} testid="stop" /></div>}
      <Facts lines={c.lines.filter((l) => l.at !== "by" || !c.who.some((w) => w.id === l.value))} />
    </>
  );
}

// Made says who asked for a change and who has agreed, each by handle or by agency, and
// whether anybody of one's own agency is among them.
function Made({ change: c }: { change: WaitingChange }): VNode {
  const asked = c.who.filter((w) => w.id === valueAt(c.lines, "by"));
  const agreed = c.who.filter((w) => w.agreed);
  const mine = service.me.value?.agency;
  return (
    <>
      {asked.length > 0 && <Row label={<Say id="admin.at.by" />}><div data-testid="asked-by">{told(asked)}</div></Row>}
      <Row label={<Say id="admin.change.agreed" />}>
        <div data-testid="agreed-by">
          {told(agreed)}
          {mine && !agreed.some((w) => w.agency === mine) && <p><Say id="admin.change.none" /></p>}
        </div>
      </Row>
    </>
  );
}

// told are people by handle, and the others as so many of an agency.
function told(who: readonly Agreeing[]): VNode[] {
  const handle = (w: Agreeing): string | undefined => w.handle ?? nameOf(w.id);
  const agency = (id: string): VNode => (id ? <Named id={id} bare /> : <Say id="admin.network.itself" />);
  const others = who.filter((w) => handle(w) === undefined);
  return [
    ...who.filter((w) => handle(w) !== undefined).map((w) => <p key={w.id}><bdi>{handle(w)}</bdi> ({agency(w.agency)})</p>),
    ...[...new Set(others.map((w) => w.agency))].map((of) => {
      const count = others.filter((w) => w.agency === of).length;
      return <p key={of}><Say id={count === 1 ? "admin.request.somebody" : "admin.change.several"} values={{ agency: agency(of), count }} /></p>;
    }),
  ];
}
