// Every state has a shape and a band, never colour alone. The shapes are drawn
// here, so that no font decides whether they can be seen.

import { svg } from "./dom";

export const bands: Record<string, string> = {
  confirmed: "green", unconfirmed: "blue",
  status_old: "amber", not_yet_in_use: "amber", expired: "amber", paused: "amber", wrong_code: "amber", code_locked: "amber",
  replaced: "grey", out_of_use: "grey", code_not_given: "grey", not_ours: "grey", unreadable: "grey", newer_version: "grey", not_ready: "grey",
  issuer_unknown: "violet", does_not_match: "red",
};

// Strokes in a field of 48 by 48.
const circle = "M24 5a19 19 0 1 0 0 38a19 19 0 1 0 0-38";
const hash = "M18 10l-4 28M34 10l-4 28M9 19h31M8 30h31";
const strokes: Record<string, string> = {
  confirmed: "M9 25l10 11L39 13",
  unconfirmed: circle + "M24 21v13M24 14v1",
  status_old: circle + "M24 12v12l8 6",
  not_yet_in_use: "M24 5a19 19 0 0 1 9.500 2.546M40.454 14.500a19 19 0 0 1 2.546 9.500M40.454 33.500a19 19 0 0 1-6.954 6.954M24 43a19 19 0 0 1-9.500-2.546M7.546 33.500a19 19 0 0 1-2.546-9.500M7.546 14.500a19 19 0 0 1 6.954-6.954",
  expired: "M13 6h22M13 42h22M16 6v6c0 7 16 17 16 24v6M32 6v6c0 7-16 17-16 24v6M19 39h10",
  paused: "M17 10v28M31 10v28",
  replaced: "M8 17h30M31 9l8 8-8 8M40 32H10M17 24l-8 8 8 8",
  out_of_use: circle + "M11 37L37 11",
  issuer_unknown: "M15 16a9 9 0 1 1 13 8c-3 1.500-4 3-4 7M24 39v1",
  does_not_match: "M16 5h16l11 11v16L32 43H16L5 32V16zM17 17l14 14M31 17L17 31",
  code_not_given: hash, wrong_code: hash, code_locked: hash + "M5 5h38v38H5z",
  not_ours: "M24 5l19 19-19 19L5 24z",
  unreadable: "M6 6h36v36H6zM6 18h36M6 30h36M18 6v36M30 6v36",
  newer_version: "M24 42V8M11 20L24 7l13 13",
  not_ready: "M24 11a13 13 0 1 0 0 26a13 13 0 1 0 0-26M24 19a5 5 0 1 0 0 10a5 5 0 1 0 0-10M24 4v7M24 37v7M4 24h7M37 24h7M9.900 9.900l5 5M33.100 33.100l5 5M9.900 38.100l5-5M33.100 14.900l5-5",
};

/** shape draws the sign of a state. */
export function shape(state: string): SVGElement {
  return drawing(strokes[state] ?? strokes["not_ready"] ?? "", "shape");
}

const marks: Record<string, string> = { yes: "M9 25l10 11L39 13", no: "M12 12l24 24M36 12L12 36", unchecked: "M10 24h4M22 24h4M34 24h4" };

/** mark draws yes, no, or "could not check". */
export const mark = (answer: string): SVGElement => drawing(marks[answer] ?? "", "mark");

/** pictogram draws the sign beside a message, for people who cannot read it. It
 * is null where the message has none. */
export function pictogram(id: string): SVGElement | null {
  const elements = PICTOGRAMS[ENGLISH.messages[id]?.pictogram ?? ""];
  return elements
    ? svg("svg", { viewBox: "0 0 24 24", class: "pictogram", "aria-hidden": "true", focusable: "false" },
      ...elements.map(([tag, attributes]) => svg(tag, attributes)))
    : null;
}

function drawing(path: string, name: string): SVGElement {
  return svg("svg", { viewBox: "0 0 48 48", class: name, "aria-hidden": "true", focusable: "false" }, svg("path", { d: path }));
}
