// Reads pictures as web/src/check/workers/scan.ts does: for each line on standard
// input {width, height, grey (base64)} a line with the texts that were read.
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules] = process.argv.slice(2);
const { prepareZXingModule, readBarcodes } = await import(pathToFileURL(join(modules, "zxing-wasm/dist/es/reader/index.js")));
const wasmBinary = readFileSync(join(modules, "zxing-wasm/dist/reader/zxing_reader.wasm"));
await prepareZXingModule({ overrides: { wasmBinary }, fireImmediately: true });

const options = {
  formats: ["QRCode"], tryHarder: true, tryRotate: true, tryInvert: true, tryDownscale: true,
  maxNumberOfSymbols: 8, textMode: "Plain",
};
for await (const line of createInterface({ input: process.stdin })) {
  const { width, height, grey } = JSON.parse(line);
  const bytes = Buffer.from(grey, "base64");
  const data = new Uint8ClampedArray(4 * bytes.length);
  bytes.forEach((g, i) => data.set([g, g, g, 255], 4 * i));
  const found = await readBarcodes({ width, height, data }, options);
  console.log(JSON.stringify(found.filter((r) => r.isValid).map((r) => r.text)));
}
