// The photographs in a PDF. Scanners and telephones put a page into a PDF as a
// JPEG, which can be taken out as it stands. A page that was drawn with letters
// and lines has to be photographed: docs/decisions/0014-the-officers-page.md.

const maxPhotographs = 20; // more pages than anybody would look through

/** isPDF tells a PDF by its first bytes (ISO 32000-1 §7.5.2). */
export async function isPDF(file: Blob): Promise<boolean> {
  return (await file.slice(0, 1024).text()).includes("%PDF-");
}

/** photographs gives the JPEG streams of a PDF, the first twenty. An encrypted
 * file has none. */
export async function photographs(file: Blob): Promise<Blob[]> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  // Latin-1 has one character for each byte, so that offsets are the same.
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
    if (found.length === maxPhotographs) break;
  }
  return found;
}

const maxStream = 30 << 20;

// inflated unpacks a JPEG that was packed once more. It is null for a stream that
// is not packed, or that grows beyond all measure.
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
      if (size > maxStream) return null;
      parts.push(value);
    }
  } catch {
    // Some browsers complain about the line break before endstream.
    if (size === 0) return null;
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
