// Shows the frames of a folder (frames.mjpeg, frames.json) to the page's own
// code, in Chromium: its looks at a frame, and its scan worker from web/dist. It
// prints as JSON, for every frame, whether its digits came back, by which look,
// and how long it took.
//
//   node camera.mjs FOLDER
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { build } from "esbuild";
import { startAlone } from "./chromium.mjs";

const here = import.meta.dirname;
const dist = join(here, "../dist");
const folder = process.argv[2];
const frames = JSON.parse(readFileSync(join(folder, "frames.json"), "utf8"));
const built = JSON.parse(readFileSync(join(dist, "check/parts.json"), "utf8"));
const scan = built.items.map((f) => f.path).find((path) => path.startsWith("/check/scan-"));

const bundle = await build({
  entryPoints: [join(here, "looks.ts")], bundle: true, write: false, format: "iife", logLevel: "warning",
  define: { WORKERS: JSON.stringify({ scan, verifier: "", stretch: "" }) },
});

const server = createServer((request, response) => {
  const file = join(dist, request.url);
  if (request.url === "/") response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>frames</title><script src=/looks.js></script>");
  else if (request.url === "/looks.js") response.writeHead(200, { "Content-Type": "text/javascript" }).end(bundle.outputFiles[0].contents);
  else if (request.url === "/frames") createReadStream(join(folder, "frames.mjpeg")).pipe(response);
  else if (/^\/check\/[a-z0-9/.-]+$/.test(request.url) && existsSync(file)) response.writeHead(200, { "Content-Type": "text/javascript" }).end(readFileSync(file));
  else response.writeHead(404).end();
});
await new Promise((ready) => server.listen(0, "localhost", ready));

const { context, stop } = await startAlone();
try {
  const page = await context.newPage();
  await page.goto(`http://localhost:${server.address().port}/`);
  const results = await page.evaluate(async ({ frames, parts }) => {
    // The worker takes its program from the place where the page's download puts it.
    const cache = await caches.open("card-check-parts");
    await cache.addAll(parts);
    const all = await (await fetch("/frames")).blob();
    const decode = ({ offset, length }) => createImageBitmap(all.slice(offset, offset + length, "image/jpeg"));
    await readFrame(await decode(frames[0])); // the reader itself is loaded before anything is timed
    const results = [];
    for (const frame of frames) {
      const bitmap = await decode(frame);
      const began = performance.now();
      const { text, looks } = await readFrame(bitmap);
      const ms = performance.now() - began;
      results.push({ read: text === frame.digits, other: text !== null && text !== frame.digits, looks, ms });
    }
    return results;
  }, { frames, parts: built.files["zxing.wasm"].map((f) => f.path) });
  process.stdout.write(JSON.stringify(results));
} finally {
  await stop();
  server.close();
  server.closeAllConnections();
}
