// The options of the reader of symbols, for the worker and its tests.

import type { ReaderOptions } from "zxing-wasm/reader";

export const options: ReaderOptions = {
  formats: ["QRCode"],
  tryHarder: true,
  tryRotate: true,
  tryInvert: true,
  tryDownscale: true,
  maxNumberOfSymbols: 8,
  textMode: "Plain",
};
