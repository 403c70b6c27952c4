import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { factsOf, partsOf, timeOf } from "../../src/admin/acts";
import type { AgencyClass } from "../../src/admin/contract";
import { rolesOf } from "../../src/admin/may";

const english = JSON.parse(readFileSync("catalogues/en.json", "utf8")) as Catalogue;

test("every change of the roster has its sentence", () => {
  const changes = [...readFileSync("../people/roster/changes.go", "utf8").matchAll(/^\tDo\w+ += "([a-z.]+)"/gm)].map(([, act = ""]) => act);
  assert.ok(changes.length > 20, "the search is broken");
  for (const act of changes) assert.ok(english.messages[`admin.do.${act}`], act);
});

test("every place of a change that is not for machines has its label", () => {
  const source = readFileSync("src/admin/acts.ts", "utf8").split("const ordered")[0] ?? "";
  const places = [...source.matchAll(/"?\b((?:what\.)?[a-z_.]+)"?: "(\w+)"/g)].map(([, at = ""]) => at);
  assert.ok(places.length > 25, "the search is broken");
  for (const at of [...places, "what.id"]) assert.ok(english.messages[`admin.at.${at}`], at);
});

test("every line of an act is a fact, known or not", () => {
  const lines = [
    ["do", "person.add"], ["agency", "a1"], ["by", "p1"], ["expires", "2026-12-02T10:00:00Z"], ["what.id", "p2"],
    ["what.roles.0", "admin"], ["what.roles.1", "supervisor"], ["what.link.hash", "AA"], ["what.colour", "blue"], ["what.list.0.deep", "1"], ["what.list.1.deep", "2"],
  ].map(([at = "", value = ""]) => ({ at, value }));
  const facts = factsOf("person.add", lines);
  assert.deepEqual(facts.flatMap((f) => f.values), lines.slice(1).map((l) => l.value), "a value is missing, or in another order");
  assert.deepEqual(facts.filter((f) => f.means === "unknown").map((f) => f.at), ["what.colour", "what.list.0.deep", "what.list.1.deep"]);
  assert.deepEqual(facts.find((f) => f.at === "what.roles"), { at: "what.roles", values: ["admin", "supervisor"], means: "role" });
  assert.equal(facts.find((f) => f.at === "what.id")?.means, "person");
  assert.equal(factsOf("program.add", lines).find((f) => f.at === "what.id")?.means, "program");
  assert.equal(factsOf("sleep.well", lines).find((f) => f.at === "what.id")?.means, "unknown");
});

test("a time is read in either form", () => {
  assert.equal(timeOf("1795000000").toISOString(), "2026-11-18T11:06:40.000Z");
  assert.equal(timeOf("2026-12-02T10:00:00Z").toISOString(), "2026-12-02T10:00:00.000Z");
});

test("the roles that a form offers are those of package roster", () => {
  const source = readFileSync("../people/roster/roles.go", "utf8").split("func RolesOf")[1] ?? "";
  const cases = [...source.matchAll(/case ([^:]+):\s+return \[\]Role\{([^}]*)\}/g)];
  assert.ok(cases.length >= 4, "the search is broken");
  for (const [, classes = "", roles = ""] of cases) {
    for (const of of classes.split(",").map((c) => JSON.parse(c.trim()) as string)) {
      assert.deepEqual(rolesOf(of === "" ? undefined : (of as AgencyClass)), roles.split(", ").map((r) => r.toLowerCase()), of);
    }
  }
});

// leaves are the places of all that a value says, as the service makes lines of it.
function leaves(at: string, value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [at];
  return Object.entries(value).flatMap(([name, inner]) => leaves(`${at}.${name}`, inner));
}

test("every part of an order has words", () => {
  const folder = "../claims/testdata";
  const samples = readdirSync(folder).filter((name) => name.endsWith(".json"));
  assert.ok(samples.length > 8, "the samples of claims are not where they were");
  const order = readFileSync("../credentials/order.go", "utf8");
  const own = [...order.split("attestationOrder struct")[1]?.matchAll(/`json:"(\w+)"`/g) ?? []].map(([, name = ""]) => `order.${name}`).filter((at) => at !== "order.claims");
  assert.ok(own.length > 15, "the search is broken");
  const claims = samples.flatMap((name) => leaves("order.claims", JSON.parse(readFileSync(`${folder}/${name}`, "utf8"))));
  const without = new Set([...own, ...claims].flatMap(partsOf).filter((part) => typeof part === "string" && !english.messages[part]));
  assert.deepEqual([...without], []);
});

test("what an order says is shown as what it is", () => {
  const facts = factsOf("attestation.issue", [["order.valid_until", "0"], ["order.salt", "x"], ["order.claims.consent.use", "true"], ["order.claims.names.0.full", "Made Up"], ["order.claims.decision_level", "reasonable_grounds"]]
    .map(([at = "", value = ""]) => ({ at, value })));
  assert.deepEqual(facts.map((f) => f.means), ["time", "machine", "yes", "text", "level"]);
  const coded = factsOf("record.open", [["what.purpose", "legal_aid"], ["what.record", "r1"], ["order.claims.means.0", "force"], ["order.claims.means.1", "threat"], ["order.claims.interview.prior_interviews", "2"], ["order.kind", "PASSPORT"]]
    .map(([at = "", value = ""]) => ({ at, value })));
  assert.deepEqual(coded.map((f) => f.means), ["code", "case", "code", "number", "kind"]);
  assert.equal(factsOf("number.look_up", [{ at: "order.kind", value: "PASSPORT" }])[0]?.means, "code");
  assert.deepEqual(partsOf("order.claims.names.0.full"), ["admin.order.names", 1, "admin.order.full"]);
  assert.deepEqual(partsOf("order.claims.dimension_results.d4"), ["admin.order.dimension_results", "admin.order.dimension", 4]);
});

test("what somebody agrees to most has words and no codes", () => {
  const { lists } = JSON.parse(readFileSync("../claims/vocabulary.json", "utf8")) as { lists: { name: string; values: string[] }[] };
  const has = (value: string): boolean => ["yes", "no"].includes(value) || ["value", "class", "level", "kind", "order"].some((of) => english.messages[`admin.${of}.${value.toLowerCase()}`]);
  const worded = [
    "sharing_purpose", "requested_effect", "standard_of_evidence", "confidence", "authority_class", "act", "means", "purpose", "forced_criminality_kind", "minor_at_time",
    "org_type", "alone", "safe_if_state_knows", "circumstance", "share_scope", "reply_answer", "reply_needed", "attestation_part", "document_kind",
  ];
  for (const name of worded) {
    const values = lists.find((l) => l.name === name)?.values ?? [];
    assert.ok(values.length > 1, `no list ${name}`);
    assert.deepEqual(values.filter((value) => !has(value)), [], name);
  }
  // A part that is taken for a code is of a list, wherever it stands.
  const contract = readFileSync("../docs/api/openapi.yaml", "utf8");
  const source = readFileSync("src/admin/acts.ts", "utf8").split("const coded")[1]?.split("];")[0] ?? "";
  for (const [, name = ""] of source.matchAll(/"(\w+)"/g)) assert.match(contract, new RegExp(`\\b${name}:[^\\n]*\\n?[^\\n]*(x-vocabulary|boolean|DocumentKind|attestation_part)`), name);
});
