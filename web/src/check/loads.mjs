// Builds what this page loads beside its entry: three workers, two large
// WebAssembly programs, and the sample cards of the self-test, which
// cmd/verifier-wasm makes (make golden).
import { readFileSync } from "node:fs";

export async function loads({ here, verifierWasm, bundle, named, split }) {
  const zxing = split(readFileSync("node_modules/zxing-wasm/dist/reader/zxing_reader.wasm"));
  const verifier = split(readFileSync(verifierWasm));
  const pathsOf = (parts) => parts.map(({ path, sha256 }) => ({ path, sha256 }));
  const workers = {
    scan: named("scan", "js", await bundle(`${here}/workers/scan.ts`, { ZXING: pathsOf(zxing) })),
    verifier: named("verifier", "js", await bundle(`${here}/workers/verifier.ts`, { VERIFIER: pathsOf(verifier) })),
    stretch: named("stretch", "js", await bundle(`${here}/workers/stretch.ts`)),
  };
  const sample = named("sample", "json", JSON.stringify(JSON.parse(readFileSync(`${here}/sample.json`, "utf8"))));
  return {
    // The page downloads in this order. The larger program is needed last.
    first: [workers.scan, ...zxing, workers.verifier, workers.stretch],
    last: [sample, ...verifier],
    files: { "zxing.wasm": zxing, "verifier.wasm": verifier },
    define: {
      WORKERS: Object.fromEntries(Object.entries(workers).map(([name, f]) => [name, f.path])),
      SAMPLE: sample.path,
    },
  };
}
