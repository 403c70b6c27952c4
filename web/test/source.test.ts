// What holds for the source of all pages.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((f) => f.endsWith(".ts") && !f.endsWith(".d.ts")).map((f) => join("src", f));
const source = (file: string): string => readFileSync(file, "utf8");

/** imported lists the files of ours that one imports, for types too. */
function imported(file: string): string[] {
  return [...source(file).matchAll(/^(?:import|export)\s[^;]*?"(\.[^"]+)";$|\bimport\("(\.[^"]+)"\)/gm)].map(([, fixed, late]) => {
    const target = join(dirname(file), `${fixed ?? late}.ts`);
    assert.ok(existsSync(target), `${file} imports ${target}`);
    return target;
  });
}

const imports = new Map(files.map((f) => [f, imported(f)]));
const page = (file: string): string => relative("src", file).split("/")[0] ?? "";

test("no file imports itself, however far round", () => {
  const done = new Set<string>();
  const walk = (file: string, way: string[]): void => {
    assert.ok(!way.includes(file), `a circle: ${[...way.slice(way.indexOf(file)), file].join(" → ")}`);
    if (done.has(file)) return;
    for (const next of imports.get(file) ?? []) walk(next, [...way, file]);
    done.add(file);
  };
  for (const file of files) walk(file, []);
  const edges = [...imports.values()].flat().length;
  assert.ok(files.length > 30 && edges > 100, `${edges} imports in ${files.length} files: the search is broken`);
});

test("a page imports its own folder and shared, and shared imports itself alone", () => {
  for (const [file, targets] of imports) {
    for (const target of targets) {
      assert.ok([page(file), "shared"].includes(page(target)), `${file} imports ${target}`);
    }
  }
});

test("a screen goes to another by its name", () => {
  for (const [file, targets] of imports) {
    if (!file.includes("/screens/")) continue;
    assert.deepEqual(targets.filter((t) => t.includes("/screens/")), [], `${file} imports another screen`);
  }
});

test("every message that a program names is in the English catalogue", () => {
  const english = JSON.parse(readFileSync("catalogues/en.json", "utf8")) as Catalogue;
  let named = 0;
  for (const file of files) {
    for (const [, id] of source(file).matchAll(/"((?:page|action|start|neutral|invite|pin|unlock|waiting|ready|freshness|scan|code|consent|progress|result|record|device|selftest|pack|settings|footer)\.[a-z_.0-9]*[a-z0-9_])"/g)) {
      named++;
      assert.ok(english.messages[id ?? ""], `${file} says ${id}`);
    }
  }
  assert.ok(named > 100, `found ${named}: the search is broken`);
});
