import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { birth } from "../src/dates";
import { weakness } from "../src/pin";
import { asciiDigits, countDigits, fill, inDigits, lookUp, onlyOne } from "../src/text";

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

test("every message that a program names is in the English catalogue", async () => {
  const english = JSON.parse(readFileSync("catalogues/en.json", "utf8")) as Catalogue;
  const { readdirSync } = await import("node:fs");
  const files = ["src", "src/screens"].flatMap((d) => readdirSync(d).filter((f) => f.endsWith(".ts")).map((f) => `${d}/${f}`));
  let named = 0;
  for (const file of files) {
    for (const [, id] of readFileSync(file, "utf8").matchAll(/"((?:page|action|start|neutral|invite|pin|unlock|waiting|ready|freshness|scan|code|consent|progress|result|record|device|selftest|pack|settings|footer)\.[a-z_.0-9]*[a-z0-9_])"/g)) {
      named++;
      assert.ok(english.messages[id ?? ""], `${file} says ${id}`);
    }
  }
  assert.ok(named > 100, `found ${named}: the search is broken`);
});

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

test("a PIN is long and not easy", () => {
  for (const [pin, want] of [
    ["", "short"], ["1234567", "short"], ["abcdefgh", "short"], ["12345678", "easy"], ["98765432", "easy"], ["89012345", "easy"],
    ["11111111", "easy"], ["12121212", "easy"], ["28401957", null], ["284019570", null],
  ] as const) {
    assert.equal(weakness(pin), want, pin);
  }
});

test("a birth date says no more than the card", () => {
  assert.equal(birth("19970707"), "1997-07-07");
  assert.equal(birth("199707"), "1997-07");
  assert.equal(birth("1997"), "1997");
});
