// The photographs in a PDF. Scanners and telephones put a page into a PDF as the
// JPEG that their camera made, and that can be taken out as it stands. What was
// drawn with letters and lines is left to a photograph of the screen or paper:
// docs/decisions/0014-the-officers-page.md.

const most = 20; // pages that anybody would look through

/** isPDF tells a PDF by its first bytes (ISO 32000-1 §7.5.2). */
export async function isPDF(file: Blob): Promise<boolean> {
  return (await file.slice(0, 1024).text()).includes("%PDF-");
}

/** photographs are the JPEG streams of a PDF, the first twenty. An encrypted
 * file has none that could be read. */
export async function photographs(file: Blob): Promise<Blob[]> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  // One character for each byte, so that places in the text are places in the file.
  const text = new TextDecoder("latin1").decode(bytes);
  const found: Blob[] = [];
  // A stream begins after the word and a line break, CR LF or LF (§7.3.8.1).
  for (const opening of text.matchAll(/>>\s*stream\r?\n/g)) {
    const begin = opening.index + opening[0].length;
    const dictionary = text.slice(text.lastIndexOf(" obj", opening.index), opening.index);
    if (!dictionary.includes("/DCTDecode")) continue; // JPEG: §7.4.8
    const end = text.indexOf("endstream", begin);
    if (end < 0) break;
    const stream = await inflated(bytes.subarray(begin, end), dictionary.includes("/FlateDecode"));
    if (stream && stream[0] === 0xff && stream[1] === 0xd8) found.push(new Blob([stream], { type: "image/jpeg" }));
    if (found.length === most) break;
  }
  return found;
}

const largest = 30 << 20;

// Some programs pack the JPEG once more. What is not packed, or grows beyond
// all measure, is no photograph.
async function inflated(stream: Uint8Array<ArrayBuffer>, packed: boolean): Promise<Uint8Array<ArrayBuffer> | null> {
  if (!packed) return stream;
  const reader = new Blob([stream]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  const parts: BlobPart[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > largest) return null;
      parts.push(value);
    }
  } catch {
    // The line break before endstream is no part of it, and some browsers say so.
    if (size === 0) return null;
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
