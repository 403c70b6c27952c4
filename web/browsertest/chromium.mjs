// Starts Chromium as the tests use it: the distribution's own, fresh storage, and
// nothing that uses the network by itself.
import { accessSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
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

/** throttle lets a browser's pages and their workers run for a quarter of the time,
 * by stopping and continuing their processes. The browser's own throttling slows
 * a page's thread and not the workers, which do the work. It returns how to end
 * it. */
export function throttle(profile, times = 4) {
  const renderers = readdirSync("/proc").filter((pid) => /^[0-9]+$/.test(pid)).filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      return command.includes("--type=renderer") && under(pid, profile);
    } catch {
      return false; // ended meanwhile
    }
  }).map(Number);
  const all = (signal) => renderers.forEach((pid) => { try { process.kill(pid, signal); } catch { /* ended */ } });
  const turn = 20; // milliseconds
  let ended = false;
  let ran = 0;
  const began = performance.now();
  const step = () => {
    if (ended) return;
    // Timers are late, so the share that the pages had so far decides.
    const share = ran / Math.max(1, performance.now() - began);
    if (share > 1 / times) {
      all("SIGSTOP");
      setTimeout(step, turn);
      return;
    }
    all("SIGCONT");
    const from = performance.now();
    setTimeout(() => { ran += performance.now() - from; step(); }, turn / times);
  };
  step();
  return () => { ended = true; all("SIGCONT"); return { renderers: renderers.length, share: ran / (performance.now() - began) }; };
}

// under tells whether a process belongs to the browser with this profile.
function under(pid, profile) {
  for (let at = pid; Number(at) > 1;) {
    if (readFileSync(`/proc/${at}/cmdline`, "utf8").includes(profile)) return true;
    at = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${at}/status`, "utf8"))[1];
  }
  return false;
}

let shared; // the browser of most scenarios

/** start gives a scenario storage of its own in the shared browser. It keeps until
 * stop all that it keeps. */
export async function start({ width = 320, height = 640, ...options } = {}) {
  shared ??= chromium.launch({ executablePath: installed(), ignoreDefaultArgs: ["--headless=new"], args: flags });
  const context = await (await shared).newContext({ viewport: { width, height }, serviceWorkers: "allow", ...options });
  return { context, stop: () => context.close() };
}

/** stopShared ends the shared browser. */
export const stopShared = async () => { await (await shared)?.close(); };

/** startAlone opens a browser with a profile of its own, whose camera shows a file
 * of frames, if one is named. */
export async function startAlone({ video, args = [], width = 320, height = 640, ...options } = {}) {
  const profile = mkdtempSync(join(tmpdir(), "safeconduct-browser-"));
  const camera = video
    ? ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${video}`]
    : [];
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: installed(),
    ignoreDefaultArgs: ["--headless=new"],
    args: [...flags, ...camera, ...args],
    viewport: { width, height },
    serviceWorkers: "allow",
    ...options,
  });
  const stop = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { context, stop, profile };
}
