// The key that wraps the device key. It comes from a passkey or from a PIN, cannot
// be read out of the browser, and goes to the worker that needs it.

import type { Lock } from "./storage";
import { stretch } from "./verifier";

type Random = Uint8Array<ArrayBuffer>;

const random = (size: number): Random => crypto.getRandomValues(new Uint8Array(size));

/** cost is the cost of trying a PIN, the same as that of a card's code. */
const cost = { passes: 3, kib: 64 * 1024, lanes: 1, size: 32 };

export async function newPIN(pin: string): Promise<{ lock: Lock; key: CryptoKey }> {
  const salt = random(16);
  return { lock: { kind: "pin", salt }, key: await fromPIN(pin, salt) };
}

export async function fromPIN(pin: string, salt: Random): Promise<CryptoKey> {
  const bytes = await stretch({ password: pin, salt, ...cost });
  return crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}

interface Extensions {
  prf?: { enabled?: boolean; results?: { first?: ArrayBuffer } };
}

/** passkeys tells whether this browser may have passkeys. Whether a passkey gives
 * a secret (the prf extension) is known only when it was made. */
export const passkeys = (): boolean => typeof PublicKeyCredential === "function" && window.isSecureContext;

/** newPasskey makes a passkey. It is null when the passkey gives no secret. */
export async function newPasskey(): Promise<{ lock: Lock; key: CryptoKey } | null> {
  const salt = random(32);
  const made = (await navigator.credentials.create({
    publicKey: {
      challenge: random(32),
      rp: { name: "Card check" },
      user: { id: random(16), name: "Card check", displayName: "Card check" },
      pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -257 }],
      authenticatorSelection: { userVerification: "required", residentKey: "preferred" },
      extensions: { prf: { eval: { first: salt } } } as AuthenticationExtensionsClientInputs,
    },
  })) as PublicKeyCredential | null;
  if (!made) return null;
  const found = (made.getClientExtensionResults() as Extensions).prf;
  if (!found?.enabled && !found?.results) return null;
  const lock: Lock = { kind: "passkey", salt, credential: made.rawId };
  // Some authenticators give the secret at once, all of them when it is used.
  const secret = found.results?.first;
  const key = secret ? await fromSecret(secret) : await fromPasskey(lock.salt, made.rawId);
  return key && { lock, key };
}

export async function fromPasskey(salt: Random, credential: ArrayBuffer): Promise<CryptoKey | null> {
  const used = (await navigator.credentials.get({
    publicKey: {
      challenge: random(32),
      allowCredentials: [{ type: "public-key", id: credential }],
      userVerification: "required",
      extensions: { prf: { eval: { first: salt } } } as AuthenticationExtensionsClientInputs,
    },
  })) as PublicKeyCredential | null;
  const secret = (used?.getClientExtensionResults() as Extensions | undefined)?.prf?.results?.first;
  return secret ? fromSecret(secret) : null;
}

// RFC 5869 without a salt, because the authenticator has salted the secret.
async function fromSecret(secret: ArrayBuffer): Promise<CryptoKey> {
  const ikm = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  const info = new TextEncoder().encode("card-check/device-key/1");
  return crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info }, ikm,
    { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"],
  );
}
