import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { asciiDigits, countDigits, fill, inDigits, lookUp } from "../../src/shared/text";

test("digits of any script become ASCII", () => {
  for (const zero of [0x30, 0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0x1040, 0x17e0, 0xff10, 0x1d7ce, 0x1d7d8, 0x1e950]) {
    const script = Array.from({ length: 10 }, (_, i) => String.fromCodePoint(zero + i)).join("");
    assert.equal(asciiDigits(script), "0123456789", `zero is U+${zero.toString(16)}`);
    assert.equal(countDigits(script), 10);
  }
  assert.equal(asciiDigits(" 1234\u20135678\u00a09012\t"), "123456789012");
  assert.equal(asciiDigits("12a4"), "12a4", "letters stay, so that whoever reads it next refuses it");
});

test("numbers are written in the digits of a script", () => {
  assert.equal(inDigits(2026, "០១២៣៤៥៦៧៨៩"), "២០២៦");
  assert.equal(inDigits(-7, "0123456789"), "-7");
});

test("messages are cut at their placeholders", () => {
  assert.deepEqual(fill("Desk: {desk}, {days}"), ["Desk: ", { name: "desk" }, ", ", { name: "days" }]);
  assert.deepEqual(fill("{x"), ["{x"]);
  assert.deepEqual(fill(""), []);
});

test("what a language lacks is said in English", () => {
  const english = JSON.parse(readFileSync("catalogues/en.json", "utf8")) as Catalogue;
  const khmer: Catalogue = { ...english, language: "km", messages: { "action.yes": { text: "បាទ", mark: "machine" } } };
  assert.deepEqual(lookUp("action.yes", khmer, english), { text: "បាទ", speaks: khmer, byMachine: true });
  assert.equal(lookUp("action.no", khmer, english).text, english.messages["action.no"]?.text);
  assert.equal(lookUp("action.no", khmer, english).speaks.language, "en");
  assert.equal(lookUp("nobody.wrote.this", khmer, english).text, "nobody.wrote.this");
});
