// Runs test/*.test.ts on node, through esbuild.
import { readdirSync } from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { build } from "esbuild";

const out = mkdtempSync(join(tmpdir(), "card-check-"));
try {
  await build({
    entryPoints: readdirSync("test").filter((f) => f.endsWith(".test.ts")).map((f) => join("test", f)),
    bundle: true, platform: "node", format: "esm", outdir: out, outExtension: { ".js": ".mjs" }, logLevel: "warning",
  });
  const tests = readdirSync(out).map((f) => join(out, f));
  const ran = spawnSync(process.execPath, ["--test", "--test-reporter=tap", ...tests], { stdio: "inherit" });
  process.exitCode = ran.status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
