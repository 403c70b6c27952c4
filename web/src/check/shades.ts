// The ink of a picture. A symbol that was cut at its edge and lies on grey runs
// into the ground, and no reader finds its corners.

/** Picture is the part of ImageData that is used here. */
export interface Picture {
  data: Uint8ClampedArray<ArrayBuffer>; // red, green, blue and alpha of each pixel
  width: number;
  height: number;
}

/** inkOnly makes the darkest of three shades black, and the rest white: of ink,
 * ground and paper the ink. It changes the picture. */
export function inkOnly(picture: Picture): void {
  const { data } = picture;
  const counts = new Array<number>(256).fill(0);
  for (let at = 0; at < data.length; at += 4) {
    const grey = luma(data, at);
    counts[grey] = (counts[grey] ?? 0) + 1;
  }
  const ink = otsu(counts, otsu(counts, 256));
  for (let at = 0; at < data.length; at += 4) data.fill(luma(data, at) < ink ? 0 : 255, at, at + 3);
}

// ITU-R BT.601 §2.5.1.
const luma = (data: Uint8ClampedArray, at: number): number =>
  Math.round(0.299 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.114 * (data[at + 2] ?? 0));

// otsu is the threshold that splits the shades below end best into two classes
// (N. Otsu, A Threshold Selection Method from Gray-Level Histograms, 1979).
function otsu(counts: number[], end: number): number {
  const all = counts.slice(0, end);
  const total = all.reduce((sum, n) => sum + n, 0);
  const sum = all.reduce((s, n, shade) => s + n * shade, 0);
  let best = 0;
  let found = end;
  let below = 0;
  let sumBelow = 0;
  for (let shade = 0; shade < end - 1; shade++) {
    below += all[shade] ?? 0;
    sumBelow += (all[shade] ?? 0) * shade;
    const above = total - below;
    if (below === 0 || above === 0) continue;
    const apart = below * above * (sumBelow / below - (sum - sumBelow) / above) ** 2;
    if (apart > best) [best, found] = [apart, shade + 1];
  }
  return found;
}
