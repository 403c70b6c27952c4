// Runs the tests in test/ on node, through esbuild.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { spawnSync } from "node:child_process";
import { build } from "esbuild";

const out = mkdtempSync(join(tmpdir(), "pages-"));
const below = (folder, end) => readdirSync(folder, { recursive: true }).filter((f) => f.endsWith(end)).map((f) => join(folder, f));
try {
  await build({
    entryPoints: below("test", ".test.ts"),
    bundle: true, platform: "node", format: "esm", outdir: out, outExtension: { ".js": ".mjs" },
    // The package's form for node cannot be bundled into a module.
    alias: { yaml: resolve("node_modules/yaml/browser/index.js") }, logLevel: "warning",
  });
  const ran = spawnSync(process.execPath, ["--test", "--test-reporter=tap", ...below(out, ".mjs")], { stdio: "inherit" });
  process.exitCode = ran.status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
