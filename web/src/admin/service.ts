// What this page asks the service, an operation of the contract each, and who is
// signed in.

import { signal } from "@preact/signals";
import { ask, Refused } from "../shared/service";
import type {
  AgencyList, JoinAct, JoinAnswer, JoinOptions, JoinOrder, JoinPasskey, Me, PasskeyAnswer, PasskeyOptions, PersonList, Request, RequestList,
} from "./contract";

/** me is who is signed in: undefined before the service was asked, null for nobody. */
export const me = signal<Me | null | undefined>(undefined);

/** ended says why nobody is signed in any more. */
export const ended = signal<"" | "left" | "over">("");

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  try {
    const answer = await ask(`/api/v1${path}`, { method, body, cookie: true });
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  } catch (e) {
    // A session ends after a while, and whenever somebody's access changes.
    if (e instanceof Refused && e.status === 401 && me.value) {
      me.value = null;
      ended.value = "over";
    }
    throw e;
  }
}

const get = <T>(path: string): Promise<T> => call<T>("GET", path);
const post = <T>(path: string, body?: unknown): Promise<T> => call<T>("POST", path, body);
// of names an agency in a query; without it the service takes one's own.
const of = (agency: string): string => agency && `?agency=${agency}`;

const remove = <T>(path: string): Promise<T> => call<T>("DELETE", path);

export const beginSignIn = (): Promise<PasskeyOptions> => post("/sessions/options");
export const signIn = (answer: PasskeyAnswer): Promise<Me> => post("/sessions", answer);
export const readSession = (): Promise<Me> => get("/sessions/self");
export const signOut = (): Promise<void> => remove("/sessions/self");

export const beginJoin = (order: JoinOrder): Promise<JoinOptions> => post("/joins/options", order);
export const makePasskey = (made: JoinPasskey): Promise<JoinAct> => post("/joins/passkey", made);
export const join = (answer: JoinAnswer): Promise<Me> => post("/joins", answer);

export const listRequests = (): Promise<RequestList> => get("/requests");
export const readRequest = (act: string): Promise<Request> => get(`/requests/${act}`);
export const withdrawRequest = (act: string): Promise<void> => remove(`/requests/${act}`);
export const agree = (act: string, answer: PasskeyAnswer): Promise<Request> => post(`/requests/${act}/approvals`, answer);

export const listAgencies = (): Promise<AgencyList> => get("/agencies");
export const listPeople = (agency: string): Promise<PersonList> => get(`/people${of(agency)}`);
