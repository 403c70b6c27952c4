// The agencies of the network.

import type { VNode } from "preact";
import { Id, Word } from "../act";
import { Act } from "../asking";
import type { Agency, AgencyClass, AgencyOrder, AgencySigns, DecisionLevel, Kind } from "../contract";
import { ask } from "../deciding";
import { answers, leads, operates } from "../may";
import { Choices, Field, Form, Loaded, Row, Screen, Select, Tag, need, useLoaded } from "../parts";
import { to } from "../place";
import * as service from "../service";
import { agencies } from "../whose";
import { asciiDigits } from "../../shared/text";
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

// way is a link to a form about an agency.
const Way = ({ screen, of, id }: { screen: string; of: string; id: string }): VNode =>
  <li><a href={to(screen, of)} data-testid={`to-${screen}`}><Say id={id} /></a></li>;

/** One finds the agency of a screen. */
function One({ id, name, title, children }: { id: string; name: string; title: string; children: (a: Agency, all: Agency[]) => VNode }): VNode {
  const found = useLoaded(agencies, id);
  return (
    <Screen name={name} title={title} back={name === "agency" ? "agencies" : to("agency", id).slice(1)}>
      <Loaded from={found}>
        {(all) => {
          const a = all.find((one) => one.id === id);
          return a ? children(a, all) : <p><Beside id="admin.problem.not_found" /></p>;
        }}
      </Loaded>
    </Screen>
  );
}

export function OneAgency({ id }: { id: string }): VNode {
  const change = (action: "suspend" | "resume"): Promise<void> => ask(service.changeAgency(id, { action }), "agencies");
  return (
    <One id={id} name="agency" title="admin.agency.title">
      {(a, all) => (
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
            {a.confirms?.length && <Row label={<Say id="admin.at.what.confirms" />}><bdi>{a.confirms.join(" ")}</bdi></Row>}
            <Row label={<Say id="admin.at.what.since" />}><bdi>{day(a.since)}</bdi></Row>
            <Row label={<Say id="admin.at.what.symbols" />}><bdi dir="ltr" class="symbols">{a.symbols}</bdi></Row>
            {a.partner && <Row label={<Say id="admin.at.what.partner" />}><bdi>{all.find((one) => one.id === a.partner)?.name ?? a.partner}</bdi></Row>}
            {(a.quotas ?? []).map((q) => (
              <Row key={q.event + q.until} label={<Say id="admin.agency.quota" />}>
                <p><bdi>{q.event}</bdi></p>
                <p><Say id="admin.agency.quota.of" values={{ cards: q.cards, when: day(q.until) }} /></p>
              </Row>
            ))}
            <Row label={<Say id="admin.at.state" />}><Tag id={`admin.agency.${a.state}`} look={look[a.state]} /></Row>
          </dl>
          {leads() && (
            <ul class="list">
              {a.state === "active" && (operates() || answers(id)) && <Way screen="person-new" of={id} id="admin.people.add" />}
              {operates() && <Way screen="agency-change" of={id} id="admin.agency.change" />}
              {a.state === "active" && answers(id) && <Way screen="agency-partner" of={id} id="admin.agency.partner" />}
              {a.state === "active" && !operates() && <Way screen="agency-quota" of={id} id="admin.agency.quota.ask" />}
              {operates() && <Way screen="agency-compromised" of={id} id="admin.agency.compromised" />}
            </ul>
          )}
          {operates() && (a.state === "active"
            ? <Act id="admin.agency.suspend" act={() => change("suspend")} testid="suspend" />
            : <Act id="admin.agency.resume" act={() => change("resume")} testid="resume" />)}
        </>
      )}
    </One>
  );
}

const classes: AgencyClass[] = [
  "NGO", "x_Shelter", "HealthServiceOrganisation", "LegalService", "SchoolOrCollege", "x_InternationalOrganisation", "CentralGovernmentOrganisation",
  "LocalGovernmentOrganisation", "ImmigrationService", "LawEnforcement", "x_DiplomaticMission", "CorporateBusiness",
];
const kinds: Kind[] = ["screening", "appointment", "identity", "document", "opinion", "reliance", "reply"];
const levels: DecisionLevel[] = ["preliminary_screening", "reasonable_grounds", "formal_identification", "judicial_finding"];

const line = (values: FormData, field: string): string => String(values.get(field) ?? "").trim();

/** orderOf is what was filled in about an agency. */
function orderOf(values: FormData): AgencyOrder {
  const [name, desk, country] = [line(values, "name"), line(values, "desk"), line(values, "country").toUpperCase()];
  const signs: AgencySigns = { kinds: values.getAll("kinds") as Kind[] };
  const level = line(values, "level");
  if (level) signs.level = level as DecisionLevel;
  need({
    name: name === "" && "admin.missing.name",
    country: !/^[A-Z]{3}$/.test(country) && "admin.missing.country",
    desk: !/^\+?[0-9 ()-]{5,40}$/.test(desk) && "admin.missing.desk",
  });
  const confirms = line(values, "confirms").toUpperCase().split(/[^A-Z]+/).filter(Boolean);
  need({ confirms: confirms.some((state) => state.length !== 3) && "admin.missing.country" });
  const order: AgencyOrder = { name, desk, country, class: values.get("class") as AgencyClass };
  if (confirms.length > 0) order.confirms = confirms;
  return signs.kinds.length > 0 || level ? { ...order, signs } : order;
}

/** About are the fields that say what an agency is. */
function About({ of }: { of?: Agency }): VNode {
  const word = (value: string): string => text(`admin.level.${value}`);
  return (
    <>
      <Field name="name" label="admin.at.what.name" hint="admin.agencies.name.hint" maxlength={80} value={of?.name ?? ""} />
      <Select name="class" label="admin.at.what.class" of={classes.map((value) => ({ value, label: text(`admin.class.${value.toLowerCase()}`), chosen: value === of?.class }))} />
      <Field name="country" label="admin.at.what.country" hint="admin.agencies.country.hint" maxlength={3} autocapitalize="characters" dir="ltr" value={of?.country ?? ""} />
      <Field name="desk" label="admin.at.what.desk" hint="admin.agencies.desk.hint" type="tel" maxlength={40} dir="ltr" value={of?.desk ?? ""} />
      <Choices name="kinds" label="admin.at.what.kinds" hint="admin.agencies.kinds.hint" type="checkbox"
        of={kinds.map((value) => ({ value, label: <Word of="kind" value={value} />, chosen: of?.signs.kinds.includes(value) ?? false }))} />
      <Select name="level" label="admin.at.what.level" hint="admin.agencies.level.hint"
        of={[{ value: "", label: text("admin.agencies.level.none") }, ...levels.map((value) => ({ value, label: word(value), chosen: value === of?.signs.level }))]} />
      <Field name="confirms" label="admin.at.what.confirms" hint="admin.agencies.confirms.hint" autocapitalize="characters" dir="ltr" value={of?.confirms?.join(" ") ?? ""} />
    </>
  );
}

export function NewAgency(): VNode {
  const send = async (values: FormData): Promise<void> => {
    const asked = await service.admitAgency(orderOf(values));
    // Where one person is enough it is there at once, and its people come next.
    const there = asked.request.people === 1 ? asked.id : undefined;
    return ask(Promise.resolve(asked), there ? "agency" : "agencies", there);
  };
  return (
    <Screen name="agency-new" title="admin.agencies.admit" back="agencies">
      <Form action="action.next" send={send}><About /></Form>
    </Screen>
  );
}

export function ChangedAgency({ id }: { id: string }): VNode {
  return (
    <One id={id} name="agency-change" title="admin.agency.change">
      {(a) => (
        <>
          <p class="asks"><bdi>{a.name}</bdi></p>
          <Form action="action.next" send={(values) => ask(service.describeAgency(id, orderOf(values)), "agency", id)}><About of={a} /></Form>
        </>
      )}
    </One>
  );
}

export function Partner({ id }: { id: string }): VNode {
  const send = (values: FormData): Promise<void> => {
    const partner = line(values, "partner");
    return ask(service.namePartner(id, partner ? { partner } : {}), "agency", id);
  };
  return (
    <One id={id} name="agency-partner" title="admin.agency.partner">
      {(a, all) => (
        <>
          <p><Beside id="admin.agency.partner.lead" /></p>
          <Form action="action.next" send={send}>
            <Select name="partner" label="admin.at.what.partner" of={[
              { value: "", label: text("admin.agency.partner.none") },
              ...all.filter((one) => one.id !== id && one.state === "active").map((one) => ({ value: one.id, label: one.name, chosen: one.id === a.partner })),
            ]} />
          </Form>
        </>
      )}
    </One>
  );
}

export function Quota({ id }: { id: string }): VNode {
  const send = (values: FormData): Promise<void> => {
    const [event, cards, until] = [line(values, "event"), Number(asciiDigits(line(values, "cards"))), line(values, "until")];
    need({
      event: event === "" && "admin.missing.event",
      cards: !(Number.isInteger(cards) && cards >= 1 && cards <= 5000) && "admin.missing.cards",
      until: until === "" && "admin.missing.day",
    });
    return ask(service.raiseQuota(id, { event, cards, until }), "agency", id);
  };
  return (
    <One id={id} name="agency-quota" title="admin.agency.quota.ask">
      {(a) => (
        <>
          <p class="asks"><bdi>{a.name}</bdi></p>
          <p><Beside id="admin.agency.quota.lead" /></p>
          <Form action="action.next" send={send}>
            <Field name="event" label="admin.at.what.event" hint="admin.agency.event.hint" maxlength={80} />
            <Field name="cards" label="admin.at.what.cards" hint="admin.agency.cards.hint" inputmode="numeric" maxlength={4} dir="ltr" />
            <Field name="until" label="admin.at.what.until" type="date" />
          </Form>
        </>
      )}
    </One>
  );
}

export function Compromised({ id }: { id: string }): VNode {
  const send = (values: FormData): Promise<void> => {
    const since = line(values, "since");
    need({ since: since === "" && "admin.missing.day" });
    return ask(service.compromiseAgency(id, { since }), "agency", id);
  };
  return (
    <One id={id} name="agency-compromised" title="admin.agency.compromised">
      {(a) => (
        <>
          <p class="asks"><bdi>{a.name}</bdi></p>
          <p><Beside id="admin.agency.compromised.lead" /></p>
          <Form action="action.next" send={send}><Field name="since" label="admin.agency.since" type="date" /></Form>
        </>
      )}
    </One>
  );
}
