// What holds for the source of all pages.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

const files = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((f) => /\.tsx?$/.test(f) && !f.endsWith(".d.ts")).map((f) => join("src", f));
const source = (file: string): string => readFileSync(file, "utf8");

/** imported lists the files of ours that one imports, for types too. */
function imported(file: string): string[] {
  return [...source(file).matchAll(/^(?:import|export)\s[^;]*?"(\.[^"]+)";$|\bimport\("(\.[^"]+)"\)/gm)].map(([, fixed, late]) => {
    const named = join(dirname(file), fixed ?? late ?? "");
    const target = [`${named}.ts`, `${named}.tsx`].find((f) => existsSync(f));
    assert.ok(target, `${file} imports ${named}`);
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

const pages = readdirSync("src").filter((name) => existsSync(join("src", name, "page.json")));
const words = (name: string): string[] => (JSON.parse(readFileSync(join("src", name, "page.json"), "utf8")) as { words: string[] }).words;

test("every message that a program names is in the English catalogue, and comes with its page", () => {
  const english = JSON.parse(readFileSync("catalogues/en.json", "utf8")) as Catalogue;
  const parts = new Set(pages.flatMap(words));
  let named = 0;
  for (const file of files) {
    for (const [, id = "", part = ""] of source(file).matchAll(/"(([a-z]+)\.[a-z_.0-9]*[a-z0-9_])"/g)) {
      // A change of the roster is called like a message, and is none.
      if (!parts.has(part) || file === join("src", "admin", "acts.ts")) continue;
      named++;
      assert.ok(english.messages[id], `${file} says ${id}`);
      const own = pages.includes(page(file)) ? [page(file)] : pages;
      if (page(file) !== "shared") assert.ok(own.every((p) => words(p).includes(part)), `${file} says ${id}, and page.json leaves it out`);
    }
  }
  assert.ok(named > 200, `found ${named}: the search is broken`);
  for (const name of pages) for (const part of words(name)) assert.ok(Object.keys(english.messages).some((id) => id.startsWith(`${part}.`)), `${name}: no message begins with ${part}`);
});

test("no page makes anything from markup", () => {
  for (const file of files) assert.doesNotMatch(source(file), /innerHTML|outerHTML|insertAdjacentHTML|document\.write/i, file);
});
