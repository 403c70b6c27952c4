package httpapi

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/safeconduct/safeconduct/people"
)

var (
	idParam   = regexp.MustCompile(`:(case|consent|attestation|card|document|device|agency|person|program|act|key)\b`)
	pageParam = regexp.MustCompile(`:(page|change)\b`)
)

// Diagnose is what a client is told about an error, and after how many seconds
// to try again.
func Diagnose(err error) (status int, code, after string) {
	f := diagnose(err)
	return f.status, f.code, f.again()
}

// WhoMade are those behind a change that waits, as somebody is shown them.
var WhoMade = whoMade

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
	JSON             bool // it takes a body
	Actions          []people.Action
}

// Doors lists every operation of the contract, in an order of its own.
func (s *Server) Doors() []Door {
	var all []Door
	for _, o := range s.ops {
		all = append(all, Door{o.id, o.method, o.spec.Path, o.public, o.person, o.json, o.actions})
	}
	slices.SortFunc(all, func(a, b Door) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return all
}

// Members are those that the contract names in the body of an operation, on its first
// level, whichever of its kinds it is.
func (d Door) Members() []string {
	ops, _ := operations()
	for _, o := range ops {
		if o.id == d.ID {
			return membersOf(o.spec.Operation.RequestBody.Value.Content[mediaJSON].Schema.Value)
		}
	}
	return nil
}

func membersOf(s *openapi3.Schema) []string {
	var all []string
	for name := range s.Properties {
		all = append(all, name)
	}
	for _, one := range slices.Concat(s.OneOf, s.AllOf, s.AnyOf) {
		all = append(all, membersOf(one.Value)...)
	}
	return all
}

// Update says that golden files are to be rewritten.
var Update = update
