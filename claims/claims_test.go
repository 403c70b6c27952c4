package claims_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/invalid"
)

// kinds lists the kinds of the table.
func kinds() (all []claims.Kind) {
	for _, t := range claims.Kinds() {
		all = append(all, t.Kind)
	}
	return all
}

// found inspects claims on claimsNow.
func found(c claims.Claims) []invalid.Problem {
	k := invalid.New(claimsNow)
	claims.Inspect(k, c)
	return k.Problems()
}

func TestNew(t *testing.T) {
	for _, kind := range kinds() {
		c, err := claims.New(kind)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		} else if c.Kind() != kind {
			t.Errorf("%s: got claims of kind %s", kind, c.Kind())
		}
	}
	for _, kind := range []claims.Kind{"", "card", "Screening", "screening ", "other"} {
		if c, err := claims.New(kind); !errors.Is(err, claims.ErrUnknownKind) || c != nil {
			t.Errorf("%q: got %v, %v", kind, c, err)
		}
		if _, err := claims.Decode(kind, []byte("{}")); !errors.Is(err, claims.ErrUnknownKind) {
			t.Errorf("decode %q: got %v", kind, err)
		}
	}
}

// foreign says that it is a screening, and anybody could.
type foreign struct {
	claims.Claims

	Secret string
}

func (foreign) Kind() claims.Kind { return claims.KindScreening }

func TestOnlyOurClaimsAreEncoded(t *testing.T) {
	for name, c := range map[string]claims.Claims{
		"nil": nil, "nil pointer": (*claims.Screening)(nil), "foreign": foreign{Secret: "x"}, "foreign pointer": &foreign{Secret: "x"},
	} {
		if data, err := claims.Encode(c); !errors.Is(err, claims.ErrUnknownKind) || data != nil {
			t.Errorf("%s: got %q, %v", name, data, err)
		}
		if err := claims.Check(c, claimsNow); !errors.Is(err, claims.ErrUnknownKind) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSamplesMayBeSignedAndComeBack(t *testing.T) {
	for name, c := range samples() {
		if err := claims.Check(c, claimsNow); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		first, err := claims.Encode(c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		back, err := claims.Decode(c.Kind(), first)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(shown(back), shown(c)); diff != "" {
			t.Errorf("%s: decoding changed the claims:\n%s", name, diff)
		}
		again, err := claims.Encode(back)
		if err != nil || !bytes.Equal(again, first) {
			t.Errorf("%s: encoding again gave other bytes, %v", name, err)
		}
	}
}

// shown turns claims into plain values that cmp can compare and print.
func shown(c claims.Claims) any {
	data, err := claims.Encode(c)
	if err != nil {
		return err.Error()
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err.Error()
	}
	return v
}

func TestDecodeClaimsRefuses(t *testing.T) {
	const secret = "zq-secret"
	for name, tt := range map[string]struct {
		data string
		want error
	}{
		"unknown member":   {`{"` + secret + `":1}`, strictjson.ErrUnknownField},
		"unknown inside":   {`{"interview":{"` + secret + `":1}}`, strictjson.ErrUnknownField},
		"duplicate":        {`{"tool":"OTHER","tool":"` + secret + `"}`, strictjson.ErrDuplicateKey},
		"duplicate case":   {`{"tool":"OTHER","Tool":"` + secret + `"}`, strictjson.ErrDuplicateKey},
		"trailing":         {`{} ` + secret, strictjson.ErrInvalid},
		"null":             {`null`, strictjson.ErrInvalid},
		"null with spaces": {" \n\tnull ", strictjson.ErrInvalid},
		"list":             {`[]`, strictjson.ErrInvalid},
		"text":             {`"` + secret + `"`, strictjson.ErrInvalid},
		"number for text":  {`{"tool":4711471147114711}`, strictjson.ErrInvalid},
		"text for number":  {`{"reflection_period":{"days":"` + secret + `"}}`, strictjson.ErrInvalid},
		"fraction":         {`{"reflection_period":{"days":1.5}}`, strictjson.ErrInvalid},
		"text for yes/no":  {`{"ask_again_in_private":"` + secret + `"}`, strictjson.ErrInvalid},
		"object for name":  {`{"confidence_reason":{"a":"` + secret + `"}}`, strictjson.ErrInvalid},
		"too deep":         {`{"purpose":[[[[[[["` + secret + `"]]]]]]]}`, strictjson.ErrInvalid},
		"lone surrogate":   {`{"tool":"\ud800"}`, strictjson.ErrInvalid},
		"too large":        {`{"tool":"` + strings.Repeat("x", claims.MaxClaims) + `"}`, strictjson.ErrTooLarge},
		"nothing":          {"", strictjson.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := claims.Decode(claims.KindScreening, []byte(tt.data))
			if !errors.Is(err, tt.want) || c != nil {
				t.Errorf("got %v, %v, want %v", c, err, tt.want)
				return
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "4711") {
				t.Errorf("the error repeats the input: %v", err)
			}
		})
	}
}

func TestEncodeClaimsIsBounded(t *testing.T) {
	s := someScreening()
	s.ConfidenceReason = private.New(strings.Repeat("x", claims.MaxClaims))
	if data, err := claims.Encode(s); !errors.Is(err, strictjson.ErrTooLarge) || data != nil {
		t.Errorf("got %d bytes, %v", len(data), err)
	}
}

// place is one value inside claims.
type place struct {
	pointer string
	list    string // name of the code list in the struct tag
	value   reflect.Value
}

// places walks through claims by the JSON names of their members.
func places(v reflect.Value, pointer, list string) []place {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return places(v.Elem(), pointer, list)
	case reflect.Slice:
		var out []place
		for i := range v.Len() {
			out = append(out, places(v.Index(i), pointer+"/"+strconv.Itoa(i), list)...)
		}
		return out
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[private.String]() {
			return []place{{pointer, list, v}}
		}
		var out []place
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			out = append(out, places(v.Field(i), pointer+"/"+name, f.Tag.Get("list"))...)
		}
		return out
	default:
		return []place{{pointer, list, v}}
	}
}

func all(c claims.Claims) []place { return places(reflect.ValueOf(c), "", "") }

// masked is the pointer with every list index replaced.
func masked(pointer string) string {
	parts := strings.Split(pointer, "/")
	for i, p := range parts {
		if _, err := strconv.Atoi(p); err == nil {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// members lists every member that claims of a type can have, by masked pointer.
func members(t reflect.Type, pointer, list string, into map[string]string) {
	switch t.Kind() {
	case reflect.Pointer:
		members(t.Elem(), pointer, list, into)
	case reflect.Slice:
		members(t.Elem(), pointer+"/*", list, into)
	case reflect.Struct:
		if t == reflect.TypeFor[private.String]() {
			into[pointer] = list
			return
		}
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			members(f.Type, pointer+"/"+name, f.Tag.Get("list"), into)
		}
	default:
		into[pointer] = list
	}
}

func TestSamplesGiveEveryMemberAValue(t *testing.T) {
	given := map[string]bool{}
	for _, c := range samples() {
		for _, p := range all(c) {
			if !p.value.IsZero() || p.value.Kind() == reflect.Bool || p.value.Kind() == reflect.Int {
				given[string(c.Kind())+masked(p.pointer)] = true
			}
		}
	}
	count := 0
	for _, kind := range kinds() {
		c, err := claims.New(kind)
		if err != nil {
			t.Fatal(err)
		}
		every := map[string]string{}
		members(reflect.TypeOf(c), "", "", every)
		count += len(every)
		for _, pointer := range slices.Sorted(maps.Keys(every)) {
			if !given[string(kind)+pointer] {
				t.Errorf("no sample has a value for %s%s", kind, pointer)
			}
		}
	}
	t.Logf("%d members", count)
}

// The tests of lists, texts and printing below see a member only if a sample
// has it, which the test above guarantees.

func TestEveryCodeListRefuses(t *testing.T) {
	used := map[string]bool{}
	count := 0
	for name := range samples() {
		for i, p := range all(samples()[name]) {
			if p.list == "" || p.value.String() == "" {
				continue
			}
			c := samples()[name]
			all(c)[i].value.SetString("SecretValue")
			const want = invalid.CodeNotInList
			problems := found(c)
			if !slices.ContainsFunc(problems, func(q invalid.Problem) bool { return q.Pointer == p.pointer && q.Code == want }) {
				t.Errorf("%s: %s takes a value that is not in the list %s: %v", name, p.pointer, p.list, problems)
			}
			if err := (&invalid.Error{Problems: problems}).Error() + fmt.Sprint(problems); strings.Contains(err, "SecretValue") {
				t.Errorf("%s: %s: the value is repeated: %s", name, p.pointer, err)
			}
			used[p.list] = true
			count++
		}
	}
	// Lists that claims do not use: for forms, and for other rooms.
	unused := []string{
		"case_status", "event_type", "gender", "ilo_forced_labour_sign", "relationship_to_trafficker", "sharing_purpose",
		"special_country",
	}
	for _, l := range claims.Lists() {
		if used[l.Name] == slices.Contains(unused, l.Name) {
			t.Errorf("list %s: used in claims is %v", l.Name, used[l.Name])
		}
		delete(used, l.Name)
	}
	if len(used) > 0 {
		t.Errorf("claims name lists that there are not: %v", used)
	}
	t.Logf("%d values refused", count)
}

func TestEveryValueOfEveryListIsTaken(t *testing.T) {
	lists := map[string][]string{}
	for _, l := range claims.Lists() {
		lists[l.Name] = l.Values
	}
	for name := range samples() {
		for i, p := range all(samples()[name]) {
			for _, v := range lists[p.list] {
				c := samples()[name]
				all(c)[i].value.SetString(v)
				for _, q := range found(c) {
					if q.Pointer == p.pointer && (q.Code == invalid.CodeNotInList || q.Code == invalid.CodeFormat) {
						t.Errorf("%s: %s refuses %s of the list %s", name, p.pointer, v, p.list)
					}
				}
			}
		}
	}
}

func TestEveryTextIsChecked(t *testing.T) {
	count := 0
	for name := range samples() {
		for i, p := range all(samples()[name]) {
			if p.value.Type() != reflect.TypeFor[private.String]() || p.value.IsZero() {
				continue
			}
			count++
			for problem, text := range map[string]string{
				"control character": "a\x07b", "direction override": "a\u202eb", "not Unicode": "a\xffb",
				"not assigned": "a\U000378ffb", "too long": strings.Repeat("ab", invalid.MaxText), "space": " ab", "blank": "   ",
			} {
				c := samples()[name]
				all(c)[i].value.Set(reflect.ValueOf(private.New(text)))
				problems := found(c)
				if !slices.ContainsFunc(problems, func(q invalid.Problem) bool { return q.Pointer == p.pointer }) {
					t.Errorf("%s: %s takes text with %s", name, p.pointer, problem)
				}
				if s := fmt.Sprint(problems); strings.Contains(s, text) && strings.TrimSpace(text) != "" {
					t.Errorf("%s: %s: the text is repeated", name, p.pointer)
				}
			}
		}
	}
	t.Logf("%d texts", count)
}

func TestNothingOfClaimsIsPrinted(t *testing.T) {
	for name, c := range samples() {
		var out bytes.Buffer
		v := reflect.ValueOf(c).Elem()
		printed := []any{c, v.Interface(), []claims.Claims{c}, map[string]claims.Claims{"c": c}, struct{ C claims.Claims }{c}}
		// The parts print as structs do, apart from their private texts.
		for i := range v.NumField() {
			printed = append(printed, v.Field(i).Interface())
			if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
				printed = append(printed, f.Elem().Interface())
			}
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			for _, p := range printed {
				fmt.Fprintf(&out, verb, p)
			}
		}
		fmt.Fprint(&out, printed...)
		// Clock times and addresses hold any four digits now and then, and a
		// year has no more.
		timeless := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}
		for _, l := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, timeless)), slog.New(slog.NewJSONHandler(&out, timeless))} {
			for _, p := range printed {
				l.Info("claims", "value", p)
			}
		}
		said := regexp.MustCompile(`(0x)?c0[0-9a-f]{8}`).ReplaceAllString(out.String(), "an address")
		texts := 0
		for _, p := range all(c) {
			s, ok := p.value.Interface().(private.String)
			if !ok || s.IsZero() {
				continue
			}
			texts++
			for _, needle := range []string{s.Reveal(), fmt.Sprintf("%x", s.Reveal()), strconv.Quote(s.Reveal())} {
				if strings.Contains(said, needle) {
					t.Errorf("%s: %s was printed", name, p.pointer)
				}
			}
		}
		whole := fmt.Sprintf("%v %+v %#v %s", c, v.Interface(), c, v.Interface())
		mask := "[" + string(c.Kind()) + " claims]"
		if whole != strings.Join([]string{mask, mask, mask, mask}, " ") {
			t.Errorf("%s: prints as %s", name, whole)
		}
		if texts > 0 {
			if data, err := json.Marshal(c); err == nil {
				t.Errorf("%s: encoding/json wrote %d bytes of it", name, len(data))
			}
		}
	}
}

// TestEmptyClaims: what is required of every kind is what its members say, as
// the contract does, and nothing besides.
func TestEmptyClaims(t *testing.T) {
	for _, kind := range kinds() {
		c, err := claims.New(kind)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, m := range claims.Members(reflect.TypeOf(c).Elem()) {
			if m.Required {
				want = append(want, "/"+m.Name+" required")
			}
		}
		if kind == claims.KindReliance {
			want = append(want, "/reliance required") // or officer_decision
		}
		if diff := cmp.Diff(said(found(c)), want); diff != "" || len(want) == 0 {
			t.Errorf("%s: got, want:\n%s", kind, diff)
		}
	}
}

func TestCheckSaysAllAndNoValue(t *testing.T) {
	err := claims.Check(&claims.Opinion{Opinion: "SecretValue", Date: "2026-03-32"}, claimsNow)
	var refused *invalid.Error
	if !errors.As(err, &refused) || len(refused.Problems) != 3 {
		t.Fatalf("got %v", err)
	}
	if got, want := err.Error(), "invalid: /opinion is not in the list opinion; /authority_class is required; /date is written YYYY-MM-DD, and is in the calendar"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func ExampleDecode() {
	opinion, err := claims.Decode(claims.KindOpinion, []byte(`{
		"opinion": "concur_in_part", "authority_class": "Police", "date": "2026-03-10", "parts": ["trafficking_status"]
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(opinion, claims.Check(opinion, claimsNow))
	// Output: [opinion claims] <nil>
}

func ExampleCheck() {
	// Everything that is wrong is said at once, and nothing of what was entered.
	err := claims.Check(&claims.Reply{Answer: "matched", MissionState: "Utopia", Date: "2027-01-01"}, claimsNow)
	var refused *invalid.Error
	if errors.As(err, &refused) {
		for _, p := range refused.Problems {
			fmt.Println(p.Pointer, p.Code, "-", p.Rule)
		}
	}
	// Output:
	// /mission required - is required
	// /mission_state format - is three capital letters, as in ICAO Doc 9303
	// /date range - is from 1900 on and not in the future
	// /channel required - is required
}

func FuzzDecode(f *testing.F) {
	for _, c := range samples() {
		data, err := claims.Encode(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(c.Kind()), data)
	}
	for _, kind := range append(kinds(), "card", "") {
		f.Add(string(kind), []byte("{}"))
		f.Add(string(kind), []byte("null"))
		f.Add(string(kind), []byte(`{"names":[null],"interview":null,"indicators":[{}],"callbacks":[{}],"loss":{},"parts":[]}`))
	}
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		c, err := claims.Decode(claims.Kind(kind), data)
		if err != nil {
			if c != nil {
				t.Error("claims beside an error")
			}
			return
		}
		// Validating never panics, and says the same each time.
		if first, again := found(c), found(c); !slices.Equal(first, again) {
			t.Errorf("two validations, two answers: %v, %v", first, again)
		}
		if s, ok := c.(*claims.Screening); ok {
			claims.Complete(s)
			found(s)
		}
		once, err := claims.Encode(c)
		if errors.Is(err, strictjson.ErrTooLarge) {
			return // escapes and what is computed can make it longer
		}
		if err != nil {
			t.Fatal(err)
		}
		back, err := claims.Decode(c.Kind(), once)
		if err != nil {
			t.Fatalf("our own encoding is refused: %v", err)
		}
		twice, err := claims.Encode(back)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("not stable: %v", err)
		}
	})
}
