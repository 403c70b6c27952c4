// Runs the browser build in node, without a browser and without a network, and
// writes what it answers as JSON. Usage: node run.js WASM_EXEC_JS WASM JOB_JSON
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

const [execJS, wasm, jobFile] = process.argv.slice(2);
require(execJS);
const job = JSON.parse(fs.readFileSync(jobFile, "utf8"));

globalThis.safeconductReady = () => {
  try {
    process.stdout.write(JSON.stringify(run(globalThis.safeconduct)), () => process.exit(0));
  } catch (e) {
    console.error(e);
    process.exit(1);
  }
};

function run(sc) {
  const pack = sc.openPack(job.file, job.device, job.now);
  const h = pack.handle;

  // One check as a page makes it: ask, stretch elsewhere, verify.
  const cases = job.cases.map((c) => {
    const shown = sc.recognise(h, c.text, null, null, job.now);
    const asked = sc.recognise(h, c.text, c.code, null, job.now);
    if (!asked.stretch) {
      return { shown, asked, checked: asked };
    }
    const stretched = new Uint8Array(Buffer.from(c.stretched, "hex"));
    return {
      shown, asked,
      checked: sc.verify(h, c.text, c.code, null, job.now, stretched),
      signed: sc.opening(h, c.text, c.code, null, job.now, stretched, job.opening),
    };
  });

  const c = job.cases[0];
  const five = [];
  let tries = null;
  for (let i = 0; i < 6; i++) {
    const r = sc.verify(h, c.text, "0000000000", tries, job.now, new Uint8Array(32));
    tries = r.tries;
    five.push(r.verdict);
  }
  const stories = {
    here: sc.verify(h, c.text, c.code, null, job.now, null),
    fewBytes: sc.verify(h, c.text, c.code, null, job.now, new Uint8Array(31)),
    nothingRead: sc.recognise(h, null, null, null, job.now),
    leaseOver: sc.openPack(job.file, job.device, job.leaseUntil),
    inMemory: sc.recognise(h, c.text, c.code, null, job.leaseUntil),
    brokenPack: sc.openPack("{}", job.device, job.now),
    noPack: sc.recognise(0, c.text, null, null, job.now),
    wrong: [
      sc.openPack(job.file, "{}", job.now),
      sc.openPack(null, job.device, job.now),
      sc.openPack(job.file, job.device),
      sc.openPack(job.file, job.device, NaN),
      sc.recognise("1", c.text, null, null, job.now),
      sc.recognise(h, 5, null, null, job.now),
      sc.recognise(h, c.text, 1234567890, null, job.now),
      sc.recognise(h, c.text, null, "[", job.now),
      sc.verify(h, c.text, c.code, null, job.now, "stretched"),
      sc.verify(),
      sc.opening(h, null, c.code, null, job.now, new Uint8Array(32), job.opening),
      sc.opening(h, c.text, c.code, null, job.now, null, job.opening),
      sc.opening(h, c.text, c.code, null, job.now, new Uint8Array(32)),
      sc.opening(h, c.text, c.code, null, job.now, new Uint8Array(32), { nonce: 5 }),
    ],
    closed: sc.closePack(h),
    afterwards: sc.verify(h, c.text, c.code, null, job.now, new Uint8Array(32)),
  };
  return { pack, cases, five, stories, enrolment: enrol(sc) };
}

// enrol is what a page does when it becomes a device.
function enrol(sc) {
  const d = JSON.parse(job.device);
  const made = sc.newDevice();
  const again = sc.deviceFile(d);
  const file = { network: d.network, device: d.device, private: made.private, root: d.root };
  return {
    made,
    fresh: sc.deviceFile(file),
    again,
    opened: sc.openPack(job.file, again.text, job.now),
    // The envelope is sealed to another device's key.
    stranger: sc.openPack(job.file, sc.deviceFile(file).text, job.now),
    symbols: sc.symbols(d.network, d.root, made.public),
    known: sc.symbols(d.network, job.knownRoot, job.knownPublic),
    wrong: [
      sc.deviceFile(),
      sc.deviceFile("text"),
      sc.deviceFile({ ...file, network: "" }),
      sc.deviceFile({ ...file, private: made.public }),
      sc.deviceFile({ ...file, root: JSON.stringify(d.root) }),
      sc.deviceFile({ ...file, extra: 1 }),
      sc.symbols(5, d.root, made.public),
      sc.symbols(d.network, JSON.stringify(d.root), made.public),
      sc.symbols(d.network, d.root, "not base64"),
      sc.symbols("another", d.root, made.public),
      sc.symbols(d.network, {}, made.public),
      sc.symbols(d.network, d.root, made.private),
    ],
  };
}

const go = new Go();
WebAssembly.instantiate(fs.readFileSync(wasm), go.importObject)
  .then((result) => go.run(result.instance))
  .catch((e) => {
    console.error(e);
    process.exit(1);
  });
