// What an act says, for people: which places of it are ids, days or words of ours,
// and which are for machines alone. It draws nothing.

import type { ActLine } from "./contract";

/** Meaning says how a value is shown. */
export type Meaning =
  | "text"
  | "agency" | "person" | "program" | "device" // ids
  | "role" | "class" | "kind" | "level" | "finding" | "use" | "yes" // words of ours
  | "code" // a value of a list of docs/vocabulary.md
  | "case" // the id of a case, of a record, or of what was signed in one
  | "number"
  | "time" // RFC 3339, or seconds since 1970
  | "machine" // digests and keys
  | "unknown"; // nobody wrote this down here: the place is its own label

/** Fact is a place of an act with its values. Those of a list stand together. */
export interface Fact {
  at: string;
  values: string[];
  means: Meaning;
}

const meanings: Record<string, Meaning> = {
  agency: "agency", by: "person", expires: "time", what: "text",
  "what.agency": "agency", "what.partner": "agency", "what.person": "person", "what.invited_by": "person",
  "what.handle": "text", "what.label": "text", "what.name": "text", "what.country": "text", "what.desk": "text",
  "what.event": "text", "what.cards": "number", "what.symbols": "text", "what.seq": "number",
  "what.roles": "role", "what.role": "role", "what.class": "class", "what.kinds": "kind", "what.kind": "kind", "what.level": "level", "what.confirms": "text",
  "what.case": "case", "what.of": "case", "what.again": "yes", "what.record": "case", "what.keeper": "agency", "what.reader": "agency", "what.purpose": "code", "what.to": "agency", "what.second": "agency", "what.parts": "code", "what.readings": "number", "what.last_day": "text", "what.circumstance": "code", "what.asked_alone": "yes", "what.demo": "yes", "what.credential.synced": "yes",
  "what.use": "use", "what.before": "machine",
  "what.expires": "time", "what.until": "time", "what.since": "time", "what.link.until": "time",
  "what.order": "machine", "what.link.hash": "machine", "what.token": "machine", "what.recipient": "machine",
  "what.credential": "machine", "what.credential.id": "machine", "what.credential.public_key": "machine", "what.credential.aaguid": "machine",
};

// what.id is of what the act is about: person.add, program.add, and so on.
const owners: readonly string[] = ["agency", "person", "program", "device"];

// What an order says is named by its last part, wherever it stands. The rest of it is
// text: what a person stated.
const ordered: Record<string, Meaning> = {
  case: "case", about: "case", replaces: "case", of: "case", pause: "case", previous_attestations: "case",
  salt: "machine", portrait: "machine", sha256: "machine", kind: "kind", decision_level: "level", trafficking_status: "finding",
  from_org: "agency", to_org: "agency", by: "agency", captured_by: "agency",
  days: "number", prior_interviews: "number", dimension: "number",
};

// Those whose values are of a list. A test holds them to the contract.
const coded: readonly string[] = [
  "purpose", "requested_effect", "standard_of_evidence", "confidence", "authority_class", "act", "means", "forced_criminality_kind", "minor_at_time",
  "interviewer_org_role", "alone", "safe_if_state_knows", "circumstance", "share_scope", "answer", "needed", "parts", "document_kind",
];

const isOrder = (at: string): boolean => at.startsWith("order.");

/** partsOf is the way to a part of an order, as it is labelled: the messages of its
 * names, and numbers of those that stand in a list. */
export function partsOf(at: string): (string | number)[] {
  return at.replace(/^order\.(claims\.)?/, "").split(".").flatMap((part): (string | number)[] => {
    const dimension = /^d(\d)$/.exec(part)?.[1];
    if (dimension) return ["admin.order.dimension", Number(dimension)];
    return [/^\d+$/.test(part) ? Number(part) + 1 : `admin.order.${part}`];
  });
}

function meaning(act: string, at: string): Meaning {
  if (at === "order.valid_until") return "time";
  if (isOrder(at)) {
    // The last part has a name of its own, or is one of several in a list.
    const name = at.replace(/(\.\d+)+$/, "").replace(/^.*\./, "");
    if (name === "kind" && act === "number.look_up") return "code";
    return ordered[name] ?? (coded.includes(name) ? "code" : "text");
  }
  const [about = ""] = act.split(".");
  if (at === "what.id" && owners.includes(about)) return about as Meaning;
  if (at.startsWith("what.places.")) return "machine";
  return meanings[at] ?? "unknown";
}

/** factsOf are all that an act says, in its order. Nothing of it is left out but what
 * it does, which is said by doing. */
export function factsOf(act: string, lines: readonly ActLine[]): Fact[] {
  const facts: Fact[] = [];
  for (const { at, value } of lines) {
    if (at === "do") continue;
    const place = at.replace(/\.\d+$/, "");
    const before = facts.at(-1);
    if (before?.at === place && place !== at) before.values.push(value);
    else facts.push({ at: place, values: [value], means: isOrder(at) && /^(true|false)$/.test(value) ? "yes" : meaning(act, place) });
  }
  return facts;
}

/** doing is what an act does, by the words of the lines themselves. */
export const doing = (lines: readonly ActLine[]): string => valueAt(lines, "do") ?? "";

/** valueAt is the value of a place. */
export const valueAt = (lines: readonly ActLine[], at: string): string | undefined => lines.find((l) => l.at === at)?.value;

/** timeOf reads a time of an act: seconds since 1970, or RFC 3339. */
export const timeOf = (value: string): Date => new Date(/^\d+$/.test(value) ? Number(value) * 1000 : value);
