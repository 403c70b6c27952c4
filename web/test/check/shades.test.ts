import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";
import { options } from "../../src/check/reading";
import { inkOnly, type Picture } from "../../src/check/shades";

// The cards of the self-test, as their modules.
const sample = JSON.parse(readFileSync("src/check/sample.json", "utf8")) as { cards: { modules: string; side: number }[] };

interface Drawing {
  ink: number;
  paper: number;
  around: number;
  margin: number; // modules of paper
}

/** draw draws a card's symbol, five pixels to a module, on a ground. */
function draw({ ink, paper, around, margin }: Drawing): Picture {
  const { modules, side } = sample.cards[0] ?? assert.fail("no card");
  const bits = Buffer.from(modules, "base64");
  const scale = 5;
  const ground = 12; // modules around the paper
  const size = (side + 2 * margin + 2 * ground) * scale;
  const data = new Uint8ClampedArray(4 * size * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const [mx, my] = [Math.floor(x / scale) - ground - margin, Math.floor(y / scale) - ground - margin];
      const at = my * side + mx;
      const isDark = mx >= 0 && my >= 0 && mx < side && my < side && ((bits[at >> 3] ?? 0) & (0x80 >> (at & 7))) !== 0;
      const onPaper = Math.min(mx, my) >= -margin && Math.max(mx, my) < side + margin;
      data.fill(isDark ? ink : onPaper ? paper : around, 4 * (y * size + x), 4 * (y * size + x) + 3);
      data[4 * (y * size + x) + 3] = 255;
    }
  }
  return { data, width: size, height: size };
}

const read = async (picture: Picture): Promise<string[]> =>
  (await readBarcodes(picture as ImageData, options)).filter((r) => r.isValid).map((r) => r.text);

before(async () => {
  const file = readFileSync("node_modules/zxing-wasm/dist/reader/zxing_reader.wasm");
  await prepareZXingModule({ overrides: { wasmBinary: file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer }, fireImmediately: true });
});

for (const [name, drawing] of Object.entries({
  "as printed": { ink: 0, paper: 255, around: 255, margin: 4 },
  "light on dark": { ink: 255, paper: 0, around: 0, margin: 4 },
  "faded": { ink: 120, paper: 170, around: 170, margin: 4 },
  "without a margin on light grey": { ink: 0, paper: 255, around: 200, margin: 0 },
})) {
  test(`${name}, it is read as it is`, async () => {
    assert.match((await read(draw(drawing)))[0] ?? "", /^[0-9]{667}$/);
  });
}

for (const around of [50, 70, 90, 110, 127]) {
  test(`without a margin on the grey ${around}, the ink is read`, async () => {
    const drawing = { ink: around === 50 ? 0 : 20, paper: 240, around, margin: 0 };
    const picture = draw(drawing);
    inkOnly(picture);
    assert.match((await read(picture))[0] ?? "", /^[0-9]{667}$/);
  });
}
