// Starts Chromium as the tests use it: the distribution's own, a fresh profile,
// nothing that asks the network by itself.
import { accessSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--disable-dev-shm-usage", "--hide-scrollbars",
];

// installed finds the browser on the path.
function installed() {
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      try {
        accessSync(join(folder, name));
        return join(folder, name);
      } catch {
        // not here
      }
    }
  }
  throw new Error("chromium is missing: scripts/install.sh test installs it");
}

// start opens a browser whose camera shows a file of frames, if one is named.
// Everything that it keeps, it keeps until stop.
export async function start({ video, width = 320, height = 640, ...options } = {}) {
  const profile = mkdtempSync(join(tmpdir(), "safeconduct-browser-"));
  const camera = video
    ? ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${video}`]
    : [];
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: installed(),
    ignoreDefaultArgs: ["--headless=new"],
    args: [...flags, ...camera],
    viewport: { width, height },
    serviceWorkers: "allow",
    ...options,
  });
  const stop = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { context, stop };
}
