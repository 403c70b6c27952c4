// Whose people, devices or programs a screen is about: one's own agency's, or, for
// whoever runs the network, any agency's and the network's own.

import type { VNode } from "preact";
import type { Agency } from "./contract";
import { operates } from "./may";
import { know } from "./names";
import { Select } from "./parts";
import { go } from "./place";
import * as service from "./service";
import { text } from "./words";

/** agencies are all of the network. */
export async function agencies(): Promise<Agency[]> {
  const all = (await service.listAgencies()).agencies;
  know(all.map((a) => [a.id, a.name] as const));
  return all;
}

/** Whose lets whoever runs the network choose. */
export function Whose({ screen, agency, of }: { screen: string; agency: string; of: Agency[] }): VNode | null {
  if (!operates()) return null;
  const choices = [{ value: "", label: text("admin.network.itself") }, ...of.map((a) => ({ value: a.id, label: a.name }))];
  return <Select name="whose" label="admin.at.agency" of={choices.map((c) => ({ ...c, chosen: c.value === agency }))} change={(value) => go(screen, value)} />;
}

/** own is one's own agency, unless another is named. */
export const own = (agency: string): string => agency || (service.me.value?.agency ?? "");
