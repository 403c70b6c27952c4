package httpapi_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// world is a whole service of real parts in a folder of its own.
type world struct {
	t       testing.TB
	http    *httptest.Server
	server  *httpapi.Server
	cfg     httpapi.Config
	people  *people.Roster
	house   *peopletest.House
	boss    *browser            // of the first operator, once there is something to agree to
	staff   map[string]*browser // people of agencies, by "agency's id role"
	net     *network.Network
	keys    keystore.Keys
	witness *witness
	log     *logged
	vkey    string
	db      *sqlstore.DB
	blobs   string // where pages lie

	later time.Duration // by which the roster is ahead
	still time.Time     // where the clock of sessions stands, where it does
	// wrongCodes are as many wrong codes as may be tried with a card number in a day; 0
	// are as many as ever.
	wrongCodes int
	operator   string            // token
	tokens     map[string]string // by "agency role"
	agency     map[string]string // ids by name
	devices    map[string]string // ids by agency
	slips      map[string]slip   // by case
	again      int               // how often more than usual a record is opened on a day
}

// witness sees what shows that something may be signed, as a signer does.
type witness struct {
	keystore.Store

	mu   sync.Mutex
	last approval.Authority

	asked []string // what of, one call after the other
}

func (k *witness) ask(what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, what)
}

func (k *witness) Unwrap(ctx context.Context, agency, record string, wrapped []byte) ([]byte, error) {
	k.ask("unwrap")
	return k.Store.Unwrap(ctx, agency, record, wrapped)
}

func (k *witness) Wrap(ctx context.Context, agency, record string, fileKey []byte) ([]byte, error) {
	k.ask("wrap")
	return k.Store.Wrap(ctx, agency, record, fileKey)
}

func (k *witness) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	k.ask("MAC " + label)
	return k.Store.MAC(ctx, label, data)
}

func (k *witness) Public(ctx context.Context, use keystore.Use) (keystore.Public, error) {
	k.ask("public")
	return k.Store.Public(ctx, use)
}

func (k *witness) Sign(ctx context.Context, use keystore.Use, kid string, messages []keystore.Message) ([][]byte, error) {
	k.ask("sign")
	if _, ok := use.OfAgency(); ok {
		k.mu.Lock()
		k.last = approval.Of(ctx)
		k.mu.Unlock()
	}
	return k.Store.Sign(ctx, use, kid, messages)
}

// saw is what showed that an agency's key might sign, the last time that it did.
func (k *witness) saw() approval.Authority {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

// logged collects what the service writes to its log.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newWorld opens one. edit may change how the server is set up.
func newWorld(t testing.TB, edit ...func(*httpapi.Config)) *world {
	t.Helper()
	return newWorldIn(t, filepath.Join(t.TempDir(), "main.db"), edit...)
}

// newWorldIn is newWorld with its database in a place that the test has chosen.
func newWorldIn(t testing.TB, database string, edit ...func(*httpapi.Config)) *world {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, log: &logged{}, staff: map[string]*browser{}, tokens: map[string]string{}, agency: map[string]string{}, devices: map[string]string{}, slips: map[string]slip{}}
	var err error
	w.db, err = sqlstore.Open(ctx, database)
	must(err)
	t.Cleanup(func() { _ = w.db.Close() })
	must(storetest.Seal(ctx, w.db))
	keyring, err := sqlstore.CreateKeyring(ctx, filepath.Join(dir, "keyring.db"), strings.Repeat("0", 32), []byte(strings.Repeat("r", 32)))
	must(err)
	t.Cleanup(func() { _ = keyring.Close() })
	w.db.CaseKeys(keyring.CaseKey)
	file, err := keyfile.Create(ctx, keyfile.Config{Path: filepath.Join(dir, "keys.age"), Passphrase: "made up", WorkFactor: 1}, "example.org/log")
	must(err)
	w.witness = &witness{Store: file}
	w.keys = keystore.New(w.witness)
	w.blobs = filepath.Join(dir, "blobs")
	pages, err := blobs.Open(w.blobs, nil)
	must(err)
	t.Cleanup(func() { _ = pages.Close() })
	folder, err := audit.OpenFolder(filepath.Join(dir, "log"))
	must(err)
	t.Cleanup(func() { _ = folder.Close() })

	passkeys := peopletest.Passkeys(t)
	w.people, err = people.New(people.Config{
		Store: w.db.People(), Checker: passkey.Checker{RelyingParty: passkeys}, Now: func() time.Time { return time.Now().Add(w.later) },
	})
	must(err)
	w.net, err = network.New(network.Config{
		Store: w.db.Network(), Keys: w.keys, Rights: w.people, ID: strings.Repeat("ab", 16), Name: "Made up", BaseURL: peopletest.Address, Desk: "+855 00 000 000", Demo: true,
	})
	must(err)
	w.house = peopletest.Found(t, w.people, passkeys, w.net.ID(), true, time.Now())
	sessions, err := sessionsOf(w, w.db)
	must(err)
	must(w.net.Init(ctx))
	w.operator = w.house.Token("", people.Operator)

	store := w.db.Credentials()
	var issuer *credentials.Issuer
	kept, err := vault.New(vault.Config{
		Store: w.db.Vault(), Keyring: keyring, Blobs: pages, Keys: w.keys, Directory: directory{w.net}, Network: w.net.ID(),
		OpenedByTwo: w.people.Opened, Admitted: w.people.Admitted,
		AllowedAgain: func(ctx context.Context, agency, record string) (int, error) {
			n, err := w.people.Again(ctx, agency, record)
			return n + w.again, err
		},
		CardInUse: func(ctx context.Context, caseID, card string) (bool, error) {
			return w.cfg.Issuer.CardInUse(ctx, caseID, credentials.ID(card))
		},
		Said: func(ctx context.Context, caseID string) (vault.Signed, error) {
			words, origin, err := issuer.Signed(ctx, caseID)
			return vault.Signed{Consents: words, Origin: origin}, err
		},
	})
	must(err)
	issuer, err = credentials.NewIssuer(credentials.IssuerConfig{
		Store: fewTries{store, w}, Keys: w.keys, Cases: cases{kept, w.db.Vault()}, Network: members{w.net}, StatusLists: w.net.StatusLists(), Agreed: w.people.Holds,
		Said: kept.SaidOfCard,
	})
	must(err)
	publisher, err := credentials.NewPublisher(credentials.PublisherConfig{
		Store: store, Decoys: w.keys.Decoys, StatusLists: w.net.StatusLists(), AnswersLists: w.net.AnswersLists(),
		Signer: func(ctx context.Context) (string, crypto.Signer, error) {
			s, err := w.keys.Status(ctx)
			return s.KeyID, s.Key, err
		},
	})
	must(err)
	w.vkey, err = w.keys.LogKey(ctx)
	must(err)
	signer, err := w.keys.LogSigner(ctx, w.vkey)
	must(err)
	check, err := note.NewVerifier(w.vkey)
	must(err)
	log, err := audit.New(audit.Config{Store: w.db.Log(), Dir: folder, Keys: audit.OneKey(signer, check)})
	must(err)

	w.cfg = httpapi.Config{
		People: w.people, Passkeys: passkeys, Sessions: sessions, Network: w.net, Issuer: issuer, Vault: kept,
		Board:       &board{net: w.net, publisher: publisher, store: store, log: log},
		Idempotency: httpapi.Once(w.db.Idempotency(nil), sqlstore.ErrMismatch, sqlstore.ErrInFlight),
		Tries:       w.db.CodeTries(),
		LogFiles:    folder, Log: slog.New(slog.NewJSONHandler(w.log, nil)), Build: "test",
		SecurityContact: "mailto:security@example.org",
		CardPage:        []byte("<!doctype html><title>A card was found</title>"), CardStyle: "c3R5bGU=",
		Pages: notBuilt(), Even: 1, // nobody waits
	}
	for _, e := range edit {
		e(&w.cfg)
	}
	w.server, err = httpapi.New(w.cfg)
	must(err)
	w.http = httptest.NewServer(w.server)
	t.Cleanup(w.http.Close)
	return w
}

// fewTries is a store in which whoever asks has fewer tries with a card number in a day,
// where the world says so: a thousand wrong codes are stretched in minutes.
type fewTries struct {
	*sqlstore.Credentials
	w *world
}

func (f fewTries) TryPaper(ctx context.Context, budgets []credentials.Budget, hour int64) (bool, error) {
	if f.w.wrongCodes > 0 {
		budgets = slices.Clone(budgets)
		budgets[0].Daily = f.w.wrongCodes
	}
	return f.Credentials.TryPaper(ctx, budgets, hour)
}

// sessionsOf are the sessions of the people of a roster.
func sessionsOf(w *world, db *sqlstore.DB) (*signin.Sessions, error) {
	all := w.people
	return signin.New(signin.Config{
		Store: db.Sessions(), Keys: w.keys, Loopback: true,
		Now: func() time.Time {
			if w.still.IsZero() {
				return time.Now()
			}
			return w.still
		},
		Person: func(ctx context.Context, id string) (signin.Standing, error) {
			st, err := all.Standing(ctx, id)
			if errors.Is(err, people.ErrUnauthenticated) || errors.Is(err, roster.ErrLocked) {
				err = signin.ErrNoSession
			}
			return signin.Standing{Roster: st.Newest, Change: st.Change, From: st.From}, err
		},
	})
}

// directory tells the vault who is who.
type directory struct{ net *network.Network }

func (d directory) Recipient(ctx context.Context, agency string) (claims.Recipient, error) {
	a, err := d.net.Agency(ctx, agency)
	if err == nil && a.Suspended {
		err = network.ErrConflict
	}
	return claims.Recipient{Class: string(a.Class), Country: a.Country, Identifies: claims.SigningOf(string(a.Class)).Identifies()}, err
}

// cases lets the issuer seal to the vault's cases.
type cases struct {
	*vault.Vault
	store *sqlstore.Vault
}

func (c cases) Owner(ctx context.Context, id string) (string, error) {
	r, err := c.store.Record(ctx, id)
	if err != nil || r.ID != r.Case {
		return "", credentials.ErrNotFound
	}
	return r.Agency, nil
}

// members tells the issuer about agencies.
type members struct{ net *network.Network }

func (m members) Agency(ctx context.Context, id string) (credentials.Agency, error) {
	a, err := m.net.Agency(ctx, id)
	switch {
	case errors.Is(err, network.ErrNotFound):
		return credentials.Agency{}, credentials.ErrNotFound
	case err != nil:
		return credentials.Agency{}, err
	case a.Suspended:
		return credentials.Agency{}, credentials.ErrNotAllowed
	}
	of := credentials.Agency{ID: a.ID, Class: string(a.Class), Country: a.Country, Issuer: m.net.Issuer(a.ID), Confirms: a.Terms.Confirms}
	for _, l := range m.net.Limits(a) {
		of.Limits = append(of.Limits, credentials.Limit(l))
	}
	if signs := a.Terms.Signs; signs != nil {
		of.Agreed = claims.NewSigning(signs.Kinds, signs.Level)
	}
	return of, nil
}

func (m members) PublicKey(ctx context.Context, agency, kid string) (*ecdsa.PublicKey, error) {
	a, err := m.net.Agency(ctx, agency)
	if err != nil {
		return nil, err
	}
	for _, k := range a.Keys {
		if k.KeyID == kid {
			return jws.ParseKey(k.JWK)
		}
	}
	return nil, credentials.ErrNotFound
}

func (m members) SealKeys(ctx context.Context) (card.SealKeys, time.Time, error) {
	return m.net.SealKeys(ctx)
}

func (m members) Stands(ctx context.Context, agency string) (bool, error) {
	return m.net.Stands(ctx, agency)
}

func (m members) NetKey(ctx context.Context, epoch uint32) ([]byte, bool, error) {
	return m.net.NetKey(ctx, epoch)
}

// board publishes, and holds what was published last.
type board struct {
	net       *network.Network
	publisher *credentials.Publisher
	store     *sqlstore.Credentials
	log       *audit.Log

	mu       sync.Mutex
	lists    verifier.Lists
	sequence uint64
}

func (b *board) Publish(ctx context.Context, by audit.Actor, emergency bool) (httpapi.Published, error) {
	done, err := b.publisher.Publish(ctx, by, credentials.Window{Emergency: emergency})
	if err != nil {
		return httpapi.Published{}, err
	}
	numbers, err := b.store.Lists(ctx)
	if err != nil {
		return httpapi.Published{}, err
	}
	var statuses, answers []verifier.ListToken
	for _, n := range numbers {
		s, a, err := b.store.Tokens(ctx, n)
		if err != nil {
			return httpapi.Published{}, err
		}
		statuses = append(statuses, verifier.ListToken{Number: n, Token: s})
		answers = append(answers, verifier.ListToken{Number: n, Token: a})
	}
	lists, sequence, err := b.net.Pack(ctx, statuses, answers)
	if err != nil {
		return httpapi.Published{}, err
	}
	head, err := b.log.Publish(ctx)
	if err != nil {
		return httpapi.Published{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lists, b.sequence = lists, sequence
	return httpapi.Published{Sequence: sequence, LogSize: head.Size, Waiting: done.Waiting}, nil
}

func (b *board) current() (verifier.Lists, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lists, b.sequence
}

func (b *board) Lists(context.Context) (verifier.Lists, error) {
	lists, _ := b.current()
	return lists, nil
}

func (b *board) Tokens(ctx context.Context, n uint16) (string, string, error) {
	return b.store.Tokens(ctx, n)
}

func (b *board) Confirmed() time.Time { return time.Now() }

func (b *board) Envelope(ctx context.Context, by audit.Actor) (string, error) {
	_, sequence := b.current()
	return b.net.Envelope(ctx, by, sequence)
}

func (b *board) Pack(ctx context.Context) (*verifier.Pack, error) {
	lists, sequence := b.current()
	return b.net.ServerPack(ctx, lists, sequence)
}

// admit makes an agency with a program of a role and returns its token.
func (w *world) admit(name, class, country, role string) string {
	w.t.Helper()
	id := w.agency[name]
	if id == "" {
		id = w.house.Agency(w.net, roster.Agency{Name: name, Class: class, Country: country, Desk: "+855 00 000 001"})
		w.agency[name] = id
	}
	token := w.house.Token(id, people.Role(role))
	w.tokens[name+" "+role] = token
	return token
}

// agree has the first operator agree to what was asked, as a browser does. Founding is
// open, so that nobody else has to.
func (w *world) agree(a answer) (out asked) {
	w.t.Helper()
	w.into(a, 202, &out)
	if w.boss == nil {
		w.boss = &browser{world: w, key: w.house.Keys[w.house.First]}
		w.into(w.boss.signIn(), 201, nil)
	}
	w.boss.agreed(out.Request, "done")
	return out
}

// person is somebody of an agency, signed in. There is one for each role.
func (w *world) person(agency string, role people.Role) *browser {
	w.t.Helper()
	name := agency + " " + string(role)
	if w.staff[name] == nil {
		b := &browser{world: w, key: w.house.Keys[w.house.Person(agency, role, w.house.First)]}
		w.into(b.signIn(), 201, nil)
		w.staff[name] = b
	}
	return w.staff[name]
}

// touched has people of an agency agree to what was asked, until it is done.
func (w *world) touched(a answer, agency string, roles ...people.Role) (now request) {
	w.t.Helper()
	var out asked
	w.into(a, 202, &out)
	for i, role := range roles {
		now = w.person(agency, role).agreed(out.Request, map[bool]string{true: "done", false: "waits"}[i == len(roles)-1])
	}
	return now
}

// reply has an embassy answer: its program asks, and an officer of it agrees. It returns
// the id of the answer.
func (w *world) reply(token string, body any, edit ...func(*http.Request)) string {
	w.t.Helper()
	return w.touched(w.call(token, "POST", "/api/v1/attestations", body, edit...), w.of(token), people.Mission).Attestation
}

// erased has a case erased: a program asks, and two of its agency agree.
func (w *world) erased(token, at string) request {
	w.t.Helper()
	return w.touched(w.call(token, "DELETE", at, nil), w.of(token), people.Caseworker, people.Supervisor)
}

// of is the agency of a program's token.
func (w *world) of(token string) string {
	w.t.Helper()
	for name, its := range w.tokens {
		if its == token {
			return w.agency[name[:strings.LastIndex(name, " ")]]
		}
	}
	w.t.Fatal("a token of no agency")
	return ""
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal(a.body, &p)
	return p.Code
}

// into decodes the body.
func (w *world) into(a answer, want int, v any) {
	w.t.Helper()
	if a.status != want {
		w.t.Fatalf("got %d %s, want %d", a.status, a.body, want)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		w.t.Fatalf("answer does not decode: %v", err)
	}
}

// call sends a request. edit may change it before it goes.
func (w *world) call(token, method, path string, body any, edit ...func(*http.Request)) answer {
	w.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	case []byte:
		r = bytes.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		r = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.http.URL+path, r)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		req.Header.Set("Idempotency-Key", newKey())
	}
	for _, e := range edit {
		e(req)
	}
	resp, err := w.http.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, data}
}

func newKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func randomID() string { return fmt.Sprintf("%032x", []byte(newKey())[:16]) }

// device enrols a device of an agency, invited by one operator and approved by
// another, and returns its token.
func (w *world) device(agency string) string {
	w.t.Helper()
	e := w.pending(agency)
	w.agree(w.call(w.second(), "POST", "/api/v1/devices/"+e.Device+"/approval", map[string]string{"symbols": w.symbols(e)}))
	return e.Token
}

// deviceOf is the id of a device of an agency. Each has one.
func (w *world) deviceOf(agency string) string {
	w.t.Helper()
	if w.devices[agency] == "" {
		for name, id := range w.agency {
			if id == agency {
				e := w.pending(name)
				w.agree(w.call(w.second(), "POST", "/api/v1/devices/"+e.Device+"/approval", map[string]string{"symbols": w.symbols(e)}))
				w.devices[agency] = e.Device
			}
		}
	}
	return w.devices[agency]
}

// shown is what a device sees of a card: it alone has what signs an opening.
func (w *world) shown(digits, code string) verifier.Verdict {
	w.t.Helper()
	pack, err := w.cfg.Board.Pack(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	v := pack.Verify(verifier.Presentation{Text: digits, Code: &code}, time.Now())
	if v.Card == nil {
		w.t.Fatalf("the card does not open: %v", v)
	}
	return v
}

// enrolment is what a device is told when it takes an invitation up.
type enrolment struct {
	Device, Agency, Label, Token, Network, State string
	AgencyName                                   string `json:"agency_name"`
	Root                                         json.RawMessage

	public []byte
}

// invitation asks for one as an operator does.
func (w *world) invitation(agency string) (secret string) {
	w.t.Helper()
	var made struct{ Secret string }
	w.into(w.call(w.operator, "POST", "/api/v1/invitations", map[string]string{"agency": w.agency[agency], "label": "gate-1"}), 201, &made)
	return made.Secret
}

// pending enrols a device that nobody has approved.
func (w *world) pending(agency string) (e enrolment) {
	w.t.Helper()
	secret := w.invitation(agency)
	e.public = newPublicKey(w.t)
	w.into(w.call("", "POST", "/api/v1/enrolments", map[string]any{"invitation": secret, "public_key": e.public}), 201, &e)
	return e
}

func newPublicKey(t testing.TB) []byte {
	t.Helper()
	_, public, err := verifier.NewDevice("", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func (w *world) symbols(e enrolment) string {
	w.t.Helper()
	s, err := verifier.Symbols(e.Network, e.Root, e.public)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// second is the token of another operator than the first.
func (w *world) second() string {
	w.t.Helper()
	if w.tokens["second operator"] == "" {
		w.tokens["second operator"] = w.house.Token("", people.Operator)
	}
	return w.tokens["second operator"]
}
