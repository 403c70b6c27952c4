import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { factsOf, timeOf } from "../../src/admin/acts";
import type { AgencyClass } from "../../src/admin/contract";
import { rolesOf } from "../../src/admin/may";

const english = JSON.parse(readFileSync("catalogues/en.json", "utf8")) as Catalogue;

test("every change of the roster has its sentence", () => {
  const changes = [...readFileSync("../people/roster/changes.go", "utf8").matchAll(/^\tDo\w+ += "([a-z.]+)"/gm)].map(([, act = ""]) => act);
  assert.ok(changes.length > 20, "the search is broken");
  for (const act of changes) assert.ok(english.messages[`admin.do.${act}`], act);
});

test("every place of a change that is not for machines has its label", () => {
  const source = readFileSync("src/admin/acts.ts", "utf8");
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
