package private_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
)

// The two halves of a pair are the same but for the type of their texts, so
// that encoding/json can say what RevealJSON has to write.

type plainInner struct {
	City  string            `json:"city,omitempty"`
	Zip   string            `json:"zip,omitzero"`
	Same  string            `json:"same"`
	Extra map[string]string `json:"extra,omitempty"`
}

type privateInner struct {
	City  private.String            `json:"city,omitempty"`
	Zip   private.String            `json:"zip,omitzero"`
	Same  private.String            `json:"same"`
	Extra map[string]private.String `json:"extra,omitempty"`
}

type plainDeep struct {
	Same   string
	Deep   string
	Hidden string `json:"-"`
	Dash   string `json:"-,"` //nolint:staticcheck // the odd spelling is the case
}

type privateDeep struct {
	Same   private.String
	Deep   private.String
	Hidden private.String `json:"-"`
	Dash   private.String `json:"-,"` //nolint:staticcheck // the odd spelling is the case
}

type plainRecord struct {
	ID     int    `json:"id,string"`
	Name   string `json:"name"`
	Quoted string `json:"quoted,string"`
	plainInner
	*plainDeep
	Pointer  *string               `json:"pointer"`
	MayBe    *string               `json:"may_be,omitempty"`
	NotZero  *string               `json:"not_zero,omitzero"`
	List     []string              `json:"list"`
	Pair     [2]string             `json:"pair"`
	Lists    map[string][]string   `json:"lists"`
	ByNumber map[int]*plainInner   `json:"by_number,omitempty"`
	Any      any                   `json:"any"`
	When     time.Time             `json:"when"`
	Never    time.Time             `json:"never,omitzero"`
	Raw      json.RawMessage       `json:"raw"`
	Bytes    []byte                `json:"bytes"`
	Address  netip.Addr            `json:"address"`
	ByAddr   map[netip.Addr]string `json:"by_addr"`
	Next     *plainRecord          `json:"next,omitempty"`
	Number   json.Number           `json:"number,string"`
	Loud     loud                  `json:"loud"`
	LoudPtr  *loud                 `json:"loud_ptr"`
	Louds    []loud                `json:"louds"`
	Flag     bool                  `json:"<flag>,string"`
	unseen   string
}

type privateRecord struct {
	ID     int            `json:"id,string"`
	Name   private.String `json:"name"`
	Quoted private.String `json:"quoted,string"` //nolint:staticcheck // the odd option is the case
	privateInner
	*privateDeep
	Pointer  *private.String               `json:"pointer"`
	MayBe    *private.String               `json:"may_be,omitempty"`
	NotZero  *private.String               `json:"not_zero,omitzero"`
	List     []private.String              `json:"list"`
	Pair     [2]private.String             `json:"pair"`
	Lists    map[string][]private.String   `json:"lists"`
	ByNumber map[int]*privateInner         `json:"by_number,omitempty"`
	Any      any                           `json:"any"`
	When     time.Time                     `json:"when"`
	Never    time.Time                     `json:"never,omitzero"`
	Raw      json.RawMessage               `json:"raw"`
	Bytes    []byte                        `json:"bytes"`
	Address  netip.Addr                    `json:"address"`
	ByAddr   map[netip.Addr]private.String `json:"by_addr"`
	Next     *privateRecord                `json:"next,omitempty"`
	Number   json.Number                   `json:"number,string"`
	Loud     loud                          `json:"loud"`
	LoudPtr  *loud                         `json:"loud_ptr"`
	Louds    []loud                        `json:"louds"`
	Flag     bool                          `json:"<flag>,string"`
	unseen   private.String
}

// loud encodes itself, but only through its pointer.
type loud int

func (l *loud) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `{ "loud": %d }`, *l), nil }

// dice makes the two halves of a pair from the same throws.
type dice struct{ *rand.Rand }

var texts = []string{"", "Siti", "ស៊ីថា", "<b>&\u2028", "quote \" and \\", "\x00\x1f", "bad \xff bytes", "123", "null"}

func (d dice) text() (string, private.String) {
	s := texts[d.IntN(len(texts))]
	return s, private.New(s)
}

func (d dice) inner() (a plainInner, b privateInner) {
	a.City, b.City = d.text()
	a.Zip, b.Zip = d.text()
	a.Same, b.Same = d.text()
	if d.IntN(2) == 0 {
		a.Extra, b.Extra = map[string]string{}, map[string]private.String{}
		for range d.IntN(4) {
			k := fmt.Sprint("k<", d.IntN(9))
			a.Extra[k], b.Extra[k] = d.text()
		}
	}
	return a, b
}

func (d dice) pointer() (*string, *private.String) {
	if d.IntN(2) == 0 {
		return nil, nil
	}
	a, b := d.text()
	return &a, &b
}

func (d dice) list() (a []string, b []private.String) {
	if d.IntN(3) == 0 {
		return nil, nil
	}
	a, b = []string{}, []private.String{}
	for range d.IntN(4) {
		x, y := d.text()
		a, b = append(a, x), append(b, y)
	}
	return a, b
}

func (d dice) any(depth int) (any, any) {
	switch d.IntN(7) {
	case 0:
		return nil, nil
	case 1:
		return 12.5, 12.5
	case 2:
		return time.Time{}, time.Time{}
	case 3:
		a, b := d.list()
		return a, b
	case 4:
		a, b := d.inner()
		return &a, &b
	case 5:
		if depth > 0 {
			x, y := d.any(depth - 1)
			return map[string]any{"x": x, "a": 1}, map[string]any{"x": y, "a": 1}
		}
		fallthrough
	default:
		a, b := d.text()
		return a, b
	}
}

func (d dice) record(depth int) (a plainRecord, b privateRecord) {
	a.ID = d.IntN(100)
	b.ID = a.ID
	a.Name, b.Name = d.text()
	a.Quoted, b.Quoted = d.text()
	a.unseen, b.unseen = d.text()
	a.plainInner, b.privateInner = d.inner()
	if d.IntN(2) == 0 {
		a.plainDeep, b.privateDeep = &plainDeep{}, &privateDeep{}
		a.plainDeep.Same, b.privateDeep.Same = d.text()
		a.Deep, b.Deep = d.text()
		a.Hidden, b.Hidden = d.text()
		a.Dash, b.Dash = d.text()
	}
	a.Pointer, b.Pointer = d.pointer()
	a.MayBe, b.MayBe = d.pointer()
	a.NotZero, b.NotZero = d.pointer()
	a.List, b.List = d.list()
	a.Pair[1], b.Pair[1] = d.text()
	a.Lists, b.Lists = map[string][]string{}, map[string][]private.String{}
	for range d.IntN(3) {
		k := fmt.Sprint(d.IntN(100))
		a.Lists[k], b.Lists[k] = d.list()
	}
	if d.IntN(2) == 0 {
		x, y := d.inner()
		a.ByNumber, b.ByNumber = map[int]*plainInner{-2: &x, 10: nil}, map[int]*privateInner{-2: &y, 10: nil}
	}
	a.Any, b.Any = d.any(3)
	a.When = time.Unix(d.Int64N(1e9), 5).UTC()
	b.When = a.When
	a.Raw = json.RawMessage(`{ "x" : "<" }`)
	b.Raw = a.Raw
	a.Bytes = []byte{1, 2}
	b.Bytes = a.Bytes
	a.Address = netip.MustParseAddr("2001:db8::1")
	b.Address = a.Address
	x, y := d.text()
	a.ByAddr, b.ByAddr = map[netip.Addr]string{a.Address: x}, map[netip.Addr]private.String{a.Address: y}
	a.Number, b.Number = "7", "7"
	a.Louds, b.Louds = []loud{1}, []loud{1}
	if depth > 0 && d.IntN(2) == 0 {
		x, y := d.record(depth - 1)
		a.Next, b.Next = &x, &y
	}
	return a, b
}

func TestRevealJSONIsWhatJSONWrites(t *testing.T) {
	for seed := range uint64(2000) {
		d := dice{rand.New(rand.NewPCG(seed, 1))}
		a, b := d.record(3)
		for name, pair := range map[string][2]any{"value": {a, b}, "pointer": {&a, &b}, "any": {a.Any, b.Any}, "list": {a.List, b.List}} {
			want, err := json.Marshal(pair[0])
			if err != nil {
				t.Fatal(err)
			}
			got, err := private.RevealJSON(pair[1])
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("seed %d, %s:\ngot  %s\nwant %s", seed, name, got, want)
			}
		}
	}
}

func TestRevealJSONOfNothing(t *testing.T) {
	var none *private.String
	for name, v := range map[string]any{"nil": nil, "nil pointer": none, "nil list": []private.String(nil), "nil map": map[string]private.String(nil)} {
		if got, err := private.RevealJSON(v); err != nil || string(got) != "null" {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}

func TestRevealJSONRefuses(t *testing.T) {
	type ring struct {
		Name private.String
		Next *ring
	}
	r := &ring{}
	r.Next = r
	for name, c := range map[string]struct {
		value any
		want  error
	}{
		"private key of a map": {map[private.String]private.String{private.New("x"): private.New(secret)}, private.ErrReveal},
		"channel":              {struct{ C chan private.String }{make(chan private.String)}, nil},
		"ring":                 {r, nil},
		"embedded":             {struct{ private.String }{private.New(secret)}, private.ErrReveal},
	} {
		got, err := private.RevealJSON(c.value)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
		if err != nil && bytes.Contains([]byte(err.Error()), []byte("TESFAYE")) {
			t.Errorf("%s: the error shows the value", name)
		}
	}
}

func ExampleRevealJSON() {
	person := struct {
		Name private.String `json:"name"`
		Born int            `json:"born"`
	}{private.New("Siti Example"), 1999}
	_, err := json.Marshal(person)
	fmt.Println(errors.Is(err, private.ErrReveal))
	b, _ := private.RevealJSON(person)
	fmt.Println(string(b))
	// Output:
	// true
	// {"name":"Siti Example","born":1999}
}
