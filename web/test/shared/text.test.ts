import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { asciiDigits, splitPlaceholders, inDigits, lookUp, onlyDigits } from "../../src/shared/text";

test("digits of any script become ASCII", () => {
  for (const zero of [0x30, 0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0x1040, 0x17e0, 0xff10, 0x1d7ce, 0x1d7d8, 0x1e950]) {
    const script = Array.from({ length: 10 }, (_, i) => String.fromCodePoint(zero + i)).join("");
    assert.equal(asciiDigits(script), "0123456789", `zero is U+${zero.toString(16)}`);
    assert.equal(onlyDigits(script), "0123456789");
  }
  assert.equal(asciiDigits(" 1234\u20135678\u00a09012\t"), "123456789012");
  assert.equal(asciiDigits("12a4"), "12a4", "letters stay, so that whoever reads it next refuses it");
});

test("what comes along unseen is no digit, and is dropped", () => {
  const pasted = ["\u202a0123456789\u202c", "\u200e012\u200b345\u20606789\ufeff", "0123 456\u00ad789", "\u2066\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669\u2069", "0\ufe0f\u20e3123456789", "01234\u0000\u115f56789\u3164"];
  for (const typed of pasted) {
    assert.equal(asciiDigits(typed), "0123456789", JSON.stringify(typed));
    assert.equal(onlyDigits(typed), "0123456789", JSON.stringify(typed));
  }
  assert.equal(onlyDigits("Code: 0123-4567-89"), "0123456789");
});

test("numbers are written in the digits of a script", () => {
  assert.equal(inDigits(2026, "០១២៣៤៥៦៧៨៩"), "២០២៦");
  assert.equal(inDigits(-7, "0123456789"), "-7");
});

test("messages are cut at their placeholders", () => {
  assert.deepEqual(splitPlaceholders("Desk: {desk}, {days}"), ["Desk: ", { name: "desk" }, ", ", { name: "days" }]);
  assert.deepEqual(splitPlaceholders("{x"), ["{x"]);
  assert.deepEqual(splitPlaceholders(""), []);
});

test("what a language lacks is said in English", () => {
  const english = JSON.parse(readFileSync("catalogues/en.json", "utf8")) as Catalogue;
  const khmer: Catalogue = { ...english, language: "km", messages: { "action.yes": { text: "បាទ", mark: "machine" } } };
  assert.deepEqual(lookUp("action.yes", khmer, english), { text: "បាទ", speaks: khmer, byMachine: true });
  assert.equal(lookUp("action.no", khmer, english).text, english.messages["action.no"]?.text);
  assert.equal(lookUp("action.no", khmer, english).speaks.language, "en");
  assert.equal(lookUp("nobody.wrote.this", khmer, english).text, "nobody.wrote.this");
});
