// What was agreed to and does not count yet. Until then it can be stopped.

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { Facts, Sentence, Who } from "../act";
import type { WaitingChange } from "../contract";
import { ask } from "../deciding";
import { learn } from "../names";
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
        <Row label={<Say id="admin.change.agreed" />}>{c.agreed.map((who) => <p key={who}><Who id={who} /></p>)}</Row>
      </dl>
      {c.mine && <div class="actions"><Press id="admin.change.stop" act={() => ask(service.stopChange(c.change), "changes")} testid="stop" /></div>}
      <Facts lines={c.lines} />
    </>
  );
}
