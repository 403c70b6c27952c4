// Builds the page into dist/: workers, the app, styles, catalogues, the service
// worker, and the two large WebAssembly files as parts. Every file but the
// page itself and the service worker is named by its content, so that it can be
// kept for ever. Run by scripts/web.sh, which has built verifier.wasm before.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const [verifierWasm, wasmExec] = process.argv.slice(2);
const dist = "dist";
const partSize = 128 << 10;

rmSync(dist, { recursive: true, force: true });
mkdirSync(join(dist, "check", "parts"), { recursive: true });
writeFileSync(join(dist, ".gitkeep"), "");

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const pack = (bytes) => gzipSync(bytes, { level: 9 });

let transferred = 0;

// put writes a file as it is served, and what a browser gets that takes gzip.
function put(path, bytes) {
  bytes = Buffer.from(bytes);
  const small = pack(bytes);
  writeFileSync(join(dist, path), bytes);
  writeFileSync(join(dist, path + ".gz"), small);
  transferred += small.length;
  return { path: "/" + path, bytes: small.length, sha256: sha256(bytes) };
}

// named writes a file under a name that holds its digest.
function named(name, extension, bytes) {
  return put(`check/${name}-${sha256(bytes).slice(0, 16)}.${extension}`, bytes);
}

// split compresses a large file and cuts it, so that an interrupted download
// goes on where it stopped.
function split(bytes) {
  const small = pack(bytes);
  const parts = [];
  for (let at = 0; at < small.length; at += partSize) {
    const part = small.subarray(at, at + partSize);
    const sum = sha256(part);
    const path = `check/parts/${sum.slice(0, 32)}`;
    writeFileSync(join(dist, path), part);
    transferred += part.length;
    parts.push({ path: "/" + path, bytes: part.length, sha256: sum });
  }
  return parts;
}

async function bundle(entry, define = {}) {
  const made = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    minify: true,
    format: "iife",
    target: ["chrome111", "firefox113", "safari16.4"],
    legalComments: "none",
    charset: "utf8",
    alias: { wasm_exec: wasmExec },
    // wasm_exec.js asks for these in node alone.
    external: ["fs", "path", "util", "crypto"],
    define: Object.fromEntries(Object.entries(define).map(([name, value]) => [name, JSON.stringify(value)])),
    logLevel: "warning",
  });
  return made.outputFiles[0].contents;
}

// Large files first: what they hold is what takes time.
const files = {
  "zxing.wasm": split(readFileSync("node_modules/zxing-wasm/dist/reader/zxing_reader.wasm")),
  "verifier.wasm": split(readFileSync(verifierWasm)),
};
const pathsOf = (name) => files[name].map(({ path, sha256 }) => ({ path, sha256 }));

const workers = {
  scan: named("scan", "js", await bundle("src/workers/scan.ts", { ZXING: pathsOf("zxing.wasm") })),
  verifier: named("verifier", "js", await bundle("src/workers/verifier.ts", { VERIFIER: pathsOf("verifier.wasm") })),
  stretch: named("stretch", "js", await bundle("src/workers/stretch.ts")),
};

// English is inside of the app: there is always something to say.
const order = ["en", "km", "my", "th", "zh", "ar"]; // as web.Languages has it; what comes later comes last
const place = (file) => (order.indexOf(basename(file, ".json")) + order.length + 1) % (order.length + 1);
const languages = readdirSync("catalogues").filter((f) => f.endsWith(".json")).sort((a, b) => place(a) - place(b));
const catalogues = {};
const choices = [];
for (const file of languages) {
  const catalogue = JSON.parse(readFileSync(join("catalogues", file), "utf8"));
  const language = basename(file, ".json");
  choices.push({ language, name: catalogue.name, direction: catalogue.direction, digits: catalogue.digits });
  if (language !== "en") {
    catalogues[language] = named(`words-${language}`, "json", JSON.stringify(forThePage(catalogue)));
  }
}

// forThePage leaves out the messages of other pages, and what is for translators.
function forThePage(catalogue) {
  const messages = Object.entries(catalogue.messages).filter(([id]) => !id.startsWith("card."))
    .map(([id, { text, mark, pictogram }]) => [id, { text, mark, pictogram }]);
  return { ...catalogue, messages: Object.fromEntries(messages) };
}

// Each drawing as its elements, for a page that makes nothing from markup.
const pictograms = Object.fromEntries(readdirSync("pictograms").sort().map((file) => {
  const elements = [...readFileSync(join("pictograms", file), "utf8").matchAll(/<(path|rect|circle)((?: [a-z-]+="[^"]*")+)\/>/g)];
  if (elements.length === 0) throw new Error(`${file}: not a drawing as the others`);
  return [basename(file, ".svg"), elements.map(([, tag, attributes]) =>
    [tag, Object.fromEntries([...attributes.matchAll(/ ([a-z-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]))])];
}));

// What the self-test reads: sample cards of a made-up network, made by
// cmd/verifier-wasm (make golden).
const sample = named("sample", "json", JSON.stringify(JSON.parse(readFileSync("src/sample.json", "utf8"))));

const items = [
  workers.scan, ...files["zxing.wasm"], workers.verifier, workers.stretch,
  ...Object.values(catalogues), sample, ...files["verifier.wasm"],
];
const app = named("app", "js", await bundle("src/app.ts", {
  PARTS: items,
  WORKERS: Object.fromEntries(Object.entries(workers).map(([name, f]) => [name, f.path])),
  CATALOGUES: Object.fromEntries(Object.entries(catalogues).map(([name, f]) => [name, f.path])),
  LANGUAGES: choices,
  PICTOGRAMS: pictograms,
  SAMPLE: sample.path,
  ENGLISH: forThePage(JSON.parse(readFileSync("catalogues/en.json", "utf8"))),
}));
const style = named("style", "css", (await bundle("src/style.css")));
const icon = named("icon", "svg", readFileSync("src/icon.svg"));
const manifest = put("check/manifest.webmanifest", JSON.stringify({
  name: "Card check", short_name: "Card check", start_url: "/check", scope: "/check", id: "/check",
  display: "standalone", background_color: "#fdfcf9", theme_color: "#23313f",
  icons: [{ src: icon.path, sizes: "any", type: "image/svg+xml", purpose: "any maskable" }],
}));
const page = put("check.html", readFileSync("src/check.html", "utf8")
  .replace("{app}", app.path).replace("{style}", style.path).replaceAll("{icon}", icon.path));
const shell = [{ ...page, path: "/check" }, app, style, icon, manifest];
const version = sha256(JSON.stringify([shell, items])).slice(0, 16);
const serviceWorker = put("check/sw.js", await bundle("src/sw.ts", {
  VERSION: version, SHELL: shell.map((f) => f.path), PARTS: items,
}));

// For whoever counts: what is fetched once, as it travels.
const parts = JSON.stringify({ version, bytes: transferred, shell: [...shell, serviceWorker], items, files }, null, 1) + "\n";
writeFileSync(join(dist, "check", "parts.json"), parts);
const kib = (n) => `${(n / 1024).toFixed(0)} KiB`;
const shellBytes = [...shell, serviceWorker].reduce((sum, f) => sum + f.bytes, 0);
console.log(`web/dist: ${kib(transferred)} compressed in all, of which the first screen ${kib(shellBytes)}; ${items.length} parts; version ${version}`);
