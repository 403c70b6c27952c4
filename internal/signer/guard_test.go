package signer_test

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/mask"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/verifier"
)

const (
	netID = "00112233445566778899aabbccddeeff"
	base  = "https://net.example"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// guarded is a network's keys behind a guard.
type guarded struct {
	t    *testing.T
	file *keyfile.File
	dir  string
	keystore.Keys

	guard  *signer.Guard
	clock  func() time.Time // the signer's; nil is that of everybody
	newest string           // the trust list that packs name
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	cfg := keyfile.Config{Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}
	file, err := keyfile.Create(t.Context(), cfg, "safeconduct/"+netID)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"aa01", "aa02"} {
		if _, err := file.NewAgency(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	g := &guarded{t: t, file: file, dir: t.TempDir()}
	g.open(nil)
	return g
}

// known is a Store with decoys that a test can name: 3, 11 and 22 are the first
// (credentials/mask, TestDecoys).
type known struct{ keystore.Store }

func (known) Decoys(context.Context, uint16) ([]byte, error) {
	key := make([]byte, mask.KeySize)
	for i := range key {
		key[i] = byte(i)
	}
	return key, nil
}

// lastPlace is the last one that a test has taken: nothing is signed twice at one.
var lastPlace atomic.Uint32

// nextPlace is a place at which nothing was signed, and no decoy's.
func nextPlace() uint32 {
	key, _ := known{}.Decoys(context.Background(), 0)
	decoys, err := mask.New(key)
	if err != nil {
		panic(err)
	}
	for {
		if i := 100 + lastPlace.Add(1); !decoys.Has(i) {
			return i
		}
	}
}

// open is the signer started, or started anew.
func (g *guarded) open(p signer.Permits) {
	g.t.Helper()
	var err error
	g.guard, err = signer.NewGuard(g.t.Context(), signer.GuardConfig{
		Keys: known{g.file}, Dir: g.dir, Permits: p, Now: g.time, Derived: []string{"journal"},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.Keys = keystore.New(g.guard)
}

func (g *guarded) time() time.Time {
	if g.clock != nil {
		return g.clock()
	}
	return now
}

// refused wants the guard to say no, and allowed to say yes.
func refused(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, keystore.ErrRefused) {
		t.Errorf("%s: %v, want ErrRefused", what, err)
	}
}

func allowed(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func (g *guarded) key(get func(context.Context) (verifier.Signer, error)) verifier.Signer {
	g.t.Helper()
	s, err := get(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

func (g *guarded) jwk(s verifier.Signer) json.RawMessage {
	g.t.Helper()
	jwk, err := jws.MarshalKey(publicOf(s.Key))
	if err != nil {
		g.t.Fatal(err)
	}
	return jwk
}

// trustList is a list as the service makes it.
func (g *guarded) trustList(sequence uint64) verifier.TrustList {
	g.t.Helper()
	status, pack := g.key(g.Status), g.key(g.Pack)
	vkey, err := g.LogKey(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	kid, key, err := g.Signer(g.t.Context(), "aa01")
	if err != nil {
		g.t.Fatal(err)
	}
	return verifier.TrustList{
		Network: netID, Name: "Test", Sequence: sequence, IssuedAt: now.Unix(), Expires: now.Add(30 * 24 * time.Hour).Unix(),
		StatusLists: base + "/status-lists/", AnswersLists: base + "/answers-lists/",
		Keys: []verifier.NetworkKey{
			{Use: verifier.UseStatus, KeyID: status.KeyID, JWK: g.jwk(status)},
			{Use: verifier.UsePack, KeyID: pack.KeyID, JWK: g.jwk(pack)},
			{Use: verifier.UseLog, Note: vkey},
		},
		Agencies: []verifier.Agency{{
			ID: "aa01", Name: "Lotus", Class: "NGO", Country: "KHM", Issuer: base + "/agencies/aa01",
			Keys: []verifier.AgencyKey{{KeyID: kid, JWK: g.jwk(verifier.Signer{Key: key}), From: now.Unix(), To: now.Unix() + 1e6}},
		}},
	}
}

func TestGuardTrustList(t *testing.T) {
	g := newGuarded(t)
	stranger := newGuarded(t)
	sign := func(edit func(*verifier.TrustList)) error {
		l := g.trustList(7)
		edit(&l)
		_, err := l.Sign(g.key(g.Trust))
		return err
	}
	others := stranger.trustList(7)
	for what, edit := range map[string]func(*verifier.TrustList){
		"a status key of somebody else's":      func(l *verifier.TrustList) { l.Keys[0] = others.Keys[0] },
		"the pack key as the status key":       func(l *verifier.TrustList) { l.Keys[0].KeyID, l.Keys[0].JWK = l.Keys[1].KeyID, l.Keys[1].JWK },
		"a log key of somebody else's":         func(l *verifier.TrustList) { l.Keys[2] = others.Keys[2] },
		"an agency's key of somebody else's":   func(l *verifier.TrustList) { l.Agencies[0].Keys = others.Agencies[0].Keys },
		"an agency's key for another agency":   func(l *verifier.TrustList) { l.Agencies[0].ID, l.Agencies[0].Issuer = "aa02", base+"/agencies/aa02" },
		"a key under another's id":             func(l *verifier.TrustList) { l.Agencies[0].Keys[0].KeyID = l.Keys[0].KeyID },
		"an agency that issues elsewhere":      func(l *verifier.TrustList) { l.Agencies[0].Issuer = "https://other.example/agencies/aa01" },
		"answers lists in the place of status": func(l *verifier.TrustList) { l.AnswersLists = l.StatusLists },
		"for a year":                           func(l *verifier.TrustList) { l.Expires = now.Add(365 * 24 * time.Hour).Unix() },
		"for tomorrow":                         func(l *verifier.TrustList) { l.IssuedAt = now.Add(24 * time.Hour).Unix() },
		"no network":                           func(l *verifier.TrustList) { l.Network = "" },
		"a key for a use that there is not":    func(l *verifier.TrustList) { l.Keys[0].Use = "root" },
	} {
		refused(t, what, sign(edit))
	}
	allowed(t, "as the service makes it", sign(func(*verifier.TrustList) {}))
	refused(t, "the same number again", sign(func(*verifier.TrustList) {}))
	g.open(nil)
	refused(t, "the same number again, started anew", sign(func(*verifier.TrustList) {}))
	refused(t, "another network", sign(func(l *verifier.TrustList) { l.Sequence, l.Network = 8, strings.Repeat("0", 32) }))
	refused(t, "served elsewhere", sign(func(l *verifier.TrustList) {
		l.Sequence, l.Agencies = 8, nil
		l.StatusLists, l.AnswersLists = "https://other.example/status-lists/", "https://other.example/answers-lists/"
	}))
	allowed(t, "the next", sign(func(l *verifier.TrustList) { l.Sequence = 8 }))

	// A key that was replaced stays on the list.
	old := g.trustList(9).Agencies[0].Keys
	if _, err := g.file.RotateAgency(t.Context(), "aa01", old[0].KeyID); err != nil {
		t.Fatal(err)
	}
	allowed(t, "with the key of before", sign(func(l *verifier.TrustList) {
		l.Sequence, l.Agencies[0].Keys = 9, append(l.Agencies[0].Keys, old...)
	}))

	// Nothing else is signed with the root key, and nothing by its digest.
	root := g.key(g.Root)
	_, err := jws.Sign(verifier.TypePack, root.KeyID, root.Key, []byte(`{}`))
	refused(t, "a pack by the root", err)
	_, err = root.Key.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
	refused(t, "a digest", err)
	_, err = crypto.SignMessage(root.Key, rand.Reader, []byte("safeconduct/act/1\n{}"), crypto.SHA256)
	refused(t, "an act of the roster, which is for who has folder and passphrase", err)
}

// TestPackNamesTheNewest: a pack names no trust list of before, on which somebody stands
// who is out since.
func TestPackNamesTheNewest(t *testing.T) {
	g := newGuarded(t)
	on := func(number uint64, edit func(*verifier.TrustList)) verifier.TrustList {
		t.Helper()
		l := g.trustList(number)
		edit(&l)
		return l
	}
	in := func(*verifier.TrustList) {}
	out := func(l *verifier.TrustList) { l.Agencies[0].Suspended, l.Agencies[0].Keys[0].Revoked = true, true }
	number := uint64(0)
	pack := func(names, shown string) error {
		t.Helper()
		number++
		_, err := g.packed(verifier.PackStatement{Sequence: number}, names, shown)
		return err
	}
	allowed(t, "a trust list", g.published(on(1, in)))
	before := g.newest
	allowed(t, "its pack", pack(before, before))
	allowed(t, "an agency that is out", g.published(on(2, out)))
	refused(t, "the list on which it was not", pack(before, before))
	refused(t, "the list on which it was not, and another one shown", pack(before, g.newest))
	refused(t, "a list that is not shown", pack(g.newest, ""))
	refused(t, "no list", pack("", ""))
	g.open(nil)
	refused(t, "the list on which it was not, started anew", pack(before, before))
	allowed(t, "the list on which it is", pack(g.newest, g.newest))
	allowed(t, "the same list again", pack(g.newest, g.newest))

	// Another signer of these keys signs as well.
	strange := newGuarded(t).elsewhere(on(3, out))
	refused(t, "a list of somebody else's", pack(strange, strange))
	other := on(3, out)
	other.Network = strings.Repeat("f", 32)
	of := g.elsewhere(other)
	refused(t, "a list of another network", pack(of, of))
	back := g.elsewhere(on(4, in))
	refused(t, "a newer list on which a key that was revoked is none", pack(back, back))
	status := g.key(keystore.New(g.file).Status)
	byStatus, err := on(4, out).Sign(status)
	allowed(t, "a list by the status key", err)
	refused(t, "a list by the status key", pack(byStatus, byStatus))
	newer := g.elsewhere(on(5, out))
	allowed(t, "a newer one", pack(newer, newer))
	refused(t, "the one of this signer, which is older now", pack(g.newest, g.newest))
	refused(t, "a list with the number of the other one", g.published(on(5, out)))
	allowed(t, "the next", g.published(on(6, out)))
}

// trustKey is the root's statement as the service has it made.
func (g *guarded) trustKey(iat int64) verifier.TrustKey {
	g.t.Helper()
	key := g.key(g.Trust)
	return verifier.TrustKey{Network: netID, KeyID: key.KeyID, JWK: g.jwk(key), IssuedAt: iat, Expires: iat + 365*86400}
}

// TestGuardTrustKey: the root names the one key for trust lists that this keystore has,
// and never goes back.
func TestGuardTrustKey(t *testing.T) {
	g, stranger := newGuarded(t), newGuarded(t)
	sign := func(edit func(*verifier.TrustKey)) error {
		k := g.trustKey(now.Unix())
		edit(&k)
		_, err := k.Sign(g.key(g.Root))
		return err
	}
	others, pack := stranger.trustKey(now.Unix()), g.key(g.Pack)
	for what, edit := range map[string]func(*verifier.TrustKey){
		"a key of somebody else's":            func(k *verifier.TrustKey) { k.KeyID, k.JWK = others.KeyID, others.JWK },
		"a key of somebody else's as our own": func(k *verifier.TrustKey) { k.JWK = others.JWK },
		"our own under another's id":          func(k *verifier.TrustKey) { k.KeyID = others.KeyID },
		"the pack key":                        func(k *verifier.TrustKey) { k.KeyID, k.JWK = pack.KeyID, g.jwk(pack) },
		"the root itself":                     func(k *verifier.TrustKey) { root := g.key(g.Root); k.KeyID, k.JWK = root.KeyID, g.jwk(root) },
		"for more than 366 days":              func(k *verifier.TrustKey) { k.Expires = k.IssuedAt + 366*86400 + 1 },
		"over before it begins":               func(k *verifier.TrustKey) { k.Expires = k.IssuedAt },
		"for tomorrow":                        func(k *verifier.TrustKey) { k.IssuedAt += 86400 },
		"from last week":                      func(k *verifier.TrustKey) { k.IssuedAt -= 7 * 86400 },
		"no network":                          func(k *verifier.TrustKey) { k.Network = "" },
	} {
		refused(t, what, sign(edit))
	}
	at := func(after int64) func(*verifier.TrustKey) {
		return func(k *verifier.TrustKey) { k.IssuedAt += after; k.Expires += after }
	}
	allowed(t, "its own", sign(at(0)))
	refused(t, "the same date again", sign(at(0)))
	refused(t, "an earlier date", sign(at(-60)))
	g.open(nil)
	refused(t, "an earlier date, started anew", sign(at(-60)))
	refused(t, "another network", sign(func(k *verifier.TrustKey) { at(1)(k); k.Network = strings.Repeat("0", 32) }))
	allowed(t, "a later date", sign(at(1)))

	root := g.key(g.Root)
	_, err := g.trustList(7).Sign(root)
	refused(t, "a trust list by the root", err)
	_, err = g.trustList(7).Sign(g.key(g.Trust))
	allowed(t, "a trust list by the key for it", err)
	_, err = g.trustKey(now.Unix() + 2).Sign(g.key(g.Trust))
	refused(t, "it names itself", err)

	// The one that was replaced is named no more.
	old := g.trustKey(now.Unix() + 3)
	if _, err := g.file.Rotate(t.Context(), keystore.Trust, old.KeyID); err != nil {
		t.Fatal(err)
	}
	_, err = old.Sign(root)
	refused(t, "a key that was replaced", err)
	allowed(t, "the one in its place", sign(at(3)))
}

// list is a token with these values.
func (g *guarded) list(subject string, values map[int]uint8, edit func(*statuslist.Token)) (string, error) {
	g.t.Helper()
	l, err := statuslist.New(2, statuslist.Entries)
	if err != nil {
		g.t.Fatal(err)
	}
	for i, v := range values {
		if err := l.Set(i, v); err != nil {
			g.t.Fatal(err)
		}
	}
	token := statuslist.Token{Subject: subject, IssuedAt: now, Expires: now.Add(72 * time.Hour), TTL: 6 * time.Hour, List: l}
	if edit != nil {
		edit(&token)
	}
	s := g.key(g.Status)
	return token.Sign(s.KeyID, s.Key)
}

// published has a trust list signed, and it is the one that packs name from then on.
func (g *guarded) published(l verifier.TrustList) error {
	g.t.Helper()
	compact, err := l.Sign(g.key(g.Trust))
	if err == nil {
		g.newest = compact
	}
	return err
}

// elsewhere is a trust list that another signer of these keys has signed.
func (g *guarded) elsewhere(l verifier.TrustList) string {
	g.t.Helper()
	compact, err := l.Sign(g.key(keystore.New(g.file).Trust))
	if err != nil {
		g.t.Fatal(err)
	}
	return compact
}

// packed has a pack signed that names a trust list, which is shown.
func (g *guarded) packed(p verifier.PackStatement, names, shown string) (string, error) {
	g.t.Helper()
	p.Network, p.IssuedAt, p.TrustSHA256 = netID, cmp.Or(p.IssuedAt, now.Unix()), verifier.TrustDigest(names)
	for _, none := range []*[]verifier.ListToken{&p.Status, &p.Answers} {
		if *none == nil {
			*none = []verifier.ListToken{}
		}
	}
	if p.Burned == nil {
		p.Burned = []uint32{}
	}
	key, err := g.Pack(approval.With(g.t.Context(), approval.Authority{About: private.New(shown)}))
	if err != nil {
		g.t.Fatal(err)
	}
	return p.Sign(key)
}

func (g *guarded) pack(sequence uint64, status, answers string) error {
	g.t.Helper()
	p := verifier.PackStatement{Sequence: sequence}
	if status != "" {
		p.Status = append(p.Status, verifier.ListToken{Number: 1, Token: status})
	}
	if answers != "" {
		p.Answers = append(p.Answers, verifier.ListToken{Number: 1, Token: answers})
	}
	_, err := g.packed(p, g.names(), g.names())
	return err
}

// names is the newest trust list; another signer has signed it where this one has not.
func (g *guarded) names() string {
	g.t.Helper()
	if g.newest == "" {
		g.newest = g.elsewhere(verifier.TrustList{
			Network: netID, Sequence: 1, IssuedAt: now.Unix(), Expires: now.Add(24 * time.Hour).Unix(), Keys: []verifier.NetworkKey{}, Agencies: []verifier.Agency{},
		})
	}
	return g.newest
}

// noting is what a guard asks about.
type noting struct {
	signer.PermitAll
	changes *[]signer.Change
	err     error
}

func (n noting) Changes(_ context.Context, all []signer.Change) error {
	*n.changes = append(*n.changes, all...)
	if len(all) > 0 {
		return n.err
	}
	return nil
}

func TestGuardLists(t *testing.T) {
	g := newGuarded(t)
	const at, answersAt = base + "/status-lists/1", base + "/answers-lists/1"
	for what, edit := range map[string]func(*statuslist.Token){
		"at no address of a list": func(l *statuslist.Token) { l.Subject = base + "/lists/1" },
		"a number written twice":  func(l *statuslist.Token) { l.Subject = base + "/status-lists/01" },
		"for a week":              func(l *statuslist.Token) { l.Expires = now.Add(7 * 24 * time.Hour) },
		"dated ahead":             func(l *statuslist.Token) { l.IssuedAt, l.Expires = now.Add(time.Hour), now.Add(2*time.Hour) },
	} {
		_, err := g.list(at, nil, edit)
		refused(t, what, err)
	}
	said := map[int]uint8{1: statuslist.Invalid, 2: statuslist.Suspended, 3: statuslist.Replaced, 22: statuslist.Suspended}
	first, err := g.list(at, said, nil)
	allowed(t, "the first list", err)
	answers, err := g.list(answersAt, map[int]uint8{3: 1}, nil) // a decoy's
	allowed(t, "the first answers", err)
	_, err = g.list("https://other.example/status-lists/1", nil, nil)
	refused(t, "a list elsewhere", err)

	// Until it stands in a pack nobody has said it: decoys are drawn anew.
	_, err = g.list(at, map[int]uint8{3: statuslist.Replaced}, nil)
	allowed(t, "another draw", err)
	refused(t, "a pack with an answers list in the place of a status list", g.pack(1, answers, ""))
	refused(t, "a pack with a list of somebody else's", g.pack(1, first[:len(first)-8]+"AAAAAAAA", answers))
	allowed(t, "the pack", g.pack(5, first, answers))
	refused(t, "a lower number", g.pack(4, first, answers))

	var asked []signer.Change
	g.open(noting{changes: &asked})
	refused(t, "the same number, started anew", g.pack(5, first, answers))
	for what, values := range map[string]map[int]uint8{
		"back in use after it was withdrawn": {2: statuslist.Suspended, 3: statuslist.Replaced},
		"paused after it was withdrawn":      {1: statuslist.Suspended, 2: statuslist.Suspended, 3: statuslist.Replaced},
		"back in use after it was replaced":  {1: statuslist.Invalid, 2: statuslist.Suspended},
	} {
		_, err := g.list(at, values, nil)
		refused(t, what, err)
	}
	if len(asked) > 0 {
		t.Errorf("asked about what cannot be: %v", asked)
	}
	next := maps.Clone(said)
	next[2], next[9], next[22] = statuslist.Invalid, statuslist.Invalid, statuslist.Valid
	second, err := g.list(at, next, nil)
	allowed(t, "what may change, and a decoy", err)
	if len(asked) > 0 {
		t.Errorf("asked about what needs no reason: %v", asked)
	}
	allowed(t, "the next pack", g.pack(6, second, answers))
	refused(t, "a pack with the list of before", g.pack(7, first, answers))

	g.open(noting{changes: &asked, err: keystore.ErrRefused})
	_, err = g.list(answersAt, map[int]uint8{3: 1, 6: 1}, nil)
	refused(t, "an answer that nobody agreed to", err)
	_, err = g.list(answersAt, map[int]uint8{3: 1}, nil)
	allowed(t, "the same answers", err)
}

// attestation has one signed, as the service makes it before edit.
func (g *guarded) attestation(agency string, edit func(map[string]any)) error {
	g.t.Helper()
	kid, key, err := g.Signer(g.t.Context(), agency)
	if err != nil {
		g.t.Fatal(err)
	}
	always := map[string]any{
		"iss": base + "/agencies/aa01", "iat": now.Unix(), "exp": now.Add(90 * 24 * time.Hour).Unix(), "vct": "urn:safeconduct:attestation:1",
		"status": map[string]any{"status_list": map[string]any{"idx": nextPlace(), "uri": base + "/status-lists/1"}},
	}
	edit(always)
	var members []sdjwt.Member
	for _, name := range slices.Sorted(maps.Keys(always)) {
		members = append(members, sdjwt.Member{Name: name, Value: always[name]})
	}
	_, err = sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: kid}, members, []sdjwt.Member{{Name: "kind", Value: "screening"}, {Name: "attestation_id", Value: "x"}}, 16, key, nil)
	return err
}

func TestGuardAttestations(t *testing.T) {
	g := newGuarded(t)
	_, err := g.MAC(t.Context(), keystore.DecoysLabel, []byte{0, 1})
	refused(t, "the key of the decoys by its label", err)
	status := func(idx any, uri string) func(map[string]any) {
		return func(m map[string]any) {
			m["status"] = map[string]any{"status_list": map[string]any{"idx": idx, "uri": uri}}
		}
	}
	allowed(t, "as the service makes it", g.attestation("aa01", func(map[string]any) {}))
	for what, edit := range map[string]func(map[string]any){
		"another agency's name":         func(m map[string]any) { m["iss"] = base + "/agencies/aa02" },
		"served elsewhere":              func(m map[string]any) { m["iss"] = "https://other.example/agencies/aa01" },
		"its status elsewhere":          status(7, "https://other.example/status-lists/1"),
		"its status in an answers list": status(7, base+"/answers-lists/1"),
		"the place of a decoy":          status(22, base+"/status-lists/1"),
		"a place that no list has":      status(1<<20, base+"/status-lists/1"),
		"no status":                     func(m map[string]any) { delete(m, "status") },
		"no end":                        func(m map[string]any) { delete(m, "exp") },
		"for ten years":                 func(m map[string]any) { m["exp"] = now.Add(10 * 366 * 24 * time.Hour).Unix() },
		"dated ahead":                   func(m map[string]any) { m["iat"] = now.Add(time.Hour).Unix() },
		"another type":                  func(m map[string]any) { m["vct"] = "urn:example:licence" },
	} {
		refused(t, what, g.attestation("aa01", edit))
	}
	refused(t, "by another agency's key", g.attestation("aa02", func(map[string]any) {}))

	// What the digests stand for has to be shown, whatever it is called.
	kid, key, err := g.Signer(t.Context(), "aa01")
	if err != nil {
		t.Fatal(err)
	}
	spy := &spying{key: key.(crypto.MessageSigner)}
	if _, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: kid}, []sdjwt.Member{
		{Name: "iss", Value: base + "/agencies/aa01"}, {Name: "iat", Value: now.Unix()}, {Name: "exp", Value: now.Add(time.Hour).Unix()}, {Name: "vct", Value: "urn:safeconduct:attestation:1"},
		{Name: "status", Value: map[string]any{"status_list": map[string]any{"idx": nextPlace(), "uri": base + "/status-lists/1"}}},
	}, []sdjwt.Member{{Name: "kind", Value: "screening"}}, 4, spy, nil); err != nil {
		t.Fatal(err)
	}
	ask := func(shown [][]byte) error {
		_, err := g.guard.Sign(t.Context(), keystore.Agency("aa01"), kid, []keystore.Message{{Bytes: spy.message, Shown: shown}})
		return err
	}
	allowed(t, "the same again", ask(spy.shown))
	if len(spy.shown) != 4 {
		t.Fatalf("%d shown, want 4", len(spy.shown))
	}
	for i := range spy.shown {
		refused(t, fmt.Sprintf("without the digest %d", i), ask(slices.Delete(slices.Clone(spy.shown), i, i+1)))
	}
	refused(t, "nothing shown", ask(nil))
	refused(t, "something else shown", ask(append(slices.Clone(spy.shown[1:]), []byte("WyJhIiwiYiIsImMiXQ"))))

	for _, use := range []keystore.Use{keystore.Root, keystore.Trust, keystore.Status, keystore.Pack, keystore.Agency("aa02")} {
		p, err := g.file.Public(t.Context(), use)
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.guard.Sign(t.Context(), use, p.KeyID, []keystore.Message{{Bytes: spy.message, Shown: spy.shown}})
		refused(t, "by the key for "+string(use), err)
	}
}

// spying is a key that keeps what it is shown.
type spying struct {
	key     crypto.MessageSigner
	message []byte
	shown   [][]byte
}

func TestGuardCards(t *testing.T) {
	g := newGuarded(t)
	kid, key, err := g.Signer(t.Context(), "aa01")
	if err != nil {
		t.Fatal(err)
	}
	spy := &spying{key: key.(crypto.MessageSigner)}
	var id [8]byte
	if _, err := hex.Decode(id[:], []byte(kid)); err != nil {
		t.Fatal(err)
	}
	day := now.Truncate(24 * time.Hour)
	claims := card.Claims{IssuedAt: day, Expires: day.AddDate(0, 0, 90), Name: private.New("SITI"), Handle: [8]byte{1}, List: 1, Index: nextPlace()}
	public := make([]byte, 32)
	public[0] = 9 // the base point
	code, err := card.NewCode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := card.SealKeys{Epoch: 1, TagKey: random(32), NetKey: random(32), Public: public}
	if _, err := card.Seal(claims, keys, code, id, spy, nil); err != nil {
		t.Fatal(err)
	}
	ask := func(message []byte, agency string) error {
		p, err := g.file.Public(t.Context(), keystore.Agency(agency))
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.guard.Sign(t.Context(), keystore.Agency(agency), p.KeyID, []keystore.Message{{Bytes: message}})
		return err
	}
	allowed(t, "the same again", ask(spy.message, "aa01"))
	refused(t, "by another agency's key", ask(spy.message, "aa02"))
	for i := range spy.message[:24] { // what stands around it
		changed := slices.Clone(spy.message)
		changed[i] ^= 0x20
		refused(t, fmt.Sprintf("byte %d changed", i), ask(changed, "aa01"))
	}
	refused(t, "cut", ask(spy.message[:len(spy.message)-1], "aa01"))
	claims.Index = 22
	_, err = card.Seal(claims, keys, code, id, spy, nil)
	refused(t, "the place of a decoy", err)
	claims.Index, claims.IssuedAt, claims.Expires = nextPlace(), day.AddDate(0, 0, 2), day.AddDate(0, 0, 90)
	_, err = card.Seal(claims, keys, code, id, spy, nil)
	refused(t, "dated ahead", err)
}

func TestGuardEnvelopes(t *testing.T) {
	g := newGuarded(t)
	_, recipient, err := verifier.NewDevice(netID, "dd01", nil)
	if err != nil {
		t.Fatal(err)
	}
	seal := func(edit func(*verifier.Envelope)) error {
		e := verifier.Envelope{Network: netID, Device: "dd01", Sequence: 1, IssuedAt: now.Unix(), LeaseUntil: now.Add(7 * 24 * time.Hour).Unix()}
		edit(&e)
		_, err := e.Seal(verifier.EpochKeys{}, recipient, g.key(g.Pack))
		return err
	}
	allowed(t, "as the service makes it", seal(func(*verifier.Envelope) {}))
	refused(t, "a lease for a year", seal(func(e *verifier.Envelope) { e.LeaseUntil = now.Add(365 * 24 * time.Hour).Unix() }))
	refused(t, "for nobody", seal(func(e *verifier.Envelope) { e.Device = "" }))
	refused(t, "no network", seal(func(e *verifier.Envelope) { e.Network = "x" }))
}

// leaves are a log that grows.
type leaves struct{ hashes []tlog.Hash }

func (l *leaves) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	all := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		all[i] = l.hashes[at]
	}
	return all, nil
}

// grown is a log with the leaves of another one and some more.
func (l *leaves) grown(t *testing.T, more ...string) *leaves {
	t.Helper()
	now := &leaves{slices.Clone(l.hashes)}
	for _, leaf := range more {
		hashes, err := tlog.StoredHashes(now.size(), []byte(leaf), now)
		if err != nil {
			t.Fatal(err)
		}
		now.hashes = append(now.hashes, hashes...)
	}
	return now
}

func (l *leaves) size() (n int64) {
	for tlog.StoredHashCount(n) < int64(len(l.hashes)) {
		n++
	}
	return n
}

// text is its checkpoint, under a name, and proof that it goes on behind another one.
func (l *leaves) text(t *testing.T, origin string) string {
	t.Helper()
	root, err := tlog.TreeHash(l.size(), l)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s\n%d\n%s\n", origin, l.size(), root)
}

func (l *leaves) proof(t *testing.T, older *leaves) (proof [][]byte) {
	t.Helper()
	if older.size() == l.size() || older.size() == 0 {
		return nil
	}
	hashes, err := tlog.ProveTree(l.size(), older.size(), l)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hashes {
		proof = append(proof, h[:])
	}
	return proof
}

// TestGuardLog is of hostile case 76: nothing is signed twice for one size, or that takes back what
// was signed.
func TestGuardLog(t *testing.T) {
	g := newGuarded(t)
	const ours = "safeconduct/" + netID
	first := (&leaves{}).grown(t, "one", "two", "three")
	refused(t, "anybody's, while no network is known", g.signLog(first.text(t, "example.org/log"), nil))
	allowed(t, "a pack, so that the network is known", g.pack(1, "", ""))
	honest := first.grown(t, "four", "five")
	forged := (&leaves{}).grown(t, "one", "two", "another", "four", "five")
	made := strings.Replace(honest.text(t, ours), "\n5\n", "\n4\n", 1) // one leaf more, and a root that is none
	refused(t, "another network's", g.signLog(first.text(t, "safeconduct/ffffffffffffffffffffffffffffffff"), nil))
	refused(t, "anybody's", g.signLog(first.text(t, "example.org/log"), nil))
	refused(t, "no checkpoint", g.signLog("anything", nil))
	allowed(t, "the first", g.signLog(first.text(t, ours), nil))
	allowed(t, "the same", g.signLog(first.text(t, ours), nil))
	again := func(what string) {
		t.Helper()
		refused(t, "one leaf more, and a root that is none"+what, g.signLog(made, nil))
		refused(t, "one leaf more, and a root that is none, with another proof"+what, g.signLog(made, honest.proof(t, first)))
		refused(t, "longer, without a proof"+what, g.signLog(honest.text(t, ours), nil))
		refused(t, "a log of which a leaf was changed"+what, g.signLog(forged.text(t, ours), forged.proof(t, (&leaves{}).grown(t, "one", "two", "another"))))
		refused(t, "with a proof of nothing"+what, g.signLog(honest.text(t, ours), [][]byte{{1}}))
		refused(t, "shorter"+what, g.signLog((&leaves{}).grown(t, "one", "two").text(t, ours), nil))
		refused(t, "another root at the same length"+what, g.signLog((&leaves{}).grown(t, "one", "two", "another").text(t, ours), nil))
	}
	again("")
	g.open(nil)
	again(", started anew")
	allowed(t, "longer", g.signLog(honest.text(t, ours), honest.proof(t, first)))
	refused(t, "as long as before", g.signLog(first.text(t, ours), nil))
	allowed(t, "a log that began anew", g.signLog(forged.text(t, ours+"/0a0b0c0d"), nil))
	longer := honest.grown(t, "six")
	allowed(t, "the first again, longer", g.signLog(longer.text(t, ours), longer.proof(t, honest)))
}

// TestTwoSignersOfALog is of hostile case 76: a signer that was shown what another one has signed goes on behind
// that, and behind nothing that nobody has signed.
func TestTwoSignersOfALog(t *testing.T) {
	a := newGuarded(t)
	b := &guarded{t: t, file: a.file, dir: t.TempDir()}
	b.open(nil)
	const ours = "safeconduct/" + netID
	first := (&leaves{}).grown(t, "one", "two", "three")
	second := first.grown(t, "four", "five")
	fork := first.grown(t, "another", "five")
	for _, g := range []*guarded{a, b} {
		allowed(t, "the first", g.signLog(first.text(t, ours), nil))
	}
	allowed(t, "the second, by the first", a.signLog(second.text(t, ours), second.proof(t, first)))
	said := func(want string) {
		t.Helper()
		if got, judged, err := b.Said(t.Context(), ours, ""); got != want || !judged || err != nil {
			t.Errorf("%q, %v, %v, want %q", got, judged, err, want)
		}
	}
	said(first.text(t, ours))
	show := func(signed []byte, proof [][]byte) error {
		_, _, err := b.Said(approval.With(t.Context(), approval.Authority{Proof: proof}), ours, string(signed))
		return err
	}
	signed := func(keys keystore.Keys, text string, proof [][]byte) []byte {
		t.Helper()
		vkey, err := keys.LogKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s, err := keys.LogSigner(approval.With(t.Context(), approval.Authority{Proof: proof}), vkey)
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Sign(&note.Note{Text: text}, s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ofA := signed(a.Keys, second.text(t, ours), nil)
	refused(t, "of somebody else's key", show(signed(newGuarded(t).Keys, second.text(t, ours), nil), second.proof(t, first)))
	refused(t, "of nobody's", show([]byte(second.text(t, ours)), second.proof(t, first)))
	refused(t, "without a proof", show(ofA, nil))
	said(first.text(t, ours))
	allowed(t, "what the other one has signed", show(ofA, second.proof(t, first)))
	said(second.text(t, ours))
	allowed(t, "an older one is nothing new", show(signed(keystore.New(a.file), first.text(t, ours), nil), nil))
	said(second.text(t, ours))
	refused(t, "a fork behind what both had", b.signLog(fork.text(t, ours), fork.proof(t, first)))
	third := second.grown(t, "six")
	allowed(t, "the third", b.signLog(third.text(t, ours), third.proof(t, second)))

	// A key that was replaced may be in other hands.
	fourth := third.grown(t, "seven")
	old := signed(keystore.New(a.file), fourth.text(t, ours), nil)
	vkey, err := a.LogKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kid, err := keystore.LogKeyID(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.file.Rotate(t.Context(), keystore.Log, kid); err != nil {
		t.Fatal(err)
	}
	refused(t, "by a key that was replaced", show(old, fourth.proof(t, third)))
	allowed(t, "the fourth, by the new one", b.signLog(fourth.text(t, ours), fourth.proof(t, third)))
}

// signLog has a text signed with the key of the log, which a proof shows to go on.
func (g *guarded) signLog(text string, proof [][]byte) error {
	g.t.Helper()
	notes, err := g.Notes(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	_, err = g.guard.SignLog(approval.With(g.t.Context(), approval.Authority{Proof: proof}), notes[0].KeyID, []byte(text))
	return err
}

// TestGuardDerived: nobody is given the keys that are derived from keyed hashes.
func TestGuardDerived(t *testing.T) {
	g := newGuarded(t)
	_, err := g.SignDerived(t.Context(), "journal", netID, []byte("x"))
	allowed(t, "a label that there is", err)
	_, err = g.SignDerived(t.Context(), "anything", netID, []byte("x"))
	refused(t, "a label that there is not", err)
	_, err = g.MAC(t.Context(), "journal", []byte(netID))
	refused(t, "the seed of a derived key", err)
	_, err = g.MAC(t.Context(), "safeconduct/signer/1", []byte("{}"))
	refused(t, "the seal of the state", err)
	_, err = g.MAC(t.Context(), "number-index", []byte("x"))
	allowed(t, "another label", err)
}

// TestGuardState: what the signer knew is believed only as it wrote it.
func TestGuardState(t *testing.T) {
	g := newGuarded(t)
	allowed(t, "a pack", g.pack(5, "", ""))
	path := filepath.Join(g.dir, signer.StateName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	lower := strings.Replace(string(data), `"sequence":5`, `"sequence":4`, 1)
	if lower == string(data) {
		t.Fatal("the state has another form")
	}
	for what, altered := range map[string]string{"a lower number": lower, "cut": string(data[:len(data)-2]), "empty": "", "another form": "[]"} {
		if err := os.WriteFile(path, []byte(altered), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := signer.NewGuard(t.Context(), signer.GuardConfig{Keys: g.file, Dir: g.dir}); !errors.Is(err, signer.ErrState) {
			t.Errorf("%s: %v, want ErrState", what, err)
		}
	}
	stranger := newGuarded(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signer.NewGuard(t.Context(), signer.GuardConfig{Keys: stranger.file, Dir: g.dir}); !errors.Is(err, signer.ErrState) {
		t.Errorf("with other keys: %v, want ErrState", err)
	}
}

func (s *spying) Public() crypto.PublicKey { return s.key.Public() }

func (s *spying) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("a digest")
}

func (s *spying) SignMessage(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.message = message
	if d, ok := opts.(keystore.Disclosing); ok {
		s.shown = d.Shown()
	}
	return s.key.SignMessage(random, message, opts)
}

func publicOf(key crypto.Signer) *ecdsa.PublicKey { return key.Public().(*ecdsa.PublicKey) }

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never returns an error
	return b
}

// BenchmarkGuard is an attestation through the guard and without, and a card: how
// much reading costs.
func BenchmarkGuard(b *testing.B) {
	cfg := keyfile.Config{Path: filepath.Join(b.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}
	file, err := keyfile.Create(b.Context(), cfg, "safeconduct/"+netID)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := file.NewAgency(b.Context(), "aa01"); err != nil {
		b.Fatal(err)
	}
	guard, err := signer.NewGuard(b.Context(), signer.GuardConfig{Keys: known{file}, Dir: b.TempDir(), Now: func() time.Time { return now }})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		keys keystore.Store
	}{{"here", file}, {"guarded", guard}, {"socket", through(b, file)}, {"guarded socket", through(b, guard)}} {
		b.Run(c.name, func(b *testing.B) {
			kid, key, err := keystore.New(c.keys).Signer(b.Context(), "aa01")
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				_, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: kid}, []sdjwt.Member{
					{Name: "iss", Value: base + "/agencies/aa01"}, {Name: "iat", Value: now.Unix()}, {Name: "exp", Value: now.Add(time.Hour).Unix()}, {Name: "vct", Value: "urn:safeconduct:attestation:1"},
					{Name: "status", Value: map[string]any{"status_list": map[string]any{"idx": nextPlace(), "uri": base + "/status-lists/1"}}},
				}, []sdjwt.Member{{Name: "kind", Value: "screening"}, {Name: "name", Value: "made up"}, {Name: "country", Value: "KHM"}}, 16, key, nil)
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
