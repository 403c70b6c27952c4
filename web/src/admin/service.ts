// What this page asks the service, an operation of the contract each, and who is
// signed in.

import { signal } from "@preact/signals";
import { ask, Refused } from "../shared/service";
import type {
  AgencyList, AgencyOrder, AgencyStatusOrder, AlarmList, Approval, Asked, CeremonyOrder, ChangeList, CompromiseOrder, DeviceList, FoundingState, Invitation, InvitationOrder,
  JoinAct, JoinAnswer, JoinOptions, JoinOrder, JoinPasskey, Me, Opaque, PartnerOrder, PasskeyAnswer, PasskeyOptions, PersonList, PersonOrder, ProgramList,
  ProgramOrder, QuotaOrder, Request, RequestList, RolesOrder, SessionList, SigningKeyList,
} from "./contract";

/** me is who is signed in: undefined before the service was asked, null for nobody. */
export const me = signal<Me | null | undefined>(undefined);

/** another is who this page shows in place of somebody else, having signed in elsewhere
 * in this browser; "" for nobody. */
export const another = signal("");

/** ended says why nobody is signed in any more. */
export const ended = signal<"" | "left" | "over" | "locked">("");

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  try {
    const answer = await ask(`/api/v1${path}`, { method, body, cookie: true });
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  } catch (e) {
    // A session ends after a while, and whenever somebody's access changes.
    if (e instanceof Refused && (e.status === 401 || e.code === "locked") && me.value) {
      me.value = null;
      ended.value = e.code === "locked" ? "locked" : "over";
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
/** same tells whether the session is still that of whom this page shows. Whose it is now
 * is shown from then on. */
export async function same(): Promise<boolean> {
  const shown = me.value;
  const now = await readSession();
  if (shown === undefined || shown?.id === now.id) return true;
  another.value = now.id;
  me.value = now;
  return false;
}

export const signOut = (): Promise<void> => remove("/sessions/self");

export const beginJoin = (order: JoinOrder): Promise<JoinOptions> => post("/joins/options", order);
export const makePasskey = (made: JoinPasskey): Promise<JoinAct> => post("/joins/passkey", made);
export const join = (answer: JoinAnswer): Promise<Me> => post("/joins", answer);

export const listRequests = (): Promise<RequestList> => get("/requests");
export const readRequest = (act: string): Promise<Request> => get(`/requests/${act}`);
export const withdrawRequest = (act: string): Promise<void> => remove(`/requests/${act}`);
export const agree = (act: string, answer: PasskeyAnswer): Promise<Request> => post(`/requests/${act}/approvals`, answer);

export const listAgencies = (): Promise<AgencyList> => get("/agencies");
export const admitAgency = (order: AgencyOrder): Promise<Asked> => post("/agencies", order);
export const changeAgency = (agency: string, order: AgencyStatusOrder): Promise<unknown> => post(`/agencies/${agency}/status`, order);
export const describeAgency = (agency: string, order: AgencyOrder): Promise<unknown> => post(`/agencies/${agency}/description`, order);
export const namePartner = (agency: string, order: PartnerOrder): Promise<unknown> => post(`/agencies/${agency}/partner`, order);
export const raiseQuota = (agency: string, order: QuotaOrder): Promise<unknown> => post(`/agencies/${agency}/quota`, order);
export const compromiseAgency = (agency: string, order: CompromiseOrder): Promise<unknown> => post(`/agencies/${agency}/compromise`, order);

export const listPeople = (agency: string): Promise<PersonList> => get(`/people${of(agency)}`);
export const addPerson = (order: PersonOrder): Promise<Asked> => post("/people", order);
export const changePerson = (person: string, order: RolesOrder): Promise<Asked> => post(`/people/${person}/roles`, order);
export const recoverPerson = (person: string): Promise<Asked> => post(`/people/${person}/recovery`);
export const removePerson = (person: string): Promise<Asked> => remove(`/people/${person}`);
export const signOutEverywhere = (person: string): Promise<Asked> => post(`/people/${person}/sign-out`);

export const listDevices = (agency: string): Promise<DeviceList> => get(`/devices${of(agency)}`);
export const inviteDevice = (order: InvitationOrder): Promise<Invitation> => post("/invitations", order);
export const approveDevice = (device: string, order: Approval): Promise<unknown> => post(`/devices/${device}/approval`, order);
export const revokeDevice = (device: string): Promise<unknown> => remove(`/devices/${device}`);

export const listPrograms = (agency: string): Promise<ProgramList> => get(`/programs${of(agency)}`);
export const addProgram = (order: ProgramOrder): Promise<Asked> => post("/programs", order);
export const removeProgram = (program: string): Promise<Asked> => remove(`/programs/${program}`);

export const listChanges = (): Promise<ChangeList> => get("/changes");
export const stopChange = (change: number): Promise<Asked> => post(`/changes/${change}/stop`);

export const listSigningKeys = (agency: string): Promise<SigningKeyList> => get(`/signing-keys${of(agency)}`);
export const changeSigningKey = (order: CeremonyOrder): Promise<unknown> => post("/ceremonies", order);

export const listAlarms = (): Promise<AlarmList> => get("/alarms");

export const readFounding = (): Promise<FoundingState> => get("/founding");
export const closeFounding = (): Promise<Asked> => remove("/founding");

export const lockNetwork = (): Promise<Asked> => post("/lock");

export const beginKey = (): Promise<PasskeyOptions> => post("/keys/options");
export const addKey = (answer: PasskeyAnswer): Promise<Asked> => post("/keys", answer);
export const removeKey = (key: string): Promise<Asked> => remove(`/keys/${key}`);
export const listSessions = (): Promise<SessionList> => get("/sessions");

/** lent is an answer of the passkey that a demonstration keeps for whom its page has
 * signed in; undefined where there is no such page, or it knows nobody like that. */
export async function lent(options: Opaque): Promise<Opaque | undefined> {
  try {
    const answer = await ask("/stage/passkey", { method: "POST", body: { options }, cookie: true });
    return ((await answer.json()) as PasskeyAnswer).response;
  } catch (e) {
    if (e instanceof Refused) return undefined;
    throw e;
  }
}
