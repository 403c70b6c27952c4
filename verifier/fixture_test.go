package verifier

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/vectortest"
)

// day is midnight of the day on which most of these tests take place, and noon
// the time of it.
var (
	day  = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	noon = day.Add(12 * time.Hour)
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func jwk(t testing.TB, key *ecdsa.PublicKey) json.RawMessage {
	t.Helper()
	b, err := jws.MarshalKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func signerOf(key *ecdsa.PrivateKey) Signer {
	return Signer{KeyID: jws.KeyID(&key.PublicKey), Key: key}
}

// list is a status or answers list as a test wants it. Its dates are zero for
// "as long as the network's".
type list struct {
	entries map[int]uint8
	from    time.Time
	to      time.Time
	subject string // zero: the right one
	bits    int    // zero: 2
}

// network is a whole made-up network, in the form in which it would be
// published. Tests change it, and then ask for the file, or the opened pack.
type network struct {
	t                               testing.TB
	root, statusKey, packKey        *ecdsa.PrivateKey
	device                          Device
	recipient                       []byte
	trust                           TrustList
	trustKey                        *TrustKey // nil: the root itself signs the trust list
	statement                       PackStatement
	envelope                        Envelope
	keys                            EpochKeys
	status, answers                 map[uint16]list
	signTrust, signPack, signSealed Signer
	signLists, signTrustKey         Signer
	// raw replaces list tokens after they were signed.
	raw map[uint16]string
	// after changes the finished file.
	after func(*File)
}

const networkID = "00112233445566778899aabbccddeeff"

// newNetwork makes a network whose pack is good from a day before now until
// 7 days after it, and whose lists are good for 72 hours around it.
func newNetwork(t testing.TB, now time.Time) *network {
	t.Helper()
	n := &network{t: t, root: newKey(t), statusKey: newKey(t), packKey: newKey(t)}
	var err error
	n.device, n.recipient, err = NewDevice(networkID, "device-1", jwk(t, &n.root.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	made := now.Add(-time.Hour)
	n.trust = TrustList{
		Network: networkID, Name: "Made-up network", Sequence: 1,
		IssuedAt: made.Unix(), Expires: now.Add(30 * 24 * time.Hour).Unix(), Desk: "+10000000000",
		StatusLists:  "https://lists.example/status-lists/",
		AnswersLists: "https://lists.example/answers-lists/",
		Keys: []NetworkKey{
			{Use: UseStatus, KeyID: jws.KeyID(&n.statusKey.PublicKey), JWK: jwk(t, &n.statusKey.PublicKey)},
			{Use: UsePack, KeyID: jws.KeyID(&n.packKey.PublicKey), JWK: jwk(t, &n.packKey.PublicKey)},
			{Use: UseLog, Note: "lists.example/log+00000000+AA"},
		},
		Agencies: []Agency{},
	}
	n.statement = PackStatement{Network: networkID, Sequence: 5, IssuedAt: made.Unix(), Burned: []uint32{}}
	n.envelope = Envelope{Network: networkID, Device: "device-1", Sequence: 5, IssuedAt: made.Unix(), LeaseUntil: now.Add(7 * 24 * time.Hour).Unix()}
	n.status, n.answers = map[uint16]list{1: {}}, map[uint16]list{1: {}}
	n.signTrust, n.signPack, n.signSealed, n.signLists = signerOf(n.root), signerOf(n.packKey), signerOf(n.packKey), signerOf(n.statusKey)
	n.raw = map[uint16]string{}
	return n
}

// named has a key of its own sign the trust list, which the root names from the trust
// list's own date for a year.
func (n *network) named() {
	n.t.Helper()
	key := newKey(n.t)
	n.signTrust, n.signTrustKey = signerOf(key), signerOf(n.root)
	n.trustKey = &TrustKey{
		Network: networkID, KeyID: n.signTrust.KeyID, JWK: jwk(n.t, &key.PublicKey),
		IssuedAt: n.trust.IssuedAt, Expires: n.trust.IssuedAt + 365*86400,
	}
}

// agency adds an agency with one key, good for ten years around the day.
func (n *network) agency(id string, kid string, key *ecdsa.PublicKey) *Agency {
	n.trust.Agencies = append(n.trust.Agencies, Agency{
		ID: id, Name: "Agency " + id, Class: "ngo", Country: "THA", Issuer: "https://agencies.example/" + id, Desk: "+10000000001",
		Keys: []AgencyKey{{KeyID: kid, JWK: jwk(n.t, key), From: day.AddDate(-5, 0, 0).Unix(), To: day.AddDate(5, 0, 0).Unix()}},
	})
	return &n.trust.Agencies[len(n.trust.Agencies)-1]
}

// epoch adds a live epoch and returns what sealing to it needs.
func (n *network) epoch(id uint32) card.SealKeys {
	n.t.Helper()
	tag, net := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(tag)
	_, _ = rand.Read(net)
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		n.t.Fatal(err)
	}
	n.keys.Live = append(n.keys.Live, Epoch{ID: id, TagKey: tag, NetKey: net, Private: key.Bytes()})
	return card.SealKeys{Epoch: id, TagKey: tag, NetKey: net, Public: key.PublicKey().Bytes()}
}

func (n *network) tokens(lists map[uint16]list, prefix string) []ListToken {
	n.t.Helper()
	tokens := []ListToken{}
	for _, number := range slices.Sorted(maps.Keys(lists)) {
		l := lists[number]
		bits := l.bits
		if bits == 0 {
			bits = 2
		}
		bitmap, err := statuslist.New(bits, statuslist.Entries)
		if err != nil {
			n.t.Fatal(err)
		}
		for i, v := range l.entries {
			if err := bitmap.Set(i, v); err != nil {
				n.t.Fatal(err)
			}
		}
		made := time.Unix(n.statement.IssuedAt, 0)
		token := statuslist.Token{Subject: l.subject, IssuedAt: l.from, Expires: l.to, TTL: 6 * time.Hour, List: bitmap}
		if token.Subject == "" {
			token.Subject = prefix + strconv.Itoa(int(number))
		}
		if token.IssuedAt.IsZero() {
			token.IssuedAt = made
		}
		if token.Expires.IsZero() {
			token.Expires = made.Add(72 * time.Hour)
		}
		compact, err := token.Sign(n.signLists.KeyID, n.signLists.Key)
		if err != nil {
			n.t.Fatal(err)
		}
		tokens = append(tokens, ListToken{Number: number, Token: compact})
	}
	return tokens
}

// file signs everything and puts it together.
func (n *network) file() File {
	n.t.Helper()
	must := func(s string, err error) string {
		n.t.Helper()
		if err != nil {
			n.t.Fatal(err)
		}
		return s
	}
	trust, trustKey := must(n.trust.Sign(n.signTrust)), ""
	if n.trustKey != nil {
		trustKey = must(n.trustKey.Sign(n.signTrustKey))
	}
	s := n.statement
	if s.TrustSHA256 == "" {
		s.TrustSHA256 = TrustDigest(trust)
	}
	s.Status, s.Answers = n.tokens(n.status, n.trust.StatusLists), n.tokens(n.answers, n.trust.AnswersLists)
	for i := range s.Status {
		if raw, there := n.raw[s.Status[i].Number]; there {
			s.Status[i].Token = raw
		}
	}
	f := File{
		Lists:    Lists{TrustList: trust, Pack: must(s.Sign(n.signPack)), TrustKey: trustKey},
		Envelope: must(n.envelope.Seal(n.keys, n.recipient, n.signSealed)),
	}
	if n.after != nil {
		n.after(&f)
	}
	return f
}

// bytes is the file as it lies on a stick.
func (n *network) bytes() []byte {
	n.t.Helper()
	b, err := MarshalFile(n.file())
	if err != nil {
		n.t.Fatal(err)
	}
	return b
}

// open opens the pack, which has to be good.
func (n *network) open(now time.Time) *Pack {
	n.t.Helper()
	p, err := OpenPack(n.bytes(), n.device, now)
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

// memo remembers what opening a card gave: Argon2id is slow on purpose, and
// most of these tests are about what comes after it.
var memo struct {
	sync.Mutex
	opened map[string]memoOpened
}

type memoOpened struct {
	opened *card.Opened
	err    error
}

func openOnce(c card.Card, keys card.OpenKeys, code card.Code) (*card.Opened, error) {
	memo.Lock()
	defer memo.Unlock()
	key := string(c[:]) + code.Reveal() + hex.EncodeToString(keys.NetKey) + hex.EncodeToString(keys.TagKey)
	m, there := memo.opened[key]
	if !there {
		m.opened, m.err = card.Open(c, keys, code)
		if memo.opened == nil {
			memo.opened = map[string]memoOpened{}
		}
		memo.opened[key] = m
	}
	return m.opened, m.err
}

// verifyOnce is Verify with openOnce.
func (p *Pack) verifyOnce(in Presentation, now time.Time) Verdict {
	return p.verify(in, openOnce, now)
}

// person is a made-up holder whose card is good for 60 days from the day.
func person() card.Claims {
	return card.Claims{
		IssuedAt: day, Expires: day.AddDate(0, 0, 60),
		Name: private.New("TESTER, AMINA"), BirthDate: private.New("1998"), Nationality: private.New("KEN"), Sex: 2,
		Handle: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, List: 1, Index: 4711, Status: 1, DecisionLevel: 2,
	}
}

const rightCode, wrongCode = "0123456789", "9876543210"

// seal makes a card with the right code.
func seal(t testing.TB, c card.Claims, keys card.SealKeys, kid string, key crypto.Signer) string {
	t.Helper()
	code, err := card.ParseCode(rightCode)
	if err != nil {
		t.Fatal(err)
	}
	id, err := hex.DecodeString(kid)
	if err != nil {
		t.Fatal(err)
	}
	s, err := card.Seal(c, keys, code, [8]byte(id), key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s.Card.Digits()
}

// issued is a network with one agency and one epoch, and a card of it.
type issued struct {
	*network
	agencyKey *ecdsa.PrivateKey
	kid       string
	seal      card.SealKeys
	digits    string
}

// once is the card of every issued network: sealing costs an Argon2id.
var once struct {
	sync.Mutex
	issued
	live Epoch
}

func newIssued(t testing.TB) *issued {
	t.Helper()
	n := newNetwork(t, noon)
	once.Lock()
	defer once.Unlock()
	if once.digits == "" {
		once.agencyKey = newKey(t)
		once.kid = jws.KeyID(&once.agencyKey.PublicKey)
		once.seal = n.epoch(202611)
		once.live, n.keys = n.keys.Live[0], EpochKeys{}
		once.digits = seal(t, person(), once.seal, once.kid, once.agencyKey)
	}
	i := once.issued
	i.network = n
	n.agency("one", i.kid, &i.agencyKey.PublicKey)
	n.keys.Live = []Epoch{once.live}
	return &i
}

func ptr[T any](v T) *T { return &v }

// networkOf makes a network whose epochs and issuers are those of the file, with an empty
// status list and answers list for every number that its cards name.
func networkOf(t testing.TB, f vectortest.Cards) *network {
	t.Helper()
	n := newNetwork(t, time.Unix(f.Now, 0).UTC())
	for _, e := range f.Epochs {
		n.keys.Live = append(n.keys.Live, Epoch{ID: e.ID, TagKey: e.TagKey, NetKey: e.NetKey, Private: e.PrivateKey})
	}
	for _, e := range f.EndedEpochs {
		n.keys.Closed = append(n.keys.Closed, ClosedEpoch{ID: e.ID, TagKey: e.TagKey})
	}
	for i, issuer := range f.Issuers {
		n.agency("issuer-"+strconv.Itoa(i), hex.EncodeToString(issuer.Kid), issuer.Key(t))
	}
	for _, c := range f.Cards {
		if number, there := c.Claims["statusList"].(float64); there {
			n.status[uint16(number)], n.answers[uint16(number)] = list{}, list{}
		}
	}
	return n
}
