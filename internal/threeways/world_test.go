//go:build stretched

package threeways_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/verifier"
)

// day is midnight of the day on which every pack is made; cases take place from
// then until a little over a week later.
var day = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

const (
	networkID = "00112233445566778899aabbccddeeff"
	deviceID  = "device-1"

	statusLists  = "https://lists.example/status-lists/"
	answersLists = "https://lists.example/answers-lists/"

	rightCode, wrongCode = "0123456789", "9876543210"
)

// world is a made-up network: its keys, and everything that was ever signed in
// it. Packs say what is thought of that.
type world struct {
	t                              *testing.T
	root, stranger, statusKey, key *ecdsa.PrivateKey // key signs packs and envelopes
	agencies                       []*agency
	device                         verifier.Device
	recipient                      []byte
	live, ended, burned, elsewhere epoch
	next                           epoch // live too
	things                         []*thing
}

type agency struct {
	id, iss string
	key     *ecdsa.PrivateKey
	kid     string
}

// epoch is both halves of an epoch.
type epoch struct {
	seal card.SealKeys
	open verifier.Epoch
}

// A fate is what becomes of a thing whatever a pack thinks of its issuer.
type fate string

const (
	judged       fate = ""              // what the pack says
	notOurs      fate = "not ours"      // sealed to another network's epoch
	ofEndedEpoch fate = "epoch ended"   // sealed to an epoch that is over
	ofBurned     fate = "epoch burned"  // sealed to an epoch whose keys were stolen
	wrongContent fate = "content"       // opens, and holds what no card may hold
	unknownKey   fate = "key unknown"   // names a key that nobody has
	moved        fate = "moved"         // a signature made for another code and envelope
	refused      fate = "refused"       // a credential that breaks the format, genuinely signed
	unreadable   fate = "no credential" // looks like one, and is none
)

// thing is something signed that can be shown, with what is true of it.
type thing struct {
	name     string
	text     string
	isCard   bool
	fate     fate
	agency   int
	list     uint16
	index    int64
	blank    bool
	from, to time.Time // in use for from ≤ now < to
	digest   string    // what a log would hold of it
	reason   verifier.Reason
	wrongIss bool
}

func newWorld(t *testing.T, chance *mathrand.Rand) *world {
	t.Helper()
	w := &world{t: t, root: newKey(t), stranger: newKey(t), statusKey: newKey(t), key: newKey(t)}
	for i := range 4 {
		key := newKey(t)
		id := "agency-" + strconv.Itoa(i)
		w.agencies = append(w.agencies, &agency{id: id, iss: "https://agencies.example/" + id, key: key, kid: jws.KeyID(&key.PublicKey)})
	}
	var err error
	w.device, w.recipient, err = verifier.NewDevice(networkID, deviceID, jwk(t, w.root))
	must(t, err)
	for i, e := range []*epoch{&w.live, &w.next, &w.ended, &w.burned, &w.elsewhere} {
		*e = newEpoch(t, uint32(202611+i))
	}
	w.sealCards(chance)
	w.sealOddities()
	w.signCredentials(chance)
	return w
}

func newEpoch(t *testing.T, id uint32) epoch {
	t.Helper()
	tag, net := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(tag)
	_, _ = rand.Read(net)
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	must(t, err)
	return epoch{
		seal: card.SealKeys{Epoch: id, TagKey: tag, NetKey: net, Public: key.PublicKey().Bytes()},
		open: verifier.Epoch{ID: id, TagKey: tag, NetKey: net, Private: key.Bytes()},
	}
}

// sealCards makes cards of every kind, with beginnings and ends around the days
// on which they are checked.
func (w *world) sealCards(chance *mathrand.Rand) {
	begins, ends := []int{-30, -30, -1, 0, 1, 3}, []int{1, 2, 5, 8, 60}
	for i := range 32 {
		c := card.Claims{
			IssuedAt: day.AddDate(0, 0, begins[i%len(begins)]),
			Name:     private.New("TESTER, NUMBER " + strings.Repeat("I", i%5+1)), BirthDate: private.New("1998"), Nationality: private.New("KEN"), Sex: 2,
			Status: 1, DecisionLevel: 2, List: uint16(i%3 + 1), Index: uint32(chance.IntN(statuslist.Entries)),
		}
		c.Expires = day.AddDate(0, 0, ends[i%len(ends)])
		if !c.Expires.After(c.IssuedAt) {
			c.Expires = day.AddDate(0, 0, 60)
		}
		_, _ = rand.Read(c.Handle[:])
		thing := thing{name: "card"}
		to := w.live
		switch i {
		case 0:
			c.Index = 0
		case 1:
			c.Index = statuslist.Entries - 1
		case 3, 9, 15, 21:
			thing.name, thing.blank = "blank", true
			c = card.Claims{IssuedAt: c.IssuedAt, Expires: c.Expires, Handle: c.Handle, List: c.List, Index: c.Index, Blank: true}
		case 4, 5, 10:
			thing.name, c.Status, c.DecisionLevel = "card of lost papers", 0, 0
		case 6:
			thing.name = "card with all there is"
			c.Portrait, c.MissionMayBeContacted = make([]byte, 16), true
			c.Name = private.New("TESTER, " + strings.Repeat("VERYLONG ", 30))
		case 7:
			thing.name, to = "card of the next epoch", w.next
		case 28:
			thing.name, thing.fate, to = "card of an ended epoch", ofEndedEpoch, w.ended
		case 29, 30:
			thing.name, thing.fate, to = "card of a burned epoch", ofBurned, w.burned
		case 31:
			thing.name, thing.fate, to = "card of another network", notOurs, w.elsewhere
		}
		thing.agency = i % len(w.agencies)
		w.seal(thing, c, to)
	}
}

func (w *world) seal(made thing, c card.Claims, to epoch) {
	w.t.Helper()
	by := w.agencies[made.agency]
	kid, err := hex.DecodeString(by.kid)
	must(w.t, err)
	code, err := card.ParseCode(rightCode)
	must(w.t, err)
	sealed, err := card.Seal(c, to.seal, code, [8]byte(kid), by.key, nil)
	must(w.t, err)
	opened, err := card.Open(sealed.Card, card.OpenKeys{Epoch: to.open.ID, TagKey: to.open.TagKey, NetKey: to.open.NetKey, Private: to.open.Private}, code)
	must(w.t, err)
	digest := opened.Digest()
	made.isCard, made.text, made.digest = true, sealed.Card.Digits(), hex.EncodeToString(digest[:8])
	made.list, made.index, made.from, made.to = c.List, int64(c.Index), c.IssuedAt, c.Expires
	w.things = append(w.things, &made)
}

// signCredentials makes credentials as an issuer of ours does, and then some
// that none of ours would sign.
func (w *world) signCredentials(chance *mathrand.Rand) {
	begins, ends := []int{-30, -1, 0, 2}, []int{1, 3, 5, 30, 30}
	for i := range 16 {
		made := thing{name: "credential", agency: i % len(w.agencies), list: uint16(i%3 + 1), index: int64(chance.IntN(statuslist.Entries))}
		begin, end := day.AddDate(0, 0, begins[i%len(begins)]), day.AddDate(0, 0, ends[i%len(ends)])
		if !end.After(begin) {
			end = day.AddDate(0, 0, 30)
		}
		w.sign(made, begin, end, nil)
	}
	for _, odd := range []struct {
		name   string
		fate   fate
		reason verifier.Reason
		edit   func(*thing, map[string]any)
	}{
		{"credential of another issuer's name", judged, "", func(t *thing, m map[string]any) { t.wrongIss, m["iss"] = true, "https://agencies.example/agency-1" }},
		{"credential on a list of another network", judged, "", func(t *thing, m map[string]any) {
			t.list, m["status"] = 0, statusAt("https://elsewhere.example/status-lists/1", 7)
		}},
		{"credential on no list", judged, "", func(t *thing, m map[string]any) { t.list, m["status"] = 9, statusAt(statusLists+"9", 7) }},
		{"credential beyond its list", judged, "", func(t *thing, m map[string]any) {
			t.index, m["status"] = statuslist.Entries, statusAt(statusLists+"1", statuslist.Entries)
		}},
		{"credential before its list", judged, "", func(t *thing, m map[string]any) { t.index, m["status"] = -1, statusAt(statusLists+"1", -1) }},
		{"credential beyond 32 bits", judged, "", func(t *thing, m map[string]any) { t.index, m["status"] = 1<<32+7, statusAt(statusLists+"1", 1<<32+7) }},
		{"credential without status", refused, sdjwt.CodeClaimMissing, func(_ *thing, m map[string]any) { delete(m, "status") }},
		{"credential without end", refused, sdjwt.CodeClaimMissing, func(_ *thing, m map[string]any) { delete(m, "exp") }},
		{"credential for somebody else", refused, sdjwt.CodeClaimInvalid, func(_ *thing, m map[string]any) { m["aud"] = "somebody" }},
		{"credential that ends in a word", refused, sdjwt.CodeClaimInvalid, func(_ *thing, m map[string]any) { m["exp"] = "tomorrow" }},
		{"credential with large and small numbers", judged, "", func(_ *thing, m map[string]any) {
			m["numbers"] = []any{1 << 40, -1, 0.5, 1e-7, true, nil, "\u2028\u0000<&>\U0001F600"}
		}},
	} {
		made := thing{name: odd.name, fate: odd.fate, reason: odd.reason, list: 1, index: 4711}
		w.sign(made, day.AddDate(0, 0, -1), day.AddDate(0, 0, 30), odd.edit)
	}
	for _, text := range []string{"ey.ey.ey", "eyJhbGciOiJFUzI1NiJ9..~", "e30.e30.AAAA~", "ew0.e30.", "eyJhbGciOiJub25lIn0.e30."} {
		w.things = append(w.things, &thing{name: "no credential", text: text, fate: unreadable, reason: anyReason})
	}
}

func statusAt(uri string, index int64) map[string]any {
	return map[string]any{"status_list": map[string]any{"uri": uri, "idx": index}}
}

// sign makes a credential. Its dates have the allowance of sdjwt.Skew on either
// side.
func (w *world) sign(made thing, begin, end time.Time, edit func(*thing, map[string]any)) {
	w.t.Helper()
	by := w.agencies[made.agency]
	payload := map[string]any{
		"iss": by.iss, "vct": "https://types.example/identity", "iat": begin.Unix(), "exp": end.Unix(),
		"status": statusAt(statusLists+strconv.Itoa(int(made.list)), made.index),
	}
	if edit != nil {
		edit(&made, payload)
	}
	var always []sdjwt.Member
	for _, name := range slices.Sorted(maps.Keys(payload)) {
		always = append(always, sdjwt.Member{Name: name, Value: payload[name]})
	}
	hidden := []sdjwt.Member{{Name: "given_name", Value: "AMINA"}, {Name: "family_name", Value: "TESTER"}, {Name: "birth_date", Value: "1998"}}
	text, err := sdjwt.Sign(sdjwt.Header{Type: sdjwt.TypeVC, KeyID: by.kid}, always, hidden, 5, by.key, rand.Reader)
	if err != nil {
		// Our own room does not sign such a thing, but another library would.
		text = w.signAnything(by, payload)
	}
	made.text, made.from, made.to = text, begin.Add(-time.Minute), end.Add(time.Minute)
	jwt, _, _ := strings.Cut(text, "~")
	sum := sha256.Sum256([]byte(jwt[:strings.LastIndexByte(jwt, '.')]))
	made.digest = hex.EncodeToString(sum[:8])
	w.things = append(w.things, &made)
}

func (w *world) signAnything(by *agency, payload map[string]any) string {
	w.t.Helper()
	b, err := json.Marshal(payload)
	must(w.t, err)
	jwt, err := jws.Sign(sdjwt.TypeVC, by.kid, by.key, b)
	must(w.t, err)
	return jwt + "~"
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func signer(key *ecdsa.PrivateKey) verifier.Signer {
	return verifier.Signer{KeyID: jws.KeyID(&key.PublicKey), Key: key}
}

func jwk(t *testing.T, key *ecdsa.PrivateKey) json.RawMessage {
	t.Helper()
	b, err := jws.MarshalKey(&key.PublicKey)
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("making the cases: %w", err))
	}
}
