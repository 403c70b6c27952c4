package claims

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// Member is what a field of claims has to hold, as its tags say. The checks
// before signing, the contract's schemas and docs/vocabulary.md are all made
// from it, so that they cannot differ.
//
// Tag json has the name. Tag list has the code list that the value is of. Tag is
// has the rest, in words with commas between them: required; past or coming, for a
// day that has come or is not over yet; min=N and max=N, for the value of a number or the length of a
// list; and the Form of a text. Tag tells has the Topic, which says who sees it.
type Member struct {
	Name     string       // in JSON
	List     string       // name of a code list, or ""
	Form     Form         // of a text, or ""
	Type     reflect.Type // of the field, or of an entry of a list
	Many     bool         // a list
	Required bool         // has to be there; whether others have to, hangs on them
	Past     bool         // a day or date that has come
	Coming   bool         // a day that is not over yet
	Min, Max int          // of a number, or of the length of a list
	Tells    Topic        // who sees it; "" for what is seen, or not, with what it stands in

	index int
}

// Form is how a text is written.
type Form string

// The forms. A private text without any is a line.
const (
	FormLine     Form = "line"     // of a person; at most invalid.MaxLine characters
	FormName     Form = "name"     // a line that names a person, in any script
	FormText     Form = "text"     // several lines; at most invalid.MaxText characters
	FormDigest   Form = "digest"   // a SHA-256 in hex
	FormDate     Form = "date"     // YYYY-MM-DD, YYYY-MM or YYYY
	FormCountry  Form = "country"  // three capital letters
	FormLanguage Form = "language" // three small letters
	FormScript   Form = "script"   // four letters
	FormID       Form = "id"       // of an attestation, report, record or consent
	FormAgency   Form = "agency"   // id of an agency, or of a person of one
	FormZone     Form = "zone"     // lines of a machine-readable zone, which package vault/mrz judges
	FormFixed    Form = "fixed"    // words that the rules compute or fix
)

// shapes are the forms that no other room knows.
var shapes = map[Form]struct {
	shape *regexp.Regexp
	rule  string
}{
	FormDigest:   {regexp.MustCompile(`^[0-9a-f]{64}$`), "is a SHA-256 in 64 lower-case hexadecimal digits"},
	FormLanguage: {regexp.MustCompile(`^[a-z]{3}$`), "is three lower-case letters, as in ISO 639"},
	FormScript:   {regexp.MustCompile(`^[A-Z][a-z]{3}$`), "is four letters, as in ISO 15924"},
}

// Members returns the members of a struct of claims, in the order in which they
// are documented. It panics for a field whose tags cannot be read: they stand in
// code.
func Members(t reflect.Type) []Member {
	if found, ok := members.Load(t); ok {
		return found.([]Member)
	}
	all := make([]Member, t.NumField())
	for i := range all {
		all[i] = member(t, i)
	}
	members.Store(t, all)
	return all
}

var members sync.Map // reflect.Type to []Member

func member(t reflect.Type, i int) Member {
	f := t.Field(i)
	m := Member{Type: f.Type, List: f.Tag.Get("list"), Tells: Topic(f.Tag.Get("tells")), index: i}
	m.Name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	if m.Many = f.Type.Kind() == reflect.Slice; m.Many {
		m.Type = f.Type.Elem()
	}
	if m.Type.Kind() == reflect.Pointer {
		m.Type = m.Type.Elem()
	}
	if m.List != "" {
		if listed := values(m.List); m.Many {
			m.Max = len(listed)
		}
	}
	for word := range strings.SplitSeq(f.Tag.Get("is"), ",") {
		name, number, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(number)
		switch {
		case word == "":
		case word == "required":
			m.Required = true
		case word == "past":
			m.Past = true
		case word == "coming":
			m.Coming = true
		case name == "min" && err == nil:
			m.Min = n
		case name == "max" && err == nil:
			m.Max = n
		default:
			m.Form = Form(word)
		}
	}
	if m.Type == textType && m.Form == "" && m.List == "" {
		m.Form = FormLine
	}
	if m.Name == "" || m.Many && m.Max == 0 || !m.known() {
		panic(fmt.Sprintf("claims: tags of %s.%s", t, f.Name))
	}
	return m
}

var (
	textType    = reflect.TypeFor[private.String]()
	dayType     = reflect.TypeFor[Day]()
	partialType = reflect.TypeFor[PartialDate]()
)

// known reports whether there is a check for the member.
func (m Member) known() bool {
	plain := []Form{FormCountry, FormLanguage, FormScript, FormID, FormAgency, FormFixed}
	texts := []Form{FormLine, FormName, FormText, FormZone, FormDigest, FormDate, FormCountry}
	switch {
	case m.Type == textType:
		return slices.Contains(texts, m.Form) || m.List != "" && m.Form == ""
	case m.Type == dayType:
		return m.Form == ""
	case m.Type.Kind() == reflect.String:
		return slices.Contains(plain, m.Form) || m.List != "" && m.Form == ""
	default:
		return m.Form == "" && slices.Contains([]reflect.Kind{reflect.Bool, reflect.Int, reflect.Struct}, m.Type.Kind())
	}
}

// CheckMembers reports what is wrong with the members of the struct that v points to,
// each by itself. How they go together is for whoever has the struct. It panics
// unless v is a pointer to a struct.
func CheckMembers(c *invalid.Checker, pointer string, v any) {
	checkMembers(c, pointer, reflect.ValueOf(v).Elem())
}

func checkMembers(c *invalid.Checker, pointer string, v reflect.Value) {
	for _, m := range Members(v.Type()) {
		at, f := pointer+"/"+m.Name, v.Field(m.index)
		if !m.Many {
			m.check(c, at, f, invalid.Need(m.Required))
			continue
		}
		if !c.There(at, f.Len() > 0, invalid.Need(m.Required)) || !c.Count(at, f.Len(), m.Max) {
			continue
		}
		for i := range f.Len() {
			m.check(c, invalid.At(at, i), f.Index(i), invalid.Required)
		}
		if given, ok := f.Interface().([]string); ok {
			c.Distinct(at, given)
		}
	}
}

// check checks one value: the member's, or an entry of its list.
func (m Member) check(c *invalid.Checker, at string, v reflect.Value, n invalid.Need) {
	if v.Kind() == reflect.Pointer {
		if !c.There(at, !v.IsNil(), n) {
			return
		}
		v = v.Elem()
	}
	switch {
	case m.Type == textType:
		m.checkText(c, at, v.Interface().(private.String), n)
	case m.Type == dayType && m.Past:
		c.PastDay(at, v.String(), n)
	case m.Type == dayType && m.Coming:
		c.ComingDay(at, v.String(), n)
	case m.Type == dayType:
		c.Day(at, v.String(), n)
	case m.Type == partialType:
		v.Addr().Interface().(*PartialDate).Check(c, at, n)
	case m.Type.Kind() == reflect.String:
		m.checkWords(c, at, v.String(), n)
	case m.Type.Kind() == reflect.Int && m.Max > 0:
		c.Must(int(v.Int()) >= m.Min && int(v.Int()) <= m.Max, at, invalid.CodeRange, fmt.Sprintf("is a number from %d to %d", m.Min, m.Max))
	case m.Type.Kind() == reflect.Struct:
		checkMembers(c, at, v)
	default: // yes or no, and numbers that are computed
	}
}

func (m Member) checkText(c *invalid.Checker, at string, s private.String, n invalid.Need) {
	switch m.Form {
	case FormLine:
		c.Line(at, s, n)
	case FormName:
		c.Name(at, s, n)
	case FormText:
		c.Text(at, s, n)
	case FormDate:
		forms := []string{invalid.FormDay, invalid.FormMonth, invalid.FormYear}
		if m.Past {
			c.PastDate(at, s.Reveal(), n, forms...)
			return
		}
		c.Date(at, s.Reveal(), n, forms...)
	default:
		m.checkWords(c, at, s.Reveal(), n)
	}
}

// checkWords checks what is written in one way only.
func (m Member) checkWords(c *invalid.Checker, at, s string, n invalid.Need) {
	if m.List != "" {
		if c.There(at, s != "", n) && !slices.Contains(values(m.List), s) {
			c.Add(at, invalid.CodeNotInList, "is not in the list "+m.List)
		}
		return
	}
	switch m.Form {
	case FormCountry:
		c.Country(at, s, n)
	case FormID:
		c.ID(at, s, n)
	case FormAgency:
		c.Agency(at, s, n)
	case FormFixed, FormZone:
		c.There(at, s != "", n)
	default:
		c.Shape(at, s, shapes[m.Form].shape, shapes[m.Form].rule, n)
	}
}
