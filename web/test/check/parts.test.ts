import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { download, Damaged, assemble, missing, type Store } from "../../src/check/parts";

class Memory implements Store {
  kept = new Map<string, ArrayBuffer>();
  async match(path: string): Promise<Response | undefined> {
    const bytes = this.kept.get(path);
    return bytes && new Response(bytes);
  }
  async put(path: string, response: Response): Promise<void> {
    this.kept.set(path, await response.arrayBuffer());
  }
  async delete(path: string): Promise<boolean> {
    return this.kept.delete(path);
  }
}

const large = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * i) % 251));
const packed = gzipSync(large);
const third = Math.ceil(packed.length / 3);
const pieces = [0, 1, 2].map((i) => packed.subarray(i * third, (i + 1) * third));
const parts: Part[] = pieces.map((p, i) => ({ path: `/check/parts/${i}`, bytes: p.length, sha256: createHash("sha256").update(p).digest("hex") }));

const server = (asked: string[], end = Infinity) => async (path: string): Promise<Response> => {
  if (asked.length >= end) throw new TypeError("network");
  asked.push(path);
  return new Response(new Uint8Array(pieces[Number(path.at(-1))] ?? []));
};

test("an interrupted download goes on where it stopped", async () => {
  const cache = new Memory();
  const asked: string[] = [];
  await assert.rejects(download(cache, parts, server(asked, 2), () => {}), TypeError);
  assert.equal((await missing(cache, parts)).length, 1);
  const told: number[] = [];
  const again: string[] = [];
  await download(cache, parts, server(again), (have) => told.push(have));
  assert.deepEqual(asked, ["/check/parts/0", "/check/parts/1"]);
  assert.deepEqual(again, ["/check/parts/2"], "what was there was not asked for again");
  assert.deepEqual(told, [2 * third, packed.length]);
  assert.deepEqual(Buffer.from(await assemble(cache, parts)), large);
});

test("a part with another content is not kept", async () => {
  const cache = new Memory();
  const wrong = async (): Promise<Response> => new Response("something else");
  await assert.rejects(download(cache, parts, wrong, () => {}), Damaged);
  assert.equal(cache.kept.size, 0);
});

test("an answer that is no success is not kept", async () => {
  const cache = new Memory();
  await assert.rejects(download(cache, parts, async () => new Response(new Uint8Array(pieces[0] ?? []), { status: 503 }), () => {}));
  assert.equal(cache.kept.size, 0);
});

test("a part that went bad is removed, and only it is fetched again", async () => {
  const cache = new Memory();
  await download(cache, parts, server([]), () => {});
  cache.kept.set("/check/parts/1", new ArrayBuffer(3));
  await assert.rejects(assemble(cache, parts), Damaged);
  const asked: string[] = [];
  await download(cache, parts, server(asked), () => {});
  assert.deepEqual(asked, ["/check/parts/1"]);
  assert.deepEqual(Buffer.from(await assemble(cache, parts)), large);
});
