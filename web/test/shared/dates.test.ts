import assert from "node:assert/strict";
import { test } from "node:test";
import { birth } from "../../src/shared/dates";

test("a birth date says no more than the card", () => {
  assert.equal(birth("19970707"), "1997-07-07");
  assert.equal(birth("199707"), "1997-07");
  assert.equal(birth("1997"), "1997");
});
