// Whom and what ids stand for, as far as whoever is signed in may know.

import { signal } from "@preact/signals";
import { listAgencies, listPeople, me } from "./service";

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

/** learn looks up agencies, and the people of the network, of one's own agency and of
 * another. What somebody may not list stays an id. */
export async function learn(agency = ""): Promise<void> {
  const own = me.value;
  if (own) know([[own.id, own.handle]]);
  const people = [...new Set(["", own?.agency ?? "", agency])].map(async (one) => {
    for (const p of (await listPeople(one)).people) know([[p.id, p.handle]]);
  });
  const agencies = listAgencies().then((list) => know(list.agencies.map((a) => [a.id, a.name] as const)));
  await Promise.allSettled([...people, agencies]);
}
