package verifier

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
)

// FuzzVerify: whatever is shown, with whatever code and whenever, gets a state
// of the closed set, the same one twice, and without an answers list nothing
// is ever confirmed.
func FuzzVerify(f *testing.F) {
	i := newIssued(f)
	i.answers = nil
	p := i.open(noon)
	for _, text := range []string{
		"", i.digits, i.digits[1:], "https://example.org", "{}", "eyJ..", i.credential(f, nil),
		"6BFL70+30FFWJWG.FKJ0587B0XKA8FA9DIWENPEJ/5P", "eyJhbGciOiJub25lIn0.e30.~",
	} {
		f.Add(text, rightCode, true, int64(0))
		f.Add(text, wrongCode, true, int64(86400))
		f.Add(text, "", true, int64(-86400))
		f.Add(text, "០១២៣៤៥៦៧៨៩", false, int64(60*86400))
	}
	// Argon2id over every code the fuzzer thinks of would leave it no time to
	// think. A code that is not the right one opens nothing; vectors and other
	// tests show that.
	open := func(c card.Card, keys card.OpenKeys, code card.Code) (*card.Opened, error) {
		if code.Reveal() != rightCode {
			return nil, card.ErrWrongCode
		}
		return openOnce(c, keys, code)
	}
	known := map[State]bool{}
	for _, s := range States {
		known[s] = true
	}
	f.Fuzz(func(t *testing.T, text, code string, given bool, after int64) {
		in := Presentation{Text: text}
		if given {
			in.Code = &code
		}
		now := noon.Add(time.Duration(after%(400*86400)) * time.Second)
		v, again := p.verify(in, open, now), p.verify(in, open, now)
		if !reflect.DeepEqual(v, again) {
			t.Errorf("%v, and then %v", v, again)
		}
		if !known[v.State] || v.State == Confirmed {
			t.Errorf("got %v", v)
		}
		if err := honest(v); err != nil {
			t.Error(err)
		}
		if v.Card != nil && !given {
			t.Error("opened without a code")
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
		// Only digits of a card open one.
		if _, err := card.Parse(text); err != nil && v.Card != nil {
			t.Error("opened what is no card")
		}
	})
}

// FuzzStatement is the inner face of FuzzOpenPack, behind every signature and seal:
// what a reader takes it takes again from what a writer makes of it, and nothing
// passes that says it is for a newer reader.
func FuzzStatement(f *testing.F) {
	i := newIssued(f)
	i.trust.Agencies[0].Keys[0].Compromised = &Compromise{At: 1, Logged: []string{"00"}}
	i.keys.Closed = []ClosedEpoch{{ID: 7, TagKey: []byte{1}, Burned: true}}
	i.statement.Status = []ListToken{{Number: 1, Token: "x"}}
	i.named()
	for _, v := range []any{*i.trustKey, i.trust, i.statement, i.envelope, i.keys, File{Lists: Lists{TrustList: "x", TrustKey: "z"}, Envelope: "y"}} {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		for _, head := range []string{`{"version":1,`, `{"version":2,`, `{"crit":["agencies.keys.from","later"],"later":[{}],`, `{"crit":[],"Version":1,`} {
			f.Add([]byte(head + string(b[1:])))
		}
	}
	f.Add([]byte(`{"crit":["live.net","live","version"],"live":[{"id":1,"more":{"ID":1}}]}`))
	f.Add([]byte(`{"agencies":[{"keys":[{"kid":"a","KID":"b"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []any{&TrustKey{}, &TrustList{}, &PackStatement{}, &Envelope{}, &EpochKeys{}, &File{}} {
			err := readStatement(data, MaxEnvelope, v)
			if err != nil {
				continue
			}
			var said preface
			if json.Unmarshal(data, &said) != nil || said.Version != nil && *said.Version != Version {
				t.Fatalf("%T was taken and says version %v", v, said.Version)
			}
			again := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if err := readStatement(b, len(b), again); err != nil {
				t.Fatalf("%T is not taken again: %v", v, err)
			}
			if b2, err := json.Marshal(again); err != nil || !bytes.Equal(b, b2) {
				t.Fatalf("%T is read otherwise again (%v)", v, err)
			}
		}
	})
}

// FuzzOpenPack: no bytes but the file itself give a pack, and every refusal
// says why.
func FuzzOpenPack(f *testing.F) {
	i := newIssued(f)
	i.named()
	file := i.bytes()
	want, err := OpenPack(file, i.device, noon)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte(""))
	f.Add([]byte("{}"))
	f.Add([]byte(`{"lists":{"trust_list":"","pack":""},"envelope":""}`))
	f.Add([]byte(`{"lists":null,"envelope":null}`))
	// A newer statement beside the same list, and beside nothing.
	newer := *i.trustKey
	newer.IssuedAt++
	compact, err := newer.Sign(i.signTrustKey)
	if err != nil {
		f.Fatal(err)
	}
	beside := i.file()
	beside.Lists.TrustKey = compact
	for _, one := range []File{beside, {Lists: Lists{TrustKey: compact}}} {
		b, err := MarshalFile(one)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := OpenPack(b, i.device, noon)
		// A refusal takes no number, and no date but one under the root's signature.
		if not, ok := errors.AsType[*NotReadyError](err); ok {
			if d := not.Kept(i.device).TrustKeyIssued; d != 0 && d != i.trustKey.IssuedAt && d != newer.IssuedAt {
				t.Errorf("the root said nothing at %d", d)
			}
		}
		_, again := OpenPack(b, i.device, noon)
		if reason := reasonOfPack(t, err); (err == nil) != (again == nil) || reason != reasonOfPack(t, again) {
			t.Errorf("%v, and then %v", err, again)
		}
		// The file may be written with other white space or escapes. What it
		// says cannot differ, for all of it is signed.
		if err == nil && !reflect.DeepEqual(p, want) {
			t.Error("another pack came out")
		}
	})
}
