// The table of screens: which file shows which.

import { begin } from "./router";
import { code } from "./screens/code";
import { device, gone, removal } from "./screens/device";
import { home } from "./screens/home";
import { invite } from "./screens/invite";
import { neutral } from "./screens/neutral";
import { result } from "./screens/result";
import { scan } from "./screens/scan";
import { selftest } from "./screens/selftest";
import { unlock } from "./screens/unlock";
import { waiting } from "./screens/waiting";

export const beginScreens = (): void =>
  begin({ home, scan, code, result, neutral, invite, waiting, unlock, device, removal, gone, selftest });
