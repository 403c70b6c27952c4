// Shows the frames of a folder (frames.mjpeg, frames.json) to the QR reader, in
// Chromium and in a worker, and prints what was read as JSON: for every frame
// whether its digits came back, and how long the worker took.
//
//   node camera.mjs FOLDER
import { createReadStream, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { start } from "./chromium.mjs";

const folder = process.argv[2];
const frames = JSON.parse(readFileSync(join(folder, "frames.json"), "utf8"));
const need = createRequire(import.meta.url);
const wasm = need.resolve("zxing-wasm/reader/zxing_reader.wasm");
const library = join(wasm, "../../iife/reader/index.js");

// The same options as the page's own worker.
const worker = `
importScripts("/library.js");
ZXingWASM.prepareZXingModule({ overrides: { locateFile: () => "/reader.wasm" }, fireImmediately: true });
const options = {
  formats: ["QRCode"], tryHarder: true, tryRotate: true, tryInvert: false, tryDownscale: true, maxNumberOfSymbols: 2,
};
let canvas, context;
onmessage = async ({ data: bitmap }) => {
  if (canvas?.width !== bitmap.width || canvas?.height !== bitmap.height) {
    canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    context = canvas.getContext("2d", { willReadFrequently: true });
  }
  context.drawImage(bitmap, 0, 0);
  const found = await ZXingWASM.readBarcodes(context.getImageData(0, 0, canvas.width, canvas.height), options);
  postMessage(found.filter((f) => f.isValid).map((f) => f.text));
};`;

const served = {
  "/": ["text/html", "<!doctype html><title>frames</title>"],
  "/worker.js": ["text/javascript", worker],
  "/library.js": ["text/javascript", readFileSync(library)],
  "/reader.wasm": ["application/wasm", readFileSync(wasm)],
};
const server = createServer((request, response) => {
  if (request.url === "/frames") {
    createReadStream(join(folder, "frames.mjpeg")).pipe(response);
    return;
  }
  const [type, body] = served[request.url] ?? ["text/plain", ""];
  response.writeHead(served[request.url] ? 200 : 404, { "Content-Type": type }).end(body);
});
await new Promise((ready) => server.listen(0, "localhost", ready));

const { context, stop } = await start();
try {
  const page = await context.newPage();
  await page.goto(`http://localhost:${server.address().port}/`);
  const results = await page.evaluate(async (frames) => {
    const worker = new Worker("/worker.js");
    const read = (bitmap) => new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(bitmap, [bitmap]);
    });
    const all = await (await fetch("/frames")).blob();
    const decode = ({ offset, length }) => createImageBitmap(all.slice(offset, offset + length, "image/jpeg"));
    await read(await decode(frames[0])); // the reader itself is loaded before anything is timed
    const results = [];
    for (const frame of frames) {
      const bitmap = await decode(frame);
      const began = performance.now();
      const texts = await read(bitmap);
      const ms = performance.now() - began;
      results.push({ read: texts.includes(frame.digits), other: texts.some((t) => t !== frame.digits), ms });
    }
    return results;
  }, frames);
  process.stdout.write(JSON.stringify(results));
} finally {
  await stop();
  server.close();
  server.closeAllConnections();
}
