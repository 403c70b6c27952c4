package sdjwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
)

// An agency signs, the holder shows one claim to one verifier, the verifier
// checks.
func Example() {
	agency, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	holder, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

	cnf, err := sdjwt.Confirmation(&holder.PublicKey)
	if err != nil {
		panic(err)
	}
	credential, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: "ngo-2026"},
		[]sdjwt.Member{
			{Name: "iss", Value: "https://ngo.example"},
			{Name: "vct", Value: "urn:example:finding"},
			{Name: "exp", Value: now.AddDate(1, 0, 0).Unix()},
			cnf,
		},
		[]sdjwt.Member{
			{Name: "name", Value: private.New("Siti Example")},
			{Name: "birth_date", Value: private.New("1999-01-02")},
		},
		8, agency, nil)
	if err != nil {
		panic(err)
	}

	token, err := sdjwt.Parse(credential, sdjwt.TypeVC)
	if err != nil {
		panic(err)
	}
	shown, err := token.Present("birth_date")
	if err != nil {
		panic(err)
	}
	asked := sdjwt.Binding{Nonce: "n-0S6_WzA2Mj", Audience: "https://embassy.example"}
	presentation, err := sdjwt.Bind(shown, asked, now, holder)
	if err != nil {
		panic(err)
	}

	token, err = sdjwt.Parse(presentation, sdjwt.TypeVC)
	if err != nil {
		panic(err)
	}
	claims, err := token.Verify(&agency.PublicKey, sdjwt.Policy{
		Now: now, Binding: &asked, Required: []string{"iss", "exp", "cnf"},
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(token.KeyID(), claims.Issuer(), claims.Disclosed())
	fmt.Println(claims)
	// Output:
	// ngo-2026 https://ngo.example [birth_date]
	// [private]
}
