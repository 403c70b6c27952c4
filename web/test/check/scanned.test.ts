import assert from "node:assert/strict";
import { test } from "node:test";
import { onlyOne } from "../../src/check/scanned";

test("of several symbols ours is the one that was meant", () => {
  const ours = "1".repeat(667);
  const other = "2".repeat(667);
  assert.equal(onlyOne([]), null);
  assert.equal(onlyOne(["https://example.org", ours]), ours);
  assert.equal(onlyOne([ours, ours]), ours);
  assert.equal(onlyOne([ours, other]), "several");
  assert.equal(onlyOne(["WIFI:", "https://example.org"]), "WIFI:");
  assert.equal(onlyOne(["1".repeat(666)]), "1".repeat(666));
});
