//go:build !race

package browsertest_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/verifier"
)

// madeUp is a network whose packs and cards this test makes itself, so that
// every state can be had, and every way to be out of date. The page in front of
// it is the real service's: what the page asks for its device is answered here,
// and the rest comes from there.
type madeUp struct {
	mu                        sync.Mutex
	root, status, pack, agent *ecdsa.PrivateKey
	recipients                map[string][]byte // device to public key
	waits                     map[string]string // devices that nobody has approved, by their invitations
	keys                      verifier.EpochKeys
	seal                      map[uint32]card.SealKeys
	now                       time.Time
	problem                   error

	Cards []madeCard
}

// madeCard is a card with what a check of it is to show, under the first pack
// and under the second.
type madeCard struct {
	Name    string `json:"name"`
	Digits  string `json:"digits"`
	Code    string `json:"code"`
	First   string `json:"first"`
	Second  string `json:"second"`
	LastDay string `json:"lastDay"` // YYYY-MM-DD
}

// madeCredentials are one credential, with all that it says and with all of that
// cut off.
type madeCredentials struct {
	Whole string `json:"whole"`
	Cut   string `json:"cut"`
}

const (
	madeNetwork = "0123456789abcdef0123456789abcdef"
	madeIssuer  = "https://agencies.example/a"
)

// entry is what stands in the lists about a card in a pack.
type entry struct{ status, answer uint8 }

// Lists 1 and 3 are current; list 2 is past its date.
const oldList = 2

// subjects of the cards: index to entries in the first and the second pack.
var entries = map[int][2]entry{
	10: {{0, 1}, {0, 1}}, 11: {{0, 3}, {0, 3}}, 12: {{0, 0}, {0, 0}},
	13: {{2, 0}, {2, 0}}, // a blank
	14: {{2, 0}, {2, 0}}, 15: {{3, 0}, {3, 0}}, 16: {{1, 0}, {1, 0}},
	17: {{0, 0}, {0, 0}}, 18: {{0, 0}, {0, 0}}, 19: {{0, 0}, {0, 0}}, 20: {{0, 0}, {0, 0}},
	// In use in the first pack, and not in the second.
	30: {{0, 1}, {1, 1}}, 31: {{0, 0}, {2, 0}}, 32: {{0, 1}, {3, 1}},
	// Out of use in a list that is past its date.
	40: {{1, 1}, {1, 1}},
}

const madeCode = "0123456789"

func newMadeUp(t *testing.T) *madeUp {
	t.Helper()
	n := &madeUp{
		root: newKey(t), status: newKey(t), pack: newKey(t), agent: newKey(t),
		recipients: map[string][]byte{}, waits: map[string]string{}, seal: map[uint32]card.SealKeys{}, now: time.Now().Truncate(time.Second),
	}
	n.epoch(t, 1, "live")
	n.epoch(t, 2, "ended")
	n.epoch(t, 3, "burned")
	today := n.now.UTC().Truncate(24 * time.Hour)
	month := 30 * 24 * time.Hour
	stranger := newKey(t)
	person := func(index int, change func(*card.Claims)) card.Claims {
		c := card.Claims{
			IssuedAt: today.Add(-month), Expires: today.Add(month),
			Name: private.New("TESTER, AMINA WANJIRU"), BirthDate: private.New("1998"), Nationality: private.New("KEN"), Sex: 2,
			Handle: [8]byte{byte(index)}, List: 1, Index: uint32(index), Status: 1, DecisionLevel: 2,
		}
		if change != nil {
			change(&c)
		}
		return c
	}
	kid := jws.KeyID(&n.agent.PublicKey)
	for _, c := range []struct {
		name          string
		index         int
		first, second string
		epoch         uint32
		kid           string
		key           *ecdsa.PrivateKey
		change        func(*card.Claims)
	}{
		{name: "confirmed", index: 10, first: "confirmed"},
		{name: "confirmed by another authority", index: 11, first: "confirmed"},
		{name: "unconfirmed", index: 12, first: "unconfirmed", change: func(c *card.Claims) { c.MissionMayBeContacted = true }},
		{name: "status old", index: 12, first: "status_old", change: func(c *card.Claims) { c.List = oldList }},
		{name: "blank", index: 13, first: "not_yet_in_use", change: func(c *card.Claims) {
			*c = card.Claims{IssuedAt: c.IssuedAt, Expires: c.Expires, Handle: c.Handle, List: c.List, Index: c.Index, Blank: true}
		}},
		{name: "expired", index: 17, first: "expired", change: func(c *card.Claims) { c.Expires = today.Add(-24 * time.Hour) }},
		{name: "paused", index: 14, first: "paused"},
		{name: "replaced", index: 15, first: "replaced"},
		{name: "out of use", index: 16, first: "out_of_use"},
		{name: "out of use in an old list", index: 40, first: "out_of_use", change: func(c *card.Claims) { c.List = oldList }},
		{name: "of an issuer unknown", index: 18, first: "issuer_unknown", key: stranger, kid: jws.KeyID(&stranger.PublicKey)},
		{name: "signed by somebody else", index: 19, first: "does_not_match", key: stranger, kid: kid},
		{name: "of an epoch that ended", index: 20, first: "expired", epoch: 2},
		{name: "of an epoch that was burned", index: 20, first: "not_ready", epoch: 3},
		{name: "soon withdrawn", index: 30, first: "confirmed", second: "out_of_use"},
		{name: "soon paused", index: 31, first: "unconfirmed", second: "paused"},
		{name: "soon replaced", index: 32, first: "confirmed", second: "replaced"},
		{name: "to be locked", index: 12, first: "unconfirmed"},
	} {
		if c.epoch == 0 {
			c.epoch = 1
		}
		if c.key == nil {
			c.key, c.kid = n.agent, kid
		}
		if c.second == "" {
			c.second = c.first
		}
		code, err := card.ParseCode(madeCode)
		if err != nil {
			t.Fatal(err)
		}
		id, err := hex.DecodeString(c.kid)
		if err != nil {
			t.Fatal(err)
		}
		claims := person(c.index, c.change)
		sealed, err := card.Seal(claims, n.seal[c.epoch], code, [8]byte(id), c.key, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		n.Cards = append(n.Cards, madeCard{
			Name: c.name, Digits: sealed.Card.Digits(), Code: madeCode, First: c.first, Second: c.second,
			LastDay: claims.Expires.AddDate(0, 0, -1).Format(time.DateOnly),
		})
	}
	return n
}

// card is the card of that name.
func (n *madeUp) card(name string) madeCard {
	return n.Cards[slices.IndexFunc(n.Cards, func(c madeCard) bool { return c.Name == name })]
}

// credentials are signed by the agency, and in use.
func (n *madeUp) credentials(t *testing.T) madeCredentials {
	t.Helper()
	signed := n.now.Add(-24 * time.Hour)
	whole, err := sdjwt.Sign(
		sdjwt.Header{Type: sdjwt.TypeVC, KeyID: jws.KeyID(&n.agent.PublicKey)},
		[]sdjwt.Member{
			{Name: "iss", Value: madeIssuer},
			{Name: "iat", Value: signed.Unix()},
			{Name: "exp", Value: signed.AddDate(0, 1, 0).Unix()},
			{Name: "vct", Value: "https://safeconduct.example/attestation"},
			{Name: "status", Value: map[string]any{"status_list": map[string]any{"idx": 12, "uri": "https://lists.example/status-lists/1"}}},
		},
		[]sdjwt.Member{{Name: "kind", Value: "screening"}, {Name: "assessed_on", Value: signed.Format(time.DateOnly)}},
		0, n.agent, nil)
	if err != nil {
		t.Fatal(err)
	}
	jwt, _, _ := strings.Cut(whole, "~")
	return madeCredentials{Whole: whole, Cut: jwt + "~"}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (n *madeUp) epoch(t *testing.T, id uint32, kind string) {
	t.Helper()
	tag, net := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(tag)
	_, _ = rand.Read(net)
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if kind == "live" {
		n.keys.Live = append(n.keys.Live, verifier.Epoch{ID: id, TagKey: tag, NetKey: net, Private: key.Bytes()})
	} else {
		n.keys.Closed = append(n.keys.Closed, verifier.ClosedEpoch{ID: id, TagKey: tag, Burned: kind == "burned"})
	}
	n.seal[id] = card.SealKeys{Epoch: id, TagKey: tag, NetKey: net, Public: key.PublicKey().Bytes()}
}

// file is pack number 1 or 2 for a device. What cannot be made is remembered.
func (n *madeUp) file(number int, device string) verifier.File {
	made := n.now.Add(time.Duration(number-4) * time.Hour)
	sequence := uint64(4 + number)
	trust := must(n, func() (string, error) { return n.trust(made).Sign(n.signer(n.root)) })
	statement := verifier.PackStatement{
		Network: madeNetwork, Sequence: sequence, IssuedAt: made.Unix(), TrustSHA256: verifier.TrustDigest(trust),
		Status:  n.tokens(number, made, "status-lists", func(e entry) uint8 { return e.status }),
		Answers: n.tokens(number, made, "answers-lists", func(e entry) uint8 { return e.answer }), Burned: []uint32{3},
	}
	envelope := verifier.Envelope{
		Network: madeNetwork, Device: device, Sequence: sequence, IssuedAt: made.Unix(), LeaseUntil: made.Add(7 * 24 * time.Hour).Unix(),
	}
	f := verifier.File{Lists: verifier.Lists{TrustList: trust, Pack: must(n, func() (string, error) { return statement.Sign(n.signer(n.pack)) })}}
	if recipient := n.recipients[device]; recipient != nil {
		f.Envelope = must(n, func() (string, error) { return envelope.Seal(n.keys, recipient, n.signer(n.pack)) })
	}
	return f
}

func must[T any](n *madeUp, make func() (T, error)) T {
	v, err := make()
	if err != nil {
		n.problem = err
	}
	return v
}

func (n *madeUp) signer(key *ecdsa.PrivateKey) verifier.Signer {
	return verifier.Signer{KeyID: jws.KeyID(&key.PublicKey), Key: key}
}

func (n *madeUp) jwk(key *ecdsa.PrivateKey) json.RawMessage {
	return must(n, func() ([]byte, error) { return jws.MarshalKey(&key.PublicKey) })
}

func (n *madeUp) trust(made time.Time) verifier.TrustList {
	return verifier.TrustList{
		Network: madeNetwork, Name: "Made-up network", Demo: true, Sequence: 1, Desk: "+00 00 000 000",
		IssuedAt: made.Unix(), Expires: made.Add(30 * 24 * time.Hour).Unix(),
		StatusLists: "https://lists.example/status-lists/", AnswersLists: "https://lists.example/answers-lists/",
		Keys: []verifier.NetworkKey{
			{Use: verifier.UseStatus, KeyID: jws.KeyID(&n.status.PublicKey), JWK: n.jwk(n.status)},
			{Use: verifier.UsePack, KeyID: jws.KeyID(&n.pack.PublicKey), JWK: n.jwk(n.pack)},
			{Use: verifier.UseLog, Note: "lists.example/log+00000000+AA"},
		},
		Agencies: []verifier.Agency{{
			ID: "0000000000000000000000000000000a", Name: "Lotus House", Class: "ngo", Country: "KHM",
			Issuer: madeIssuer, Desk: "+00 00 000 001",
			Keys: []verifier.AgencyKey{{KeyID: jws.KeyID(&n.agent.PublicKey), JWK: n.jwk(n.agent), From: made.AddDate(-1, 0, 0).Unix(), To: made.AddDate(1, 0, 0).Unix()}},
		}},
	}
}

func (n *madeUp) tokens(number int, made time.Time, kind string, of func(entry) uint8) []verifier.ListToken {
	var tokens []verifier.ListToken
	for _, list := range []uint16{1, oldList} {
		signed := made
		if list == oldList {
			signed = made.Add(-5 * 24 * time.Hour)
		}
		compact := must(n, func() (string, error) {
			bitmap, err := statuslist.New(2, statuslist.Entries)
			if err != nil {
				return "", err
			}
			for index, both := range entries {
				if err := bitmap.Set(index, of(both[number-1])); err != nil {
					return "", err
				}
			}
			token := statuslist.Token{
				Subject:  "https://lists.example/" + kind + "/" + strconv.Itoa(int(list)),
				IssuedAt: signed, Expires: signed.Add(72 * time.Hour), TTL: 6 * time.Hour, List: bitmap,
			}
			return token.Sign(jws.KeyID(&n.status.PublicKey), n.status)
		})
		tokens = append(tokens, verifier.ListToken{Number: list, Token: compact})
	}
	return tokens
}

// serve answers a page's requests for its device, and passes on the rest.
// Devices get the first pack; the tests ask for what somebody brings on a stick
// under /made-up/.
func (n *madeUp) serve(t *testing.T, service string) string {
	t.Helper()
	target, err := url.Parse(service)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	handle := func(pattern string, h http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			n.mu.Lock()
			defer n.mu.Unlock()
			h(w, r)
			if n.problem != nil {
				t.Errorf("%s: %v", pattern, n.problem)
				n.problem = nil
			}
		})
	}
	handle("POST /api/v1/enrolments", func(w http.ResponseWriter, r *http.Request) {
		var order struct {
			Invitation string `json:"invitation"`
			PublicKey  []byte `json:"public_key"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<14)).Decode(&order); err != nil {
			n.problem = err
			return
		}
		device := make([]byte, 16)
		_, _ = rand.Read(device)
		id := hex.EncodeToString(device)
		n.recipients[id] = order.PublicKey
		if strings.HasPrefix(order.Invitation, "sci_nobody-approves") {
			n.waits[id] = order.Invitation
		}
		answer(w, http.StatusCreated, map[string]any{
			"device": id, "agency": "0000000000000000000000000000000a", "agency_name": "Lotus House", "label": "Gate 1",
			"token": "sc_" + id, "network": madeNetwork, "root": n.jwk(n.root), "state": "pending",
		})
	})
	device := func(r *http.Request) string {
		const prefix = "Bearer sc_"
		if h := r.Header.Get("Authorization"); len(h) == len(prefix)+32 {
			return h[len(prefix):]
		}
		return ""
	}
	handle("GET /api/v1/devices/self", func(w http.ResponseWriter, r *http.Request) {
		state := "active"
		if _, waits := n.waits[device(r)]; waits {
			state = "pending"
		}
		answer(w, http.StatusOK, map[string]string{"id": device(r), "agency": "0000000000000000000000000000000a", "agency_name": "Lotus House", "label": "Gate 1", "state": state})
	})
	handle("POST /made-up/approve", func(_ http.ResponseWriter, r *http.Request) {
		maps.DeleteFunc(n.waits, func(_, invitation string) bool { return invitation == r.URL.Query().Get("invitation") })
	})
	handle("GET /pack", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, n.file(1, "").Lists) })
	handle("GET /api/v1/devices/self/envelope", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, map[string]string{"envelope": n.file(1, device(r)).Envelope})
	})
	// What somebody brings on a stick: ?device=…&lists=1|2&envelope=1|2.
	handle("GET /made-up/pack", func(w http.ResponseWriter, r *http.Request) {
		number := func(name string) int { i, _ := strconv.Atoi(r.URL.Query().Get(name)); return min(max(i, 1), 2) }
		id := r.URL.Query().Get("device")
		answer(w, http.StatusOK, verifier.File{Lists: n.file(number("lists"), id).Lists, Envelope: n.file(number("envelope"), id).Envelope})
	})
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	mux.Handle("/", proxy)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return "http://localhost:" + address.Port()
}
