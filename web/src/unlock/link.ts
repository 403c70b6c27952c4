// What the first person has signed, in the part of an address that a browser keeps to
// itself.

/** Signed is the act, and what one passkey answered to it. */
export interface Signed {
  act: string;
  response: unknown;
}

/** linkTo is the address of this page with what somebody has signed. */
export function linkTo(page: string, by: Signed): string {
  const bytes = new TextEncoder().encode(JSON.stringify(by));
  return `${page}#${btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")}`;
}

/** read reads what linkTo wrote; undefined where there is nothing of the kind. */
export function read(hash: string): Signed | undefined {
  try {
    const text = atob(hash.replace(/^#/, "").replace(/-/g, "+").replace(/_/g, "/"));
    const by = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0)))) as Partial<Signed>;
    return typeof by.act === "string" && by.response ? { act: by.act, response: by.response } : undefined;
  } catch {
    return undefined;
  }
}

/** handed takes what somebody has signed out of the address. */
export function handed(): Signed | undefined {
  const by = read(location.hash);
  if (location.hash) history.replaceState(null, "", location.pathname);
  return by;
}
