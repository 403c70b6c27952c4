package claims

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

// vocabularyJSON holds every code list. It is data, so that a correction
// against a source is a change of data.
//
//go:embed vocabulary.json
var vocabularyJSON []byte

// How well a code list is known. docs/vocabulary.md prints the mark with every
// list, and what has still to be confirmed once more at its end.
const (
	MarkRead     = "R"    // read in the standard's own text
	MarkExcerpt  = "S"    // read in an excerpt or digest: to be confirmed against the source
	MarkKnown    = "K"    // general knowledge: to be confirmed against the source
	MarkComputed = "C"    // computed here
	MarkOurs     = "ours" // decided for this project
)

// ClassMission is the class of embassies and consulates, in the lists
// authority_class and org_type.
const ClassMission = "x_DiplomaticMission"

// CodeList is the values that one or several members of claims may have.
// Values of a standard are written as the standard writes them; our additions
// to such a list begin with x_.
type CodeList struct {
	Name       string            `json:"name"`
	CodeSystem string            `json:"code_system"` // whose codes they are, so that another system's can stand beside them
	Source     string            `json:"source"`
	Mark       string            `json:"mark"`
	Values     []string          `json:"values"`
	ValueMarks map[string]string `json:"value_marks"` // for values known otherwise than the list
	Note       string            `json:"note"`
}

// ListedIndicator is one of the 67 operational indicators.
type ListedIndicator struct {
	Code      string `json:"code"`      // ours and stable, such as d1_nature_location_employer
	Dimension int    `json:"dimension"` // 1 to 6
	Strength  string `json:"strength"`  // S, M or W, for adults and labour exploitation
	Phase     string `json:"phase"`     // recruitment or destination
	Label     string `json:"label"`
	Source    string `json:"source"`
	Mark      string `json:"mark"`
}

// Observable is something that a caseworker hears often, with the indicators
// that a form may tick because of it. The person decides; nothing here signs.
type Observable struct {
	Code     string   `json:"code"`
	Label    string   `json:"label"`
	Suggests []string `json:"suggests"` // codes of indicators
	Source   string   `json:"source"`
	Mark     string   `json:"mark"`
}

type vocabularyData struct {
	Lists       []CodeList        `json:"lists"`
	Indicators  []ListedIndicator `json:"indicators"`
	Observables []Observable      `json:"observables"`

	lists      map[string]int
	indicators map[string]int
}

// vocabulary reads the embedded file once. A broken file is a broken build,
// which the tests find, so it panics.
var vocabulary = sync.OnceValue(func() *vocabularyData {
	v := &vocabularyData{lists: map[string]int{}, indicators: map[string]int{}}
	if err := strictjson.Unmarshal(vocabularyJSON, strictjson.Limits{Size: 1 << 20}, v); err != nil {
		panic(fmt.Sprintf("claims: embedded vocabulary: %v", err))
	}
	for i, l := range v.Lists {
		v.lists[l.Name] = i
	}
	for i, x := range v.Indicators {
		v.indicators[x.Code] = i
	}
	return v
})

// values returns the values of a list that is known to exist.
func values(list string) []string {
	i, ok := vocabulary().lists[list]
	if !ok {
		panic("claims: no code list " + list)
	}
	return vocabulary().Lists[i].Values
}

// indicator looks an indicator up by its code.
func indicator(code string) (ListedIndicator, bool) {
	i, ok := vocabulary().indicators[code]
	if !ok {
		return ListedIndicator{}, false
	}
	return vocabulary().Indicators[i], true
}

// Values returns the values of a code list. It panics where there is no such
// list: names of lists stand in code, and never come from outside.
func Values(list string) []string { return slices.Clone(values(list)) }

// Lists returns every code list, in the order of the data file. The caller may
// change what it gets.
func Lists() []CodeList {
	lists := slices.Clone(vocabulary().Lists)
	for i := range lists {
		lists[i].Values = slices.Clone(lists[i].Values)
		lists[i].ValueMarks = maps.Clone(lists[i].ValueMarks)
	}
	return lists
}

// Indicators returns the 67 indicators, dimension by dimension.
func Indicators() []ListedIndicator { return slices.Clone(vocabulary().Indicators) }

// Observables returns what forms may offer beside the indicators.
func Observables() []Observable {
	all := slices.Clone(vocabulary().Observables)
	for i := range all {
		all[i].Suggests = slices.Clone(all[i].Suggests)
	}
	return all
}
