// Reads pictures as web/src/check/workers/scan.ts does: for each line on standard
// input {width, height, grey (base64)} a line with the texts that were read.
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [web] = process.argv.slice(2);
const dist = join(web, "node_modules/zxing-wasm/dist");
const { prepareZXingModule, readBarcodes } = await import(pathToFileURL(join(dist, "es/reader/index.js")));
const wasmBinary = readFileSync(join(dist, "reader/zxing_reader.wasm"));
await prepareZXingModule({ overrides: { wasmBinary }, fireImmediately: true });

// The page's own options: the one object in the file that has them.
const [, literal] = readFileSync(join(web, "src/check/reading.ts"), "utf8").match(/options: ReaderOptions = (\{[^{}]*\});/);
const options = new Function(`return ${literal}`)();
for await (const line of createInterface({ input: process.stdin })) {
  const { width, height, grey } = JSON.parse(line);
  const bytes = Buffer.from(grey, "base64");
  const data = new Uint8ClampedArray(4 * bytes.length);
  bytes.forEach((g, i) => data.set([g, g, g, 255], 4 * i));
  const found = await readBarcodes({ width, height, data }, options);
  console.log(JSON.stringify(found.filter((r) => r.isValid).map((r) => r.text)));
}
