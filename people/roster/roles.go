package roster

import "slices"

// Role says what somebody may do. What each role may do with what stands in package
// people.
type Role string

// The roles.
const (
	Operator   Role = "operator"   // runs the network; belongs to no agency, sees no record
	Auditor    Role = "auditor"    // reads the log of the network; belongs to no agency
	Admin      Role = "admin"      // an agency's own: its people, programs and devices
	Caseworker Role = "caseworker" // takes people in and attests
	Supervisor Role = "supervisor" // answers for what the agency signs
	Officer    Role = "officer"    // of an immigration service
	Mission    Role = "mission"    // answers in a state's name: of an embassy or consulate, or of who was named for it
)

// RolesOf lists the roles that people of an agency may have, by its class in the
// words of docs/vocabulary.md. An agency that only checks or only answers has
// nobody who attests, and a business has nobody at all. Class "" is the network.
func RolesOf(class string) []Role {
	switch class {
	case "":
		return []Role{Operator, Auditor}
	case "NGO", "HealthServiceOrganisation", "CentralGovernmentOrganisation", "LocalGovernmentOrganisation",
		"LegalService", "SchoolOrCollege", "x_InternationalOrganisation", "x_Shelter":
		return []Role{Admin, Caseworker, Supervisor}
	case "ImmigrationService", "LawEnforcement":
		return []Role{Admin, Officer}
	case "x_DiplomaticMission":
		return []Role{Admin, Mission}
	default:
		return nil
	}
}

// roles lists those that people of an agency may have: of one that the network has named
// for a state some answer in that state's name.
func (a Agency) roles() []Role {
	roles := RolesOf(a.Class)
	if len(a.Confirms) > 0 && !slices.Contains(roles, Mission) {
		roles = append(roles, Mission)
	}
	return roles
}

// Is tells whether somebody has one of these roles.
func (p Person) Is(roles ...Role) bool {
	return slices.ContainsFunc(p.Roles, func(r Role) bool { return slices.Contains(roles, r) })
}
