// Reads a frame as the page does: its own looks, one after the other, and its
// own worker. camera.mjs bundles this for a page of its own.

import { differentLooks, look } from "../src/check/camera";
import { onlyOne } from "../src/check/scanned";

async function readFrame(frame: ImageBitmap): Promise<{ text: string | null; looks: number }> {
  for (let turn = 0; turn < differentLooks; turn++) {
    const text = onlyOne(await look(frame, frame.width, frame.height, turn));
    if (text !== null) return { text, looks: turn + 1 };
  }
  return { text: null, looks: differentLooks };
}

Object.assign(globalThis, { readFrame });
