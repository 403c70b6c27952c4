// Whom and what ids stand for, as far as whoever is signed in may know.

import { signal } from "@preact/signals";
import { leads } from "./may";
import { listAgencies, listDevices, listPeople, listPrograms, me } from "./service";

const known = signal<ReadonlyMap<string, string>>(new Map());

/** nameOf is a name or a handle, if it is known here. */
export const nameOf = (id: string): string | undefined => known.value.get(id);

/** know adds names. */
export function know(names: Iterable<readonly [string, string]>): void {
  known.value = new Map([...known.value, ...names]);
}

/** forget forgets all of them, when another person may come. */
export function forget(): void {
  known.value = new Map();
}

/** learn looks up agencies, and of those who answer for one the people, programs and
 * devices of the network, of their own agency and of another. What somebody may not list
 * has no name. */
export async function learn(agency = ""): Promise<void> {
  const own = me.value;
  if (own) know([[own.id, own.handle]]);
  const agencies = listAgencies().then((list) => know(list.agencies.map((a) => [a.id, a.name] as const)));
  const all = leads() ? [...new Set(["", own?.agency ?? "", agency])] : [];
  await Promise.allSettled([agencies, ...all.flatMap((one) => [
    listPeople(one).then(({ people }) => know(people.map((p) => [p.id, p.handle] as const))),
    listPrograms(one).then(({ programs }) => know(programs.map((p) => [p.id, p.label] as const))),
    listDevices(one).then(({ devices }) => know(devices.map((d) => [d.id, d.label] as const))),
  ])]);
}
