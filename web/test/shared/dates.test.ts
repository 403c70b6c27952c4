import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { inDigits } from "../../src/shared/text";
import { birth, clock, day, moment } from "../../src/shared/dates";

const languages = readdirSync("catalogues").filter((f) => f.endsWith(".json")).map((f) => f.slice(0, -5));
const zones = ["Pacific/Kiritimati", "Asia/Phnom_Penh", "Europe/London", "America/Mexico_City", "Pacific/Pago_Pago"];

/** inZone runs something as on a device in that zone. */
function inZone<T>(zone: string, run: () => T): T {
  const before = process.env["TZ"];
  process.env["TZ"] = zone;
  try {
    return run();
  } finally {
    if (before === undefined) delete process.env["TZ"];
    else process.env["TZ"] = before;
  }
}

test("a birth date says no more than the card", () => {
  assert.equal(birth("19970707"), "1997-07-07");
  assert.equal(birth("199707"), "1997-07");
  assert.equal(birth("1997"), "1997");
});

test("a day is the same day everywhere, in every language", () => {
  assert.ok(languages.length >= 6);
  for (const language of languages) {
    for (const given of ["2027-05-27", "2027-01-01", "2028-02-29"]) {
      const said = new Set(zones.map((zone) => inZone(zone, () => day(given, language))));
      assert.equal(said.size, 1, `${given} in ${language}: ${[...said].join(", ")}`);
    }
  }
  assert.equal(inZone("America/Mexico_City", () => day("2027-05-27", "en")), "May 27, 2027");
});

test("a moment is told as the clocks there tell it", () => {
  const at = "2027-05-27T02:30:00Z";
  assert.equal(inZone("America/Mexico_City", () => day(at, "en")), "May 26, 2027");
  assert.equal(inZone("Asia/Phnom_Penh", () => day(at, "en")), "May 27, 2027");
  assert.match(inZone("Asia/Phnom_Penh", () => moment(at, "en")), /^May 27, 2027.*9:30.AM$/);
  assert.match(inZone("America/Mexico_City", () => clock(Date.parse(at), "zh")), /^20:30$/);
});

test("the year is that of the card, whatever calendar a language is used with", () => {
  for (const language of ["th", "ar-SA", "am", "fa"]) {
    assert.match(day("2027-05-27", language), /2027|٢٠٢٧|۲۰۲۷/, language);
  }
});

test("a date has the digits that its screen has, whatever the browser takes", () => {
  for (const language of [...languages, "fa", "ar-EG", "my"]) assert.match(moment("2027-05-27T02:30:00Z", language), /^[^\u0660-\u0669\u06f0-\u06f9\u1040-\u1049\u17e0-\u17e9\u0e50-\u0e59]+$/, language);
  assert.equal(inDigits("27 2027", "٠١٢٣٤٥٦٧٨٩"), "٢٧ ٢٠٢٧");
});

test("a language that the browser has no words for is written in numbers", () => {
  for (const zone of zones) {
    assert.equal(inZone(zone, () => day("2027-05-27", "zxx")), "2027-05-27", zone);
  }
  const at = "2027-05-27T02:30:00Z";
  assert.equal(inZone("America/Mexico_City", () => moment(at, "zxx")), "2027-05-26 20:30");
  assert.equal(inZone("Asia/Phnom_Penh", () => clock(at, "zxx")), "09:30");
  assert.equal(day("soon", "en"), "soon");
});
