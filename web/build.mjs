// Builds the pages into dist/. A page is a folder of src/ with a page.json, which
// the package comment of web describes. The page itself, its manifest and its
// service worker have fixed names. Every other file is named by its content and
// can be cached for ever. scripts/web.sh runs this, and builds verifier.wasm before.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const [verifierWasm, wasmExec] = process.argv.slice(2);
const dist = "dist";
const partSize = 128 << 10;

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
writeFileSync(join(dist, ".gitkeep"), "");

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const json = (file) => JSON.parse(readFileSync(file, "utf8"));
const kib = (n) => `${(n / 1024).toFixed(0)} KiB`;
const total = (files) => files.reduce((sum, f) => sum + f.bytes, 0);

for (const name of readdirSync("src").sort()) {
  if (existsSync(join("src", name, "page.json"))) await page(name);
}

// page builds one page: NAME.html, and below NAME/ what it loads.
async function page(name) {
  const here = `src/${name}`;
  const { entry, html, style, icon, words, loads, offline } = json(`${here}/page.json`);
  mkdirSync(join(dist, name, "parts"), { recursive: true });
  const named = (file, extension, bytes) => put(`${name}/${file}-${sha256(bytes).slice(0, 16)}.${extension}`, bytes);

  const everywhere = wordsOf(words);

  // The page downloads large files first, because they take the time.
  const own = loads
    ? await (await import(resolve(here, loads))).loads({ here, verifierWasm, bundle, named, split: (bytes) => split(name, bytes) })
    : { first: [], last: [], files: {}, define: {} };
  const catalogues = Object.fromEntries(Object.entries(everywhere.catalogues)
    .map(([language, catalogue]) => [language, named(`words-${language}`, "json", JSON.stringify(catalogue))]));
  const items = [...own.first, ...Object.values(catalogues), ...own.last];

  const app = named("app", "js", await bundle(`${here}/${entry}`, {
    ...everywhere.define, ...own.define, PARTS: items,
    CATALOGUES: Object.fromEntries(Object.entries(catalogues).map(([language, f]) => [language, f.path])),
  }));
  const look = named("style", "css", await bundle(`${here}/${style}`));
  const sign = named("icon", "svg", readFileSync(`${here}/${icon}`));
  const text = put(`${name}.html`, readFileSync(`${here}/${html}`, "utf8")
    .replace("{app}", app.path).replace("{style}", look.path).replaceAll("{icon}", sign.path));
  const shell = [{ ...text, path: `/${name}` }, app, look, sign];
  if (offline) shell.push(put(`${name}/manifest.webmanifest`, JSON.stringify(manifest(name, offline, sign))));

  const version = sha256(JSON.stringify([shell, items])).slice(0, 16);
  if (offline) {
    shell.push(put(`${name}/sw.js`, await bundle(`${here}/${offline.worker}`, {
      VERSION: version, SHELL: shell.map((f) => f.path), PARTS: items,
    })));
  }
  // For tests and people who count: what is fetched once, as it travels.
  const bytes = total(shell) + total(items);
  writeFileSync(join(dist, name, "parts.json"), JSON.stringify({ version, bytes, shell, items, files: own.files }, null, 1) + "\n");
  console.log(`web/dist/${name}: ${kib(bytes)} compressed in all, of which the first screen ${kib(total(shell))}; ${items.length} parts; version ${version}`);
}

function manifest(name, { name: title, background, theme }, icon) {
  return {
    name: title, short_name: title, start_url: `/${name}`, scope: `/${name}`, id: `/${name}`,
    display: "standalone", background_color: background, theme_color: theme,
    icons: [{ src: icon.path, sizes: "any", type: "image/svg+xml", purpose: "any maskable" }],
  };
}

// put writes a file, and its copy for browsers that take gzip.
function put(path, contents) {
  const bytes = Buffer.from(contents);
  const small = gzipSync(bytes, { level: 9 });
  writeFileSync(join(dist, path), bytes);
  writeFileSync(join(dist, path + ".gz"), small);
  return { path: "/" + path, bytes: small.length, sha256: sha256(bytes) };
}

// split compresses a large file and cuts it, so that an interrupted download
// goes on where it stopped.
function split(name, bytes) {
  const small = gzipSync(bytes, { level: 9 });
  const parts = [];
  for (let at = 0; at < small.length; at += partSize) {
    const part = small.subarray(at, at + partSize);
    const sum = sha256(part);
    const path = `${name}/parts/${sum.slice(0, 32)}`;
    writeFileSync(join(dist, path), part);
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
    // wasm_exec.js needs these in node alone.
    external: ["fs", "path", "util", "crypto"],
    define: Object.fromEntries(Object.entries(define).map(([name, value]) => [name, JSON.stringify(value)])),
    logLevel: "warning",
  });
  return made.outputFiles[0].contents;
}

// wordsOf are the catalogues of a page, by the first parts of its messages' ids, and
// the pictograms. English is part of the app, so that there is always something to
// say.
function wordsOf(parts) {
  const forAPage = (catalogue) => ({
    ...catalogue,
    messages: Object.fromEntries(Object.entries(catalogue.messages).filter(([id]) => parts.includes(id.split(".")[0]))
      .map(([id, { text, mark, pictogram }]) => [id, { text, mark, pictogram }])), // without the notes for translators
  });
  const order = ["en", "km", "my", "th", "zh", "ar"]; // as in web.Languages; a language that is missing here comes last
  const place = (file) => (order.indexOf(basename(file, ".json")) + order.length + 1) % (order.length + 1);
  const all = readdirSync("catalogues").filter((f) => f.endsWith(".json")).sort((a, b) => place(a) - place(b))
    .map((file) => [basename(file, ".json"), json(join("catalogues", file))]);
  return {
    catalogues: Object.fromEntries(all.filter(([language]) => language !== "en").map(([language, c]) => [language, forAPage(c)])),
    define: {
      LANGUAGES: all.map(([language, { name, direction, digits }]) => ({ language, name, direction, digits })),
      PICTOGRAMS: pictograms(),
      ENGLISH: forAPage(json("catalogues/en.json")),
    },
  };
}

// pictograms are the elements of each drawing, because a page makes nothing from
// markup.
function pictograms() {
  return Object.fromEntries(readdirSync("pictograms").sort().map((file) => {
    const elements = [...readFileSync(join("pictograms", file), "utf8").matchAll(/<(path|rect|circle)((?: [a-z-]+="[^"]*")+)\/>/g)];
    if (elements.length === 0) throw new Error(`${file}: not a drawing as the others`);
    return [basename(file, ".svg"), elements.map(([, tag, attributes]) =>
      [tag, Object.fromEntries([...attributes.matchAll(/ ([a-z-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]))])];
  }));
}
