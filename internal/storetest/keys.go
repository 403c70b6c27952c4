package storetest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/mask"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/verifier"
)

// Keystore is a keystore as the rooms see it.
type Keystore = keystore.Keys

// OpenKeys is a keystore of a new network, and what a test has to know of it.
type OpenKeys struct {
	Keystore

	// Again opens the same keys a second time, as another process would.
	Again func(t *testing.T) Keystore

	// NoKey and Wrapped are the keystore's own errors for a key that is not
	// there, and for wrapped bytes that do not open.
	NoKey, Wrapped error
}

// Keys is the suite for keystores. Each call of open makes a new network's
// keys, without agencies.
func Keys(t *testing.T, open func(t *testing.T) OpenKeys) {
	t.Run("agencies sign", func(t *testing.T) { agenciesSign(t, open(t)) })
	t.Run("network keys", func(t *testing.T) { networkKeys(t, open(t)) })
	t.Run("wrapping", func(t *testing.T) { wrapping(t, open(t)) })
	t.Run("epochs", func(t *testing.T) { epochs(t, open(t), open(t)) })
	t.Run("keyed hashes", func(t *testing.T) { keyedHashes(t, open(t), open(t)) })
	t.Run("decoys", func(t *testing.T) { decoysOfLists(t, open(t), open(t)) })
	t.Run("derived keys", func(t *testing.T) { derivedKeys(t, open(t), open(t)) })
	t.Run("rotation", func(t *testing.T) { rotation(t, open(t)) })
	t.Run("keys of the network", func(t *testing.T) { ownRotation(t, open(t)) })
	t.Run("the log's key", func(t *testing.T) { logRotation(t, open(t)) })
	t.Run("unknown agencies", func(t *testing.T) { unknownAgencies(t, open(t)) })
	t.Run("at the same time", func(t *testing.T) { sameTime(t, open(t)) })
}

// signs checks that a key does what crypto.Signer promises, and hides its
// private half.
func signs(t *testing.T, what, kid string, key crypto.Signer) {
	t.Helper()
	pub, isP256 := key.Public().(*ecdsa.PublicKey)
	if !isP256 {
		t.Fatalf("%s: the public half is a %T", what, key.Public())
	}
	if want := jws.KeyID(pub); kid != want {
		t.Errorf("%s: key id %s, want %s", what, kid, want)
	}
	if _, leaks := key.(*ecdsa.PrivateKey); leaks {
		t.Errorf("%s: the private key itself was handed out", what)
	}
	// Sixteen messages, so that r and s have leading zeros or a set top bit in
	// some of them.
	for i := range 16 {
		digest := sha256.Sum256([]byte{byte(i)})
		sig, err := crypto.SignMessage(key, rand.Reader, []byte{byte(i)}, crypto.SHA256)
		ok(t, err)
		if !ecdsa.VerifyASN1(pub, digest[:], sig) {
			t.Errorf("%s: signature %d does not verify", what, i)
		}
		other := sha256.Sum256([]byte{byte(i), 1})
		if ecdsa.VerifyASN1(pub, other[:], sig) {
			t.Errorf("%s: signature %d verifies for another digest", what, i)
		}
	}
	if _, err := key.Sign(rand.Reader, make([]byte, sha256.Size), crypto.SHA256); err == nil {
		t.Errorf("%s: signed a digest, of which nobody can tell what it is", what)
	}
	token, err := jws.Sign("dc+sd-jwt", kid, key, []byte(`{"a":1}`))
	ok(t, err)
	message, err := jws.Parse(token, len(token), "dc+sd-jwt")
	ok(t, err)
	_, err = message.Verify(pub)
	ok(t, err)
}

func agenciesSign(t *testing.T, k OpenKeys) {
	ids := []string{NewID(), NewID()}
	var kids []string
	for _, id := range ids {
		kid, pub, err := k.NewAgency(t.Context(), id)
		ok(t, err)
		same(t, "key id", kid, jws.KeyID(pub))
		again, _, err := k.NewAgency(t.Context(), id)
		ok(t, err)
		same(t, "key id of a set-up that is repeated", again, kid)
		kids = append(kids, kid)
	}
	if kids[0] == kids[1] {
		t.Error("two agencies have one key")
	}
	for _, ks := range []Keystore{k.Keystore, k.Again(t)} {
		for i, id := range ids {
			kid, key, err := ks.Signer(t.Context(), id)
			ok(t, err)
			same(t, "key id", kid, kids[i])
			signs(t, "agency", kid, key)
		}
	}
}

func networkKeys(t *testing.T, k OpenKeys) {
	again := k.Again(t)
	seen := map[string]string{}
	for _, c := range []struct {
		name string
		get  func(Keystore) (verifier.Signer, error)
	}{
		{"root", func(ks Keystore) (verifier.Signer, error) { return ks.Root(t.Context()) }},
		{"trust", func(ks Keystore) (verifier.Signer, error) { return ks.Trust(t.Context()) }},
		{"status", func(ks Keystore) (verifier.Signer, error) { return ks.Status(t.Context()) }},
		{"pack", func(ks Keystore) (verifier.Signer, error) { return ks.Pack(t.Context()) }},
	} {
		s, err := c.get(k.Keystore)
		ok(t, err)
		signs(t, c.name, s.KeyID, s.Key)
		if use, used := seen[s.KeyID]; used {
			t.Errorf("%s and %s are one key", c.name, use)
		}
		seen[s.KeyID] = c.name
		s2, err := c.get(again)
		ok(t, err)
		same(t, c.name+" opened again", s2.KeyID, s.KeyID)
	}

	key, err := again.LogKey(t.Context())
	ok(t, err)
	signer, err := k.LogSigner(t.Context(), key)
	ok(t, err)
	check, err := note.NewVerifier(key)
	ok(t, err)
	signed, err := note.Sign(&note.Note{Text: "example.org/log\n1\nAAAA\n"}, signer)
	ok(t, err)
	_, err = note.Open(signed, note.VerifierList(check))
	ok(t, err)
	same(t, "log name", signer.Name(), check.Name())
	same(t, "log key hash", signer.KeyHash(), check.KeyHash())
}

func wrapping(t *testing.T, k OpenKeys) {
	for _, id := range []string{"aa01", "aa02"} {
		_, _, err := k.NewAgency(t.Context(), id)
		ok(t, err)
	}
	fileKey := []byte("sixteen bytes...")
	wrapped, err := k.Wrap(t.Context(), "aa01", "rec1", fileKey)
	ok(t, err)
	twice, err := k.Wrap(t.Context(), "aa01", "rec1", fileKey)
	ok(t, err)
	if bytes.Equal(twice, wrapped) {
		t.Error("wrapping twice gave the same bytes")
	}
	if bytes.Contains(wrapped, fileKey) {
		t.Error("the file key stands in what was wrapped")
	}
	type attempt struct {
		name           string
		agency, record string
		wrapped        []byte
		want           error
	}
	attempts := []attempt{
		{"as wrapped", "aa01", "rec1", wrapped, nil},
		{"another agency", "aa02", "rec1", wrapped, k.Wrapped},
		{"another record", "aa01", "rec2", wrapped, k.Wrapped},
		{"the border moved", "aa01", "rec1a", wrapped, k.Wrapped},
		{"no record", "aa01", "", wrapped, k.Wrapped},
		{"an agency without keys", "aa03", "rec1", wrapped, k.NoKey},
		{"cut short", "aa01", "rec1", wrapped[:len(wrapped)-1], k.Wrapped},
		{"cut to a few bytes", "aa01", "rec1", wrapped[:10], k.Wrapped},
		{"longer", "aa01", "rec1", append(slices.Clone(wrapped), 0), k.Wrapped},
		{"empty", "aa01", "rec1", nil, k.Wrapped},
		{"text", "aa01", "rec1", []byte("vault:v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), k.Wrapped},
	}
	for i := range wrapped {
		b := slices.Clone(wrapped)
		b[i] ^= 1
		attempts = append(attempts, attempt{"a bit flipped", "aa01", "rec1", b, k.Wrapped})
	}
	for _, ks := range []Keystore{k.Keystore, k.Again(t)} {
		for _, a := range attempts {
			got, err := ks.Unwrap(t.Context(), a.agency, a.record, a.wrapped)
			is(t, "unwrap, "+a.name, err, a.want)
			if a.want == nil && !bytes.Equal(got, fileKey) {
				t.Errorf("%s: other bytes came back", a.name)
			}
			if a.want != nil && got != nil {
				t.Errorf("%s: bytes came back beside an error", a.name)
			}
		}
	}
	_, err = k.Wrap(t.Context(), "aa03", "rec1", fileKey)
	is(t, "wrap to an agency without keys", err, k.NoKey)
	_, _, err = k.Signer(t.Context(), "aa03")
	is(t, "the key of an agency that something was wrapped to", err, k.NoKey)
}

func epochs(t *testing.T, k, other OpenKeys) {
	plain := []byte("keys of an epoch")
	wrapped, err := k.WrapEpoch(t.Context(), 7, plain)
	ok(t, err)
	got, err := k.Again(t).UnwrapEpoch(t.Context(), 7, wrapped)
	ok(t, err)
	same(t, "what was wrapped", string(got), string(plain))
	_, err = k.UnwrapEpoch(t.Context(), 8, wrapped)
	is(t, "for another epoch", err, k.Wrapped)
	_, err = other.UnwrapEpoch(t.Context(), 7, wrapped)
	is(t, "with another network's keys", err, other.Wrapped)
	_, _, err = k.NewAgency(t.Context(), "aa01")
	ok(t, err)
	_, err = k.Unwrap(t.Context(), "aa01", "\x00\x00\x00\x07", wrapped)
	is(t, "as a record's key", err, k.Wrapped)
}

func keyedHashes(t *testing.T, k, other OpenKeys) {
	mac := func(ks Keystore, label, data string) string {
		t.Helper()
		m, err := ks.MAC(t.Context(), label, []byte(data))
		ok(t, err)
		if len(m) != sha256.Size {
			t.Fatalf("%d bytes, want %d", len(m), sha256.Size)
		}
		return string(m)
	}
	want := mac(k.Keystore, "card number", "1")
	same(t, "the same opened again", mac(k.Again(t), "card number", "1"), want)
	kid, _, err := k.NewAgency(t.Context(), "aa01")
	ok(t, err)
	_, _, err = k.RotateAgency(t.Context(), "aa01", kid)
	ok(t, err)
	same(t, "the same after keys were made", mac(k.Keystore, "card number", "1"), want)
	for name, got := range map[string]string{
		"other data":          mac(k.Keystore, "card number", "2"),
		"no data":             mac(k.Keystore, "card number", ""),
		"another label":       mac(k.Keystore, "card handle", "1"),
		"the border moved":    mac(k.Keystore, "card numbe", "r1"),
		"the label as data":   mac(k.Keystore, "", "card number1"),
		"another network":     mac(other.Keystore, "card number", "1"),
		"a length as a label": mac(k.Keystore, "\x00\x00\x00\x0bcard number", "1"),
	} {
		if got == want {
			t.Errorf("%s: the same value", name)
		}
	}
}

// decoysOfLists: each list of each network has a key of its own, for ever.
func decoysOfLists(t *testing.T, k, other OpenKeys) {
	of := func(ks Keystore, list uint16) string {
		t.Helper()
		key, err := ks.Decoys(t.Context(), list)
		ok(t, err)
		_, err = mask.New(key)
		ok(t, err)
		return string(key)
	}
	want := of(k.Keystore, 1)
	same(t, "the key opened again", of(k.Again(t), 1), want)
	for name, got := range map[string]string{
		"another list": of(k.Keystore, 256), "the first list": of(k.Keystore, 0), "another network": of(other.Keystore, 1),
	} {
		if got == want {
			t.Errorf("%s: the same key", name)
		}
	}
}

// derivedKeys: a label and a network have one key, which serves for nothing else.
func derivedKeys(t *testing.T, k, other OpenKeys) {
	type use struct{ label, network string }
	public := func(ks Keystore, u use) ed25519.PublicKey {
		t.Helper()
		p, err := ks.DerivedKey(t.Context(), u.label, u.network)
		ok(t, err)
		return p
	}
	ours := use{"backup", "net"}
	key := public(k.Keystore, ours)
	if !key.Equal(public(k.Again(t), ours)) {
		t.Error("opened again it is another key")
	}
	signature, err := k.SignDerived(t.Context(), ours.label, ours.network, []byte("what is signed"))
	ok(t, err)
	if !ed25519.Verify(key, keystore.Labelled(ours.label, []byte("what is signed")), signature) {
		t.Error("the signature does not verify")
	}
	if ed25519.Verify(key, []byte("what is signed"), signature) {
		t.Error("the signature does not cover its label")
	}
	for what, p := range map[string]ed25519.PublicKey{
		"another label": public(k.Keystore, use{"journal", "net"}), "another network": public(k.Keystore, use{"backup", "ten"}),
		"the border moved": public(k.Keystore, use{"backu", "pnet"}), "other keys": public(other.Keystore, ours),
	} {
		if key.Equal(p) {
			t.Errorf("%s: the same key", what)
		}
	}
}

// ownRotation: a key for trust lists, lists or packs is replaced once, by whoever names the one that
// signs; the one before is known still, and signs nothing.
func ownRotation(t *testing.T, k OpenKeys) {
	for use, of := range map[verifier.Use]func(Keystore, context.Context) (verifier.Signer, error){
		verifier.Use(keystore.Trust): Keystore.Trust, verifier.UseStatus: Keystore.Status, verifier.UsePack: Keystore.Pack,
	} {
		find := func(ks Keystore) verifier.Signer {
			t.Helper()
			s, err := of(ks, t.Context())
			ok(t, err)
			return s
		}
		before, generation := find(k.Keystore), uint64(0)
		generation, err := k.Generation(t.Context())
		ok(t, err)
		ok(t, k.RotateOwn(t.Context(), use, before.KeyID))
		now := find(k.Keystore)
		if now.KeyID == before.KeyID {
			t.Fatalf("%s: no new key was made", use)
		}
		if g, err := k.Generation(t.Context()); err != nil || g <= generation {
			t.Errorf("%s: generation %d after %d, %v", use, g, generation, err)
		}
		ok(t, k.RotateOwn(t.Context(), use, before.KeyID)) // it signs no more: nothing is done
		again := k.Again(t)
		for name, ks := range map[string]Keystore{"here": k.Keystore, "opened again": again} {
			s := find(ks)
			same(t, string(use)+" "+name, s.KeyID, now.KeyID)
			signs(t, string(use)+" "+name, s.KeyID, s.Key)
			formers, err := ks.Formers(t.Context(), use)
			ok(t, err)
			if len(formers) != 2 || !formers[before.KeyID].Equal(before.Key.Public()) || !formers[now.KeyID].Equal(now.Key.Public()) {
				t.Errorf("%s %s: %d keys are known", use, name, len(formers))
			}
		}
		if _, err := crypto.SignMessage(before.Key, rand.Reader, []byte("late"), crypto.SHA256); err == nil {
			t.Errorf("%s: the key that was replaced still signs", use)
		}
	}
	for _, use := range []keystore.Use{keystore.Root, keystore.Agency("aa01"), "other"} {
		if _, err := k.Rotate(t.Context(), use, "0000000000000000"); err == nil {
			t.Errorf("%s: replaced", use)
		}
	}
}

// logRotation: a key of the log is replaced once, under the same name. The one before it
// signs beside it until the next change, and all that signed stay known, the newest first.
func logRotation(t *testing.T, k OpenKeys) {
	text := "example.org/log\n1\nAAAA\n"
	signs := func(ks Keystore, vkey string) error {
		t.Helper()
		s, err := ks.LogSigner(t.Context(), vkey)
		ok(t, err)
		check, err := note.NewVerifier(vkey)
		ok(t, err)
		signed, err := note.Sign(&note.Note{Text: text}, s)
		if err == nil {
			_, err = note.Open(signed, note.VerifierList(check))
		}
		return err
	}
	var made []string // the newest first
	for range 3 {
		notes, err := k.Notes(t.Context())
		ok(t, err)
		made = append([]string{notes[0].Note}, made...)
		generation, err := k.Generation(t.Context())
		ok(t, err)
		ok(t, k.RotateOwn(t.Context(), verifier.UseLog, notes[0].KeyID))
		if g, err := k.Generation(t.Context()); err != nil || g <= generation {
			t.Errorf("generation %d after %d, %v", g, generation, err)
		}
		ok(t, k.RotateOwn(t.Context(), verifier.UseLog, notes[0].KeyID)) // it signs no more: nothing is done
	}
	for name, ks := range map[string]Keystore{"here": k.Keystore, "opened again": k.Again(t)} {
		vkeys, err := ks.LogKeys(t.Context())
		ok(t, err)
		if len(vkeys) != 4 || !slices.Equal(vkeys[1:], made) || slices.Contains(made, vkeys[0]) {
			t.Fatalf("%s: the log has the keys %q, and had %q", name, vkeys, made)
		}
		origin, _, _ := strings.Cut(made[0], "+")
		for i, vkey := range vkeys {
			if !strings.HasPrefix(vkey, origin+"+") {
				t.Errorf("%s: another name: %s", name, vkey)
			}
			switch err := signs(ks, vkey); {
			case i < 2 && err != nil:
				t.Errorf("%s: key %d does not sign: %v", name, i, err)
			case i >= 2 && !errors.Is(err, k.NoKey):
				t.Errorf("%s: key %d: %v, want %v", name, i, err, k.NoKey)
			}
		}
	}
	if _, err := k.SignLog(t.Context(), "0000000000000000", []byte(text)); !errors.Is(err, k.NoKey) {
		t.Errorf("a key that there is not: %v, want %v", err, k.NoKey)
	}
}

func rotation(t *testing.T, k OpenKeys) {
	generation := func() uint64 {
		t.Helper()
		g, err := k.Generation(t.Context())
		ok(t, err)
		return g
	}
	g0 := generation()
	first, firstPub, err := k.NewAgency(t.Context(), "aa01")
	ok(t, err)
	g1 := generation()
	if g1 <= g0 {
		t.Errorf("a new agency: generation %d after %d", g1, g0)
	}
	_, _, err = k.NewAgency(t.Context(), "aa01")
	ok(t, err)
	same(t, "generation after nothing new", generation(), g1)

	wrapped, err := k.Wrap(t.Context(), "aa01", "rec1", []byte("file key"))
	ok(t, err)
	second, secondPub, err := k.RotateAgency(t.Context(), "aa01", first)
	ok(t, err)
	again, _, err := k.RotateAgency(t.Context(), "aa01", first)
	ok(t, err)
	same(t, "replaced once more, the key that was", again, second)
	if first == second || firstPub.Equal(secondPub) {
		t.Error("rotation made no new key")
	}
	if g2 := generation(); g2 <= g1 {
		t.Errorf("a rotation: generation %d after %d", g2, g1)
	}
	for _, ks := range []Keystore{k.Keystore, k.Again(t)} {
		kid, key, err := ks.Signer(t.Context(), "aa01")
		ok(t, err)
		same(t, "who signs", kid, second)
		signs(t, "after rotation", kid, key)
		got, err := ks.Unwrap(t.Context(), "aa01", "rec1", wrapped)
		ok(t, err)
		same(t, "what was wrapped before", string(got), "file key")
		kid, _, err = ks.NewAgency(t.Context(), "aa01")
		ok(t, err)
		same(t, "the key of an agency that is there", kid, second)
	}
	g, err := k.Again(t).Generation(t.Context())
	ok(t, err)
	same(t, "generation opened again", g, generation())
}

func unknownAgencies(t *testing.T, k OpenKeys) {
	_, _, err := k.NewAgency(t.Context(), "aa01")
	ok(t, err)
	for _, id := range []string{
		"aa02", "", "AA01", "aa0", "aa01 ", "aa01/config", "../aa01", "..", "aa01%2f", "aa01?x=1", "aa01#", "aa01\x00",
		"root", "-", strings.Repeat("a", 300),
	} {
		_, _, err := k.Signer(t.Context(), id)
		is(t, "signer of an unknown agency", err, k.NoKey)
		_, _, err = k.RotateAgency(t.Context(), id, "0123456789abcdef")
		is(t, "rotate an unknown agency", err, k.NoKey)
		_, err = k.Wrap(t.Context(), id, "rec1", []byte("file key"))
		is(t, "wrap to an unknown agency", err, k.NoKey)
		_, err = k.Unwrap(t.Context(), id, "rec1", make([]byte, 64))
		is(t, "unwrap for an unknown agency", err, k.NoKey)
	}
	if _, _, err := k.NewAgency(t.Context(), ""); err == nil {
		t.Error("an agency without an id was taken")
	}
}

// sameTime has two openings of one keystore make the same agencies at once:
// everybody gets the same keys, and nothing is lost.
func sameTime(t *testing.T, k OpenKeys) {
	stores := []Keystore{k.Keystore, k.Again(t)}
	ids := []string{"aa01", "aa02", "aa03", "aa04"}
	var mu sync.Mutex
	kids := map[string][]string{}
	var wg sync.WaitGroup
	for i := range 16 {
		id, ks := ids[i%len(ids)], stores[i/len(ids)%len(stores)]
		wg.Go(func() {
			kid, _, err := ks.NewAgency(context.WithoutCancel(t.Context()), id)
			if err != nil {
				t.Errorf("new agency: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			kids[id] = append(kids[id], kid)
		})
	}
	wg.Wait()
	for _, id := range ids {
		for _, ks := range stores {
			kid, _, err := ks.Signer(t.Context(), id)
			ok(t, err)
			kids[id] = append(kids[id], kid)
		}
		if all := slices.Compact(slices.Clone(kids[id])); len(all) != 1 {
			t.Errorf("one agency got %d keys", len(all))
		}
	}
}
