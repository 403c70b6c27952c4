// Plays scenarios on the page in Chromium, each by its name, and prints one line
// for each that held. Those that did not are on the other output, and make the
// status 1.
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
  const began = Date.now();
  let timer;
  const tooLong = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("takes too long")), config.long ? 900_000 : 240_000); });
  try {
    const said = await Promise.race([scenario(config), tooLong]);
    console.log(`${name}: ${said} (${Math.round((Date.now() - began) / 1000)} s)`);
  } catch (e) {
    console.error(`${name}: ${e.stack}`);
    process.exitCode = 1;
  } finally {
    clearTimeout(timer);
  }
}

// A browser that a scenario gave up on does not keep this process.
process.exit();
