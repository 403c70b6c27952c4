// The people of an agency or of the network: who they are, taking somebody in, other
// roles, a new link, and the ends.

import type { VNode } from "preact";
import { Id, Roles, Word } from "../act";
import { Act } from "../asking";
import type { Person, Role } from "../contract";
import { ask } from "../deciding";
import { rolesIn } from "../may";
import { know } from "../names";
import { Choices, Field, Form, Loaded, Row, Screen, Tag, need, useLoaded } from "../parts";
import { to } from "../place";
import * as service from "../service";
import { Whose, agencies, own } from "../whose";
import { Beside, Say, number } from "../words";

async function everybody(agency: string): Promise<Person[]> {
  const { people } = await service.listPeople(agency);
  know(people.map((p) => [p.id, p.handle] as const));
  // Those who are gone come last.
  return [...people].sort((a, b) => Number(a.state === "removed") - Number(b.state === "removed") || a.handle.localeCompare(b.handle));
}

const look = { invited: "late", active: "good", removed: "" } as const;

export function People({ id: agency }: { id: string }): VNode {
  const found = useLoaded(() => Promise.all([everybody(agency), agencies()]), agency);
  return (
    <Screen name="people" title="admin.people.title" back="home">
      <Loaded from={found}>
        {([people, all]) => (
          <>
            <Whose screen="people" agency={agency} of={all} />
            <p><a class="button" href={to("person-new", agency)} data-testid="add"><Say id="admin.people.add" /></a></p>
            {people.length === 0 && <p><Say id="admin.none" /></p>}
            <ul class="list" data-testid="people">
              {people.map((p) => (
                <li key={p.id}>
                  <a href={to("person", `${agency}/${p.id}`)}><bdi>{p.handle}</bdi></a>
                  <Tag id={`admin.person.${p.state}`} look={look[p.state]} />
                  <span class="hint"><Roles of={p.roles} /></span>
                </li>
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </Screen>
  );
}

// OnePerson is a screen about one person.
function OnePerson({ name, title, id, children }: { name: string; title: string; id: string; children: (p: Person, agency: string) => VNode }): VNode {
  const [agency = "", person = ""] = id.split("/");
  const found = useLoaded(async () => (await everybody(agency)).find((p) => p.id === person) ?? null, id);
  return (
    <Screen name={name} title={title} back={`people/${agency}`}>
      <Loaded from={found}>{(p) => (p ? children(p, agency) : <p><Beside id="admin.problem.not_found" /></p>)}</Loaded>
    </Screen>
  );
}

export function OneOf({ id }: { id: string }): VNode {
  return (
    <OnePerson name="person" title="admin.person.title" id={id}>
      {(p, agency) => {
        const then = (answer: Promise<unknown>): Promise<void> => ask(answer, "people", agency);
        return (
          <>
            <dl class="facts">
              <Row label={<Say id="admin.at.what.handle" />}><bdi>{p.handle}</bdi><Id of={p.id} /></Row>
              <Row label={<Say id="admin.at.what.roles" />}><Roles of={p.roles} /></Row>
              <Row label={<Say id="admin.at.state" />}><Tag id={`admin.person.${p.state}`} look={look[p.state]} /></Row>
              <Row label={<Say id="admin.person.keys" />}>{number(p.keys)}</Row>
            </dl>
            {p.state !== "removed" && (
              <>
                <h2><Say id="admin.person.change" /></h2>
                <p class="hint"><Beside id="admin.person.change.hint" /></p>
                <p><a class="button" href={to("person-change", id)} data-testid="change"><Say id="admin.person.change" /></a></p>
                <Act id="admin.person.recover" act={() => then(service.recoverPerson(p.id))} testid="recover" />
                <Act id="admin.person.out" act={() => then(service.signOutEverywhere(p.id))} testid="out" />
                {p.id !== service.me.value?.id && <Act id="admin.person.remove" act={() => then(service.removePerson(p.id))} testid="remove" />}
              </>
            )}
          </>
        );
      }}
    </OnePerson>
  );
}

// AboutPerson asks for handle and roles.
function AboutPerson({ roles, person }: { roles: Role[]; person?: Person }): VNode {
  return (
    <>
      <Field name="handle" label="admin.at.what.handle" hint="admin.people.handle.hint" value={person?.handle ?? ""} maxlength={40} />
      <Choices name="roles" label="admin.at.what.roles" type="checkbox" of={roles.map((value) => ({
        value, chosen: person?.roles.includes(value) ?? false,
        label: <><Word of="role" value={value} /><span class="hint block"><Beside id={`admin.role.${value}.hint`} /></span></>,
      }))} />
    </>
  );
}

function filledIn(values: FormData): { handle: string; roles: Role[] } {
  const handle = String(values.get("handle")).trim();
  const roles = values.getAll("roles") as Role[];
  need({ handle: handle === "" && "admin.missing.handle", roles: roles.length === 0 && "admin.missing.roles" });
  return { handle, roles };
}

async function possible(agency: string): Promise<Role[]> {
  const whose = own(agency);
  return rolesIn(whose === "" ? undefined : (await agencies()).find((a) => a.id === whose));
}

export function NewPerson({ id: agency }: { id: string }): VNode {
  const found = useLoaded(() => possible(agency), agency);
  const send = (values: FormData): Promise<void> => ask(service.addPerson({ ...filledIn(values), ...(agency ? { agency } : {}) }), "people", agency);
  return (
    <Screen name="person-new" title="admin.people.add" back={`people/${agency}`}>
      <Loaded from={found}>{(roles) => <Form action="action.next" send={send}><AboutPerson roles={roles} /></Form>}</Loaded>
    </Screen>
  );
}

export function ChangedPerson({ id }: { id: string }): VNode {
  const [agency = ""] = id.split("/");
  const roles = useLoaded(() => possible(agency), agency);
  return (
    <OnePerson name="person-change" title="admin.person.change" id={id}>
      {(p) => (
        <Loaded from={roles}>
          {(all) => (
            <Form action="action.next" send={(values) => ask(service.changePerson(p.id, filledIn(values)), "people", agency)}>
              <AboutPerson roles={all} person={p} />
            </Form>
          )}
        </Loaded>
      )}
    </OnePerson>
  );
}
