// Runs the browser build in node on lines of JSON, without a browser and without
// a network: one line is a device with its cases, and one line is the answer.
// Usage: node run.js WASM_EXEC_JS WASM
"use strict";

const fs = require("fs");
globalThis.require = require;
globalThis.fs = fs;
globalThis.path = require("path");
globalThis.TextEncoder = require("util").TextEncoder;
globalThis.TextDecoder = require("util").TextDecoder;
globalThis.performance ??= require("perf_hooks").performance;
globalThis.crypto ??= require("crypto").webcrypto;

// The check has to work where there is nobody to ask.
for (const name of ["fetch", "XMLHttpRequest", "WebSocket", "EventSource"]) {
  globalThis[name] = function () {
    throw new Error("a check made a request");
  };
}

const [execJS, wasm] = process.argv.slice(2);
require(execJS);

globalThis.safeconductReady = () => {
  const lines = require("readline").createInterface({ input: process.stdin });
  lines.on("line", (line) => process.stdout.write(JSON.stringify(run(globalThis.safeconduct, JSON.parse(line))) + "\n"));
  lines.on("close", () => process.exit(0));
};

function run(sc, group) {
  const pack = group.file ? sc.openPack(group.file, group.device, group.opened) : { handle: 0 };
  if (pack.error) {
    return { error: "openPack: " + pack.error };
  }
  const cases = group.cases.map((steps) => {
    let tries = null;
    return steps.map((s) => {
      if (pack.verdict) {
        return { verdict: pack.verdict, tries: "" };
      }
      const answer = check(sc, pack.handle, s, tries);
      tries = answer.tries;
      return answer;
    });
  });
  sc.closePack(pack.handle);
  return { cases };
}

// One check as a page makes it: ask, stretch elsewhere, verify.
function check(sc, handle, s, tries) {
  const asked = sc.recognise(handle, s.text, s.code, tries, s.now);
  if (s.whole) {
    return sc.verify(handle, s.text, s.code, tries, s.now, null);
  }
  if (!asked.stretch !== !s.stretched) {
    return { error: "asks to stretch: " + !!asked.stretch };
  }
  if (!asked.stretch) {
    return asked;
  }
  return sc.verify(handle, s.text, s.code, tries, s.now, new Uint8Array(Buffer.from(s.stretched, "hex")));
}

const go = new Go();
WebAssembly.instantiate(fs.readFileSync(wasm), go.importObject)
  .then((result) => go.run(result.instance))
  .catch((e) => {
    console.error(e);
    process.exit(1);
  });
