// The first download, part by part. A part is named by its content. It is fetched
// once, and it is not stored when it arrives with another content.

const cacheName = "card-check-parts";

/** Store is the part of Cache that is used here, so that a test can bring its own. */
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

/** download fetches the missing parts, one after the other, and tells after each
 * how many bytes are there. It throws where the network ends. Parts that have
 * arrived by then stay. */
export async function download(cache: Store, parts: Part[], get: Fetch, tell: (have: number, all: number) => void): Promise<void> {
  const all = parts.reduce((sum, p) => sum + p.bytes, 0);
  const open = await missing(cache, parts);
  let have = all - open.reduce((sum, p) => sum + p.bytes, 0);
  tell(have, all);
  for (const part of open) {
    const answer = await get(part.path);
    if (!answer.ok) throw new Error(`part: ${answer.status}`);
    const bytes = await answer.arrayBuffer();
    if ((await sha256(bytes)) !== part.sha256) throw new Damaged("part: another content");
    // The stored part is plain, so the headers about its compression are left out.
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

/** assemble joins the parts of a large file and unpacks it. A part that went bad
 * on the disk is removed, so that it is fetched again. */
export async function assemble(cache: Store, parts: Omit<Part, "bytes">[]): Promise<ArrayBuffer> {
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
