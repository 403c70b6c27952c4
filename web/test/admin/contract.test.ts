// What the page believes of the service stands in the contract.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";

interface Schema {
  $ref?: string;
  type?: string;
  enum?: string[];
  items?: Schema;
  required?: string[];
  properties?: Record<string, Schema>;
}

const contract = parse(readFileSync("../docs/api/openapi.yaml", "utf8")) as {
  paths: Record<string, Record<string, unknown>>;
  components: { schemas: Record<string, Schema> };
};
const written = readFileSync("src/admin/contract.ts", "utf8");
const named = new Set([...written.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, name]) => name));

const quoted = (values: string[]): string => values.map((v) => `"${v}"`).join(" | ");

/** typeOf is how a schema is written in contract.ts. */
function typeOf(schema: Schema): string {
  const to = schema.$ref?.split("/").at(-1);
  if (to !== undefined) return named.has(to) ? to : typeOf(contract.components.schemas[to] ?? {});
  if (schema.enum) return quoted(schema.enum);
  if (schema.type === "array") return `${typeOf(schema.items ?? {})}[]`;
  return { integer: "number", boolean: "boolean", object: "object" }[schema.type ?? ""] ?? "string";
}

// What the page sends has to have all that is required; of what it reads it may pass
// over what it does not show.
const sent = /(Order|Answer|JoinPasskey|Approval)$/;

test("every interface is of the schema of its name", () => {
  let held = 0;
  for (const [, name = "", body = ""] of written.matchAll(/^export interface (\w+) \{\n(.*?)^\}/gms)) {
    const schema = contract.components.schemas[name];
    assert.ok(schema, `the contract has no ${name}`);
    held++;
    const lines = body.trimEnd().split("\n").map((line) => line.trim());
    for (const line of lines) {
      const member = /^\w+/.exec(line)?.[0] ?? "";
      const s = schema.properties?.[member];
      assert.equal(line, s && `${member}${schema.required?.includes(member) ? "" : "?"}: ${typeOf(s)};`, name);
    }
    if (sent.test(name)) for (const member of schema.required ?? []) assert.ok(lines.some((line) => line.startsWith(`${member}:`)), `${name} lacks ${member}`);
  }
  for (const [, name = "", values] of written.matchAll(/^export type (\w+) = (".*);$/gm)) {
    // The page knows every word that the service may say.
    for (const value of contract.components.schemas[name]?.enum ?? [undefined]) assert.ok(values?.includes(`"${value}"`), `${name} lacks ${value}`);
  }
  assert.ok(held > 15, "the search is broken");
});

test("every call is an operation of its name", () => {
  const operations = new Map(Object.entries(contract.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, o]) => [(o as { operationId?: string }).operationId, `${method} ${path}`] as const)));
  const methods: Record<string, string> = { get: "get", post: "post", remove: "delete" };
  let held = 0;
  for (const [, name, method = "", path = ""] of readFileSync("src/admin/service.ts", "utf8").matchAll(/^export const (\w+) = \(.*?=>\s+(get|post|remove)\(["`](.*?)["`]/gm)) {
    held++;
    const plain = path.replace(/\$\{of\(\w+\)\}$/, "").replace(/\$\{\w+\}/g, "{}");
    assert.equal(`${methods[method]} /api/v1${plain}`, operations.get(name)?.replace(/\{\w+\}/g, "{}"), name);
  }
  assert.ok(held > 10, "the search is broken");
});
