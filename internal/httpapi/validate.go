package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gin-gonic/gin"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/httpapi/api"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault"
)

const mediaJSON = "application/json"

const (
	maxJSONDepth = 12 // the deepest of the contract has 6
	maxProblems  = 64
)

// validate lets through what the contract allows, in one reading: first what is known
// before the body is read, then the one meaning that every reader gives its bytes, then
// the schema. What the validator says in words is never used, because its words
// repeat the value; problems are built from pointers and the contract itself.
func (s *Server) validate(c *gin.Context) {
	o := op(c)
	if o == nil {
		c.Next()
		return
	}
	for _, check := range []func(*gin.Context, *operation) error{checkHead, checkQuery, checkSpelling, readBody, checkContract} {
		if err := check(c, o); err != nil {
			s.refuse(c, err)
			return
		}
	}
	c.Next()
}

// checkHead judges a body by what is said of it. Of one that comes in chunks, which does
// not say how long it is, that is asked once it was read.
func checkHead(c *gin.Context, o *operation) error {
	r, n := c.Request, c.Request.ContentLength
	asks := o.json || o.image
	switch {
	case n > o.limit:
		return tooLarge(o)
	case r.Header.Get("Content-Encoding") != "":
		return fail(faultMediaType) // a compressed body is larger than it looks
	case n < 0:
		return nil
	case !asks && n > 0:
		return fail(faultBodyUnexpected)
	case !asks || n == 0 && !o.needed:
		return nil
	case n == 0:
		return fail(faultBodyMissing)
	}
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil || len(r.Header.Values("Content-Type")) != 1:
		return fail(faultMediaType)
	case mediaType == mediaJSON && o.json:
		if set, ok := params["charset"]; ok && !strings.EqualFold(set, "utf-8") {
			return fail(faultMediaType)
		}
		r.Header.Set("Content-Type", mediaJSON)
		return nil
	case o.image && vault.Pictures(mediaType):
		r.Header.Set("Content-Type", mediaType)
		return nil
	default:
		return fail(faultMediaType)
	}
}

const keyBody = "body"

// readBody bounds and reads the body and leaves it for those further in.
func readBody(c *gin.Context, o *operation) error {
	r := c.Request
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, r.Body, o.limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge(o)
	case err != nil:
		return fail(faultInvalid) // the client went away, or its chunks are wrong
	}
	c.Set(keyBody, body)
	restore(r, body)
	if err := checkHead(c, o); err != nil {
		return err
	}
	if len(body) > 0 && r.Header.Get("Content-Type") == mediaJSON {
		return strictjson.Check(body, strictjson.Limits{Size: int(o.limit), Depth: maxJSONDepth})
	}
	return nil
}

// tooLarge says how long a body may be, so that whoever sends a picture knows
// what would be taken.
func tooLarge(o *operation) error {
	return &failure{fault: faultTooLarge, problems: []api.InputProblem{
		{Pointer: "", Code: "bytes", Rule: fmt.Sprintf("has at most %d bytes", o.limit)},
	}}
}

func restore(r *http.Request, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
}

// checkQuery refuses parameters that the contract does not name, and those
// given twice: the validator looks only for what it knows.
func checkQuery(c *gin.Context, o *operation) error {
	raw := c.Request.URL.RawQuery
	if raw == "" {
		return nil
	}
	f := &failure{fault: faultInvalid}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return f // what is left of it may say something else
	}
	for name, values := range query {
		known := o.spec.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) != nil
		switch {
		case !known:
			f.problems = append(f.problems, api.InputProblem{Pointer: "query:", Code: "unknown_parameter", Rule: "only parameters that the contract names"})
		case len(values) > 1:
			f.problems = append(f.problems, api.InputProblem{Pointer: "query:" + name, Code: "duplicate", Rule: "given once"})
		}
	}
	if len(f.problems) == 0 && len(query) > 0 {
		return nil
	}
	f.problems = f.problems[:min(len(f.problems), maxProblems)]
	return f
}

// checkSpelling gives each parameter one spelling: the validator would read
// "01", "+1" and "1" as one number.
func checkSpelling(c *gin.Context, o *operation) error {
	f := &failure{fault: faultInvalid}
	query := c.Request.URL.Query()
	for _, p := range slices.Concat(o.spec.PathItem.Parameters, o.spec.Operation.Parameters) {
		rule := spelling(p.Value.Schema.Value.Type)
		switch name := p.Value.Name; {
		case rule == nil:
		case p.Value.In == openapi3.ParameterInPath && !rule.MatchString(c.Param(name)):
			return fail(faultNotFound)
		case p.Value.In == openapi3.ParameterInQuery && query.Has(name) && !rule.MatchString(query.Get(name)):
			f.problems = append(f.problems, api.InputProblem{Pointer: "query:" + name, Code: invalid.CodeFormat, Rule: "is written as the contract says"})
		}
	}
	if len(f.problems) > 0 {
		return f
	}
	return nil
}

var (
	spelledNumber  = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	spelledBoolean = regexp.MustCompile(`^(true|false)$`)
)

// spelling is how values of a type are written, if they could be written
// otherwise.
func spelling(t *openapi3.Types) *regexp.Regexp {
	switch {
	case t.Is(openapi3.TypeInteger), t.Is(openapi3.TypeNumber):
		return spelledNumber
	case t.Is(openapi3.TypeBoolean):
		return spelledBoolean
	default:
		return nil
	}
}

// checkContract validates parameters and body against the contract. What the rooms
// check with everything else is left to them; but where a request has to come again
// anyway, it is told as well.
func checkContract(c *gin.Context, o *operation) error {
	if against(c, o, o.shape) == nil {
		return nil
	}
	if err := against(c, o, o.spec); err != nil {
		return describe(err)
	}
	return fail(faultInvalid) // the whole contract refuses what a part of it does
}

func against(c *gin.Context, o *operation, route *routers.Route) error {
	params := make(map[string]string, len(c.Params))
	for _, p := range c.Params {
		params[p.Key] = strings.TrimPrefix(p.Value, "/")
	}
	err := openapi3filter.ValidateRequest(c.Request.Context(), &openapi3filter.RequestValidationInput{
		Request:     c.Request,
		PathParams:  params,
		QueryParams: c.Request.URL.Query(),
		Route:       route,
		Options: &openapi3filter.Options{
			MultiError:          true,
			SkipSettingDefaults: true,
			ExcludeRequestBody:  !o.json,
			// identify has done this; the validator is asked about form only.
			AuthenticationFunc:      openapi3filter.NoopAuthenticationFunc,
			SchemaValidationOptions: calendar,
		},
	})
	if body, ok := c.Get(keyBody); ok {
		restore(c.Request, body.([]byte))
	}
	return err
}

// calendar has days be days of the calendar: the validator's own pattern takes the
// 30th of February.
var calendar = []openapi3.SchemaValidationOption{
	openapi3.WithStringFormatValidators(map[string]openapi3.StringFormatValidator{
		"date": openapi3.NewCallbackValidator(func(s string) error {
			_, err := time.Parse(time.DateOnly, s)
			return err
		}),
	}),
}

// describe turns the validator's findings into a failure. A path that cannot
// be a path of ours is one that does not exist.
func describe(err error) *failure {
	f := &failure{fault: faultInvalid}
	list, ok := err.(openapi3.MultiError) //nolint:errorlint // the validator's own list, not one further in
	if !ok {
		list = openapi3.MultiError{err}
	}
	for _, e := range list {
		var request *openapi3filter.RequestError
		if !errors.As(e, &request) {
			f.problems = append(f.problems, api.InputProblem{Pointer: "", Code: "invalid"})
			continue
		}
		switch p := request.Parameter; {
		case p != nil && p.In == openapi3.ParameterInPath:
			return &failure{fault: faultNotFound}
		case p != nil && p.In == openapi3.ParameterInHeader && strings.EqualFold(p.Name, headerKey):
			return &failure{fault: faultKeyMissing}
		case p != nil:
			f.problems = append(f.problems, inputProblems(p.In+":"+p.Name, request.Err)...)
		default:
			f.problems = append(f.problems, inputProblems("", request.Err)...)
		}
	}
	for _, p := range f.problems {
		if p.Code == faultUnknownField.code {
			f.fault = faultUnknownField
		}
	}
	f.problems = f.problems[:min(len(f.problems), maxProblems)]
	return f
}

// inputProblems reads schema errors below a prefix. For a choice of schemas the
// errors of the branch that the discriminator names are the ones that count.
func inputProblems(prefix string, err error) []api.InputProblem {
	if list, ok := err.(openapi3.MultiError); ok { //nolint:errorlint // lists nest, wrappers do not
		var all []api.InputProblem
		for _, e := range list {
			all = append(all, inputProblems(prefix, e)...)
		}
		return all
	}
	var schema *openapi3.SchemaError
	if !errors.As(err, &schema) {
		if errors.Is(err, openapi3filter.ErrInvalidRequired) {
			return []api.InputProblem{{Pointer: prefix, Code: "required", Rule: "is required"}}
		}
		return []api.InputProblem{{Pointer: prefix, Code: "format", Rule: "is not written as it must be"}}
	}
	at := prefix + pointer(schema.JSONPointer())
	if schema.SchemaField == "oneOf" && schema.Origin != nil {
		if branch := branches(schema.Origin); len(branch) == 1 {
			return inputProblems(at, branch[0])
		}
	}
	return []api.InputProblem{problemOf(at, schema)}
}

// branches lists the errors of a choice, one for each branch that was tried.
func branches(origin error) []error {
	for ; origin != nil; origin = errors.Unwrap(origin) {
		if list, ok := origin.(openapi3.MultiError); ok { //nolint:errorlint // looking for the list itself
			return list
		}
	}
	return nil
}

func pointer(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(t))
	}
	return b.String()
}

// problemOf names the rule that was broken, from the contract's side. The name
// of an unknown member is not repeated: somebody chose it.
func problemOf(at string, e *openapi3.SchemaError) api.InputProblem {
	p := api.InputProblem{Pointer: at}
	s := e.Schema
	switch e.SchemaField {
	case "properties":
		p.Code, p.Rule = faultUnknownField.code, "only members that the contract names"
	case "required":
		p.Code, p.Rule = "required", "is required"
	case "discriminator":
		p.Pointer, p.Code, p.Rule = at+"/"+s.Discriminator.PropertyName, "not_in_list", "is one of the listed values"
	case "enum":
		p.Code, p.Rule = "not_in_list", "is one of the listed values"
	case "type", "nullable":
		p.Code, p.Rule = "type", "is of the type "+strings.Join(s.Type.Slice(), " or ")
	case "pattern", "format":
		p.Code, p.Rule = "format", "is written as the contract says"
		if s.Format == "date" {
			p.Rule = "is written YYYY-MM-DD, and is in the calendar"
		}
	case "minLength", "maxLength":
		p.Code, p.Rule = "length", lengths("characters", s.MinLength, s.MaxLength)
	case "minItems", "maxItems":
		p.Code, p.Rule = "length", lengths("entries", s.MinItems, s.MaxItems)
	case "uniqueItems":
		p.Code, p.Rule = "duplicate", "has no entry twice"
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
		p.Code, p.Rule = "range", limits(s.Min, s.Max)
	default:
		p.Code, p.Rule = "invalid", "is as the contract says"
	}
	return p
}

func lengths(of string, least uint64, most *uint64) string {
	switch {
	case most == nil:
		return fmt.Sprintf("has at least %d %s", least, of)
	case *most == least:
		return fmt.Sprintf("has %d %s", least, of)
	case least == 0:
		return fmt.Sprintf("has at most %d %s", *most, of)
	default:
		return fmt.Sprintf("has %d to %d %s", least, *most, of)
	}
}

func limits(least, most *float64) string {
	switch {
	case least != nil && most != nil:
		return fmt.Sprintf("is from %.0f to %.0f", *least, *most)
	case least != nil:
		return fmt.Sprintf("is at least %.0f", *least)
	case most != nil:
		return fmt.Sprintf("is at most %.0f", *most)
	default:
		return "is in range"
	}
}
