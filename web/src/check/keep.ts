// What stays on this device: the sealed key, the pack, the tries, the language.
// Nothing about a card. IndexedDB is used as it is: five keys need no library.

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

/** Lock is how the key of this device is wrapped. */
export type Lock =
  | { kind: "pin"; salt: Uint8Array<ArrayBuffer> }
  | { kind: "passkey"; salt: Uint8Array<ArrayBuffer>; credential: ArrayBuffer };

export interface Pack {
  file: string;
  // The highest number and the latest time that this device accepted.
  sequence: number;
  seen: number;
  fetched: number;
}

/** Guesses are wrong PINs in a row, and until when nothing is tried. */
export interface Guesses {
  wrong: number;
  until: number;
}

interface Kept {
  device: Device;
  pack: Pack;
  tries: string;
  language: string;
  guesses: Guesses;
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
        // Written down means on the disk: tries outlive a pulled battery.
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

/** putPack keeps a pack, unless another tab has kept a newer one meanwhile. */
export async function putPack(pack: Pack): Promise<boolean> {
  let newer = false;
  await run("readwrite", (s) => {
    const now = s.get("pack") as IDBRequest<Pack | undefined>;
    now.onsuccess = () => {
      const kept = now.result;
      newer = kept !== undefined && kept.sequence > pack.sequence;
      if (!newer) s.put({ ...pack, seen: Math.max(pack.seen, kept?.seen ?? 0) }, "pack");
    };
  });
  return !newer;
}

/** forget removes keys, token, lists and tries; the language may stay. */
export async function forget(): Promise<void> {
  await run("readwrite", (s) => {
    for (const key of ["device", "pack", "tries", "guesses"]) s.delete(key);
  });
}
