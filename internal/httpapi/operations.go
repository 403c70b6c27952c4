package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	contract "github.com/safeconduct/safeconduct/docs/api"
	"github.com/safeconduct/safeconduct/people"
)

// replay says what is kept of an answer for a request that comes again.
type replay string

const (
	replayBody replay = "body" // the answer, which holds no text about a person
	replayOnce replay = "once" // that there was one; it was shown once
	replayNone replay = "none" // nothing; repeating is harmless
)

// operation is one method on one route, with what the contract says about it.
type operation struct {
	id     string // operationId
	method string
	route  string // as gin writes it: /cases/:case
	public bool
	// person is whether it is for somebody who is signed in, and no token will do.
	person bool
	// outage is whether it is answered without the database, too.
	outage bool
	// locked is whether it is answered while the network is locked, too.
	locked bool
	// check is whether it is about a card that somebody has in hand, so that no request of
	// it is told of before the hour is over.
	check bool
	// cases is whether it is about a case, so that no request of it is told of by itself.
	cases bool
	// published is what scripts of every site may read, too.
	published bool
	// actions are what the operation is, in the words of package people. One of
	// them is enough to get as far as the handler; where kinds differ, the handler
	// asks again. Nobody may use an operation without one.
	actions  []people.Action
	door     string         // at which strangers come, if it is public
	weight   int            // in the rate of whoever is let in
	replay   replay         // of a POST
	streamed bool           // whether its answer is too long to be held in memory
	limit    int64          // bytes of body
	json     bool           // the body is JSON
	image    bool           // the body is a picture
	needed   bool           // there must be a body
	spec     *routers.Route // all that the contract says
	shape    *routers.Route // without what the rooms check
}

// Limits of a request body in bytes, where the contract states no other.
const (
	defaultBodyLimit = 64 << 10
	maxBodyLimit     = 16 << 20
)

// operations reads the contract, once for every server of a process. The keys are
// a method and a route template.
var operations = sync.OnceValues(func() (map[string]*operation, error) {
	whole, err := readContract()
	if err != nil {
		return nil, err
	}
	shape, err := readContract()
	if err != nil {
		return nil, err
	}
	leaveToRooms(shape)
	ops, err := operationsOf(whole)
	if err != nil {
		return nil, err
	}
	for _, o := range ops {
		item := shape.Paths.Value(o.spec.Path)
		o.shape = &routers.Route{Spec: shape, Path: o.spec.Path, PathItem: item, Method: o.method, Operation: item.GetOperation(o.method)}
	}
	return ops, nil
})

// leaveToRooms takes out of the contract what a room checks anyway: of everything
// that says x-checked-by, all but its type and the names of its members. The contract
// states it for whoever writes a client; here it would be told before everything else
// that is wrong, and a form would be corrected twice (docs/decisions/0051).
func leaveToRooms(doc *openapi3.T) {
	for _, schema := range doc.Components.Schemas {
		whole := leftToRoom(schema)
		for name, member := range schema.Value.Properties {
			if whole || leftToRoom(member) {
				schema.Value.Properties[name] = typed(member)
			}
		}
		if whole {
			*schema.Value = *typed(schema).Value
		}
	}
}

func leftToRoom(s *openapi3.SchemaRef) bool {
	_, is := s.Value.Extensions["x-checked-by"]
	return is
}

// typed is a schema that says of which type a value is, and which members it has.
func typed(of *openapi3.SchemaRef) *openapi3.SchemaRef {
	s := *of.Value
	s.Required, s.Enum, s.Pattern, s.Format, s.UniqueItems = nil, nil, "", "", false
	s.MinLength, s.MaxLength, s.MinItems, s.MaxItems, s.Min, s.Max = 0, nil, 0, nil, nil, nil
	if s.Type.Is(openapi3.TypeInteger) {
		s.Format = "int32" // what the rooms can read
	}
	if s.Items != nil {
		s.Items = typed(s.Items)
	}
	return &openapi3.SchemaRef{Value: &s}
}

// operationsOf finds everything that is wrong with the operations at once.
func operationsOf(doc *openapi3.T) (map[string]*operation, error) {
	ops := make(map[string]*operation)
	var errs []error
	for path, item := range doc.Paths.Map() {
		for method, spec := range item.Operations() {
			op, err := newOperation(doc, path, method, item, spec)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s %s: %w", method, path, err))
				continue
			}
			ops[method+" "+op.route] = op
		}
	}
	return ops, errors.Join(errs...)
}

// methodsOf lists what may be done with a route, as Allow says it (RFC 9110
// §10.2.1).
func methodsOf(ops map[string]*operation, route string) string {
	methods := []string{http.MethodOptions}
	for _, o := range ops {
		if o.route == route {
			methods = append(methods, o.method)
		}
	}
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// readContract loads the contract for validating requests.
func readContract() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(contract.Contract)
	if err != nil {
		return nil, fmt.Errorf("read contract: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("check contract: %w", err)
	}
	// kin-openapi 0.152 compiles a schema of a 3.1 document anew for every
	// request, and follows no discriminator in it. The contract uses no keyword
	// that 3.0 reads differently (TestContractReadsTheSame), so requests are
	// validated by the rules of 3.0: the same answers, in microseconds instead of
	// milliseconds (BenchmarkValidate), and
	// with pointers into the branch that was meant.
	doc.OpenAPI = "3.0.3"
	return doc, nil
}

func newOperation(doc *openapi3.T, path, method string, item *openapi3.PathItem, spec *openapi3.Operation) (*operation, error) {
	op := &operation{
		id: spec.OperationID, method: method, route: ginRoute(path), limit: defaultBodyLimit,
		public: spec.Security != nil && len(*spec.Security) == 0,
		spec:   &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: spec},
	}
	if op.id == "" {
		return nil, errors.New("no operationId")
	}
	var err error
	if op.actions, err = actionsOf(spec, op.public); err != nil {
		return nil, err
	}
	op.person, _ = spec.Extensions["x-person"].(bool)
	op.outage, _ = spec.Extensions["x-outage"].(bool)
	op.locked, _ = spec.Extensions["x-locked"].(bool)
	op.check, _ = spec.Extensions["x-check"].(bool)
	op.cases, _ = spec.Extensions["x-case"].(bool)
	if answer := spec.Responses.Status(http.StatusOK); answer != nil {
		_, op.published = answer.Value.Headers[headerAnyOrigin]
	}
	if limit, ok := spec.Extensions["x-body-limit"].(float64); ok {
		op.limit = int64(limit)
	}
	if op.limit <= 0 || op.limit > maxBodyLimit {
		return nil, errors.New("x-body-limit out of range")
	}
	if op.door, op.weight, err = costOf(spec, op); err != nil {
		return nil, err
	}
	if method == "POST" {
		r, _ := spec.Extensions["x-replay"].(string)
		switch op.replay = replay(r); op.replay {
		case replayBody, replayOnce, replayNone:
		default:
			return nil, errors.New("x-replay is missing or unknown")
		}
		if answer := spec.Responses.Status(http.StatusOK); answer != nil && answer.Value.Content.Get(mediaBytes) != nil {
			op.streamed = true
			if op.replay != replayOnce {
				return nil, errors.New("x-replay: an answer that is not held is shown once")
			}
		}
	}
	if spec.RequestBody != nil {
		op.needed = spec.RequestBody.Value.Required
		for mediaType := range spec.RequestBody.Value.Content {
			switch mediaType {
			case mediaJSON:
				op.json = true
			case "image/*":
				op.image = true
			default:
				return nil, errors.New("a media type that validate.go does not know")
			}
		}
	}
	return op, nil
}

// actionsOf reads x-action, a name or a list of names. An operation that is not
// public has to have one, and people has to know each: what nobody thought of
// does not start.
func actionsOf(spec *openapi3.Operation, public bool) ([]people.Action, error) {
	var names []string
	switch x := spec.Extensions["x-action"].(type) {
	case nil:
	case string:
		names = []string{x}
	case []any:
		for _, one := range x {
			name, _ := one.(string)
			names = append(names, name)
		}
	default:
		return nil, errors.New("x-action is neither a name nor a list of names")
	}
	switch {
	case public && len(names) > 0:
		return nil, errors.New("x-action stands at an operation that is public")
	case !public && len(names) == 0:
		return nil, errors.New("x-action is missing: nobody may use the operation")
	}
	var actions []people.Action
	for _, name := range names {
		known := people.Named(name)
		if len(known) == 0 {
			return nil, fmt.Errorf("x-action names %q, which people/rights.go does not", name)
		}
		actions = append(actions, known...)
	}
	return actions, nil
}

// maxWeight bounds what an operation weighs.
const maxWeight = 100

// costOf reads x-door, by which strangers come to a public operation, and x-weight of one
// that is not. What is public and only read comes by the doors that need no name.
func costOf(spec *openapi3.Operation, o *operation) (door string, weight int, err error) {
	door, named := spec.Extensions["x-door"].(string)
	heavy, weighed := spec.Extensions["x-weight"].(float64)
	switch {
	case !o.public && named, o.public && weighed:
		return "", 0, errors.New("x-door is for strangers, x-weight for whoever is let in")
	case !o.public && !weighed:
		return "", 1, nil
	case !o.public && (heavy < 1 || heavy > maxWeight || heavy != float64(int(heavy))):
		return "", 0, errors.New("x-weight out of range")
	case !o.public:
		return "", int(heavy), nil
	case named:
	case o.route == "/healthz" || o.route == "/readyz":
		door = doorHealth
	case o.method == http.MethodGet:
		door = doorFiles
	}
	if _, known := doors[door]; !known || door == doorUnknown {
		return "", 0, errors.New("x-door is missing or unknown")
	}
	return door, 0, nil
}

func ginRoute(path string) string {
	if path == "/log/tile/{tile}" {
		return tileRoute
	}
	if page, ok := strings.CutSuffix(path, "/{file}"); ok {
		return fileRoute(strings.TrimPrefix(page, "/"))
	}
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}
