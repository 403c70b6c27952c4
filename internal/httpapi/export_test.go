package httpapi

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/safeconduct/safeconduct/people"
)

var (
	idParam   = regexp.MustCompile(`:(case|attestation|card|document|device|agency|person|program|act|key)\b`)
	pageParam = regexp.MustCompile(`:(page|change)\b`)
)

// Diagnose is what a client is told about an error, and after how many seconds
// to try again.
func Diagnose(err error) (status int, code, after string) {
	f := diagnose(err)
	return f.status, f.code, f.again()
}

// Routes lists what is mounted of the contract's own methods, with the table of rights' names of parameters.
func (s *Server) Routes() []string {
	var all []string
	for _, r := range s.engine.Routes() {
		if r.Method == http.MethodHead || r.Method == http.MethodOptions {
			continue
		}
		path := pageParam.ReplaceAllString(idParam.ReplaceAllString(r.Path, "{id}"), "{n}")
		all = append(all, r.Method+" "+path)
	}
	return all
}

// Actions lists what the operations that are not public are.
func (s *Server) Actions() map[string][]people.Action {
	all := map[string][]people.Action{}
	for _, o := range s.ops {
		if !o.public {
			all[o.id] = o.actions
		}
	}
	return all
}

// Door is an operation as whoever comes to it finds it.
type Door struct {
	ID, Method, Path string // the path as the contract writes it
	Public, Person   bool
	Actions          []people.Action
}

// Doors lists every operation of the contract, in an order of its own.
func (s *Server) Doors() []Door {
	var all []Door
	for _, o := range s.ops {
		all = append(all, Door{o.id, o.method, o.spec.Path, o.public, o.person, o.actions})
	}
	slices.SortFunc(all, func(a, b Door) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return all
}
