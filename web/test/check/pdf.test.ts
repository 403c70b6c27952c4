import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";

import { isPDF, photographs } from "../../src/check/pdf";

const jpeg = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.from("a picture >> stream\n of one page"), Buffer.from([0xff, 0xd9])]);

function file(...objects: [dictionary: string, stream: Buffer][]): Blob {
  const parts: BlobPart[] = ["%PDF-1.4\n%\xe2\xe3\n"];
  objects.forEach(([dictionary, stream], i) => parts.push(`${i + 1} 0 obj\n<< ${dictionary} >>\nstream\r\n`, stream, "\nendstream\nendobj\n"));
  parts.push("trailer << >>\n%%EOF\n");
  return new Blob(parts);
}

const texts = async (found: Blob[]): Promise<string[]> => Promise.all(found.map(async (b) => Buffer.from(await b.arrayBuffer()).toString("latin1").trimEnd()));

test("photographs of a PDF come out as they are", async () => {
  const pdf = file(["/Length 3", Buffer.from("q Q")], ["/Subtype /Image /Filter /DCTDecode", jpeg]);
  assert.equal(await isPDF(pdf), true);
  assert.deepEqual(await texts(await photographs(pdf)), [jpeg.toString("latin1")]);
});

test("a photograph that was packed again is unpacked", async () => {
  const pdf = file(["/Filter [/FlateDecode /DCTDecode]", deflateSync(jpeg)]);
  assert.deepEqual(await texts(await photographs(pdf)), [jpeg.toString("latin1")]);
});

test("what is no photograph is left out", async () => {
  const pdf = file(["/Filter /FlateDecode", deflateSync(jpeg)], ["/Filter /DCTDecode", Buffer.from("no picture")], ["/Filter [/FlateDecode /DCTDecode]", jpeg]);
  assert.deepEqual(await photographs(pdf), []);
  assert.deepEqual(await photographs(new Blob(["%PDF-1.4\n1 0 obj << /Filter /DCTDecode >>\nstream\n"])), []);
  assert.equal(await isPDF(new Blob([jpeg])), false);
});

test("no more than twenty pages are looked through", async () => {
  const pdf = file(...Array.from({ length: 30 }, (): [string, Buffer] => ["/Filter /DCTDecode", jpeg]));
  assert.equal((await photographs(pdf)).length, 20);
});
