import assert from "node:assert/strict";
import { test } from "node:test";
import { isNewer } from "../../src/check/storage";

test("packs are told apart by the root's statement, and then by their number", () => {
  for (const [a, than, want] of [
    [{ sequence: 2 }, { sequence: 1 }, true],
    [{ sequence: 1 }, { sequence: 1 }, false],
    [{ sequence: 1, trustKey: 5 }, { sequence: 2 ** 53, trustKey: 4 }, true],
    [{ sequence: 2 ** 53, trustKey: 4 }, { sequence: 1, trustKey: 5 }, false],
    [{ sequence: 1, trustKey: 5 }, { sequence: 9 }, true],
    [{ sequence: 2, trustKey: 5 }, { sequence: 1, trustKey: 5 }, true],
  ] as const) {
    assert.equal(isNewer(a, than), want, JSON.stringify([a, than]));
  }
});
