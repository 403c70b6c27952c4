// While the network is being founded: what is still missing, and the end of it.

import type { VNode } from "preact";
import { Act } from "../asking";
import type { Agency, Person } from "../contract";
import { ask } from "../deciding";
import { operates } from "../may";
import { Loaded, Screen, Tag, useLoaded } from "../parts";
import * as service from "../service";
import { agencies } from "../whose";
import { Beside, Say, type Values } from "../words";

interface Task {
  id: string;
  values?: Values;
  done: boolean;
}

// peopleOf lists the people of all agencies and of the network, as far as whoever is
// signed in may see them.
async function peopleOf(all: Agency[]): Promise<Person[]> {
  const asked = operates() ? ["", ...all.map((a) => a.id)] : [""];
  return (await Promise.all(asked.map((agency) => service.listPeople(agency)))).flatMap((list) => list.people);
}

const agrees = (p: Person): boolean => p.state === "active" && p.roles.some((r) => ["operator", "supervisor", "admin"].includes(r));

function tasks(people: Person[], all: Agency[]): Task[] {
  const active = all.filter((a) => a.state === "active");
  const here = active.filter((a) => operates() || a.id === service.me.value?.agency);
  return [
    ...(operates() ? [{ id: "admin.founding.operators", done: people.filter((p) => p.agency === "" && agrees(p)).length >= 2 }] : []),
    { id: "admin.founding.agencies", done: active.length >= 2 },
    ...here.map((a) => ({ id: "admin.founding.team", values: { agency: a.name }, done: people.filter((p) => p.agency === a.id && agrees(p)).length >= 2 })),
    { id: "admin.founding.everybody", done: people.every((p) => p.state !== "invited") },
    { id: "admin.founding.keys", done: people.filter(agrees).every((p) => p.keys >= 2) },
  ];
}

export function Founding(): VNode {
  const found = useLoaded(async () => {
    const [state, all] = await Promise.all([service.readFounding(), agencies()]);
    return { state, all, people: state.open ? await peopleOf(all) : [] };
  });
  return (
    <Screen name="founding" title="admin.founding.title" back="home">
      <Loaded from={found}>
        {({ state, all, people }) => (!state.open ? <p data-testid="over"><Beside id="admin.founding.over" /></p> : (
          <>
            <p><Beside id="admin.founding.open" values={{ when: { moment: state.until ?? "" } }} /></p>
            <ul class="list" data-testid="tasks">
              {tasks(people, all).map((t) => (
                <li key={t.id + String(t.values?.["agency"] ?? "")}>
                  <span><Say id={t.id} values={t.values ?? {}} /></span>
                  <Tag id={t.done ? "admin.founding.yes" : "admin.founding.no"} look={t.done ? "good" : "late"} />
                </li>
              ))}
            </ul>
            {people.some((p) => p.state === "invited") && (
              <>
                <h2><Say id="admin.founding.missing" /></h2>
                <ul class="list" data-testid="missing">{people.filter((p) => p.state === "invited").map((p) => <li key={p.id}><bdi>{p.handle}</bdi></li>)}</ul>
              </>
            )}
            <Act id="admin.founding.close" act={() => ask(service.closeFounding(), "founding")} testid="close" />
          </>
        ))}
      </Loaded>
    </Screen>
  );
}
