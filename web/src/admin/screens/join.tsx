// Join by a link that is good once: see whose it is, make a passkey, sign with it.

import { signal, useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { Facts, Roles, Sentence } from "../act";
import { valueAt } from "../acts";
import type { JoinAct, JoinOptions } from "../contract";
import { know } from "../names";
import { LanguageChoice, Loaded, Press, Row, Screen, useLoaded } from "../parts";
import { make, use } from "../../shared/passkey";
import { go } from "../place";
import * as service from "../service";
import { Beside, Say } from "../words";

/** joining is the secret of the link that this page was opened with. */
export const joining = signal<string | null>(null);

export function Join({ secret }: { secret: string }): VNode {
  const made = useSignal<JoinAct | null>(null);
  const found = useLoaded(() => service.beginJoin({ secret }), secret);

  const makeIt = async (): Promise<void> => {
    // Its challenge may be older than this press, and was perhaps used.
    const { options, handle, agency_name } = await service.beginJoin({ secret });
    const act = await service.makePasskey({ secret, response: await make(options) });
    know([[valueAt(act.lines, "what.person") ?? "", handle], ...(agency_name ? [[valueAt(act.lines, "agency") ?? "", agency_name] as const] : [])]);
    made.value = act;
  };
  const join = async ({ act, options }: JoinAct): Promise<void> => {
    const me = await service.join({ secret, act, response: await use(options) });
    joining.value = null;
    service.me.value = me;
    go("home");
  };

  return (
    <Screen key={made.value ? "sign" : "join"} name={made.value ? "join-sign" : "join"} title={made.value ? "admin.join.sign" : "admin.join.title"}>
      {made.value ? (
        <>
          <p class="lead"><Beside id="admin.join.sign.lead" /></p>
          <p class="asks"><Sentence lines={made.value.lines} beside /></p>
          <Facts lines={made.value.lines} />
          <div class="actions"><Press id="admin.join.sign.button" primary act={() => join(made.value as JoinAct)} testid="join" /></div>
        </>
      ) : (
        <Loaded from={found}>{(who) => <Who who={who} make={makeIt} />}</Loaded>
      )}
      {Boolean(found.problem) && <p><button type="button" class="quiet" onClick={() => { joining.value = null; }}><Say id="admin.signin.title" /></button></p>}
      {!made.value && <LanguageChoice />}
    </Screen>
  );
}

function Who({ who, make }: { who: JoinOptions; make: () => Promise<void> }): VNode {
  return (
    <>
      <dl class="facts">
        <Row label={<Say id="admin.at.what.handle" />}><bdi>{who.handle}</bdi></Row>
        <Row label={<Say id="admin.at.agency" />}>{who.agency_name ? <bdi>{who.agency_name}</bdi> : <Say id="admin.network.itself" />}</Row>
        <Row label={<Say id="admin.at.what.roles" />}><Roles of={who.roles} /></Row>
      </dl>
      <p><Beside id="admin.join.lead" /></p>
      <div class="actions"><Press id="admin.join.button" primary act={make} testid="make" /></div>
      <p class="hint"><Beside id="admin.join.keep" /></p>
    </>
  );
}
