package private_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/safeconduct/safeconduct/credentials/private"
)

const secret = "TESFAYE FELIX (made up)"

type record struct {
	ID     string
	Name   private.String
	hidden private.String
	Ptr    *private.String
}

func TestNothingPrintsIt(t *testing.T) {
	s := private.New(secret)
	r := record{ID: "1", Name: s, hidden: s, Ptr: &s}
	var log bytes.Buffer
	text := slog.New(slog.NewTextHandler(&log, nil))
	js := slog.New(slog.NewJSONHandler(&log, nil))
	for _, l := range []*slog.Logger{text, js} {
		l.Info("record", "value", s, "struct", r, "pointer", &r, "slice", []private.String{s})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{s, &s, r, &r, []record{r}, map[string]private.String{"n": s}} {
			fmt.Fprintf(&log, verb, v)
		}
	}
	fmt.Fprint(&log, errors.Join(fmt.Errorf("bad %v", s)))
	for _, needle := range []string{secret, "TESFAYE", fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
		if strings.Contains(log.String(), needle) {
			t.Errorf("%q was printed", needle)
		}
	}
	if !strings.Contains(log.String(), private.Masked) {
		t.Error("no mask was printed: the test prints nothing")
	}
	if r.hidden.Reveal() != secret {
		t.Error("Reveal does not give the value back")
	}
}

func TestNothingEncodesIt(t *testing.T) {
	s := private.New(secret)
	for name, encode := range map[string]func(any) ([]byte, error){"json": json.Marshal, "cbor": cbor.Marshal} {
		for _, v := range []any{s, &s, record{Name: s}, map[string]private.String{"a": s}} {
			if b, err := encode(v); err == nil {
				t.Errorf("%s encoded %T as %q", name, v, b)
			}
		}
	}
}

func TestReading(t *testing.T) {
	var v struct{ Name private.String }
	if err := json.Unmarshal([]byte(`{"Name":"Siti"}`), &v); err != nil {
		t.Fatal(err)
	}
	if got := v.Name.Reveal(); got != "Siti" {
		t.Errorf("got %q", got)
	}
	if !v.Name.Equal(private.New("Siti")) || v.Name.Equal(private.New("Sita")) {
		t.Error("Equal is wrong")
	}
	if !private.New("").IsZero() || v.Name.IsZero() {
		t.Error("IsZero is wrong")
	}
}
