package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
)

func TestNote(t *testing.T) {
	type body struct {
		Act string `json:"act"`
	}
	n, err := NewNote("attestation.issued", body{"a < b & c"})
	if err != nil {
		t.Fatal(err)
	}
	// The package comment's formula, written out.
	h := sha256.New()
	h.Write([]byte{1, 18})
	h.Write([]byte("attestation.issued"))
	h.Write(n.Salt[:])
	h.Write([]byte(`{"act":"a \u003c b \u0026 c"}`))
	if got := n.Hash(); !bytes.Equal(got[:], h.Sum(nil)) {
		t.Errorf("got %x, want %x", got, h.Sum(nil))
	}
	again, err := NewNote("attestation.issued", body{"a < b & c"})
	if err != nil {
		t.Fatal(err)
	}
	if n.Salt == again.Salt || n.Hash() == again.Hash() {
		t.Error("two notes have one salt")
	}

	// A note comes back from storage with the same hash, by either way.
	data, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	var read Note
	if err := json.Unmarshal(data, &read); err != nil || read.Hash() != n.Hash() {
		t.Errorf("got %+v, %v", read, err)
	}
	if read, err = ParseNote(data); err != nil || read.Hash() != n.Hash() {
		t.Errorf("got %+v, %v", read, err)
	}
}

// Kind, salt and body cannot be shifted into each other.
func TestNoteHashIsUnambiguous(t *testing.T) {
	a := Note{Kind: "ab", Body: json.RawMessage(`1`)}
	b := Note{Kind: "a", Body: json.RawMessage(`1`)}
	b.Salt[0] = 'b'
	c := Note{Kind: "ab", Body: json.RawMessage("\x001")}
	if a.Hash() == b.Hash() || a.Hash() == c.Hash() || b.Hash() == c.Hash() {
		t.Error("two notes have one hash")
	}
}

func TestNewNoteRefuses(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		body       any
	}{
		{"no kind", "", 1},
		{"kind in capitals", "Issued", 1},
		{"kind with a space", "was issued", 1},
		{"kind with a line break", "issued\n", 1},
		{"long kind", strings.Repeat("a", 65), 1},
		{"body is a function", "issued", func() {}},
		{"body is broken", "issued", json.RawMessage(`{"name":Amina}`)},
		{"body is large", "issued", strings.Repeat("a", maxNote)},
	} {
		_, err := NewNote(c.kind, c.body)
		if !errors.Is(err, ErrNote) {
			t.Errorf("%s: got %v, want ErrNote", c.name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "Amina") || strings.Contains(err.Error(), "'A'")) {
			t.Errorf("%s: the error repeats the body: %v", c.name, err)
		}
	}
}

func TestParseNoteRefuses(t *testing.T) {
	salt := strings.Repeat("A", 43)
	good := `{"kind":"issued","salt":"` + salt + `","body":{"a":1}}`
	if n, err := ParseNote([]byte(good)); err != nil || n.Kind != "issued" || string(n.Body) != `{"a":1}` {
		t.Fatalf("the note that all others are made from: %+v, %v", n, err)
	}
	for _, c := range []struct{ name, data string }{
		{"empty", ""},
		{"null", "null"},
		{"an array", "[]"},
		{"no kind", `{"salt":"` + salt + `","body":1}`},
		{"no body", `{"kind":"issued","salt":"` + salt + `"}`},
		{"another order", `{"salt":"` + salt + `","kind":"issued","body":1}`},
		{"white space", strings.Replace(good, ":", ": ", 1)},
		{"white space in the body", strings.Replace(good, `"a":1`, `"a": 1`, 1)},
		{"line break at the end", good + "\n"},
		{"bytes after", good + good},
		{"another member", strings.Replace(good, `,"body"`, `,"who":1,"body"`, 1)},
		{"member twice", strings.Replace(good, `,"body"`, `,"kind":"issued","body"`, 1)},
		{"member in capitals", strings.Replace(good, `"kind"`, `"KIND"`, 1)},
		{"salt too short", strings.Replace(good, salt, salt[4:], 1)},
		{"salt with unused bits", strings.Replace(good, salt, salt[1:]+"B", 1)},
		{"salt padded", strings.Replace(good, salt, salt+"=", 1)},
		{"kind in capitals", strings.Replace(good, "issued", "Issued", 1)},
		{"kind escaped", strings.Replace(good, "issued", `\u0069ssued`, 1)},
		{"character that must be escaped", strings.Replace(good, `{"a":1}`, `"<"`, 1)},
		{"large", strings.Replace(good, `{"a":1}`, `"`+strings.Repeat("a", maxNote)+`"`, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := ParseNote([]byte(c.data)); !errors.Is(err, ErrNote) {
				t.Errorf("got %v, want ErrNote", err)
			}
		})
	}
	if _, err := json.Marshal(Note{Kind: "issued", Body: json.RawMessage(`{`)}); !errors.Is(err, ErrNote) {
		t.Errorf("a body that is not JSON: got %v, want ErrNote", err)
	}
}

func TestNewEntry(t *testing.T) {
	n, err := NewNote("issued", 1)
	if err != nil {
		t.Fatal(err)
	}
	east := time.FixedZone("east", 7*3600)
	e, err := NewEntry("case", n, time.Date(2026, 3, 2, 1, 30, 0, 0, east))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := e.Read(); err != nil || got.Hash() != n.Hash() || fmt.Sprintf("%+v %#v", e, e.Note) != fmt.Sprintf("%+v %s", e, private.Masked) {
		t.Errorf("read %v, printed %+v, %v", got.Kind, e, err)
	}
	if e.Hash[0] ^= 1; e.Name() == hex.EncodeToString(make([]byte, 32)) {
		t.Error("an entry without a name")
	}
	if _, err := e.Read(); !errors.Is(err, ErrNote) {
		t.Errorf("not what was logged: got %v, want ErrNote", err)
	}
	e.Hash[0] ^= 1
	if _, err := NewEntry("", Note{Kind: "NOT ONE"}, e.Day); !errors.Is(err, ErrNote) {
		t.Errorf("no note: got %v, want ErrNote", err)
	}
	if want := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC); !e.Day.Equal(want) || e.Day.Location() != time.UTC {
		t.Errorf("got the day %v, want %v", e.Day, want)
	}
	if e.Hash != n.Hash() || e.Case != "case" {
		t.Errorf("got %+v", e)
	}
}

func FuzzParseNote(f *testing.F) {
	n, err := NewNote("attestation.issued", map[string]string{"a": "<b>"})
	if err != nil {
		f.Fatal(err)
	}
	data, err := json.Marshal(n)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"kind":"a","salt":"","body":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := ParseNote(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(n)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("got %q and %v from %q", again, err, data)
		}
	})
}
