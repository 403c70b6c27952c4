// Where somebody is on this page: behind the hash sign, so that the browser's own
// ways back and forward work. No secret and no name ever stands there.

import { computed, signal } from "@preact/signals";

const hash = signal("");

/** place is the name of the screen, and the id of what it is about. */
export const place = computed(() => {
  const [screen = "", ...id] = hash.value.split("/");
  return { screen: screen || "home", id: id.join("/") };
});

/** to is the address of a place, for links. */
export const to = (screen: string, id = ""): string => `#${screen}${id && `/${id}`}`;

/** go goes to a place. It is there at once: the browser tells of it later. */
export function go(screen: string, id = ""): void {
  location.hash = to(screen, id);
  hash.value = location.hash.slice(1);
}

/** secretOfLink takes the secret of a link out of the address, so that neither the
 * history nor a glance finds it there. It is null where the address has none. */
export function secretOfLink(): string | null {
  const found = /^#join=([^&]*)$/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", location.pathname);
  return found[1] ?? "";
}

/** begin follows the address. */
export function begin(joins: (secret: string) => void): void {
  const look = (): void => {
    const secret = secretOfLink();
    if (secret !== null) joins(secret);
    hash.value = location.hash.slice(1);
  };
  addEventListener("hashchange", look);
  look();
}
