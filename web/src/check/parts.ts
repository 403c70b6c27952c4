// The first download, part by part. A part is named by its content; one that
// is there is not fetched again, and one that arrives differently is not kept.

const cacheName = "card-check-parts";

/** Store is what is needed of a cache, so that a test can bring its own. */
export interface Store {
  match(path: string): Promise<Response | undefined>;
  put(path: string, response: Response): Promise<void>;
  delete(path: string): Promise<boolean>;
}

export const store = (): Promise<Store> => caches.open(cacheName);

type Fetch = (path: string) => Promise<Response>;

export class Damaged extends Error {}

async function sha256(bytes: BufferSource): Promise<string> {
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(sum, (b) => b.toString(16).padStart(2, "0")).join("");
}

/** missing lists the parts that are not there. */
export async function missing(cache: Store, parts: Part[]): Promise<Part[]> {
  const there = await Promise.all(parts.map((p) => cache.match(p.path)));
  return parts.filter((_, i) => !there[i]);
}

/** bring fetches what is missing, one part after the other, and tells after
 * each how many bytes are there. It throws where the network ends; what has
 * arrived by then stays. */
export async function bring(cache: Store, parts: Part[], get: Fetch, tell: (have: number, all: number) => void): Promise<void> {
  const all = parts.reduce((sum, p) => sum + p.bytes, 0);
  const open = await missing(cache, parts);
  let have = all - open.reduce((sum, p) => sum + p.bytes, 0);
  tell(have, all);
  for (const part of open) {
    const answer = await get(part.path);
    if (!answer.ok) throw new Error(`part: ${answer.status}`);
    const bytes = await answer.arrayBuffer();
    if ((await sha256(bytes)) !== part.sha256) throw new Damaged("part: another content");
    // As it is kept it is plain: what said that it was compressed is left out.
    const headers = new Headers();
    for (const name of ["content-type", "content-security-policy", "x-content-type-options", "cross-origin-resource-policy"]) {
      const value = answer.headers.get(name);
      if (value) headers.set(name, value);
    }
    await cache.put(part.path, new Response(bytes, { headers }));
    have += part.bytes;
    tell(have, all);
  }
}

/** join gives a large file from its parts. A part that went bad on the disk is
 * removed, so that it is fetched again. */
export async function join(cache: Store, parts: Omit<Part, "bytes">[]): Promise<ArrayBuffer> {
  const pieces: ArrayBuffer[] = [];
  for (const part of parts) {
    const kept = await cache.match(part.path);
    if (!kept) throw new Damaged("part: missing");
    const bytes = await kept.arrayBuffer();
    if ((await sha256(bytes)) !== part.sha256) {
      await cache.delete(part.path);
      throw new Damaged("part: changed on the disk");
    }
    pieces.push(bytes);
  }
  const stream = new Blob(pieces).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
