// The storage of this device: the sealed key, the pack, the tries, the language,
// and nothing about a card. The tries are by the hour, under names that only this
// device's own key gives. IndexedDB is used directly: five keys need no library.

export interface Device {
  id: string;
  network: string;
  root: string; // the network's root key, a JWK as JSON
  public: string;
  agency: string; // its name
  label: string;
  state: "pending" | "active";
  lock: Lock;
  // The private key and the token, under the key that the lock gives.
  iv: Uint8Array<ArrayBuffer>;
  sealed: ArrayBuffer;
}

/** Lock says how the key of this device is wrapped. */
export type Lock =
  | { kind: "pin"; salt: Uint8Array<ArrayBuffer> }
  | { kind: "passkey"; salt: Uint8Array<ArrayBuffer>; credential: ArrayBuffer };

export interface Pack {
  file: string; // empty where no pack was accepted yet
  // The latest date of a statement of the root that this device was shown, and the
  // highest number and the latest time that it accepted since.
  sequence: number;
  seen: number;
  trustKey?: number; // packs kept by a page from before have none
}

/** Counted is what tells which of two packs is newer. */
export type Counted = Pick<Pack, "sequence" | "trustKey">;

/** PinAttempts counts wrong PINs in a row, and says until when none is tried. */
export interface PinAttempts {
  wrong: number;
  until: number;
}

interface Kept {
  device: Device;
  pack: Pack;
  tries: string;
  language: string;
  guesses: PinAttempts;
}

const store = "kept";
let opening: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("card-check", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(store);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

function run<T>(mode: IDBTransactionMode, work: (s: IDBObjectStore) => IDBRequest<T> | void): Promise<T | undefined> {
  return database().then(
    (db) =>
      new Promise((resolve, reject) => {
        // Strict durability is on the disk: tries survive a pulled battery.
        const tx = db.transaction(store, mode, { durability: "strict" });
        const request = work(tx.objectStore(store));
        tx.oncomplete = () => resolve(request?.result);
        tx.onabort = tx.onerror = () => reject(tx.error);
      }),
  );
}

export const get = <K extends keyof Kept>(key: K): Promise<Kept[K] | undefined> => run<Kept[K]>("readonly", (s) => s.get(key));

export const put = async <K extends keyof Kept>(key: K, value: Kept[K]): Promise<void> => {
  await run("readwrite", (s) => s.put(value, key));
};

/** putPack stores a pack, unless another tab has stored a newer one meanwhile. */
export async function putPack(pack: Pack): Promise<boolean> {
  let newer = false;
  await run("readwrite", (s) => {
    const now = s.get("pack") as IDBRequest<Pack | undefined>;
    now.onsuccess = () => {
      const kept = now.result;
      newer = kept !== undefined && isNewer(kept, pack);
      if (!newer) {
        const since = kept?.trustKey === pack.trustKey ? (kept?.seen ?? 0) : 0;
        s.put({ ...pack, seen: Math.max(pack.seen, since) }, "pack");
      }
    };
  });
  return !newer;
}

/** isNewer compares packs by the root's statement first: numbers begin anew with it. */
export function isNewer(a: Counted, than: Counted): boolean {
  const later = (a.trustKey ?? 0) - (than.trustKey ?? 0);
  return later > 0 || (later === 0 && a.sequence > than.sequence);
}

/** putCounted stores what a refused file has taught of the root, and keeps the pack. It
 * tells whether that was new. */
export async function putCounted(next: Counted & { seen: number }): Promise<boolean> {
  let learnt = false;
  await run("readwrite", (s) => {
    const now = s.get("pack") as IDBRequest<Pack | undefined>;
    now.onsuccess = () => {
      const kept = now.result;
      learnt = (next.trustKey ?? 0) > (kept?.trustKey ?? 0);
      if (learnt) s.put({ file: "", ...kept, ...next }, "pack");
    };
  });
  return learnt;
}

/** forget removes keys, token, lists and tries. The language stays. */
export async function forget(): Promise<void> {
  await run("readwrite", (s) => {
    for (const key of ["device", "pack", "tries", "guesses"]) s.delete(key);
  });
}
