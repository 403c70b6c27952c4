package claims

import "slices"

// states lists every code that documents and forms have for one state, where
// there is more than one. The first stands for all of them. General knowledge,
// to be confirmed against the sources: ICAO Doc 9303-3 §5 for D and the several
// kinds of British nationals; ISO 3166-3 for codes that were given up while the
// state went on; Kosovo's documents say RKS, the European Commission XKX. What
// Hong Kong and Macao issue says CHN, and people type the place.
var states = [][]string{
	{"RKS", "XKX", "XKK"},
	{"DEU", "D"},
	{"GBR", "GBD", "GBN", "GBO", "GBP", "GBS"},
	{"CHN", "HKG", "MAC"},
	{"MMR", "BUR"},
	{"COD", "ZAR"},
	{"ROU", "ROM"},
	{"TLS", "TMP"},
	{"BEN", "DHY"},
	{"BFA", "HVO"},
	{"ZWE", "RHO"},
	{"VUT", "NHB"},
	{"BLR", "BYS"},
}

// stateless are codes that stand where a nationality is asked for and name no
// state: no nationality (XXA), refugees (XXB, XXC), unspecified (XXX), and
// organisations that issue documents of their own (ICAO Doc 9303-3 §5).
var stateless = []string{
	"XXA", "XXB", "XXC", "XXX", "UNO", "UNA", "XBA", "XIM", "XCC", "XCE", "XCO", "XEC", "XMP", "XPO", "XES", "XOM", "XDC", "EUE",
}

// IsState tells whether a code can be that of a state: it is none of those that name
// none. That there is such a state it does not know.
func IsState(code string) bool { return code != "" && !slices.Contains(stateless, code) }

// State returns one code for each state.
func State(code string) string { return StateCodes(code)[0] }

// StateCodes returns every code of a state, whichever of them is asked for.
func StateCodes(code string) []string {
	for _, codes := range states {
		if slices.Contains(codes, code) {
			return slices.Clone(codes)
		}
	}
	return []string{code}
}

// forOthers are the kinds of documents that a state gives to people who are not
// its nationals, and those of which nobody knows what they are.
var forOthers = []string{
	"REFUGEE_TRAVEL_DOCUMENT", "STATELESS_PERSON_TRAVEL_DOCUMENT", "RESIDENCE_PERMIT", "VISA", "WORK_PERMIT", "ARRIVAL_CARD", "OTHER",
}

// ForOwnPeople reports whether states give documents of this kind to their own
// people, so that whoever issued one shows where its holder is from.
func ForOwnPeople(documentKind string) bool { return !slices.Contains(forOthers, documentKind) }
