package httpapi

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	contract "github.com/safeconduct/safeconduct/docs/api"
	"github.com/safeconduct/safeconduct/web"
)

// TestContractReadsTheSame: the contract is 3.1 and uses nothing that 3.0
// reads differently, so that validating by the rules of 3.0 gives the same
// answers (readContract).
func TestContractReadsTheSame(t *testing.T) {
	for _, version := range []string{"3.1.0", "3.0.3"} {
		doc, err := openapi3.NewLoader().LoadFromData(contract.Contract)
		if err != nil {
			t.Fatal(err)
		}
		if doc.OpenAPI != "3.1.0" {
			t.Fatalf("the contract says %q", doc.OpenAPI)
		}
		doc.OpenAPI = version
		// info.summary is the one thing that 3.0 does not have; it is no rule.
		doc.Info.Summary = ""
		if err := doc.Validate(context.Background()); err != nil {
			t.Errorf("as %s: %v", version, err)
		}
	}
	for _, keyword := range []string{"const", "prefixItems", "if", "then", "nullable", "contains", "dependentRequired", "patternProperties", "unevaluatedProperties", "exclusiveMinimum", "exclusiveMaximum", "$defs", "propertyNames"} {
		if regexp.MustCompile(`(?m)[\s{]` + regexp.QuoteMeta(keyword) + `:\s`).Match(contract.Contract) {
			t.Errorf("the contract uses %s", keyword)
		}
	}
}

// TestContractIsBounded: every object is closed, every text and list has a
// size.
func TestContractIsBounded(t *testing.T) {
	doc, err := readContract()
	if err != nil {
		t.Fatal(err)
	}
	opaque := doc.Components.Schemas["Opaque"].Value
	n := 0
	var walk func(at string, ref *openapi3.SchemaRef)
	walk = func(at string, ref *openapi3.SchemaRef) {
		s := ref.Value
		n++
		switch {
		case s == opaque || len(s.OneOf) > 0:
		case s.Type == nil:
			t.Errorf("%s has no type", at)
		case s.Type.Is("object"):
			if s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has {
				t.Errorf("%s is open", at)
			}
		case s.Type.Is("string"):
			if s.MaxLength == nil && len(s.Enum) == 0 {
				t.Errorf("%s has no maxLength", at)
			}
		case s.Type.Is("array"):
			if s.MaxItems == nil {
				t.Errorf("%s has no maxItems", at)
			}
		}
		for name, p := range s.Properties {
			if p.Ref == "" {
				walk(at+"/"+name, p)
			}
		}
		if s.Items != nil && s.Items.Ref == "" {
			walk(at+"/items", s.Items)
		}
	}
	for name, s := range doc.Components.Schemas {
		walk(name, s)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for _, p := range append(item.Parameters, op.Parameters...) {
				walk(method+" "+path+" "+p.Value.Name, p.Value.Schema)
			}
		}
	}
	if n < 400 {
		t.Errorf("walked %d schemas only", n)
	}
}

// strangers are the operations of the API that need no token.
var strangers = map[string]bool{"enrolDevice": true, "askPaper": true, "beginSignIn": true, "signIn": true, "beginJoin": true, "makePasskey": true, "join": true, "beginUnlock": true, "unlockNetwork": true}

// TestRoutesAreTheContract: what is mounted is what the contract says, one to
// one, and every POST asks for an Idempotency-Key.
func TestRoutesAreTheContract(t *testing.T) {
	ops, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{cfg: Config{Pages: web.Pages}, ops: ops}
	r, err := s.routes()
	if err != nil {
		t.Fatal(err)
	}
	mounted := map[string]bool{}
	for _, route := range r.Routes() {
		key := route.Method + " " + route.Path
		mounted[key] = true
		switch route.Method {
		case http.MethodHead:
			key = http.MethodGet + " " + route.Path
		case http.MethodOptions: // on every path, as the contract says at its beginning
			continue
		}
		if ops[key] == nil {
			t.Errorf("%s is mounted and not in the contract", key)
		}
	}
	for key, o := range ops {
		if o.method == http.MethodGet && !mounted[http.MethodHead+" "+o.route] {
			t.Errorf("%s is not answered to HEAD", key)
		}
		if !mounted[http.MethodOptions+" "+o.route] {
			t.Errorf("%s is not answered to OPTIONS", o.route)
		}
	}
	for key, o := range ops {
		if !mounted[key] {
			t.Errorf("%s is in the contract and not mounted", key)
		}
		asks := o.spec.Operation.Parameters.GetByInAndName("header", headerKey) != nil
		if asks != (o.method == "POST") {
			t.Errorf("%s: asks for an Idempotency-Key: %v", key, asks)
		}
		if o.public == strings.HasPrefix(o.route, "/api/v1/") != strangers[o.id] {
			t.Errorf("%s: public is %v", key, o.public)
		}
	}
	if len(ops) < 40 {
		t.Errorf("got %d operations", len(ops))
	}
}

// TestOperationsNeedAnAction: an operation that nobody thought of does not start,
// and all that is wrong is said at once.
func TestOperationsNeedAnAction(t *testing.T) {
	for _, c := range []struct {
		name   string
		action any // nil for none
		public bool
		want   string // "" if it may start
	}{
		{"none", nil, false, "missing"},
		{"an empty list", []any{}, false, "missing"},
		{"an empty name", "", false, `""`},
		{"an unknown one", "case.reed", false, `"case.reed"`},
		{"an unknown one in a list", []any{"case.read", "case.reed"}, false, `"case.reed"`},
		{"a number in a list", []any{"case.read", 7}, false, `""`},
		{"a part of a name", "case", false, `"case"`},
		{"a number", 7, false, "neither"},
		{"one at a public operation", "case.read", true, "public"},
		{"one", "case.read", false, ""},
		{"two", []any{"case.read", "record.open"}, false, ""},
		{"all of a family", "attestation.issue", false, ""},
		{"none at a public operation", nil, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc, err := readContract()
			if err != nil {
				t.Fatal(err)
			}
			changed := []*openapi3.Operation{doc.Paths.Value("/api/v1/cases").Get, doc.Paths.Value("/api/v1/agencies").Get}
			for _, spec := range changed {
				delete(spec.Extensions, "x-action")
				if c.action != nil {
					spec.Extensions["x-action"] = c.action
				}
				if c.public {
					spec.Security = &openapi3.SecurityRequirements{}
				}
			}
			_, err = operationsOf(doc)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || strings.Count(err.Error(), c.want) != len(changed)):
				t.Errorf("got %v, want a refusal of both for %s", err, c.want)
			}
		})
	}
}

// errorless are the rooms whose errors cannot reach a handler, and why.
var errorless = map[string]string{
	"cmd":                     "nobody imports a command",
	"internal":                "adapters wrap what the leaf trouble says",
	"verifier":                "what is wrong with a credential becomes a verdict",
	"credentials/sdjwt":       "what is wrong with a credential becomes a verdict",
	"credentials/statuslist":  "the issuer makes lists of numbers that it drew itself",
	"credentials/jws":         "the rooms that sign wrap it",
	"credentials/card/symbol": "the digits were made a moment ago",
}

// TestEveryErrorHasARow reads every exported Err… of all rooms from their
// sources, and the table from problem.go, and holds them together. A new room
// is walked without being named here.
func TestEveryErrorHasARow(t *testing.T) {
	rows := tableRows(t)
	found := 0
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		room, err := filepath.Rel("../..", file)
		if err != nil {
			return err
		}
		room = filepath.ToSlash(room)
		if d.IsDir() {
			if room != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" || room == "tools" {
				return fs.SkipDir
			}
			return nil
		}
		room = path.Dir(room)
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || !hasErrors(room) {
			return nil
		}
		for _, e := range exportedErrors(t, file) {
			found++
			if room != "internal/httpapi" {
				e = path.Base(room) + "." + e
			}
			if !rows[e] {
				t.Errorf("%s has no row in problem.go", e)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 45 {
		t.Errorf("found %d errors: the search is broken", found)
	}
}

// hasErrors reports whether what a room says can reach a handler.
func hasErrors(room string) bool {
	if room == "internal/httpapi" || room == "internal/trouble" {
		return true
	}
	top, _, _ := strings.Cut(room, "/")
	return errorless[room] == "" && errorless[top] == ""
}

func exportedErrors(t *testing.T, file string) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			for _, n := range spec.(*ast.ValueSpec).Names {
				if strings.HasPrefix(n.Name, "Err") && n.IsExported() {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

func tableRows(t *testing.T) map[string]bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "problem.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || v.Names[0].Name != "faults" {
			return true
		}
		for _, row := range v.Values[0].(*ast.CompositeLit).Elts {
			switch e := row.(*ast.CompositeLit).Elts[0].(type) {
			case *ast.SelectorExpr:
				rows[e.X.(*ast.Ident).Name+"."+e.Sel.Name] = true
			case *ast.Ident:
				rows[e.Name] = true
			}
		}
		return false
	})
	return rows
}

// TestFaultsAreStable: one code has one status and one title.
func TestFaultsAreStable(t *testing.T) {
	seen := map[string]fault{}
	for _, row := range faults {
		if row.err == nil || row.code == "" || row.title == "" || row.status < 400 {
			t.Errorf("incomplete row %v", row)
		}
		if before, ok := seen[row.code]; ok && before != row.fault {
			t.Errorf("code %s has two meanings", row.code)
		}
		seen[row.code] = row.fault
	}
}

// BenchmarkValidate is what checking a screening against the contract costs.
func BenchmarkValidate(b *testing.B) {
	doc, err := readContract()
	if err != nil {
		b.Fatal(err)
	}
	body := map[string]any{"kind": "screening", "claims": map[string]any{"tool": "ILO_EC_2009", "act": []any{"recruitment"}}}
	for _, version := range []string{"3.0.3", "3.1.0"} {
		b.Run(version, func(b *testing.B) {
			var opts []openapi3.SchemaValidationOption
			if version == "3.1.0" {
				opts = append(opts, openapi3.EnableJSONSchema2020())
			}
			for b.Loop() {
				if err := doc.Components.Schemas["AttestationOrder"].Value.VisitJSON(body, opts...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
