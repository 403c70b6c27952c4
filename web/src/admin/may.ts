// What somebody is shown, by role. It only spares people screens that would be empty:
// who may do what is decided by the service.

import type { Role } from "./contract";
import { me } from "./service";

const is = (...roles: Role[]): boolean => me.value?.roles.some((r) => roles.includes(r)) ?? false;

/** leads answers for an agency, or runs the network. */
export const leads = (): boolean => is("operator", "supervisor", "admin");

/** operates runs the network. */
export const operates = (): boolean => is("operator");

/** parts are the screens beside the first, in the order in which they are listed. */
export const parts = (): string[] => [];
