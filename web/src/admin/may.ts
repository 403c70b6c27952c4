// What somebody is shown, by role. It only spares people screens that would be empty,
// and roles that would be refused: who may do what is decided by the service.

import type { Agency, AgencyClass, Role } from "./contract";
import { me } from "./service";

const is = (...roles: Role[]): boolean => me.value?.roles.some((r) => roles.includes(r)) ?? false;

/** leads answers for an agency, or runs the network. */
export const leads = (): boolean => is("operator", "supervisor", "admin");

/** operates runs the network. */
export const operates = (): boolean => is("operator");

/** answers tells whether somebody answers for an agency. */
export const answers = (agency: string): boolean => agency === me.value?.agency && leads();

/** keeps tells whether somebody works with cases that her agency keeps. */
export const keeps = (): boolean => is("caseworker", "supervisor");

/** watches is told of alarms. */
export const watches = (): boolean => is("operator", "auditor");

/** parts are the screens beside the first, in the order in which they are listed. */
export function parts(): string[] {
  return [
    ...(leads() ? ["people", "devices", "programs", "agencies", "signing", "changes", "founding"] : []),
    ...(watches() ? ["alarms"] : []),
    "me",
  ];
}

/** rolesIn lists the roles that people of an agency may have: where the network has named
 * it for a state, some answer in that state's name. */
export function rolesIn(a: Agency | undefined): Role[] {
  const roles = rolesOf(a?.class);
  return a?.confirms?.length && !roles.includes("mission") ? [...roles, "mission"] : roles;
}

/** rolesOf lists the roles that people of an agency may have, by its class; of the
 * network without one. A test holds it to package roster. */
export function rolesOf(of: AgencyClass | undefined): Role[] {
  switch (of) {
    case undefined:
      return ["operator", "auditor"];
    case "NGO": case "HealthServiceOrganisation": case "CentralGovernmentOrganisation": case "LocalGovernmentOrganisation":
    case "LegalService": case "SchoolOrCollege": case "x_InternationalOrganisation": case "x_Shelter":
      return ["admin", "caseworker", "supervisor"];
    case "ImmigrationService": case "LawEnforcement":
      return ["admin", "officer"];
    case "x_DiplomaticMission":
      return ["admin", "mission"];
    default:
      return [];
  }
}
