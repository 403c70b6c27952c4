// Symbols in pictures, by the scan worker.

import { Line } from "../shared/rpc";
import { isPDF, photographs } from "./pdf";
import { onlyOne } from "./scanned";
import { program } from "./trusted";

let line: Line | undefined;

function reader(): Line {
  line ??= new Line(new Worker(program(WORKERS.scan)));
  return line;
}

/** warm starts the worker, so that nothing is loaded at the moment of a check,
 * not even from this device. */
export const warm = (): Promise<unknown> => reader().call("begin");

export function readSymbols(picture: ImageData): Promise<string[]> {
  return reader().call("read", [picture], [picture.data.buffer]);
}

const maxBytes = 30 << 20;
const maxPixels = 64e6;
const sides = [1600, 2600, 1000];

/** readPicture finds the one symbol of a picture, or of the photographs in a PDF. */
export async function readPicture(file: Blob): Promise<{ text: string } | { reason: string }> {
  if (file.size > maxBytes) return { reason: "too_large" };
  const found = new Set<string>();
  let reason = "no_picture";
  for (const one of (await isPDF(file)) ? await photographs(file) : [file]) {
    const read = await readOne(one);
    if ("text" in read) found.add(read.text);
    else if (read.reason === "more_than_one_code") return read;
    else reason = read.reason;
  }
  const [text, another] = found;
  if (another !== undefined) return { reason: "more_than_one_code" };
  return text === undefined ? { reason } : { text };
}

// A large photograph is looked at in several sizes: what is small in it needs
// the larger one, what is blurred the smaller.
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
    for (const side of new Set(sides.map((s) => Math.min(s, longest)))) {
      const seen = onlyOne(await readSymbols(pixels(picture, picture.width, picture.height, side / longest)));
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
  // What is clear becomes white, as paper is.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(from, width * edge, height * edge, width * crop, height * crop, 0, 0, canvas.width, canvas.height);
  const data = context.getImageData(0, 0, canvas.width, canvas.height);
  // Nothing that was seen stays on the canvas.
  canvas.width = canvas.height = 0;
  return data;
}
