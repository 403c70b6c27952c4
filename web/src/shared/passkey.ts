// The passkeys of whoever sits here. The browser asks for a finger, a face or a PIN.

import {
  startAuthentication, startRegistration, type PublicKeyCredentialCreationOptionsJSON, type PublicKeyCredentialRequestOptionsJSON,
} from "@simplewebauthn/browser";

/** NotUsed says that no passkey was made or used: somebody pressed cancel, took too
 * long, or has none here. A browser does not tell which. */
export class NotUsed extends Error {}

/** passkeys tells whether this browser has any. */
export const passkeys = (): boolean => isSecureContext && typeof PublicKeyCredential === "function";

/** use signs a challenge with a passkey. */
export const use = (options: unknown): Promise<unknown> =>
  orNotUsed(startAuthentication({ optionsJSON: options as PublicKeyCredentialRequestOptionsJSON }));

/** make makes a passkey. */
export const make = (options: unknown): Promise<unknown> =>
  orNotUsed(startRegistration({ optionsJSON: options as PublicKeyCredentialCreationOptionsJSON }));

async function orNotUsed(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (e) {
    throw new NotUsed(e instanceof Error ? e.name : "");
  }
}
