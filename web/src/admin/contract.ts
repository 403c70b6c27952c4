// What this page reads and sends, as docs/api/openapi.yaml has it. A test holds each
// interface to the schema of its name, so each member stands on a line of its own.

/** Opaque is a value whose shape stands in Web Authentication Level 3. */
export type Opaque = unknown;

export type Role = "operator" | "auditor" | "admin" | "caseworker" | "supervisor" | "officer" | "mission";

export interface Passkey {
  id: string;
  synced: boolean;
}

export interface Me {
  id: string;
  agency: string;
  agency_name: string;
  roles: Role[];
  handle: string;
  network: string;
  demo: boolean;
  signed_in: string;
  keys: Passkey[];
}

export interface Session {
  id: string;
  made: string;
  seen: string;
  here: boolean;
}

export interface SessionList {
  sessions: Session[];
}

export interface PasskeyOptions {
  options: Opaque;
}

export interface PasskeyAnswer {
  response: Opaque;
}

export interface JoinOrder {
  secret: string;
}

export interface JoinOptions {
  handle: string;
  agency_name: string;
  roles: Role[];
  options: Opaque;
}

export interface JoinPasskey {
  secret: string;
  response: Opaque;
}

export interface JoinAct {
  act: string;
  lines: ActLine[];
  options: Opaque;
}

export interface JoinAnswer {
  secret: string;
  act: string;
  response: Opaque;
}

export interface ActLine {
  at: string;
  value: string;
}

export type RequestState = "waits" | "agreed" | "done" | "withdrawn" | "over" | "ask_again";

export interface Agreeing {
  id: string;
  agency: string;
  handle?: string;
  agreed: boolean;
}

export interface Request {
  id: string;
  do: string;
  agency: string;
  state: RequestState;
  lines: ActLine[];
  expires: string;
  people: number;
  apart: boolean;
  delayed: boolean;
  agreed: string[];
  who?: Agreeing[];
  others?: number;
  root?: boolean;
  mine: boolean;
  change?: number;
  counts?: string;
  card?: Card;
  options?: Opaque;
}

export interface Card {
  number: string;
  code: string;
  png: string;
  expires: string;
  printed_name?: string;
}

export interface RequestList {
  requests: Request[];
}

export interface Asked {
  request: Request;
  id?: string;
  link?: string;
  token?: string;
}

export type AgencyClass = "NGO" | "LawEnforcement" | "HealthServiceOrganisation" | "CentralGovernmentOrganisation" | "LocalGovernmentOrganisation" | "ImmigrationService" | "LegalService" | "CorporateBusiness" | "SchoolOrCollege" | "x_DiplomaticMission" | "x_InternationalOrganisation" | "x_Shelter";

export type Kind = "screening" | "appointment" | "identity" | "document" | "opinion" | "reliance" | "reply";

export type DecisionLevel = "preliminary_screening" | "reasonable_grounds" | "formal_identification" | "judicial_finding";

export interface AgencySigns {
  kinds: Kind[];
  level?: DecisionLevel;
}

export interface AgencyQuota {
  event: string;
  cards: number;
  until: string;
}

export interface Agency {
  id: string;
  name: string;
  class: AgencyClass;
  country: string;
  desk: string;
  since: string;
  symbols: string;
  signs: AgencySigns;
  confirms?: string[];
  partner?: string;
  quotas?: AgencyQuota[];
  state: "active" | "suspended";
}

export interface AgencyList {
  agencies: Agency[];
}

export interface Person {
  id: string;
  agency: string;
  roles: Role[];
  handle: string;
  state: "invited" | "active" | "removed";
  keys: number;
}

export interface PersonList {
  people: Person[];
}

export interface PersonOrder {
  agency?: string;
  roles: Role[];
  handle: string;
}

export interface RolesOrder {
  roles: Role[];
  handle: string;
}

export interface Program {
  id: string;
  agency: string;
  role: Role;
  label: string;
  expires: string;
  state: "active" | "over" | "removed";
}

export interface ProgramList {
  programs: Program[];
}

export interface ProgramOrder {
  agency?: string;
  role: Role;
  label: string;
  days: number;
}

export interface WaitingChange {
  change: number;
  do: string;
  agency: string;
  lines: ActLine[];
  counts: string;
  agreed: string[];
  who: Agreeing[];
  mine: boolean;
}

export interface ChangeList {
  changes: WaitingChange[];
}

export interface FoundingState {
  open: boolean;
  until?: string;
}

export interface AgencyOrder {
  name: string;
  class: AgencyClass;
  country: string;
  desk: string;
  signs?: AgencySigns;
  confirms?: string[];
}

export interface PartnerOrder {
  partner?: string;
}

export interface QuotaOrder {
  event: string;
  cards: number;
  until: string;
}

export interface CompromiseOrder {
  since: string;
}

export type KeyUse = "trust" | "status" | "pack" | "log" | "agency";

export interface SigningKey {
  use: KeyUse;
  agency?: string;
  kid: string;
  signs: boolean;
  until?: string;
}

export interface SigningKeyList {
  keys: SigningKey[];
}

export interface CeremonyOrder {
  use: KeyUse;
  agency?: string;
}

export type AlarmCode = "roster_mismatch" | "rows_mismatch" | "log_stopped" | "publishing_stopped" | "signer_away" | "quota_exceeded" | "look_ups" | "look_ups_in_all" | "wrong_codes" | "wrong_codes_at_desk" | "changes_waiting" | "founding_open" | "founding_reopened";

export interface Alarm {
  code: AlarmCode;
  agency?: string;
  asker?: string;
  since?: string;
  until?: string;
  count?: number;
}

export interface AlarmList {
  alarms: Alarm[];
}

export interface AgencyStatusOrder {
  action: "suspend" | "resume";
}

export type DeviceState = "pending" | "active" | "revoked";

export interface Device {
  id: string;
  agency: string;
  label: string;
  state: DeviceState;
  public_key: string;
  invited_by?: string;
}

export interface DeviceList {
  devices: Device[];
}

export interface InvitationOrder {
  agency?: string;
  label: string;
}

export interface Invitation {
  id: string;
  agency: string;
  label: string;
  secret: string;
  link: string;
  expires: string;
}

export interface Approval {
  symbols: string;
}
