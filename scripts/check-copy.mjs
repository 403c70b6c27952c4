// Checks a holder's own copy, which comes decrypted on standard input, by docs/copy.md
// and the standards that it names. It imports nothing but node's own library. The first
// argument, if there is one, is the thumbprint (RFC 7638, hex) that the network's root key
// has to have: a copy that brings its own root proves only that it fits together.

import { createHash, createPublicKey, verify } from "node:crypto";
import { inflateRawSync, inflateSync } from "node:zlib";
import { isDeepStrictEqual } from "node:util";
import { readFileSync } from "node:fs";

const sha256 = (...parts) => { const h = createHash("sha256"); for (const p of parts) h.update(p); return h.digest(); };
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const problems = [];
const must = (ok, what) => { if (!ok) problems.push(what); return ok; };
const fatal = (what) => { throw new Error(what); };

// base64 and base64url have one spelling each.
function base64(text, form = "base64") {
  const bytes = Buffer.from(String(text), form);
  const again = bytes.toString(form);
  return again === text ? bytes : fatal("base64 in another spelling");
}

// ---- the archive: APPNOTE.TXT 4.3, from its central directory ----

const maxFile = 256 * 2 ** 20;

function unzip(data) {
  let end = data.length - 22;
  while (end >= 0 && data.readUInt32LE(end) !== 0x06054b50) end--;
  if (end < 0) fatal("no ZIP archive, or not its end");
  const files = new Map();
  let at = data.readUInt32LE(end + 16);
  for (let n = data.readUInt16LE(end + 10); n > 0; n--) {
    if (data.readUInt32LE(at) !== 0x02014b50) fatal("the ZIP archive's directory");
    const method = data.readUInt16LE(at + 10), packed = data.readUInt32LE(at + 20), size = data.readUInt32LE(at + 24);
    const nameLength = data.readUInt16LE(at + 28), local = data.readUInt32LE(at + 42);
    const name = data.toString("utf8", at + 46, at + 46 + nameLength);
    if (files.has(name) || !/^[A-Za-z0-9][A-Za-z0-9./-]*$/.test(name) || name.includes("..") || size > maxFile) fatal("a name or a size in the ZIP archive");
    const from = local + 30 + data.readUInt16LE(local + 26) + data.readUInt16LE(local + 28);
    const raw = data.subarray(from, from + packed);
    const content = method === 0 ? raw : method === 8 ? inflateRawSync(raw, { maxOutputLength: maxFile }) : fatal("a ZIP method");
    if (content.length !== size) fatal("a size in the ZIP archive");
    files.set(name, content);
    at += 46 + nameLength + data.readUInt16LE(at + 30) + data.readUInt16LE(at + 32);
  }
  return files;
}

const files = unzip(readFileSync(0));
const text = (name) => (files.get(name) ?? fatal(`${name} is missing`)).toString("utf8");
const json = (name) => JSON.parse(text(name));

// ---- contents.json ----

const contents = json("contents.json");
must(contents.format === "safeconduct/copy/1", "contents.json: another format");
for (const f of contents.files) {
  const content = files.get(f.file);
  must(content && content.length === f.bytes && hex(sha256(content)) === f.sha256, `${f.file}: not as it is listed`);
}
const listed = new Set(contents.files.map((f) => f.file));
for (const name of files.keys()) must(name === "contents.json" || listed.has(name), `${name}: not listed`);
for (const d of contents.documents) {
  const record = json(d.file);
  must(record.id === d.id && isDeepStrictEqual(record.pages, d.pages), `${d.file}: not as it is listed`);
  for (const p of d.pages) {
    const picture = files.get(p.file);
    must(picture && hex(sha256(picture)) === p.sha256, `${p.file}: another picture`);
  }
}

// ---- signatures: JWS compact (RFC 7515), ES256 alone (RFC 7518 §3.4) ----

const keyOf = (jwk) => createPublicKey({ key: { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y }, format: "jwk" });
const thumbprint = ({ crv, kty, x, y }) => hex(sha256(JSON.stringify({ crv, kty, x, y })));

function split(compact) {
  const [head, payload, signature, ...more] = compact.split(".");
  if (signature === undefined || more.length > 0) fatal("a JWS that is none");
  const header = JSON.parse(base64(head, "base64url"));
  return { header, payload: JSON.parse(base64(payload, "base64url")), input: `${head}.${payload}`, signature: base64(signature, "base64url") };
}

function signed(what, compact, typ, jwk) {
  const { header, payload, input, signature } = split(compact);
  const good = header.alg === "ES256" && header.typ === typ && signature.length === 64 &&
    verify("sha256", Buffer.from(input), { key: keyOf(jwk), dsaEncoding: "ieee-p1363" }, signature);
  must(good, `${what}: not signed by the key that it has to be signed by`);
  return { header, payload, input };
}

// ---- the trust list, under the root: docs/pack.md ----

const keys = json("proof/keys.json");
const root = thumbprint(keys.root);
const want = process.argv[2] ?? "";
if (want) must(root === want, "the root key is another network's");
let trustSigner = keys.root;
if (files.has("proof/trust-key.jwt")) {
  const { payload } = signed("proof/trust-key.jwt", text("proof/trust-key.jwt"), "safeconduct-trust-key+jwt", keys.root);
  must(payload.network === keys.network, "proof/trust-key.jwt: of another network");
  trustSigner = payload.jwk;
}
const trust = signed("proof/trust-list.jwt", text("proof/trust-list.jwt"), "safeconduct-trust+jwt", trustSigner).payload;
must(trust.network === keys.network && contents.network.id === keys.network, "proof/trust-list.jwt: of another network");

// ---- the log's head: c2sp.org/signed-note and c2sp.org/tlog-checkpoint ----

const logKeys = trust.keys.filter((k) => k.use === "log").map((k) => {
  const [, name, id, data] = /^(.+)\+([0-9a-f]{8})\+(.+)$/.exec(k.note) ?? fatal("a key of the log");
  const bytes = base64(data);
  if (bytes.length !== 33 || bytes[0] !== 1) fatal("a key of the log");
  if (hex(sha256(name, "\n", bytes)).slice(0, 8) !== id) fatal("a key of the log");
  // RFC 8410: what comes before an Ed25519 key in SubjectPublicKeyInfo.
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), bytes.subarray(1)]);
  return { name, id, key: createPublicKey({ key: der, format: "der", type: "spki" }) };
});

function head(note) {
  const at = note.lastIndexOf("\n\n");
  const said = note.slice(0, at + 1), lines = note.slice(at + 2).split("\n").filter((l) => l !== "");
  const [origin, size, rootHash, ...more] = said.split("\n");
  if (at < 0 || more.length !== 1 || more[0] !== "" || !/^(0|[1-9][0-9]*)$/.test(size)) fatal("a checkpoint that is none");
  const good = lines.some((line) => {
    const [, name, signature] = /^— (\S+) (\S+)$/.exec(line) ?? fatal("a line of a checkpoint");
    const bytes = base64(signature);
    return logKeys.some((k) => k.name === name && k.name === origin && hex(bytes.subarray(0, 4)) === k.id && verify(null, Buffer.from(said), k.key, bytes.subarray(4)));
  });
  return { good, size: BigInt(size), root: base64(rootHash) };
}

const checkpoint = files.has("proof/checkpoint") ? text("proof/checkpoint") : "";
const top = checkpoint ? head(checkpoint) : undefined;
if (top) must(top.good, "proof/checkpoint: not signed by a key of the log");

// ---- the history: each leaf, and that it is in the tree (RFC 9162 §2.1.3.2) ----

function included(index, size, leaf, path, rootHash) {
  if (index >= size) return false;
  let fn = index, sn = size - 1n, r = leaf;
  for (const p of path) {
    if (sn === 0n) return false;
    if (fn & 1n || fn === sn) {
      r = sha256(Buffer.from([1]), p, r);
      while (!(fn & 1n) && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else {
      r = sha256(Buffer.from([1]), r, p);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && r.equals(rootHash);
}

const history = json("history.json");
const places = new Set();
let waiting = 0;
history.forEach((e, i) => {
  const name = `history.json: entry ${i + 1}`;
  const salt = base64(e.salt), kind = Buffer.from(e.kind);
  const note = sha256(Buffer.from([1, kind.length]), kind, salt, Buffer.from(e.body));
  must(salt.length === 32 && kind.length < 256 && hex(note) === e.leaf, `${name}: another leaf`);
  if (e.proof === undefined) { waiting++; return; }
  // c2sp.org/tlog-proof
  const at = e.proof.indexOf("\n\n");
  const [first, index, ...path] = e.proof.slice(0, at).split("\n");
  const [, number] = /^index (0|[1-9][0-9]*)$/.exec(index) ?? fatal(`${name}: a proof that is none`);
  must(first === "c2sp.org/tlog-proof@v1" && e.proof.slice(at + 2) === checkpoint, `${name}: a proof of another kind, or for another head`);
  must(top && included(BigInt(number), top.size, sha256(Buffer.from([0]), note), path.map((p) => base64(p)), top.root), `${name}: the proof does not lead to the signed root`);
  must(!places.has(number), `${name}: the place of another entry`);
  places.add(number);
});
must(history.length === contents.history.entries && waiting === contents.history.waiting, "history.json: another number of entries than is listed");
const acts = history.map((e) => ({ kind: e.kind, proven: e.proof !== undefined, ...JSON.parse(e.body) }));

// ---- attestations: SD-JWT (RFC 9901 §7.1), with all disclosures ----

function disclosed(name, payload, disclosures) {
  const byDigest = new Map();
  for (const d of disclosures) {
    const digest = sha256(d).toString("base64url");
    must(!byDigest.has(digest), `${name}: a disclosure twice`);
    byDigest.set(digest, JSON.parse(base64(d, "base64url")));
  }
  const seen = new Set(), used = new Set();
  const once = (digest) => { must(!seen.has(digest), `${name}: a digest twice`); seen.add(digest); return byDigest.get(digest); };
  const walk = (value) => {
    if (Array.isArray(value)) {
      return value.flatMap((one) => {
        if (one === null || typeof one !== "object" || !("..." in one)) return [walk(one)];
        const d = once(one["..."]);
        if (d === undefined) return [];
        must(Object.keys(one).length === 1 && d.length === 2, `${name}: a disclosure of an element`);
        used.add(one["..."]);
        return [walk(d[1])];
      });
    }
    if (value === null || typeof value !== "object") return value;
    const out = {};
    for (const [member, one] of Object.entries(value)) if (member !== "_sd") out[member] = walk(one);
    for (const digest of value._sd ?? []) {
      const d = once(digest);
      if (d === undefined) continue; // a decoy
      must(d.length === 3 && typeof d[1] === "string" && d[1] !== "_sd" && d[1] !== "..." && !Object.hasOwn(out, d[1]), `${name}: a disclosure of a member`);
      used.add(digest);
      out[d[1]] = walk(d[2]);
    }
    return out;
  };
  const said = walk(payload);
  delete said._sd_alg;
  must(used.size === byDigest.size, `${name}: a disclosure that nobody signed`);
  return said;
}

let disclosures = 0;
for (const a of contents.attestations) {
  const parts = text(a.token).split("~");
  must(parts.pop() === "", `${a.token}: with a key binding`);
  const { header, payload } = split(parts[0]);
  const agency = trust.agencies.find((one) => one.iss === payload.iss);
  const key = agency?.keys.find((one) => one.kid === header.kid);
  if (!must(key && agency.id === a.agency, `${a.token}: of an agency or a key that is not on the trust list`)) continue;
  must(key.from <= payload.iat && payload.iat < key.to, `${a.token}: from outside of its key's time`);
  const { input } = signed(a.token, parts[0], "dc+sd-jwt", key.jwk);
  must(payload._sd_alg === "sha-256", `${a.token}: another digest`);
  const said = disclosed(a.token, payload, parts.slice(1));
  disclosures += parts.length - 1;
  must(isDeepStrictEqual(said, json(a.file).said), `${a.file}: not what was signed`);
  must(said.attestation_id === a.id && said.kind === a.kind, `${a.token}: another attestation`);
  must(said.status.status_list.uri === `${trust.status_lists}${a.status_list}` && said.status.status_list.idx === a.status_index, `${a.token}: another place in the status lists`);
  const digest = hex(sha256(input));
  must(acts.some((one) => one.kind === `${a.kind}.issued` && one.id === a.id && one.digest === digest), `${a.token}: its signing is not in the history`);
}

// ---- status lists: draft-ietf-oauth-status-list-20, 2 bits ----

const states = ["in use", "out of use", "paused", "replaced"];
const statusKeys = trust.keys.filter((k) => k.use === "status");
const lists = new Map();
for (const kind of ["status", "answers"]) {
  for (const n of new Set([...contents.attestations, ...contents.cards].map((one) => one.status_list))) {
    const name = `proof/${kind}-list-${n}.jwt`;
    const { header } = split(text(name));
    const key = statusKeys.find((k) => k.kid === header.kid);
    if (!must(key, `${name}: not signed by a key of the trust list`)) continue;
    const { payload } = signed(name, text(name), "statuslist+jwt", key.jwk);
    must(payload.sub === `${kind === "status" ? trust.status_lists : trust.answers_lists}${n}` && payload.status_list.bits === 2, `${name}: another list`);
    lists.set(`${kind} ${n}`, inflateSync(base64(payload.status_list.lst, "base64url"), { maxOutputLength: 2 ** 18 }));
  }
}
const published = {};
for (const one of [...contents.attestations, ...contents.cards]) {
  const list = lists.get(`status ${one.status_list}`);
  const state = list ? states[(list[one.status_index >> 2] >> (2 * (one.status_index & 3))) & 3] : "not known";
  published[state] = (published[state] ?? 0) + 1;
}

console.log(JSON.stringify({
  ok: problems.length === 0, root, made: contents.made, files: files.size, documents: contents.documents.length,
  pictures: contents.documents.reduce((n, d) => n + d.pages.length, 0), attestations: contents.attestations.length, disclosures,
  cards: contents.cards.length, history: history.length, proven: history.length - waiting, published, problems,
}, null, 1));
process.exitCode = problems.length === 0 ? 0 : 1;
