// The programs of an agency or of the network, which have a token each.

import type { VNode } from "preact";
import { Id, Word } from "../act";
import { Act } from "../asking";
import type { Role } from "../contract";
import { ask } from "../deciding";
import { rolesIn } from "../may";
import { Choices, Field, Form, Loaded, Row, Screen, Tag, need, useLoaded } from "../parts";
import { to } from "../place";
import * as service from "../service";
import { Whose, agencies, own } from "../whose";
import { asciiDigits } from "../../shared/text";
import { Beside, Say, day, number } from "../words";

const look = { active: "good", over: "late", removed: "" } as const;

export function Programs({ id: agency }: { id: string }): VNode {
  const found = useLoaded(() => Promise.all([service.listPrograms(agency), agencies()]), agency);
  return (
    <Screen name="programs" title="admin.programs.title" back="home">
      <p><Beside id="admin.programs.lead" /></p>
      <Loaded from={found}>
        {([{ programs }, all]) => (
          <>
            <Whose screen="programs" agency={agency} of={all} />
            <p><a class="button" href={to("program-new", agency)} data-testid="add"><Say id="admin.programs.add" /></a></p>
            {programs.length === 0 && <p><Say id="admin.none" /></p>}
            <ul class="list" data-testid="programs">
              {programs.map((p) => (
                <li key={p.id}>
                  <a href={to("program", `${agency}/${p.id}`)}><bdi>{p.label}</bdi></a>
                  <Tag id={`admin.program.${p.state}`} look={look[p.state]} />
                  <span class="hint"><Word of="role" value={p.role} /></span>
                </li>
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </Screen>
  );
}

export function OneProgram({ id }: { id: string }): VNode {
  const [agency = "", program = ""] = id.split("/");
  const found = useLoaded(async () => (await service.listPrograms(agency)).programs.find((p) => p.id === program) ?? null, id);
  return (
    <Screen name="program" title="admin.program.title" back={`programs/${agency}`}>
      <Loaded from={found}>
        {(p) => (p ? (
          <>
            <dl class="facts">
              <Row label={<Say id="admin.at.what.label" />}><bdi>{p.label}</bdi><Id of={p.id} /></Row>
              <Row label={<Say id="admin.at.what.role" />}><Word of="role" value={p.role} /></Row>
              <Row label={<Say id="admin.at.what.expires" />}><bdi>{day(p.expires)}</bdi></Row>
              <Row label={<Say id="admin.at.state" />}><Tag id={`admin.program.${p.state}`} look={look[p.state]} /></Row>
            </dl>
            {p.state === "active" && <Act id="admin.program.remove" act={() => ask(service.removeProgram(p.id), "programs", agency)} testid="remove" />}
          </>
        ) : <p><Beside id="admin.problem.not_found" /></p>)}
      </Loaded>
    </Screen>
  );
}

export function NewProgram({ id: agency }: { id: string }): VNode {
  const found = useLoaded(async () => {
    const whose = own(agency);
    return rolesIn(whose === "" ? undefined : (await agencies()).find((a) => a.id === whose));
  }, agency);
  const send = (values: FormData): Promise<void> => {
    const label = String(values.get("label")).trim();
    const days = Number(asciiDigits(String(values.get("days"))));
    const role = values.get("role") as Role | null;
    need({
      label: label === "" && "admin.missing.label",
      role: role === null && "admin.missing.roles",
      days: !(Number.isInteger(days) && days >= 1 && days <= 365) && "admin.missing.days",
    });
    return ask(service.addProgram({ label, days, role: role as Role, ...(agency ? { agency } : {}) }), "programs", agency);
  };
  return (
    <Screen name="program-new" title="admin.programs.add" back={`programs/${agency}`}>
      <Loaded from={found}>
        {(roles) => (
          <Form action="action.next" send={send}>
            <Field name="label" label="admin.at.what.label" maxlength={40} />
            <Choices name="role" label="admin.at.what.role" type="radio" of={roles.map((value) => ({ value, label: <Word of="role" value={value} /> }))} />
            <Field name="days" label="admin.programs.days" inputmode="numeric" value={number(90)} dir="ltr" />
          </Form>
        )}
      </Loaded>
    </Screen>
  );
}
