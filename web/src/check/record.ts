// The content of a card that the holder's code has opened.

import { birth } from "../shared/dates";
import { h, type Child } from "../shared/dom";
import { beside, day, has, say } from "../shared/words";
import type { Card, Verdict } from "./verifier";

export function opened(v: Verdict): Child {
  if (!v.card || v.card.blank) return null;
  const c = v.card;
  return h("div", { class: "record", "data-testid": "record" },
    h("h2", {}, say("record.title")),
    h("dl", {}, ...rows(c).flatMap(([id, value]) => [h("dt", {}, say(id)), h("dd", {}, value)])),
    c.names_shortened && h("p", { class: "why" }, beside("record.shortened")),
    h("p", {}, beside(c.mission_may_be_contacted ? "record.mission.yes" : "record.mission.no")),
    h("p", { class: "why" }, beside("record.code_binds")));
}

function rows(c: Card): [string, Child][] {
  const all: [string, Child][] = [
    ["record.name", c.name && h("bdi", { class: "name" }, c.name)],
    ["record.born", c.birth_date && h("bdi", {}, birth(c.birth_date))],
    ["record.sex", c.sex && has(`record.sex.${c.sex}`) && say(`record.sex.${c.sex}`)],
    ["record.nationality", c.nationality && h("bdi", {}, c.nationality)],
    ["record.procedure", c.decision_level && has(`record.procedure.${c.decision_level}`) && say(`record.procedure.${c.decision_level}`)],
    ["record.issued", day(c.issued)],
    ["record.last_day", day(c.last_day)],
  ].map(([id, value]) => [id as string, (value || null) as Child]);
  return all.filter(([, value]) => value !== null);
}
