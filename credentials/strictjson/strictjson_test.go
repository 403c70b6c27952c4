package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
)

var cases = []struct {
	name, text, code string
}{
	{"object", `{"a":1,"b":[true,false,null,"x",-0.5e+3]}`, ""},
	{"white space", " \t\r\n{ } ", ""},
	{"scalar", `"x"`, ""},
	{"empty name", `{"":1}`, ""},
	{"same name in two objects", `{"a":{"a":1},"b":{"a":2}}`, ""},
	{"same name after an inner object", `{"a":{"b":1},"b":2}`, ""},
	{"surrogate pair", `"\ud83d\ude00"`, ""},
	{"not a character but Unicode", `"\ufffe"`, ""},
	{"largest float", `1.7976931348623157e308`, ""},
	{"many digits", strings.Repeat("9", 300), ""},
	{"depth 16", strings.Repeat("[", 16) + strings.Repeat("]", 16), ""},

	{"duplicate", `{"exp":1,"exp":2}`, "json_duplicate_key"},
	{"duplicate by case", `{"exp":1,"EXP":2}`, "json_duplicate_key"},
	{"duplicate by escape", `{"exp":1,"\u0065xp":2}`, "json_duplicate_key"},
	{"duplicate by Unicode case", `{"kid":1,"` + "\u212a" + `id":2}`, "json_duplicate_key"},
	{"duplicate deep inside", `[{"a":{"b":1,"c":{},"B":2}}]`, "json_duplicate_key"},
	{"duplicate among many", `{` + many(40) + `,"N0":1}`, "json_duplicate_key"},
	{"duplicate late among many", `{` + many(40) + `,"x":1,"X":1}`, "json_duplicate_key"},

	{"empty", ``, "json_invalid"},
	{"trailing bytes", `{}x`, "json_invalid"},
	{"two values", `{} {}`, "json_invalid"},
	{"trailing comma", `{"a":1,}`, "json_invalid"},
	{"trailing comma in array", `[1,]`, "json_invalid"},
	{"leading comma", `[,1]`, "json_invalid"},
	{"comment", `{}//`, "json_invalid"},
	{"byte order mark", "\ufeff{}", "json_invalid"},
	{"other space", "\u00a0{}", "json_invalid"},
	{"name without quotes", `{a:1}`, "json_invalid"},
	{"no colon", `{"a" 1}`, "json_invalid"},
	{"no value", `{"a":}`, "json_invalid"},
	{"unclosed", `{"a":[1`, "json_invalid"},
	{"unclosed text", `"a`, "json_invalid"},
	{"ends in escape", `"\`, "json_invalid"},
	{"ends in unicode escape", `"\u12`, "json_invalid"},
	{"word", `True`, "json_invalid"},
	{"NaN", `NaN`, "json_invalid"},
	{"leading zero", `01`, "json_invalid"},
	{"plus", `+1`, "json_invalid"},
	{"no digit after point", `1.`, "json_invalid"},
	{"no digit before point", `.5`, "json_invalid"},
	{"no digit in exponent", `1e`, "json_invalid"},
	{"hexadecimal", `0x1`, "json_invalid"},
	{"number 1e400", `1e400`, "json_invalid"},
	{"number of 400 digits", strings.Repeat("9", 400), "json_invalid"},
	{"invalid UTF-8", "\"\xff\"", "json_invalid"},
	{"invalid UTF-8 after escape", "\"\\n\xff\"", "json_invalid"},
	{"invalid UTF-8 in a name", "{\"\xff\":1}", "json_invalid"},
	{"surrogate in UTF-8", "\"\xed\xa0\x80\"", "json_invalid"},
	{"overlong UTF-8", "\"\xc0\xaf\"", "json_invalid"},
	{"lone high surrogate", `"\ud800"`, "json_invalid"},
	{"lone low surrogate", `"\udc00"`, "json_invalid"},
	{"two high surrogates", `"\ud800\ud800"`, "json_invalid"},
	{"high surrogate and letter", `"\ud800x"`, "json_invalid"},
	{"lone surrogate in a name", `{"\ud800":1}`, "json_invalid"},
	{"control character", "\"\n\"", "json_invalid"},
	{"control character after escape", "\"\\n\n\"", "json_invalid"},
	{"unknown escape", `"\x"`, "json_invalid"},
	{"depth 17", strings.Repeat("[", 17) + strings.Repeat("]", 17), "json_invalid"},
	{"depth 10,000", strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), "json_invalid"},

	{"64 KiB and one byte", strings.Repeat(" ", 64<<10) + "1", "too_large"},
}

func many(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"n%d":%d`, i, i)
	}
	return strings.Join(names, ",")
}

func TestCheck(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := strictjson.Check([]byte(c.text), strictjson.Limits{})
			if got := strictjson.Code(err); got != c.code || (err == nil) != (c.code == "") {
				t.Errorf("got %q (%v), want %q", got, err, c.code)
			}
		})
	}
}

func TestValueIsWhatJSONReads(t *testing.T) {
	read := 0
	for _, c := range cases {
		if c.code != "" {
			continue
		}
		read++
		t.Run(c.name, func(t *testing.T) {
			got, err := strictjson.Value([]byte(c.text), strictjson.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(lenient(t, []byte(c.text)), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
	if read < 10 {
		t.Errorf("only %d texts were read", read)
	}
}

func lenient(t testing.TB, text []byte) (v any) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("encoding/json refuses %q: %v", text, err)
	}
	return v
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name, text string
		limit      strictjson.Limits
		want       error
	}{
		{"size reached", `[1]`, strictjson.Limits{Size: 3}, nil},
		{"size passed", `[1] `, strictjson.Limits{Size: 3}, strictjson.ErrTooLarge},
		{"depth reached", `[[1]]`, strictjson.Limits{Depth: 2}, nil},
		{"depth passed", `[[[1]]]`, strictjson.Limits{Depth: 2}, strictjson.ErrInvalid},
		{"depth passed by an empty object", `[[{}]]`, strictjson.Limits{Depth: 2}, strictjson.ErrInvalid},
		{"depth is not a count", `[[],[],[{}],{}]`, strictjson.Limits{Depth: 3}, nil},
		{"negative is the default", `[[1]]`, strictjson.Limits{Size: -1, Depth: -1}, nil},
	} {
		if err := strictjson.Check([]byte(c.text), c.limit); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestUnmarshal(t *testing.T) {
	type inner struct {
		B int `json:"b"`
	}
	type target struct {
		A   inner `json:"a"`
		Any any   `json:"any"`
	}
	for _, c := range []struct {
		name, text, code string
	}{
		{"fits", `{"a":{"b":1},"any":12345678901234567890}`, ""},
		{"unknown member", `{"a":{"b":1},"canary":1}`, "unknown_field"},
		{"unknown member inside", `{"a":{"canary":1}}`, "unknown_field"},
		{"wrong kind", `{"a":{"b":"canary"}}`, "json_invalid"},
		{"wrong kind at the top", `["canary"]`, "json_invalid"},
		{"number too large for the field", `{"a":{"b":1e300}}`, "json_invalid"},
		{"duplicate by case", `{"a":{"b":1,"B":2}}`, "json_duplicate_key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v target
			err := strictjson.Unmarshal([]byte(c.text), strictjson.Limits{}, &v)
			if got := strictjson.Code(err); got != c.code || (err == nil) != (c.code == "") {
				t.Fatalf("got %q (%v), want %q", got, err, c.code)
			}
			if err != nil {
				if strings.Contains(err.Error(), "canary") {
					t.Error("the error repeats the input")
				}
				return
			}
			if v.A.B != 1 || v.Any != json.Number("12345678901234567890") {
				t.Errorf("got %+v", v)
			}
		})
	}
}

// open is read with members that it has no fields for.
type open struct {
	Name string          `json:"name"`
	Keys []openKey       `json:"keys"`
	Next *open           `json:"next"`
	Raw  json.RawMessage `json:"raw"`
	Any  any             `json:"any"`
	Seal []byte          `json:"seal"`
	Bare int
	Not  int `json:"-"`
}

type openKey struct {
	ID string `json:"kid"`
}

func TestUnmarshalOpen(t *testing.T) {
	for _, c := range []struct {
		name, text, code string
	}{
		{"fits", `{"name":"a","keys":[{"kid":"k"}],"Bare":1}`, ""},
		{"unknown member", `{"name":"a","keys":[{"kid":"k"}],"canary":{"name":[1]}}`, ""},
		{"unknown member in an array", `{"name":"a","keys":[{"kid":"k","canary":1}]}`, ""},
		{"unknown member far inside", `{"name":"a","keys":[{"kid":"k"}],"next":{"next":{"canary":1}}}`, ""},
		{"another case inside an unknown member", `{"name":"a","keys":[{"kid":"k"}],"canary":{"NAME":1}}`, ""},
		{"another case inside a raw member", `{"name":"a","keys":[{"kid":"k"}],"raw":{"NAME":1},"any":{"NAME":1}}`, ""},
		{"a field that has no member", `{"name":"a","keys":[{"kid":"k"}],"Not":1,"not":2}`, "json_duplicate_key"},
		{"another case", `{"NAME":"a","keys":[{"kid":"k"}]}`, "unknown_field"},
		{"another case by Unicode", `{"name":"a","` + "K" + `eys":[]}`, "unknown_field"},
		{"another case in an array", `{"name":"a","keys":[{"kid":"k"},{"KID":"k"}]}`, "unknown_field"},
		{"another case far inside", `{"name":"a","next":{"next":{"Name":1}}}`, "unknown_field"},
		{"unknown member twice", `{"name":"a","canary":1,"canary":2}`, "json_duplicate_key"},
		{"unknown member twice by case, inside", `{"name":"a","keys":[{"kid":"k","canary":1,"Canary":2}]}`, "json_duplicate_key"},
		{"unknown member with a wrong number", `{"name":"a","canary":1e999}`, "json_invalid"},
		{"wrong kind", `{"name":["canary"]}`, "json_invalid"},
		{"bytes after it", `{"name":"a"}{}`, "json_invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v open
			err := strictjson.UnmarshalOpen([]byte(c.text), strictjson.Limits{}, &v)
			if got := strictjson.Code(err); got != c.code || (err == nil) != (c.code == "") {
				t.Fatalf("got %q (%v), want %q", got, err, c.code)
			}
			if err != nil {
				if strings.Contains(err.Error(), "canary") {
					t.Error("the error repeats the input")
				}
				return
			}
			if v.Name != "a" || len(v.Keys) != 1 || v.Keys[0].ID != "k" {
				t.Errorf("got %+v", v)
			}
		})
	}
}

func TestKnows(t *testing.T) {
	for path, want := range map[string]bool{
		"name": true, "keys": true, "keys.kid": true, "next.next.keys.kid": true, "Bare": true, "raw": true, "seal": true,
		"": false, "canary": false, "NAME": false, "bare": false, "Not": false, "not": false, "keys.": false, ".kid": false, "kid": false,
		"keys.canary": false, "keys.kid.x": false, "raw.x": false, "any.x": false, "seal.x": false, "next.canary": false,
	} {
		t.Run(path, func(t *testing.T) {
			if got := strictjson.Knows(&open{}, path); got != want {
				t.Errorf("%q: got %v, want %v", path, got, want)
			}
		})
	}
	if strictjson.Knows(map[string]any{}, "x") || strictjson.Knows(nil, "x") {
		t.Error("a map, or nothing, knows a member")
	}
}

func TestCodeOfOthers(t *testing.T) {
	if got := strictjson.Code(errors.New("x")); got != "" {
		t.Errorf("got %q", got)
	}
}

// Comparing each name with each would take minutes here.
func TestManyNamesAreCheap(t *testing.T) {
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, `,"%x":1`, i)
	}
	text := []byte("{" + b.String()[1:] + "}")
	start := time.Now()
	if err := strictjson.Check(text, strictjson.Limits{Size: len(text)}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

// What Check accepts, encoding/json accepts and reads the same; what
// encoding/json accepts, Check refuses only for the reasons it names.
func FuzzCheck(f *testing.F) {
	for _, c := range cases {
		if len(c.text) < 1000 {
			f.Add([]byte(c.text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := strictjson.Check(text, strictjson.Limits{})
		v, err2 := strictjson.Value(text, strictjson.Limits{})
		if fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("Check says %v, Value %v", err, err2)
		}
		if err == nil {
			if diff := cmp.Diff(lenient(t, text), v); diff != "" {
				t.Fatalf("%q is read otherwise:\n%s", text, diff)
			}
			return
		}
		simple := utf8.Valid(text) && !bytes.ContainsAny(text, `\{`) && !bytes.ContainsAny(text, "eE") &&
			bytes.Count(text, []byte("[")) <= 16 && len(text) < 300
		if simple && json.Valid(text) {
			t.Fatalf("%q is refused with %v", text, err)
		}
	})
}

func ExampleUnmarshal() {
	var order struct {
		Name string `json:"name"`
	}
	err := strictjson.Unmarshal([]byte(`{"name":"a","Name":"b"}`), strictjson.Limits{}, &order)
	fmt.Println(strictjson.Code(err))
	// Output: json_duplicate_key
}

func BenchmarkCheck(b *testing.B) {
	text := []byte(`{"iss":"https://ngo.example","iat":1790000000,"exp":1800000000,"a":["x","y"],"b":{"c":"d","e":1}}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := strictjson.Check(text, strictjson.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
