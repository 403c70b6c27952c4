package sdjwt_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
)

// The credential of the goals: 12 claims, 8 of them selectively disclosable.
func (w world) goal() (always, disclosable []sdjwt.Member) {
	cnf, err := sdjwt.Confirmation(&w.holder.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return []sdjwt.Member{
			{Name: "iss", Value: "https://ngo.example"},
			{Name: "vct", Value: "urn:example:finding"},
			{Name: "exp", Value: now.Unix() + 1000},
			cnf,
		}, []sdjwt.Member{
			{Name: "given_name", Value: private.New("Siti")},
			{Name: "family_name", Value: private.New("Example")},
			{Name: "birth_date", Value: private.New("1999-01-02")},
			{Name: "nationality", Value: private.New("IDN")},
			{Name: "decision", Value: "recognised"},
			{Name: "decision_level", Value: "2"},
			{Name: "desk", Value: "https://ngo.example/desk"},
			{Name: "assessed_on", Value: "2026-10-01"},
		}
}

func BenchmarkIssue(b *testing.B) {
	w := newWorld(b)
	always, disclosable := w.goal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: "k1"}, always, disclosable, 8, w.issuer, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	always, disclosable := w.goal()
	credential, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: "k1"}, always, disclosable, 8, w.issuer, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.verify(credential, sdjwt.Policy{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyKB(b *testing.B) {
	w := newWorld(b)
	always, disclosable := w.goal()
	credential, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: "k1"}, always, disclosable, 8, w.issuer, nil)
	if err != nil {
		b.Fatal(err)
	}
	asked := sdjwt.Binding{Nonce: "nonce", Audience: "https://verifier.example"}
	presentation, err := sdjwt.Bind(credential, asked, now, w.holder)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.verify(presentation, sdjwt.Policy{Binding: &asked}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRatio gives each operation as a multiple of the raw signatures in
// it (x-raw), which is what the goals are about: the two take turns, and the
// median of the turns stands, so that a busy machine burdens both alike.
func BenchmarkRatio(b *testing.B) {
	w := newWorld(b)
	always, disclosable := w.goal()
	issue := func() string {
		credential, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: "k1"}, always, disclosable, 8, w.issuer, nil)
		if err != nil {
			b.Fatal(err)
		}
		return credential
	}
	credential := issue()
	asked := sdjwt.Binding{Nonce: "nonce", Audience: "https://verifier.example"}
	presentation, err := sdjwt.Bind(credential, asked, now, w.holder)
	if err != nil {
		b.Fatal(err)
	}
	verify := func(s string, p sdjwt.Policy) {
		if _, err := w.verify(s, p); err != nil {
			b.Fatal(err)
		}
	}
	digest := sha256.Sum256([]byte("raw"))
	sig, err := ecdsa.SignASN1(rand.Reader, w.issuer, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	rawVerify := func() {
		if !ecdsa.VerifyASN1(&w.issuer.PublicKey, digest[:], sig) {
			b.Fatal("does not verify")
		}
	}
	rawSign := func() {
		if _, err := ecdsa.SignASN1(rand.Reader, w.issuer, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
	const turn = 50
	took := func(f func()) float64 {
		start := time.Now()
		for range turn {
			f()
		}
		return float64(time.Since(start))
	}
	for _, c := range []struct {
		name     string
		own, raw func()
		raws     float64 // raw operations in one of ours
	}{
		{"Issue", func() { issue() }, rawSign, 1},
		{"Verify", func() { verify(credential, sdjwt.Policy{}) }, rawVerify, 1},
		{"VerifyKB", func() { verify(presentation, sdjwt.Policy{Binding: &asked}) }, rawVerify, 2},
	} {
		b.Run(c.name, func(b *testing.B) {
			var ratios []float64
			for b.Loop() {
				ratios = append(ratios, took(c.own)/(took(c.raw)*c.raws))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "x-raw")
		})
	}
}

func BenchmarkRawSign(b *testing.B) {
	key, digest := newKey(b), sha256.Sum256([]byte("raw"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRawVerify(b *testing.B) {
	key, digest := newKey(b), sha256.Sum256([]byte("raw"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
			b.Fatal("does not verify")
		}
	}
}
