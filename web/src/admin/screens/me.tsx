// My own access: roles, passkeys, where I am signed in, and my language.

import type { VNode } from "preact";
import { Id, Roles } from "../act";
import { ask } from "../deciding";
import { LanguageChoice, Loaded, Press, Row, Screen, Tag, useLoaded } from "../parts";
import { make } from "../../shared/passkey";
import * as service from "../service";
import { Beside, Say, moment, text } from "../words";

export function Mine(): VNode {
  const found = useLoaded(() => Promise.all([service.readSession(), service.listSessions()]));
  const add = async (): Promise<void> => {
    const { options } = await service.beginKey();
    const response = await make(options);
    await ask(service.addKey({ response }), "me");
  };
  return (
    <Screen name="me" title="admin.me.title" back="home">
      <Loaded from={found}>
        {([me, { sessions }]) => (
          <>
            <dl class="facts">
              <Row label={<Say id="admin.at.what.handle" />}><bdi>{me.handle}</bdi><Id of={me.id} /></Row>
              <Row label={<Say id="admin.at.agency" />}>{me.agency_name ? <bdi>{me.agency_name}</bdi> : <Say id="admin.network.itself" />}</Row>
              <Row label={<Say id="admin.at.what.roles" />}><Roles of={me.roles} /></Row>
            </dl>
            <h2><Say id="admin.me.keys" /></h2>
            <p class="hint"><Beside id="admin.me.keys.hint" /></p>
            <ul class="list" data-testid="keys">
              {me.keys.map((k, i) => (
                <li key={k.id}>
                  <span><Say id="admin.me.key" values={{ number: i + 1 }} /></span>
                  <Tag id={k.synced ? "admin.me.key.synced" : "admin.me.key.single"} />
                  {me.keys.length > 1 && (
                    <Press id="admin.me.key.remove" about={text("admin.me.key", { number: i + 1 })} act={() => ask(service.removeKey(k.id), "me")} testid="remove-key" />
                  )}
                </li>
              ))}
            </ul>
            <Press id="admin.me.key.add" act={add} testid="add-key" />
            <h2><Say id="admin.me.sessions" /></h2>
            <ul class="list" data-testid="sessions">
              {sessions.map((s) => (
                <li key={s.id}>
                  <span><Say id="admin.me.session" values={{ made: moment(s.made), seen: moment(s.seen) }} /></span>
                  {s.here && <Tag id="admin.me.session.here" look="good" />}
                </li>
              ))}
            </ul>
            <Press id="admin.me.out" act={() => ask(service.signOutEverywhere(me.id), "me")} testid="out" />
          </>
        )}
      </Loaded>
      <h2><Say id="settings.title" /></h2>
      <LanguageChoice />
    </Screen>
  );
}
