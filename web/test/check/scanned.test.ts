import assert from "node:assert/strict";
import { test } from "node:test";
import { fromScanner, looksLikeCard, nearlyCard, onlyOne } from "../../src/check/scanned";

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

const ours = Array.from({ length: 667 }, (_, i) => (i * i + 7 * i + 3) % 10).join("");
const onRow = (row: string): string => [...ours].map((d) => [...row][(Number(d) + 9) % 10]).join("");
const french = onRow("&é\"'(-è_çà");
const inFours = (text: string): string => text.replace(/(.{4})/g, "$1 ");

test("what scanners add is taken off", () => {
  for (const [what, text] of Object.entries({
    "as it is": ours,
    "a prefix": `]Q1${ours}`,
    "another prefix": `]Q3${ours}`,
    "blanks around": ` ${ours}\r\n`,
    "groups of four": inFours(ours),
    "dashes": ours.replace(/(.{4})/g, "$1-"),
    "unseen marks": `\u202a${ours}\u202c`,
    "control signs": `\u0002${ours}\u0003\t`,
    "Khmer digits": ours.replace(/[0-9]/g, (d) => String.fromCodePoint(0x17e0 + Number(d))),
    "a French keyboard": french,
    "a French keyboard, groups of four": inFours(french),
    "a French keyboard, a prefix": `$A&${french}`,
    "a Belgian keyboard": onRow("&é\"'(§è!çà"),
    "a Czech keyboard": onRow("+ěščřžýáíé"),
    "a Slovak keyboard": onRow("+ľščťžýáíé"),
    "a Thai keyboard": onRow("ๅ/-ภถุึคตจ"),
  })) {
    assert.equal(fromScanner(text), ours, what);
  }
});

test("what is no card stays as it is", () => {
  for (const text of [
    "https://example.org/?a=1&b=2", "eyJhbGciOiJFUzI1NiJ9.e30.AA~", "DC03FR000001", "&é\"'(-è_çà", "0123456789",
    `shc:/${ours}`, "9".repeat(400), "",
  ]) {
    assert.equal(fromScanner(` \u200b${text}\n`), text);
    assert.equal(nearlyCard(text), false, text.slice(0, 20));
  }
  assert.equal(nearlyCard(ours), false);
});

test("what was a card before a scanner got it wrong could not be read", () => {
  for (const text of [
    ours.slice(1), `${ours}0`, ours.slice(0, 600), ours + ours, `x${ours}x`, `${ours.slice(0, 300)}?${ours.slice(301)}`,
    french.slice(3), `${french}!`, inFours(ours).slice(9),
  ]) {
    const given = fromScanner(text);
    assert.equal(looksLikeCard(given), false, text.slice(0, 20));
    assert.equal(nearlyCard(given), true, text.slice(0, 20));
  }
});
