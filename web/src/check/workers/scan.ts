// Reads QR symbols, away from the page's own thread.

import { prepareZXingModule, readBarcodes, type ReaderOptions } from "zxing-wasm/reader";
import { serve } from "../../shared/rpc";
import { join, store } from "../parts";

const options: ReaderOptions = {
  formats: ["QRCode"],
  tryHarder: true,
  tryRotate: true,
  tryInvert: true,
  tryDownscale: true,
  maxNumberOfSymbols: 8,
  textMode: "Plain",
};

let ready: Promise<unknown> | undefined;

// The reader's program comes from the parts; left alone it would ask a stranger
// for it.
async function begin(): Promise<void> {
  const wasmBinary = await join(await store(), ZXING);
  await prepareZXingModule({ overrides: { wasmBinary }, fireImmediately: true });
}

serve({
  begin: () => (ready ??= begin()).then(() => true),
  async read(picture: ImageData): Promise<string[]> {
    await (ready ??= begin());
    const found = await readBarcodes(picture, options);
    return found.filter((r) => r.isValid).map((r) => r.text);
  },
});
