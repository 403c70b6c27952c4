package verifier_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/verifier"
)

// A device opens the pack that it was given, and judges a card with it. No
// network is involved in either.
func Example() {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	file, device, digits := published(now)

	pack, err := verifier.OpenPack(file, device, now)
	if err != nil {
		// The device is not ready, whatever is shown to it.
		fmt.Println(verifier.NotReadyVerdict(err).State)
		return
	}
	kept := pack.Accepted(device) // goes back to the disk: older packs are refused from now on
	fmt.Println("pack", kept.Sequence)

	// The card alone says only that it is one of ours.
	fmt.Println(pack.Verify(verifier.Presentation{Text: digits}, now).State)

	// With the holder's code it opens. Tries are kept between checks.
	var tries verifier.Tries
	code := "0123 456 789"
	verdict := pack.Verify(verifier.Presentation{Text: digits, Code: &code, Tries: &tries}, now)
	fmt.Println(verdict.State)
	fmt.Println(verdict.Issuer.Name)
	fmt.Println(verdict.Card.Name)          // does not print
	fmt.Println(verdict.Card.Name.Reveal()) // was asked for by name

	// After its lease the device says so, and nothing else.
	later := pack.LeaseUntil()
	verdict = pack.Verify(verifier.Presentation{Text: digits, Code: &code, Tries: &tries}, later)
	fmt.Println(verdict.State, verdict.Reason)
	// Output:
	// pack 1
	// code_not_given
	// unconfirmed
	// Made-up agency
	// [private]
	// TESTER, AMINA
	// not_ready lease_over
}

// published plays the other side: a network with one agency publishes a pack
// and enrols a device, and the agency gives somebody a card.
func published(now time.Time) (file []byte, device verifier.Device, digits string) {
	root, status, packKey, agency := newKey(), newKey(), newKey(), newKey()
	device, recipient, err := verifier.NewDevice("00112233445566778899aabbccddeeff", "device-1", publicJWK(root))
	must(err)

	trust, err := verifier.TrustList{
		Network: device.Network, Name: "Made-up network", Sequence: 1,
		IssuedAt: now.Unix(), Expires: now.AddDate(0, 1, 0).Unix(), Desk: "+10000000000",
		StatusLists: "https://lists.example/status/", AnswersLists: "https://lists.example/answers/",
		Keys: []verifier.NetworkKey{
			{Use: verifier.UseStatus, KeyID: signer(status).KeyID, JWK: publicJWK(status)},
			{Use: verifier.UsePack, KeyID: signer(packKey).KeyID, JWK: publicJWK(packKey)},
		},
		Agencies: []verifier.Agency{{
			ID: "one", Name: "Made-up agency", Class: "NGO", Country: "THA", Issuer: "https://agency.example", Desk: "+10000000001",
			Keys: []verifier.AgencyKey{{
				KeyID: signer(agency).KeyID, JWK: publicJWK(agency),
				From: now.AddDate(-1, 0, 0).Unix(), To: now.AddDate(1, 0, 0).Unix(),
			}},
		}},
	}.Sign(signer(root))
	must(err)

	list, err := statuslist.New(2, statuslist.Entries)
	must(err)
	token, err := statuslist.Token{
		Subject: "https://lists.example/status/1", IssuedAt: now, Expires: now.AddDate(0, 0, 3), TTL: time.Hour, List: list,
	}.Sign(signer(status).KeyID, status)
	must(err)
	pack, err := verifier.PackStatement{
		Network: device.Network, Sequence: 1, IssuedAt: now.Unix(), TrustSHA256: verifier.TrustDigest(trust),
		Status: []verifier.ListToken{{Number: 1, Token: token}},
	}.Sign(signer(packKey))
	must(err)

	epoch, err := ecdh.X25519().GenerateKey(rand.Reader)
	must(err)
	tagKey, netKey := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(tagKey) // never returns an error
	_, _ = rand.Read(netKey)
	envelope, err := verifier.Envelope{
		Network: device.Network, Device: device.ID, Sequence: 1,
		IssuedAt: now.Unix(), LeaseUntil: now.AddDate(0, 0, 7).Unix(),
	}.Seal(verifier.EpochKeys{Live: []verifier.Epoch{{ID: 1, TagKey: tagKey, NetKey: netKey, Private: epoch.Bytes()}}}, recipient, signer(packKey))
	must(err)
	file, err = verifier.MarshalFile(verifier.File{Lists: verifier.Lists{TrustList: trust, Pack: pack}, Envelope: envelope})
	must(err)

	code, err := card.ParseCode("0123456789")
	must(err)
	today := now.Truncate(24 * time.Hour)
	sealed, err := card.Seal(card.Claims{
		IssuedAt: today, Expires: today.AddDate(0, 0, 90), Name: private.New("TESTER, AMINA"),
		Handle: [8]byte{1}, List: 1, Index: 4711,
	}, card.SealKeys{Epoch: 1, TagKey: tagKey, NetKey: netKey, Public: epoch.PublicKey().Bytes()}, code, kidOf(agency), agency, nil)
	must(err)
	return file, device, sealed.Card.Digits()
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return key
}

func signer(key *ecdsa.PrivateKey) verifier.Signer {
	return verifier.Signer{KeyID: jws.KeyID(&key.PublicKey), Key: key}
}

func publicJWK(key *ecdsa.PrivateKey) []byte {
	jwk, err := jws.MarshalKey(&key.PublicKey)
	must(err)
	return jwk
}

func kidOf(key *ecdsa.PrivateKey) [8]byte {
	b, err := hex.DecodeString(jws.KeyID(&key.PublicKey))
	must(err)
	return [8]byte(b)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
