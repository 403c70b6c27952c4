package card_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
)

// A card is sealed to one epoch and one code, printed as digits, recognised
// without the code and opened with it.
func Example() {
	// The epoch's keys: the network makes them, devices get them in an envelope.
	private25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	tagKey, netKey := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(tagKey)
	_, _ = rand.Read(netKey)
	// The agency's key, and the id that the trust list gives it.
	agency, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	kid := [8]byte{0x24, 0x11, 0x81, 0x0b, 0x28, 0xa2, 0xbb, 0xa3}

	code, err := card.NewCode(nil) // shown once, on a separate slip
	if err != nil {
		panic(err)
	}
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	claims := card.Claims{
		IssuedAt: day, Expires: day.AddDate(0, 0, 180),
		Name: private.New("TESFAYE, FELIX"), // made up
		List: 3, Index: 917302, Status: 1, DecisionLevel: 2,
	}
	_, _ = rand.Read(claims.Handle[:])

	sealed, err := card.Seal(claims,
		card.SealKeys{Epoch: 202611, TagKey: tagKey, NetKey: netKey, Public: private25519.PublicKey().Bytes()},
		code, kid, agency, nil)
	if err != nil {
		panic(err)
	}
	digits := sealed.Card.Digits() // for the symbol
	fmt.Println(len(digits), "digits")

	// At the checkpoint.
	scanned, err := card.Parse(digits)
	if err != nil {
		panic(err)
	}
	if _, ok := scanned.Match([]card.TagKey{{Epoch: 202611, Key: tagKey}}); ok {
		fmt.Println("one of ours: ask for the code")
	}
	opened, err := card.Open(scanned,
		card.OpenKeys{Epoch: 202611, TagKey: tagKey, NetKey: netKey, Private: private25519.Bytes()}, code)
	if err != nil {
		panic(err)
	}
	if opened.KeyID() == kid && opened.Verify(&agency.PublicKey) {
		c := opened.Claims()
		fmt.Println(c.Name.Reveal(), "until", c.Expires.Format(time.DateOnly))
	}
	fmt.Println(code, opened.Claims()) // neither prints
	// Output:
	// 667 digits
	// one of ours: ask for the code
	// TESFAYE, FELIX until 2027-05-21
	// [private] [private]
}
