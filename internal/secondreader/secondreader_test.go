// Package secondreader is for one question: are docs/pack.md and docs/card.md
// enough to write a reader from? The reader in it was written from the two texts,
// with the standard library and golang.org/x/crypto; it shares no line with
// package verifier, and where the two disagree a text is wrong or a program is.
// Credentials, tries and what a screen shows are left to the verifier alone.
package secondreader_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/internal/vectortest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// both opens a pack file with both readers, which have to agree, and returns what
// they opened.
func both(t *testing.T, file, key []byte, now time.Time) (*opened, *verifier.Pack) {
	t.Helper()
	mine, err := openPack(file, key, now.Unix())
	got := verdictOf(err)
	device, err := verifier.ParseDevice(key)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := verifier.OpenPack(file, device, now)
	want := verdict{}
	if err != nil {
		v := verifier.NotReadyVerdict(err)
		want = verdict{string(v.State), string(v.Reason)}
	}
	if got != want {
		t.Errorf("the second reader says %v of the pack, ours %v (%v)", got, want, err)
	}
	return mine, ours
}

func verdictOf(err error) verdict {
	v, _ := errors.AsType[verdict](err)
	return v
}

// check reads a card with both readers.
func check(t *testing.T, mine *opened, ours *verifier.Pack, digits string, code *string, now time.Time) verdict {
	t.Helper()
	got, claims := mine.read(digits, code, now.Unix())
	v := ours.Verify(verifier.Presentation{Text: digits, Code: code}, now)
	if want := (verdict{string(v.State), string(v.Reason)}); got != want {
		t.Errorf("the second reader says %v, ours %v", got, want)
		return got
	}
	if (claims != nil) != (v.Card != nil) {
		t.Fatal("only one of the readers has the claims")
	}
	if claims == nil {
		return got
	}
	if claims.issuer["id"] != v.Issuer.ID || claims.issuer["desk"] != v.Issuer.Desk {
		t.Error("the readers name two agencies")
	}
	if since, symbols := mine.beside(claims.issuer); since != v.Issuer.Since || symbols != v.Issuer.Symbols {
		t.Errorf("beside its name the second reader says %s, %s, ours %s, %s", since, symbols, v.Issuer.Since, v.Issuer.Symbols)
	}
	if claims.name != v.Card.Name.Reveal() || claims.birth != v.Card.BirthDate.Reveal() || claims.nationality != v.Card.Nationality.Reveal() ||
		claims.sex != uint64(v.Card.Sex) || claims.status != uint64(v.Card.Status) || claims.level != uint64(v.Card.DecisionLevel) ||
		!bytes.Equal(claims.handle, v.Card.Handle[:]) || !bytes.Equal(claims.portrait, v.Card.Portrait) ||
		claims.list != uint64(v.Card.List) || claims.index != uint64(v.Card.Index) ||
		claims.iat != v.Card.IssuedAt.Unix() || claims.exp != v.Card.Expires.Unix() ||
		claims.shortened != v.Card.NamesShortened || claims.blank != v.Card.Blank || claims.agrees != v.Card.MissionMayBeContacted {
		t.Error("the readers read two cards")
	}
	if !bytes.Equal(claims.openKey, v.OpenKey()) {
		t.Error("the readers derive two open keys")
	}
	return got
}

// TestServiceOfTheVersionBefore reads packs that a service made, and its cards.
func TestServiceOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	files := unpack(t, filepath.Join("..", "..", "testdata", "before", "network.tar.gz"))
	made := time.Date(2026, 11, 30, 2, 52, 0, 0, time.UTC)
	packs, cards := 0, 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if key, there := files[name+".key"]; there {
			for _, after := range []time.Duration{0, -2 * time.Hour, 7 * 24 * time.Hour, 31 * 24 * time.Hour} {
				both(t, files[name], key, made.Add(after))
				packs++
			}
		}
	}
	var demo struct {
		Cards []struct{ Code, Digits, Expect string }
	}
	if err := json.Unmarshal(files["network/demo.json"], &demo); err != nil {
		t.Fatal(err)
	}
	mine, ours := both(t, files["network/pack.json"], files["network/pack.json.key"], made)
	for i, c := range demo.Cards {
		if got := check(t, mine, ours, c.Digits, &c.Code, made); got.state != c.Expect {
			t.Errorf("card %d: got %v, the demonstration expects %s", i, got, c.Expect)
		}
		cards++
	}
	if packs < 12 || cards < 5 {
		t.Errorf("%d packs and %d cards: too few were found", packs, cards)
	}
	t.Logf("%d packs, %d cards", packs, cards)
}

// unpack reads an archive into memory.
func unpack(t *testing.T, name string) map[string][]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[strings.TrimPrefix(h.Name, "./")], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// service is a network of this version, over a real database and a real key file.
type service struct {
	*network.Network
	t      *testing.T
	keys   keystore.Keys
	device verifier.Device
	agency network.Agency
	by     audit.Actor // the device
	now    time.Time
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, now: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)}
	dir := t.TempDir()
	var err error
	file, err := keyfile.Create(t.Context(), keyfile.Config{
		Path: filepath.Join(dir, "keys.age"), Passphrase: "made up for a test", WorkFactor: 2, // nobody depends on these keys
	}, "network.example/log")
	s.ok(err)
	s.keys = keystore.New(file)
	db, err := sqlstore.Open(t.Context(), filepath.Join(dir, "safeconduct.db"))
	s.ok(err)
	t.Cleanup(func() { _ = db.Close() })
	s.ok(storetest.Seal(t.Context(), db))
	now := func() time.Time { return s.now }
	passkeys := peopletest.Passkeys(t)
	all, err := people.New(people.Config{Store: db.People(), Checker: passkey.Checker{RelyingParty: passkeys}, Now: now})
	s.ok(err)
	s.Network, err = network.New(network.Config{
		Store: db.Network(), Keys: s.keys, Rights: all, ID: strings.Repeat("5eed", 8), Name: "Made-up network",
		BaseURL: "https://network.example", Desk: "+855 00 000 000", Now: now,
	})
	s.ok(err)
	s.ok(s.Init(t.Context()))
	house := peopletest.Found(t, all, passkeys, s.ID(), false, s.now)
	operator := house.Actor(house.First)
	agency := house.Agency(s, roster.Agency{Name: "Made-up House", Class: "NGO", Country: "KHM", Desk: "+855 00 000 001"})
	inviter, _ := house.Program(agency, people.Supervisor, house.First)
	s.agency, err = s.Agency(t.Context(), agency)
	s.ok(err)
	_, secret, err := s.InviteDevice(t.Context(), audit.Actor{ID: inviter.ID, Agency: agency, Role: string(people.Supervisor)}, agency, "checkpoint-1")
	s.ok(err)
	device, public, err := verifier.NewDevice(s.ID(), "", nil)
	s.ok(err)
	e, err := s.EnrolDevice(t.Context(), secret, public)
	s.ok(err)
	symbols, err := verifier.Symbols(s.ID(), e.Root, e.Device.Recipient)
	s.ok(err)
	admission, err := s.DeviceAdmission(t.Context(), operator, e.Device.ID, symbols)
	s.ok(err)
	house.Do(roster.DoAdmitDevice, agency, admission, house.First)
	s.ok(s.Adopt(t.Context()))
	device.ID, device.Root = e.Device.ID, e.Root
	s.device, s.by = device, audit.Actor{ID: device.ID, Agency: s.agency.ID, Role: string(people.DeviceRole)}
	return s
}

func (s *service) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// pack makes a pack with one list, and returns its file and the device's key.
func (s *service) pack(status, answers map[int]uint8) (file, key []byte) {
	s.t.Helper()
	signer, err := s.keys.Status(s.t.Context())
	s.ok(err)
	token := func(prefix string, entries map[int]uint8) []verifier.ListToken {
		l, err := statuslist.New(2, 8192) // shorter than ours are, and cheaper
		s.ok(err)
		for i, v := range entries {
			s.ok(l.Set(i, v))
		}
		compact, err := statuslist.Token{
			Subject: prefix + "7", IssuedAt: s.now, Expires: s.now.Add(72 * time.Hour), TTL: time.Hour, List: l,
		}.Sign(signer.KeyID, signer.Key)
		s.ok(err)
		return []verifier.ListToken{{Number: 7, Token: compact}}
	}
	lists, sequence, err := s.Pack(s.t.Context(), token(s.StatusLists(), status), token(s.AnswersLists(), answers))
	s.ok(err)
	envelope, err := s.Envelope(s.t.Context(), s.by, sequence)
	s.ok(err)
	file, err = verifier.MarshalFile(verifier.File{Lists: lists, Envelope: envelope})
	s.ok(err)
	key, err = verifier.MarshalDevice(s.device)
	s.ok(err)
	return file, key
}

// print seals a card as the issuer does.
func (s *service) print(index uint32) (digits, code string) {
	s.t.Helper()
	keys, _, err := s.SealKeys(s.t.Context())
	s.ok(err)
	kid, key, err := s.keys.Signer(s.t.Context(), s.agency.ID)
	s.ok(err)
	raw, err := hex.DecodeString(kid)
	s.ok(err)
	c, err := card.NewCode(nil)
	s.ok(err)
	today := s.now.Truncate(24 * time.Hour)
	sealed, err := card.Seal(card.Claims{
		IssuedAt: today, Expires: today.AddDate(0, 0, 30), Name: private.New("Made Up Person"), BirthDate: private.New("1999"),
		Nationality: private.New("KEN"), Handle: [8]byte{1}, List: 7, Index: index, Status: 1, DecisionLevel: 2,
	}, keys, c, [8]byte(raw), key, nil)
	s.ok(err)
	return sealed.Card.Digits(), c.Reveal()
}

// TestService reads packs and cards of a network that this version runs.
func TestService(t *testing.T) {
	t.Parallel()
	s := newService(t)
	digits, code := s.print(4711)
	day := 24 * time.Hour
	for _, c := range []struct {
		name            string
		status, answers uint8
		after           time.Duration
		want            string
	}{
		{"in use", 0, 0, 0, "unconfirmed ()"},
		{"out of use", 1, 0, 0, "out_of_use ()"},
		{"paused", 2, 1, 0, "paused ()"},
		{"replaced", 3, 0, 0, "replaced ()"},
		{"confirmed", 0, 1, 0, "confirmed (mission_of_nationality)"},
		{"bound", 0, 2, 0, "unconfirmed ()"},
		{"confirmed by another", 0, 3, 0, "confirmed (other_authority)"},
		{"status old", 0, 1, 4 * day, "status_old (status_expired)"},
		{"paused, status old", 2, 0, 4 * day, "paused ()"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			file, key := s.pack(map[int]uint8{4711: c.status}, map[int]uint8{4711: c.answers})
			mine, ours := both(t, file, key, s.now)
			if got := check(t, mine, ours, digits, &code, s.now.Add(c.after)); got.Error() != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
	s.t = t
	file, key := s.pack(nil, nil)
	mine, ours := both(t, file, key, s.now)
	for _, c := range []struct{ name, digits, code, want string }{
		{"one digit less", digits[1:], code, "not_ours (unknown_content)"},
		{"a digit changed", flip(digits), code, "not_ours (unknown_content)"},
		{"another code", digits, flip(code), "wrong_code (code_wrong)"},
		{"a code in Khmer digits", digits, khmer(code), "unconfirmed ()"},
		{"a code with a letter", digits, code[1:] + "x", "wrong_code (code_format)"},
	} {
		if got := check(t, mine, ours, c.digits, &c.code, s.now); got.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
	}
	if got := check(t, mine, ours, digits, nil, s.now); got.state != "code_not_given" {
		t.Errorf("without a code: got %v", got)
	}
}

// flip changes the last digit of a text.
func flip(s string) string { return s[:len(s)-1] + string('0'+(s[len(s)-1]-'0'+1)%10) }

func khmer(s string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '០' }, s)
}

// TestChangedStatements: whatever is written into a statement of a pack, both
// readers say the same of it.
func TestChangedStatements(t *testing.T) {
	t.Parallel()
	s := newService(t)
	file, key := s.pack(nil, nil)
	bare := newParts(t, s, file)
	values := []any{
		nil, true, false, 0, 1, 2, -1, json.Number("1.5"), json.Number("1e3"), json.Number("18446744073709551615"), json.Number("4294967296"),
		"", "x", "1", []any{}, []any{1}, []any{"version"}, []any{"later"}, []any{"agencies.keys.from"}, []any{nil}, []any{map[string]any{}},
		map[string]any{}, map[string]any{"later": 1},
	}
	keyed := newParts(t, s, file)
	keyed.named(t)
	cases, refused := 0, 0
	try := func(name string, parts *parts, edit func(statement string, m map[string]any)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			mine, _ := both(t, parts.write(t, edit), key, s.now)
			cases++
			if mine == nil {
				refused++
			}
		})
	}
	for _, parts := range []*parts{bare, keyed} {
		for n, at := range parts.places() {
			for i, v := range values {
				if (n+i)%3 != 0 && at.name() != "version" && at.name() != "crit" {
					continue // a third of them at each place, and all of them somewhere
				}
				try(fmt.Sprintf("%s/%d", at, i), parts, func(statement string, m map[string]any) { at.set(statement, m, v) })
			}
			try(at.String()+"/gone", parts, func(statement string, m map[string]any) { at.remove(statement, m) })
			try(at.String()+"/renamed", parts, func(statement string, m map[string]any) { at.rename(statement, m) })
		}
	}
	if cases < 1000 || refused < cases/4 || refused > cases*9/10 {
		t.Errorf("%d cases, %d of them refused: they do not show much", cases, refused)
	}
	t.Logf("%d changed statements, %d refused", cases, refused)
}

// named has a key of its own sign the trust list from now on, which the root names.
func (p *parts) named(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	p.s.ok(err)
	jwk, err := jws.MarshalKey(&key.PublicKey)
	p.s.ok(err)
	p.signs = verifier.Signer{KeyID: jws.KeyID(&key.PublicKey), Key: key}
	p.trustKey = map[string]any{
		"network": p.s.ID(), "kid": p.signs.KeyID, "jwk": decodeMap(t, jwk),
		"iat": p.s.now.Unix(), "exp": p.s.now.Add(365 * 24 * time.Hour).Unix(),
	}
}

// TestTrustKey: both readers say the same of a trust list that a key has signed which the
// root names, and of every way in which it does not.
func TestTrustKey(t *testing.T) {
	t.Parallel()
	s := newService(t)
	file, _ := s.pack(nil, nil)
	p := newParts(t, s, file)
	p.named(t)
	own, statement := p.signs, p.trustKey
	root, err := s.keys.Root(t.Context())
	s.ok(err)
	now := s.now.Unix()
	year := int64(366 * 24 * 60 * 60)
	for _, c := range []struct {
		name    string
		set     map[string]any
		signs   verifier.Signer
		seen    int64
		number  uint64 // of a pack that the device accepted
		time    int64  // of it
		without bool
		want    string
	}{
		{name: "as it should be", want: " ()"},
		{name: "seen before", seen: now, want: " ()"},
		{name: "a newer one was seen", seen: now + 1, want: "not_ready (pack_older)"},
		{name: "the root signed the list", signs: root, want: "not_ready (pack_broken)"},
		{name: "the key under the root's kid", signs: verifier.Signer{KeyID: root.KeyID, Key: own.Key}, want: "not_ready (pack_broken)"},
		{name: "the root under the key's kid", signs: verifier.Signer{KeyID: own.KeyID, Key: root.Key}, want: "not_ready (pack_broken)"},
		{name: "a kid of its own", set: map[string]any{"kid": "later"}, want: "not_ready (pack_broken)"},
		{name: "a kid that both have", set: map[string]any{"kid": "later"}, signs: verifier.Signer{KeyID: "later", Key: own.Key}, want: " ()"},
		{name: "another network", set: map[string]any{"network": strings.Repeat("0", 32)}, want: "not_ready (pack_broken)"},
		{name: "from later", set: map[string]any{"iat": now + 1}, want: "not_ready (clock)"},
		{name: "over", set: map[string]any{"iat": now - 1, "exp": now}, want: "not_ready (trust_list_old)"},
		{name: "over in a second", set: map[string]any{"iat": now - 1, "exp": now + 1}, want: " ()"},
		{name: "for 366 days", set: map[string]any{"exp": now + year}, want: " ()"},
		{name: "for a second more", set: map[string]any{"exp": now + year + 1}, want: "not_ready (pack_broken)"},
		{name: "the longest there is", set: map[string]any{"iat": 1, "exp": int64(math.MaxInt64)}, want: "not_ready (pack_broken)"},
		{name: "from before time", set: map[string]any{"iat": int64(math.MinInt64)}, want: "not_ready (pack_broken)"},
		{name: "the root alone, as ever", signs: root, without: true, seen: now, want: " ()"},
		{name: "the root alone, before a statement seen", signs: root, without: true, seen: now + 1, want: "not_ready (pack_older)"},
		{name: "a number of before", seen: now - 1, number: 1 << 53, want: " ()"},
		{name: "a number of now", seen: now, number: 1 << 53, want: "not_ready (pack_older)"},
		{name: "a number of the root alone", signs: root, without: true, seen: now, number: 1 << 53, want: "not_ready (pack_older)"},
		{name: "a time of before", seen: now - 1, time: now + 1, want: " ()"},
		{name: "a time of now", seen: now, time: now + 1, want: "not_ready (clock)"},
		{name: "the key alone", without: true, want: "not_ready (pack_broken)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.s.t = t
			p.signs, p.trustKey = own, maps.Clone(statement)
			maps.Copy(p.trustKey, c.set)
			if c.signs.Key != nil {
				p.signs = c.signs
			}
			device := s.device
			device.TrustKeyIssued, device.Sequence, device.Seen = c.seen, c.number, c.time
			key, err := verifier.MarshalDevice(device)
			s.ok(err)
			file := p.write(t, func(statement string, m map[string]any) {
				if lists, ok := m["lists"].(map[string]any); ok && statement == "file" && c.without {
					delete(lists, "trust_key")
				}
			})
			both(t, file, key, s.now)
			_, err = openPack(file, key, now)
			if got := verdictOf(err); got.Error() != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

// TestChangedBytes: both readers say the same of a file in which a byte changed.
func TestChangedBytes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	file, key := s.pack(nil, nil)
	random := rand.New(rand.NewPCG(3, 4)) // the same places every time
	for range 300 {
		b := bytes.Clone(file)
		b[random.IntN(len(b))] ^= 1 << random.IntN(8)
		both(t, b, key, s.now)
	}
	for _, b := range [][]byte{nil, []byte("{}"), append(bytes.Clone(file), ' '), append(bytes.Clone(file), '{'), append([]byte(" "), file...), append([]byte(`{"later":{"a":1},`), file[1:]...), append([]byte(`{"later":{"a":1,"A":2},`), file[1:]...)} {
		both(t, b, key, s.now)
	}
}

// parts are the statements of a pack, to be written anew.
type parts struct {
	s                           *service
	trust, pack, envelope, keys map[string]any
	// A key that the root names, and the statement in which it does; nil where the root
	// signs the trust list itself.
	trustKey map[string]any
	signs    verifier.Signer
}

func newParts(t *testing.T, s *service, file []byte) *parts {
	t.Helper()
	var f verifier.File
	s.ok(json.Unmarshal(file, &f))
	p := &parts{s: s, trust: payload(t, f.Lists.TrustList), pack: payload(t, f.Lists.Pack), envelope: payload(t, f.Envelope)}
	sealed, err := base64.StdEncoding.DecodeString(p.envelope["sealed"].(string))
	s.ok(err)
	seed, err := hpke.MLKEM768X25519().NewPrivateKey(s.device.Private)
	s.ok(err)
	plain, err := hpke.Open(seed, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), p.info(), sealed)
	s.ok(err)
	p.keys = decodeMap(t, plain)
	return p
}

func payload(t *testing.T, compact string) map[string]any {
	t.Helper()
	b, ok := decode(strings.Split(compact, ".")[1])
	if !ok {
		t.Fatal("no base64url")
	}
	return decodeMap(t, b)
}

func decodeMap(t *testing.T, data []byte) map[string]any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (p *parts) info() []byte {
	sequence, _ := strconv.ParseUint(fmt.Sprint(p.envelope["sequence"]), 10, 64)
	info := []byte("safeconduct/envelope/1")
	for _, text := range []string{p.s.ID(), p.s.device.ID} {
		info = append(info, 0, 0, 0, 0, 0, 0, 0, byte(len(text)))
		info = append(info, text...)
	}
	return append(info, 0, 0, 0, 0, byte(sequence>>24), byte(sequence>>16), byte(sequence>>8), byte(sequence))
}

// write signs and seals the statements after edit has seen a copy of each.
func (p *parts) write(t *testing.T, edit func(statement string, m map[string]any)) []byte {
	t.Helper()
	encode := func(statement string, m map[string]any) []byte {
		b, err := json.Marshal(m)
		p.s.ok(err)
		m = decodeMap(t, b)
		edit(statement, m)
		b, err = json.Marshal(m)
		p.s.ok(err)
		return b
	}
	root, err := p.s.keys.Root(t.Context())
	p.s.ok(err)
	packKey, err := p.s.keys.Pack(t.Context())
	p.s.ok(err)
	sign := func(typ string, key verifier.Signer, payload []byte) string {
		compact, err := jws.Sign(typ, key.KeyID, key.Key, payload)
		p.s.ok(err)
		return compact
	}
	lists, signs := map[string]any{}, root
	if p.trustKey != nil {
		lists["trust_key"], signs = sign("safeconduct-trust-key+jwt", root, encode("trust_key", p.trustKey)), p.signs
	}
	trust := sign("safeconduct-trust+jwt", signs, encode("trust", p.trust))
	digest := sha256.Sum256([]byte(trust))
	p.pack["trust_list_sha256"] = hex.EncodeToString(digest[:])
	seed, err := hpke.MLKEM768X25519().NewPrivateKey(p.s.device.Private)
	p.s.ok(err)
	sealed, err := hpke.Seal(seed.PublicKey(), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), p.info(), encode("keys", p.keys))
	p.s.ok(err)
	p.envelope["sealed"] = sealed
	lists["trust_list"], lists["pack"] = trust, sign("safeconduct-pack+jwt", packKey, encode("pack", p.pack))
	return encode("file", map[string]any{
		"lists":    lists,
		"envelope": sign("safeconduct-envelope+jwt", packKey, encode("envelope", p.envelope)),
	})
}

// place is one member of a statement, by its way from the top, through the last
// element of each array.
type place struct {
	statement string
	way       []string
}

func (p place) String() string { return p.statement + "." + strings.Join(p.way, ".") }

// places are all members that the statements have, and in every object some that
// they have not.
func (p *parts) places() []place {
	var all []place
	var walk func(statement string, way []string, v any)
	walk = func(statement string, way []string, v any) {
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[len(list)-1]
		}
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		names := slices.Collect(maps.Keys(m))
		names = append(names, "later", "version", "crit", "revoked", "suspended", "compromised", "demo", "burned")
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			inner := append(slices.Clone(way), name)
			all = append(all, place{statement, inner})
			walk(statement, inner, m[name])
		}
	}
	if p.trustKey != nil {
		walk("trust_key", nil, p.trustKey)
		walk("file", nil, map[string]any{"lists": map[string]any{"trust_key": ""}})
		return all // the rest is tried without one
	}
	walk("trust", nil, p.trust)
	walk("pack", nil, p.pack)
	walk("envelope", nil, p.envelope)
	walk("keys", nil, p.keys)
	walk("file", nil, map[string]any{"lists": map[string]any{"trust_list": "", "pack": ""}, "envelope": ""})
	return all
}

// at finds the object that the member is in.
func (p place) at(statement string, m map[string]any) map[string]any {
	if statement != p.statement {
		return nil
	}
	for _, name := range p.way[:len(p.way)-1] {
		v := m[name]
		if list, ok := v.([]any); ok {
			v = list[len(list)-1]
		}
		m, _ = v.(map[string]any)
	}
	return m
}

func (p place) name() string { return p.way[len(p.way)-1] }

func (p place) set(statement string, m map[string]any, v any) {
	if in := p.at(statement, m); in != nil {
		in[p.name()] = v
	}
}

func (p place) remove(statement string, m map[string]any) {
	if in := p.at(statement, m); in != nil {
		delete(in, p.name())
	}
}

// rename gives the member its name in another case.
func (p place) rename(statement string, m map[string]any) {
	if in := p.at(statement, m); in != nil {
		in[strings.ToUpper(p.name())] = in[p.name()]
		delete(in, p.name())
	}
}

// TestCardVectors reads the cards that an independent program made.
func TestCardVectors(t *testing.T) {
	t.Parallel()
	f := vectortest.ReadCards(t)
	p := &opened{trust: object{"network": ""}}
	for _, e := range f.Epochs {
		p.live = append(p.live, object{"id": uint64(e.ID), "tag": []byte(e.TagKey), "net": []byte(e.NetKey), "private": []byte(e.PrivateKey)})
	}
	for _, e := range f.EndedEpochs {
		p.closed = append(p.closed, object{"id": uint64(e.ID), "tag": []byte(e.TagKey), "burned": false})
	}
	var agencies []object
	for i, issuer := range f.Issuers {
		agencies = append(agencies, object{"id": strconv.Itoa(i), "suspended": false, "keys": []object{{
			"kid": hex.EncodeToString(issuer.Kid), "jwk": issuer.Key(t), "from": int64(0), "to": int64(1) << 40, "revoked": false,
		}}})
	}
	p.trust["agencies"] = agencies
	everything := list{exp: 1 << 40, bits: make([]byte, 1<<18)}
	p.status = map[uint64]list{}
	for _, c := range f.Cards {
		if n, there := c.Claims["statusList"].(float64); there {
			p.status[uint64(n)] = everything
		}
	}
	for _, c := range f.Cards {
		t.Run(c.Name, func(t *testing.T) {
			v, claims := p.read(c.Digits, &c.Code, f.Now)
			got := v.state
			if got == "unconfirmed" {
				got = "opens"
			}
			if got != c.Expect && (c.Expect != "opens" || v.reason != "blank") {
				t.Errorf("got %v, want %s", v, c.Expect)
			}
			if claims != nil && !bytes.Equal(claims.openKey, c.OpenKey) {
				t.Error("another open key")
			}
		})
	}
	t.Logf("%d cards", len(f.Cards))
}
