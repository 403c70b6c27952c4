// Symbols in pictures, read by the scan worker.

import { Client } from "../shared/rpc";
import { isPDF, photographs } from "./pdf";
import { onlyOne } from "./scanned";
import { scriptURL } from "./trusted";

let client: Client | undefined;

function reader(): Client {
  client ??= new Client(new Worker(scriptURL(WORKERS.scan)));
  return client;
}

/** warm starts the worker, so that a check loads nothing, not even from this
 * device. */
export const warm = (): Promise<unknown> => reader().call("begin");

/** readSymbols gives the texts of the symbols in a picture, or in its ink alone. */
export function readSymbols(picture: ImageData, inkAlone = false): Promise<string[]> {
  return reader().call("read", [picture, inkAlone], [picture.data.buffer]);
}

const maxBytes = 30 << 20;
const maxPixels = 64e6;
const sides = [1600, 2600, 1000];

/** readPicture finds the one symbol of a picture, or of the photographs in a PDF. */
export async function readPicture(file: Blob): Promise<{ text: string } | { reason: string }> {
  if (file.size > maxBytes) return { reason: "too_large" };
  return (await isPDF(file)) ? readPages(await photographs(file)) : readOne(file);
}

// readPages looks into every photograph of a PDF. A page that was drawn with
// letters and lines is not looked at; the officer is told to photograph it.
async function readPages(pages: Blob[]): Promise<{ text: string } | { reason: string }> {
  const found: string[] = [];
  for (const page of pages) {
    const read = await readOne(page);
    if ("text" in read) found.push(read.text);
    else if (read.reason === "more_than_one_code") return read;
  }
  const text = onlyOne(found);
  if (text === "several") return { reason: "more_than_one_code" };
  return text === null ? { reason: "drawn_page" } : { text };
}

// readOne looks at a photograph in several sizes: a small symbol needs the larger
// one, a blurred symbol the smaller. Where no size shows anything, the card may
// have been cut at its square, and its ink alone may be readable.
async function readOne(file: Blob): Promise<{ text: string } | { reason: string }> {
  let picture: ImageBitmap;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return { reason: "no_picture" };
  }
  try {
    if (picture.width * picture.height > maxPixels) return { reason: "too_large" };
    const longest = Math.max(picture.width, picture.height);
    const fitting = [...new Set(sides.map((s) => Math.min(s, longest)))];
    for (const [side, inkAlone] of [...fitting.map((s) => [s, false] as const), ...fitting.map((s) => [s, true] as const)]) {
      const seen = onlyOne(await readSymbols(pixels(picture, picture.width, picture.height, side / longest), inkAlone));
      if (seen === "several") return { reason: "more_than_one_code" };
      if (seen !== null) return { text: seen };
    }
    return { reason: "no_code_in_picture" };
  } finally {
    picture.close();
  }
}

const canvas = document.createElement("canvas");

/** pixels draws a picture, or the middle of it, at a scale. */
export function pixels(from: CanvasImageSource, width: number, height: number, scale: number, crop = 1): ImageData {
  canvas.width = Math.max(1, Math.round(width * crop * scale));
  canvas.height = Math.max(1, Math.round(height * crop * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas");
  const edge = (1 - crop) / 2;
  // Transparent pixels become white, as paper is.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(from, width * edge, height * edge, width * crop, height * crop, 0, 0, canvas.width, canvas.height);
  const data = context.getImageData(0, 0, canvas.width, canvas.height);
  // The canvas keeps nothing of the picture.
  canvas.width = canvas.height = 0;
  return data;
}
