package approval_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
)

var now = time.Unix(1_780_000_000, 0)

type sample struct {
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
	Inner struct {
		N int  `json:"n"`
		B bool `json:"b"`
	} `json:"inner"`
	Empty []string `json:"empty"`
}

func act(t testing.TB) approval.Act {
	t.Helper()
	a, err := approval.New(strings.Repeat("ab", 16), "agency.admit", "", strings.Repeat("01", 16),
		sample{Name: "Made-up <House> & Sons", Roles: []string{"one", "two"}, Empty: []string{}}, now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestOneForm(t *testing.T) {
	a := act(t)
	data, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := approval.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := again.Bytes(); !bytes.Equal(got, data) {
		t.Error("another form after it was read")
	}
	for name, other := range map[string][]byte{
		"white space":     append([]byte(" "), data...),
		"trailing":        append(bytes.Clone(data), '\n'),
		"unknown member":  bytes.Replace(data, []byte(`{"network"`), []byte(`{"x":1,"network"`), 1),
		"twice":           bytes.Replace(data, []byte(`"agency":""`), []byte(`"agency":"","agency":""`), 1),
		"nonce too short": bytes.Replace(data, []byte(a.Nonce), []byte(a.Nonce[:42]), 1),
		"no expiry":       bytes.Replace(data, []byte(`"expires":1780003600`), []byte(`"expires":0`), 1),
		"what is a list":  bytes.Replace(data, a.What, []byte("[]"), 1),
		"empty":           nil,
	} {
		if _, err := approval.Parse(other); !errors.Is(err, approval.ErrAct) {
			t.Errorf("%s: %v, want ErrAct", name, err)
		}
	}
	var s sample
	if err := a.Read(&s); err != nil || s.Name != "Made-up <House> & Sons" {
		t.Errorf("what it is about: %v", err)
	}
	escaped := a
	escaped.What = bytes.Replace(a.What, []byte("<"), []byte(`\u003c`), 1)
	if err := escaped.Read(&s); !errors.Is(err, approval.ErrAct) {
		t.Errorf("read in another form: %v", err)
	}
	var less struct {
		Name string `json:"name"`
	}
	if err := a.Read(&less); !errors.Is(err, approval.ErrAct) {
		t.Errorf("read with members left over: %v", err)
	}
}

// TestChallenge: whatever is changed, it is another challenge, and the same act made
// again is.
func TestChallenge(t *testing.T) {
	a := act(t)
	first, err := a.Challenge()
	if err != nil {
		t.Fatal(err)
	}
	for name, alter := range map[string]func(*approval.Act){
		"network": func(a *approval.Act) { a.Network = strings.Repeat("cd", 16) },
		"id":      func(a *approval.Act) { a.ID = strings.Repeat("cd", 16) },
		"do":      func(a *approval.Act) { a.Do = "agency.suspend" },
		"agency":  func(a *approval.Act) { a.Agency = strings.Repeat("cd", 16) },
		"by":      func(a *approval.Act) { a.By = "" },
		"expires": func(a *approval.Act) { a.Expires++ },
		"what":    func(a *approval.Act) { a.What = []byte(`{}`) },
	} {
		b := a
		alter(&b)
		if got, err := b.Challenge(); err != nil || got == first {
			t.Errorf("%s: the same challenge, or %v", name, err)
		}
	}
	if other, _ := act(t).Challenge(); other == first {
		t.Error("made twice, and the same challenge")
	}
	if a.Over(now.Add(time.Hour-time.Second)) || !a.Over(now.Add(time.Hour)) {
		t.Error("over at another time")
	}
}

// TestLines: nothing stands in the bytes that is on no line.
func TestLines(t *testing.T) {
	lines, err := act(t).Lines()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range lines {
		got = append(got, l.At+"="+l.Value.Reveal())
	}
	want := "do=agency.admit agency= by=" + strings.Repeat("01", 16) + " expires=2026-05-28T21:26:40Z " +
		"what.name=Made-up <House> & Sons what.roles.0=one what.roles.1=two what.inner.n=0 what.inner.b=false what.empty="
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}

func TestDistinct(t *testing.T) {
	p := func(person, key string) approval.Proof {
		return approval.Proof{Person: person, Credential: []byte(key)}
	}
	for name, c := range map[string]struct {
		proofs []approval.Proof
		ok     bool
	}{
		"none":          {nil, true},
		"two":           {[]approval.Proof{p("a", "1"), p("b", "2")}, true},
		"one person":    {[]approval.Proof{p("a", "1"), p("a", "2")}, false},
		"one passkey":   {[]approval.Proof{p("a", "1"), p("b", "1")}, false},
		"nobody":        {[]approval.Proof{p("", "1")}, false},
		"without a key": {[]approval.Proof{p("a", "")}, false},
	} {
		if err := approval.Distinct(c.proofs); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	data, err := act(f).Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"network":"","id":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := approval.Parse(data)
		if err != nil {
			return
		}
		again, err := a.Bytes()
		if err != nil || !bytes.Equal(again, data) {
			t.Error("another form is taken")
		}
		if _, err := a.Lines(); err != nil {
			t.Errorf("an act without words: %v", err)
		}
	})
}
