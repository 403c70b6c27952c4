// Plays scenarios on the page in Chromium. It reads their names from the standard
// input, a line each, and plays them side by side as they come. For each it prints
// one line of JSON: its name, what held or what did not, and how long it took.
//
//   node run.mjs CONFIG.json
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import * as admin from "./admin.mjs";
import * as apart from "./apart.mjs";
import { stopShared } from "./chromium.mjs";
import * as device from "./device.mjs";
import * as founding from "./founding.mjs";
import * as lists from "./lists.mjs";
import * as locks from "./lock.mjs";
import * as states from "./states.mjs";
import * as ways from "./ways.mjs";

const scenarios = { ...admin, ...states, ...ways, ...lists, ...locks, ...device, ...apart, ...founding };
const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const longest = 900_000; // the machine may be busy

async function play(name) {
  const began = Date.now();
  let timer;
  const outcome = { name };
  try {
    if (!scenarios[name]) throw new Error("no such scenario");
    const tooLong = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("takes too long")), longest); });
    outcome.said = await Promise.race([scenarios[name](config), tooLong]);
  } catch (e) {
    outcome.problem = e.stack;
  }
  clearTimeout(timer);
  outcome.seconds = (Date.now() - began) / 1000;
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

createInterface({ input: process.stdin }).on("line", (name) => void play(name)).on("close", async () => {
  await stopShared();
  process.exit(); // whatever a scenario that was given up on still does
});
