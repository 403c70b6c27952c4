// Plays scenarios on the page in Chromium, each by its name, and prints one line
// for each that held. The first that does not hold ends with status 1.
//
//   node run.mjs CONFIG.json NAME...
import { readFileSync } from "node:fs";
import * as states from "./states.mjs";
import * as lists from "./lists.mjs";
import * as device from "./device.mjs";
import * as apart from "./apart.mjs";

const scenarios = { ...states, ...lists, ...device, ...apart };
const config = JSON.parse(readFileSync(process.argv[2], "utf8"));

for (const name of process.argv.slice(3)) {
  const scenario = scenarios[name];
  if (!scenario) {
    console.error(`no scenario ${name}`);
    process.exit(2);
  }
  try {
    console.log(`${name}: ${await scenario(config)}`);
  } catch (e) {
    console.error(`${name}: ${e.stack}`);
    process.exit(1);
  }
}
