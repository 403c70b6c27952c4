// The worker with the verifier, the device's key and the epoch keys, which are
// nowhere else. Locking the device ends it.

import "wasm_exec";
import { serve } from "../../shared/rpc";
import { assemble, store } from "../parts";
import type { Answer, Opened, Opening } from "../verifier";

declare class Go {
  importObject: WebAssembly.Imports;
  run(instance: WebAssembly.Instance): Promise<void>;
}

interface Safeconduct {
  openPack(file: string, device: string, now: number): Opened & { error?: string };
  closePack(handle: number): void;
  recognise(handle: number, text: string | null, code: string | null, tries: string | null, now: number): Answer & { error?: string };
  verify(handle: number, text: string | null, code: string | null, tries: string | null, now: number, stretched: Uint8Array): Answer & { error?: string };
  opening(handle: number, text: string, code: string, tries: string | null, now: number, stretched: Uint8Array, asked: Opening): Answer & { signature?: string; error?: string };
  newDevice(): { private: string; public: string; error?: string };
  deviceFile(device: object): { text: string; error?: string };
  symbols(network: string, root: object, key: string): { symbols: string; error?: string };
}

interface Secrets {
  private: string; // base64
  token: string;
}

let program: Promise<Safeconduct> | undefined;
let secrets: Secrets | undefined;
let handle = 0;

function start(): Promise<Safeconduct> {
  program ??= new Promise<Safeconduct>((resolve, reject) => {
    const go = new Go();
    const ours = globalThis as unknown as { safeconduct: Safeconduct; safeconductReady: () => void };
    ours.safeconductReady = () => resolve(ours.safeconduct);
    store()
      .then((cache) => assemble(cache, VERIFIER))
      .then((bytes) => WebAssembly.instantiate(bytes, go.importObject))
      .then(({ instance }) => go.run(instance))
      .catch(reject);
  });
  return program;
}

function good<T extends { error?: string }>(answer: T): T {
  if (answer.error) throw new Error(answer.error);
  return answer;
}

serve({
  begin: () => start().then(() => true),

  /** newDevice makes the key pair. The private key stays here. */
  async newDevice(): Promise<string> {
    const made = good((await start()).newDevice());
    secrets = { private: made.private, token: "" };
    return made.public;
  },

  symbols: async (network: string, root: string, key: string) => good((await start()).symbols(network, JSON.parse(root) as object, key)).symbols,

  /** seal encrypts the private key and the token for keeping. */
  async seal(key: CryptoKey, token: string): Promise<{ iv: Uint8Array; sealed: ArrayBuffer }> {
    if (!secrets) throw new Error("locked");
    secrets.token = token;
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const plain = new TextEncoder().encode(JSON.stringify(secrets));
    const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, plain);
    plain.fill(0);
    return { iv, sealed };
  },

  /** unlock gives the token, or false when the key does not fit. */
  async unlock(key: CryptoKey, iv: Uint8Array<ArrayBuffer>, sealed: ArrayBuffer): Promise<string | false> {
    try {
      const plain = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed));
      secrets = JSON.parse(new TextDecoder().decode(plain)) as Secrets;
      plain.fill(0);
      return secrets.token;
    } catch {
      return false;
    }
  },

  /** take holds the key of the self-test's own device, in a worker of its own. */
  take(key: string): void {
    secrets = { private: key, token: "" };
  },

  /** openPack opens a pack in place of the one before. A pack that is refused
   * changes nothing. */
  async openPack(file: string, device: { network: string; id: string; root: string; sequence: number; seen: number; trustKey: number }, now: number): Promise<Opened> {
    const sc = await start();
    if (!secrets) throw new Error("locked");
    const { text } = good(sc.deviceFile({
      network: device.network, device: device.id, private: secrets.private, root: JSON.parse(device.root) as unknown,
      sequence: device.sequence, seen: device.seen, trust_key_iat: device.trustKey,
    }));
    const opened = good(sc.openPack(file, text, now));
    if (opened.handle) {
      if (handle) sc.closePack(handle);
      handle = opened.handle;
    }
    return opened;
  },

  recognise: async (text: string | null, code: string | null, tries: string | null, now: number) =>
    good((await start()).recognise(handle, text, code, tries, now)),

  verify: async (text: string | null, code: string | null, tries: string | null, now: number, stretched: Uint8Array) =>
    good((await start()).verify(handle, text, code, tries, now, stretched)),

  /** opening gives one signature, which opens a record online once. The key that makes it
   * leaves neither the program nor this worker. */
  opening: async (text: string, code: string, tries: string | null, now: number, stretched: Uint8Array, asked: Opening) =>
    good((await start()).opening(handle, text, code, tries, now, stretched, asked)),
});
