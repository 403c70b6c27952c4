package signer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// A hostile process is in the place of the one that serves: it has the client's end of
// the socket, the database, every token that is sent to it, every act that was ever
// agreed to with its proofs and its order, and passkeys of its own. It has nobody else's
// passkey. Nothing is signed for it that a person has to agree to, and nobody stands on
// a trust list whom the network did not admit.

// digests are SHA-256 of what was signed.
type digests map[[32]byte]bool

// TestHostile is hostile case 51, with the key file.
func TestHostile(t *testing.T) {
	file, err := keyfile.Create(t.Context(), keyfile.Config{Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}, "safeconduct/"+netID)
	if err != nil {
		t.Fatal(err)
	}
	books := &bookkeeping{Store: file, done: digests{}}
	hostile(t, books, func() digests { return books.done })
}

// TestHostileVault is hostile case 51 with a HashiCorp Vault, and reads what that wrote
// down itself.
func TestHostileVault(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Vault")
	}
	server := vaulttest.Start(t)
	cfg := server.Network(t)
	cfg.Origin = "safeconduct/" + netID
	keys, err := hcvault.Create(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close(context.WithoutCancel(t.Context())) })
	audit := filepath.Join(t.TempDir(), "audit.log")
	server.AuditRaw(t, audit)
	hostile(t, keys, func() digests { return auditedSignatures(t, audit) })
}

// bookkeeping writes down what a keystore signs.
type bookkeeping struct {
	keystore.Store
	mu   sync.Mutex
	done digests
}

func (b *bookkeeping) Sign(ctx context.Context, use keystore.Use, kid string, messages []keystore.Message) ([][]byte, error) {
	b.mu.Lock()
	for _, m := range messages {
		b.done[[32]byte(m.Digest())] = true
	}
	b.mu.Unlock()
	return b.Store.Sign(ctx, use, kid, messages)
}

var (
	signPath  = regexp.MustCompile(`"path":"[^"]*/sign/`)
	signInput = regexp.MustCompile(`"input":"([A-Za-z0-9+/]{43}=)"`)
)

// auditedSignatures are the digests that a Vault was asked to sign, as its audit log has
// them.
func auditedSignatures(t *testing.T, path string) digests {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := digests{}
	for line := range strings.Lines(string(data)) {
		if !signPath.MatchString(line) {
			continue
		}
		for _, found := range signInput.FindAllStringSubmatch(line, -1) {
			digest, err := base64.StdEncoding.DecodeString(found[1])
			if err != nil {
				t.Fatal(err)
			}
			all[[32]byte(digest)] = true
		}
	}
	return all
}

// forger makes proofs in other people's names, with passkeys of its own.
func forger(w *town) *peopletest.House {
	w.t.Helper()
	h := *w.House
	h.Keys = map[string]*software.Authenticator{}
	for person := range w.Keys {
		key, challenge := software.Unlabelled("net.example"), random(32)
		options, err := h.Passkeys.CreationOptions(passkey.Registration{Person: person, Label: "made up"}, challenge)
		w.ok(err)
		_, err = key.Create(options, base)
		w.ok(err)
		h.Keys[person] = key
	}
	return &h
}

func hostile(t *testing.T, keys keystore.Store, signed func() digests) {
	w := newTown(t, keys)
	allowedOnes := digests{}
	note := func(before digests) {
		for d := range signed() {
			if !before[d] {
				allowedOnes[d] = true
			}
		}
	}
	mallory := forger(w)
	decision := preliminary(t)
	decision["decision_level"] = "reasonable_grounds"
	reply := sample(t, "reply-matched")
	embassyReply := maps.Clone(reply)

	// What honest people have signed, and so what was seen of it.
	agreed := w.agree(w.ngo, "screening", "reasonable_grounds", decision, w.worker, w.boss)
	_, err := w.attest(w.shown(agreed), w.ngo, "screening", decision)
	w.ok(err)
	answered := w.agree(w.embassy, "reply", "", embassyReply, w.officer)
	_, err = w.attest(w.shown(answered), w.embassy, "reply", embassyReply)
	w.ok(err)
	early := w.agree(w.ngo, "screening", "", preliminary(t), w.worker)
	trust, err := keystore.New(w.Client).Trust(t.Context())
	w.ok(err)
	before, err := w.listed(1).Sign(trust)
	w.ok(err)
	_, err = w.listed(2).Sign(trust)
	w.ok(err)
	note(digests{})
	if len(allowedOnes) != 5 {
		t.Fatalf("%d signatures of honest people, want 5: the founding, a decision, an answer and two trust lists", len(allowedOnes))
	}

	issue := func(a agreement, agency, kind string, stated map[string]any) func() error {
		return func() error {
			_, err := w.attest(w.shown(a), agency, kind, stated)
			return err
		}
	}
	bare := func(token, agency, kind string, stated map[string]any) func() error {
		return func() error {
			_, err := w.attest(w.with(token), agency, kind, stated)
			return err
		}
	}
	with := func(a agreement, change func(*agreement)) agreement {
		a.by = slices.Clone(a.by)
		change(&a)
		return a
	}
	edited := func(stated map[string]any, name string, value any) map[string]any {
		out := maps.Clone(stated)
		out[name] = value
		return out
	}
	fresh := func(by ...string) agreement {
		return w.agree(w.ngo, "screening", "reasonable_grounds", decision, by...)
	}
	otherBoss := func() string {
		s, err := w.all.State(t.Context())
		w.ok(err)
		return s.Of(w.other)[0].ID
	}()
	hidden := edited(edited(sample(t, "document-least"), "decision_level", "reasonable_grounds"), "trafficking_status", "ActualVictimOfTrafficking")
	attacks := map[string]func() error{
		// Decisions.
		"with nothing":                 bare("", w.ngo, "screening", decision),
		"with a program's token":       bare(w.program, w.ngo, "screening", decision),
		"an act that nobody agreed to": issue(fresh(), w.ngo, "screening", decision),
		"an act that one agreed to":    issue(fresh(w.boss), w.ngo, "screening", decision),
		"twice by the same hands":      issue(fresh(w.boss, w.boss), w.ngo, "screening", decision),
		"by people of another agency":  issue(fresh(otherBoss, w.worker), w.ngo, "screening", decision),
		"by an operator":               issue(fresh(w.First, w.boss), w.ngo, "screening", decision),
		"by passkeys of one's own": issue(with(fresh(), func(a *agreement) {
			a.by = []approval.Proof{mallory.Proof(a.act, w.worker), mallory.Proof(a.act, w.boss)}
		}), w.ngo, "screening", decision),
		"with the proofs of another act":    issue(with(fresh(), func(a *agreement) { a.by = agreed.by }), w.ngo, "screening", decision),
		"an act that was used":              issue(agreed, w.ngo, "screening", decision),
		"an act with another order":         issue(with(fresh(w.worker, w.boss), func(a *agreement) { a.order = agreed.order }), w.ngo, "screening", decision),
		"another thing than was agreed to":  issue(fresh(w.worker, w.boss), w.ngo, "screening", edited(decision, "confidence", "high")),
		"more than was agreed to":           issue(fresh(w.worker, w.boss), w.ngo, "screening", edited(decision, "remarks", "more")),
		"another kind than was agreed to":   issue(fresh(w.worker, w.boss), w.ngo, "document", sample(t, "document-least")),
		"in another agency's name":          issue(fresh(w.worker, w.boss), w.other, "screening", decision),
		"in an embassy's name":              issue(fresh(w.worker, w.boss), w.embassy, "screening", decision),
		"an act for less":                   issue(early, w.ngo, "screening", decision),
		"an act for less, about a decision": issue(w.agree(w.ngo, "screening", "", decision, w.worker), w.ngo, "screening", decision),
		"above what the agency signs":       issue(w.agree(w.ngo, "screening", "formal_identification", edited(decision, "decision_level", "formal_identification"), w.worker, w.boss), w.ngo, "screening", edited(decision, "decision_level", "formal_identification")),
		"as a document":                     bare(w.program, w.ngo, "document", hidden),
		"an act of another network": issue(with(fresh(), func(a *agreement) {
			a.act.Network = strings.Repeat("ab", 16)
			a.by = []approval.Proof{w.Proof(a.act, w.worker), w.Proof(a.act, w.boss)}
		}), w.ngo, "screening", decision),
		"an act to do something else": issue(with(fresh(), func(a *agreement) {
			a.act.Do = roster.DoCard
			a.by = []approval.Proof{w.Proof(a.act, w.worker), w.Proof(a.act, w.boss)}
		}), w.ngo, "screening", decision),
		"dated back by a month": func() error {
			_, err := w.attestOn(w.shown(fresh(w.worker, w.boss)), w.clock().Truncate(24*time.Hour).AddDate(0, -1, 0), w.ngo, "screening", decision)
			return err
		},
		// Answers of embassies.
		"a reply by the embassy's program":   bare(w.mission, w.embassy, "reply", reply),
		"a reply by an NGO":                  issue(w.agree(w.embassy, "reply", "", embassyReply, w.boss), w.embassy, "reply", embassyReply),
		"a reply in an NGO's name":           issue(w.agree(w.ngo, "reply", "", reply, w.boss), w.ngo, "reply", reply),
		"a reply that was given":             issue(answered, w.embassy, "reply", embassyReply),
		"another reply than was agreed to":   issue(w.agree(w.embassy, "reply", "", embassyReply, w.officer), w.embassy, "reply", edited(embassyReply, "answer", "not_found")),
		"a reply with an officer's own keys": issue(with(w.agree(w.embassy, "reply", "", embassyReply), func(a *agreement) { a.by = []approval.Proof{mallory.Proof(a.act, w.officer)} }), w.embassy, "reply", embassyReply),
		// A card that says what no screening says.
		"a card with a level of its own": func() error {
			return w.print(w.with(w.program), w.ngo, func(c *card.Claims) { c.Status, c.DecisionLevel = 2, 2 })
		},
		"a card by nobody": func() error { return w.print(t.Context(), w.ngo, func(*card.Claims) {}) },
		// Keys, and the keys behind what the signer keeps.
		"keys of an agency of one's own": func() error { _, err := w.NewAgency(t.Context(), strings.Repeat("ab", 16)); return err },
		"a key of the log that nobody agreed to replace": func() error {
			notes, err := keystore.New(w.Client).Notes(t.Context())
			w.ok(err)
			_, err = w.Rotate(t.Context(), keystore.Log, notes[0].KeyID)
			return err
		},
		"the log, with a key that is none of its": func() error {
			_, err := w.SignLog(t.Context(), "0123456789abcdef", fmt.Appendf(nil, "safeconduct/%s\n1\n%s=\n", netID, strings.Repeat("A", 43)))
			return err
		},
		"the key of its state": func() error {
			_, err := w.MAC(t.Context(), "safeconduct/signer/roster", []byte(`{"base":"","whole":false,"changes":[]}`))
			return err
		},
	}
	for what, attack := range attacks {
		refused(t, what, attack())
	}
	hostileLists(t, w, before)
	hostileTrustKeys(t, w)
	hostileRosters(t, w, mallory)

	// Time goes by, and people leave.
	old := fresh(w.worker, w.boss)
	w.wait(25 * time.Hour) // founding is over
	left := fresh(w.worker, w.boss)
	w.Do(roster.DoRemovePerson, w.ngo, &roster.RemovePerson{ID: w.worker}, w.boss)
	_, err = w.HandOver(t.Context())
	w.ok(err)
	refused(t, "agreed to by somebody who has left", issue(left, w.ngo, "screening", decision)())
	refused(t, "with a token that is over", bare(w.program, w.ngo, "document", sample(t, "document-least"))())
	w.wait(48 * time.Hour)
	refused(t, "agreed to long ago", issue(old, w.ngo, "screening", decision)())

	// The keystore has signed what honest people wanted, and nothing else.
	for d := range signed() {
		if !allowedOnes[d] {
			t.Errorf("something else was signed: %x", d)
		}
	}
}

// hostileLists tries to have a trust list signed that names somebody else, and packs that
// name another one than the newest.
func hostileLists(t *testing.T, w *town, before string) {
	t.Helper()
	sign := func(edit func(*verifier.TrustList)) error {
		l := w.listed(100)
		edit(&l)
		trust, err := keystore.New(w.Client).Trust(t.Context())
		w.ok(err)
		_, err = l.Sign(trust)
		return err
	}
	for what, edit := range map[string]func(*verifier.TrustList){
		"a new name on the trust list": func(l *verifier.TrustList) {
			more := l.Agencies[0]
			more.ID, more.Name = strings.Repeat("ab", 16), "Ministry of Made-up Affairs"
			more.Issuer, more.Keys = base+"/agencies/"+more.ID, nil
			l.Agencies = append(l.Agencies, more)
		},
		"another name for an agency":       func(l *verifier.TrustList) { l.Agencies[0].Name = "Ministry of Made-up Affairs" },
		"an NGO as an embassy":             func(l *verifier.TrustList) { swap(l, w.ngo).Class = "x_DiplomaticMission" },
		"another telephone number":         func(l *verifier.TrustList) { l.Agencies[1].Desk = "+1 900" },
		"another telephone of the network": func(l *verifier.TrustList) { l.Desk = "+1 900" },
		"another name of the network":      func(l *verifier.TrustList) { l.Name = "Another" },
	} {
		refused(t, what, sign(edit))
	}
	own, err := keyfile.Create(t.Context(), keyfile.Config{Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}, "safeconduct/"+netID)
	w.ok(err)
	ours, err := w.LogKeys(t.Context())
	w.ok(err)
	if len(ours) != 1 {
		t.Errorf("the log has %d keys", len(ours))
	}
	vkey, err := keystore.New(own).LogKey(t.Context())
	w.ok(err)
	for what, notes := range map[string][]string{"alone": {vkey}, "beside ours": {ours[0], vkey}, "no key": {ours[0] + "A"}} {
		refused(t, "a key of the log of one's own, "+what, sign(func(l *verifier.TrustList) {
			l.Keys = l.Keys[:2]
			for _, n := range notes {
				l.Keys = append(l.Keys, verifier.NetworkKey{Use: verifier.UseLog, Note: n})
			}
		}))
	}
	trust, err := keystore.New(own).Trust(t.Context())
	w.ok(err)
	forged, err := w.listed(100).Sign(trust)
	w.ok(err)
	g := &guarded{t: t, Keys: keystore.New(w.Client)}
	for what, list := range map[string]string{"the trust list of before": before, "a trust list of one's own": forged, "no trust list": ""} {
		_, err := g.packed(verifier.PackStatement{Sequence: 1}, list, list)
		refused(t, "a pack that names "+what, err)
	}
}

// hostileTrustKeys tries to have the root name a key of one's own, and to sign what a
// network's devices believe by other ways.
func hostileTrustKeys(t *testing.T, w *town) {
	t.Helper()
	keys := keystore.New(w.Client)
	root, err := keys.Root(t.Context())
	w.ok(err)
	trust, err := keys.Trust(t.Context())
	w.ok(err)
	jwkOf := func(key crypto.PublicKey) []byte {
		jwk, err := jws.MarshalKey(key.(*ecdsa.PublicKey)) //nolint:forcetypeassert // a keystore's
		w.ok(err)
		return jwk
	}
	stolen, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.ok(err)
	ours := verifier.TrustKey{
		Network: netID, KeyID: trust.KeyID, JWK: jwkOf(trust.Key.Public()),
		IssuedAt: w.clock().Unix(), Expires: w.clock().Add(365 * 24 * time.Hour).Unix(),
	}
	for what, edit := range map[string]func(*verifier.TrustKey){
		"the root names a key of one's own":             func(k *verifier.TrustKey) { k.KeyID, k.JWK = jws.KeyID(&stolen.PublicKey), jwkOf(&stolen.PublicKey) },
		"the root names a key of one's own as ours":     func(k *verifier.TrustKey) { k.JWK = jwkOf(&stolen.PublicKey) },
		"the root names a key for ten years":            func(k *verifier.TrustKey) { k.Expires += 9 * 366 * 86400 },
		"the root names a key for a network of my own":  func(k *verifier.TrustKey) { k.Network = strings.Repeat("ab", 16) },
		"the root names a key from the day after next":  func(k *verifier.TrustKey) { k.IssuedAt += 2 * 86400; k.Expires += 2 * 86400 },
		"the root names a key, dated back by a quarter": func(k *verifier.TrustKey) { k.IssuedAt -= 90 * 86400 },
	} {
		k := ours
		edit(&k)
		_, err := k.Sign(root)
		refused(t, what, err)
	}
	_, err = w.listed(101).Sign(root)
	refused(t, "a trust list by the root", err)
	_, err = ours.Sign(trust)
	refused(t, "the key for trust lists names itself", err)
	_, err = w.Rotate(t.Context(), keystore.Trust, trust.KeyID)
	refused(t, "another key for trust lists that nobody agreed to", err)
}

func swap(l *verifier.TrustList, id string) *verifier.Agency {
	i := slices.IndexFunc(l.Agencies, func(a verifier.Agency) bool { return a.ID == id })
	return &l.Agencies[i]
}

// hostileRosters tries to have changes of the roster adopted.
func hostileRosters(t *testing.T, w *town, mallory *peopletest.House) {
	t.Helper()
	rows, err := w.db.People().Changes(t.Context(), 1, 100)
	w.ok(err)
	before := w.judge.Roster()
	change := func(do, agency string, what any, made time.Time, prove func(approval.Act) []approval.Proof) []byte {
		t.Helper()
		act, err := approval.New(netID, do, agency, "", what, w.clock(), 72*time.Hour)
		w.ok(err)
		data, err := act.Bytes()
		w.ok(err)
		row, err := roster.Change{Seq: before.Seq + 1, Prev: before.Head, At: made.Unix(), Act: data, Proofs: prove(act)}.Bytes()
		w.ok(err)
		return row
	}
	forged := func(by ...string) func(approval.Act) []approval.Proof {
		return func(a approval.Act) (all []approval.Proof) {
			for _, person := range by {
				all = append(all, mallory.Proof(a, person))
			}
			return all
		}
	}
	link := sha256.Sum256([]byte("a secret of one's own"))
	evil := roster.AddPerson{Person: people.NewPerson(w.ngo, "desk-9", people.Supervisor), Link: roster.Link{Hash: link[:], Until: w.clock().Add(time.Hour).Unix()}}
	admitted := roster.AdmitAgency{Agency: roster.Agency{ID: strings.Repeat("ab", 16), Name: "Ministry of Made-up Affairs", Class: "x_DiplomaticMission", Country: "UTO", Desk: "+1", Kinds: []string{}}}
	cut, err := roster.Parse(rows[len(rows)-1])
	w.ok(err)
	cut.At++
	another, err := cut.Bytes()
	w.ok(err)
	for what, changes := range map[string][][]byte{
		"somebody taken in by passkeys of one's own": {change(roster.DoAddPerson, w.ngo, &evil, w.clock(), forged(w.worker, w.boss))},
		"by nobody":                          {change(roster.DoAddPerson, w.ngo, &evil, w.clock(), forged())},
		"an agency by passkeys of one's own": {change(roster.DoAdmitAgency, "", &admitted, w.clock(), forged(w.First))},
		"another change in the place of one": {another},
		"a change of tomorrow":               {change(roster.DoAdmitAgency, "", &admitted, w.clock().Add(24*time.Hour), forged(w.First))},
		"from before the last one":           {change(roster.DoAdmitAgency, "", &admitted, w.clock().Add(-time.Hour), forged(w.First))},
	} {
		_, err := w.judge.Adopt(t.Context(), base, changes, false)
		refused(t, what, err)
	}
	// What it has already it does not forget.
	_, err = w.judge.Adopt(t.Context(), "https://mallory.example", rows[:3], true)
	allowed(t, "less than it has", err)
	if now := w.judge.Roster(); now.Seq != before.Seq || string(now.Head) != string(before.Head) {
		t.Errorf("the roster went from %d to %d", before.Seq, now.Seq)
	}
}
