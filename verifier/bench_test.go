//go:build stretched

package verifier

import (
	"testing"

	"github.com/safeconduct/safeconduct/credentials/card"
)

// BenchmarkCard is a whole check of a card, but for the stretch.
func BenchmarkCard(b *testing.B) {
	i := newIssued(b)
	p := i.open(noon)
	in := Presentation{Text: i.digits, Code: ptr(rightCode)}
	c, err := card.Parse(i.digits)
	if err != nil {
		b.Fatal(err)
	}
	code, err := card.ParseCode(rightCode)
	if err != nil {
		b.Fatal(err)
	}
	stretched, err := card.Stretch(c, code)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if v := p.VerifyStretched(in, stretched, noon); v.State != Unconfirmed {
			b.Fatal(v)
		}
	}
}

// BenchmarkCredential is a whole check of a credential.
func BenchmarkCredential(b *testing.B) {
	i := newIssued(b)
	p := i.open(noon)
	in := Presentation{Text: i.credential(b, nil)}
	for b.Loop() {
		if v := p.Verify(in, noon); v.State != Unconfirmed {
			b.Fatal(v)
		}
	}
}
