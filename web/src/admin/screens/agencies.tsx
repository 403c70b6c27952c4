// The agencies of the network.

import type { VNode } from "preact";
import { Id, Word } from "../act";
import { Act } from "../asking";
import type { AgencyClass } from "../contract";
import { ask } from "../deciding";
import { operates } from "../may";
import { Field, Form, Loaded, Row, Screen, Select, Tag, need, useLoaded } from "../parts";
import { to } from "../place";
import * as service from "../service";
import { agencies } from "../whose";
import { Beside, Say, day, text } from "../words";

const look = { active: "good", suspended: "late" } as const;

export function Agencies(): VNode {
  const found = useLoaded(agencies);
  return (
    <Screen name="agencies" title="admin.agencies.title" back="home">
      <Loaded from={found}>
        {(all) => (
          <>
            {operates() && <p><a class="button" href={to("agency-new")} data-testid="add"><Say id="admin.agencies.admit" /></a></p>}
            {all.length === 0 && <p><Say id="admin.none" /></p>}
            <ul class="list" data-testid="agencies">
              {all.map((a) => (
                <li key={a.id}>
                  <a href={to("agency", a.id)}><bdi>{a.name}</bdi></a>
                  <Tag id={`admin.agency.${a.state}`} look={look[a.state]} />
                  <span class="hint"><Word of="class" value={a.class} />, <bdi>{a.country}</bdi></span>
                </li>
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </Screen>
  );
}

export function OneAgency({ id }: { id: string }): VNode {
  const found = useLoaded(async () => (await agencies()).find((a) => a.id === id) ?? null, id);
  const change = (action: "suspend" | "resume"): Promise<void> => ask(service.changeAgency(id, { action }), "agencies");
  return (
    <Screen name="agency" title="admin.agency.title" back="agencies">
      <Loaded from={found}>
        {(a) => (a ? (
          <>
            <dl class="facts">
              <Row label={<Say id="admin.at.what.name" />}><bdi>{a.name}</bdi><Id of={a.id} /></Row>
              <Row label={<Say id="admin.at.what.class" />}><Word of="class" value={a.class} /></Row>
              <Row label={<Say id="admin.at.what.country" />}><bdi>{a.country}</bdi></Row>
              <Row label={<Say id="admin.at.what.desk" />}><bdi dir="ltr">{a.desk}</bdi></Row>
              <Row label={<Say id="admin.at.what.kinds" />}>
                {a.signs.kinds.length === 0 ? <Say id="admin.act.nothing" /> : a.signs.kinds.map((kind) => <p key={kind}><Word of="kind" value={kind} /></p>)}
              </Row>
              {a.signs.level && <Row label={<Say id="admin.at.what.level" />}><Word of="level" value={a.signs.level} /></Row>}
              <Row label={<Say id="admin.at.what.since" />}><bdi>{day(a.since)}</bdi></Row>
              <Row label={<Say id="admin.at.what.symbols" />}><bdi dir="ltr" class="symbols">{a.symbols}</bdi></Row>
              <Row label={<Say id="admin.at.state" />}><Tag id={`admin.agency.${a.state}`} look={look[a.state]} /></Row>
            </dl>
            {operates() && (a.state === "active"
              ? <Act id="admin.agency.suspend" act={() => change("suspend")} testid="suspend" />
              : <Act id="admin.agency.resume" act={() => change("resume")} testid="resume" />)}
          </>
        ) : <p><Beside id="admin.problem.not_found" /></p>)}
      </Loaded>
    </Screen>
  );
}

const classes: AgencyClass[] = [
  "NGO", "x_Shelter", "HealthServiceOrganisation", "LegalService", "SchoolOrCollege", "x_InternationalOrganisation", "CentralGovernmentOrganisation",
  "LocalGovernmentOrganisation", "ImmigrationService", "LawEnforcement", "x_DiplomaticMission", "CorporateBusiness",
];

export function NewAgency(): VNode {
  const send = (values: FormData): Promise<void> => {
    const [name, desk] = ["name", "desk"].map((field) => String(values.get(field)).trim()) as [string, string];
    const country = String(values.get("country")).trim().toUpperCase();
    need({
      name: name === "" && "admin.missing.name",
      country: !/^[A-Z]{3}$/.test(country) && "admin.missing.country",
      desk: !/^\+?[0-9 ()-]{5,40}$/.test(desk) && "admin.missing.desk",
    });
    return ask(service.admitAgency({ name, desk, country, class: values.get("class") as AgencyClass }), "agencies");
  };
  return (
    <Screen name="agency-new" title="admin.agencies.admit" back="agencies">
      <Form action="action.next" send={send}>
        <Field name="name" label="admin.at.what.name" hint="admin.agencies.name.hint" maxlength={80} />
        <Select name="class" label="admin.at.what.class" of={classes.map((value) => ({ value, label: text(`admin.class.${value.toLowerCase()}`) }))} />
        <Field name="country" label="admin.at.what.country" hint="admin.agencies.country.hint" maxlength={3} autocapitalize="characters" dir="ltr" />
        <Field name="desk" label="admin.at.what.desk" hint="admin.agencies.desk.hint" type="tel" maxlength={40} dir="ltr" />
      </Form>
    </Screen>
  );
}
