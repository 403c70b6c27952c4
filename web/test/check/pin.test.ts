import assert from "node:assert/strict";
import { test } from "node:test";
import { weakness } from "../../src/check/pin";

test("a PIN is long and not easy", () => {
  for (const [pin, want] of [
    ["", "short"], ["1234567", "short"], ["abcdefgh", "short"], ["12345678", "easy"], ["98765432", "easy"], ["89012345", "easy"],
    ["11111111", "easy"], ["12121212", "easy"], ["28401957", null], ["284019570", null],
  ] as const) {
    assert.equal(weakness(pin), want, pin);
  }
});
