// The worker that reads QR symbols, outside the page's own thread.

import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";
import { serve } from "../../shared/rpc";
import { assemble, store } from "../parts";
import { options } from "../reading";
import { inkOnly } from "../shades";

let ready: Promise<unknown> | undefined;

// The reader's program comes from the parts. By default the library would fetch
// it from another site.
async function begin(): Promise<void> {
  const wasmBinary = await assemble(await store(), ZXING);
  await prepareZXingModule({ overrides: { wasmBinary }, fireImmediately: true });
}

serve({
  begin: () => (ready ??= begin()).then(() => true),
  /** read gives the texts of the symbols in a picture, or in its ink alone. */
  async read(picture: ImageData, inkAlone: boolean): Promise<string[]> {
    await (ready ??= begin());
    if (inkAlone) inkOnly(picture);
    const found = await readBarcodes(picture, options);
    return found.filter((r) => r.isValid).map((r) => r.text);
  },
});
