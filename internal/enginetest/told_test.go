//go:build unix

package enginetest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/vault"
)

// mortal is a network whose process ends at any moment, all that people do there, and what
// they were told.
type mortal struct {
	*crashService

	first   *office       // who takes in agencies
	officer *crashService // a program of an operator
	at      *workplace    // where people are at work now
	helper  string        // an agency that cases are shared with
	picture []byte

	// look shows what is in the stores while nothing is served; signed is what was signed
	// with an agency's key since it was asked last.
	look   func(see func(*sqlstore.DB, *sqlstore.Keyring))
	signed func() [][32]byte

	telling    sync.Mutex // held while what follows is read or changed
	cases      []*theCase
	common     *theCase // in which everybody is at work
	touched    map[*theCase]bool
	unanswered map[string]*theCase // attestations that nobody was told of, by the key of the request
	done       map[string]int      // acts that were acknowledged
	recorded   map[[32]byte]bool   // digests
	places     map[[2]uint32]string
	signatures int
	ofCards    int // cards that were tried
	gaveUp     map[string]bool

	alsoKill func()                   // kills a server that it depends on, and starts it again
	kills    map[string]int           // that fell into an act
	takes    map[string]time.Duration // how long an act took
}

// workplace is an agency, as which programs of a caseworker and of a supervisor ask. Two of
// its people agree that a case is erased.
type workplace struct {
	worker, boss *crashService
	desk         []*caller.Person
}

// theCase is a case as people were told of it. They know of things that are there, of
// things that may be (whoever asked for them was not answered), and of no others.
type theCase struct {
	at            *workplace
	id, document  string
	pages         int
	stands        map[string]string // attestations, and their states; of one of them nobody may know
	cards         []string
	number, code  string // of one of them
	shared, maybe bool   // with the helper
	gone          string // "", asked for, erased
	busy          bool   // somebody does with it what others would be in the way of
}

const (
	unknown   = "?"
	active    = string(credentials.Active)
	withdrawn = string(credentials.Withdrawn)
	asked     = "asked for"
	erased    = "erased"
)

// people founds the network and lets in who works there.
func (m *mortal) people() {
	m.t.Helper()
	m.t.Cleanup(m.complained)
	m.first = m.found()
	m.officer = m.asking(m.operator)
	m.helper = m.first.agency("Helping NGO (made up)", "THA")
	m.picture = pageOf(m.t)
	m.touched, m.unanswered, m.done = map[*theCase]bool{}, map[string]*theCase{}, map[string]int{}
	m.recorded, m.places, m.gaveUp = map[[32]byte]bool{}, map[[2]uint32]string{}, map[string]bool{}
	m.kills, m.takes = map[string]int{}, map[string]time.Duration{}
	m.move()
	m.stop()
}

func (m *mortal) asking(token string) *crashService {
	return &crashService{t: m.t, address: m.address, token: token}
}

// move has people work at another agency from now on, and everybody at another case of it.
// A signer writes down ahead what an agency may have signed in a day, and loses a part of
// what is left whenever it is killed (internal/signer): no agency goes on through a thousand
// of that. Nor does the body of a case outgrow what one in daily work has.
func (m *mortal) move() {
	m.t.Helper()
	if err := m.first.SignIn(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	agency := m.first.agency("NGO (made up) "+randomHex(3), "KHM")
	m.at = &workplace{worker: m.asking(m.first.program(agency, "caseworker")), boss: m.asking(m.first.program(agency, "supervisor"))}
	for _, role := range []string{"caseworker", "supervisor"} {
		m.at.desk = append(m.at.desk, m.first.person(agency, role))
	}
	had := len(m.cases)
	if err := m.takeIn(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	m.common = m.cases[had]
}

// acts are what is done besides signing attestations, which goes on all the time.
var acts = []struct {
	name string
	do   func(*mortal, context.Context) error
}{
	{"a person with a document and a page", (*mortal).takeIn},
	{"a card", (*mortal).print},
	{"a page", (*mortal).addPage},
	{"a window", (*mortal).publish},
	{"a sharing", (*mortal).share},
	{"a withdrawal", (*mortal).withdraw},
	{"an erasure", (*mortal).erase},
}

// noted does something that people were told of, and counts it.
func (m *mortal) noted(what string, tell func()) {
	m.telling.Lock()
	defer m.telling.Unlock()
	tell()
	m.done[what]++
}

// taking finds a case that is as somebody wants it and keeps it for her, nil if there is
// none; give gives it back.
func (m *mortal) taking(like func(*theCase) bool) *theCase {
	m.telling.Lock()
	defer m.telling.Unlock()
	for _, i := range rand.Perm(len(m.cases)) {
		if c := m.cases[i]; c != m.common && !c.busy && c.gone == "" && like(c) {
			c.busy, m.touched[c] = true, true
			return c
		}
	}
	return nil
}

func (m *mortal) give(c *theCase) {
	m.telling.Lock()
	defer m.telling.Unlock()
	c.busy = false
}

var errNobody = errors.New("nobody is there to whom that could be done")

// attest signs an attestation in the case in which everybody does.
func (m *mortal) attest(ctx context.Context) error {
	key := randomHex(16)
	m.telling.Lock()
	c := m.common
	m.touched[c], m.unanswered[key] = true, c
	m.telling.Unlock()
	return m.attestIn(ctx, c, key)
}

func (m *mortal) attestIn(ctx context.Context, c *theCase, key string) error {
	var made struct{ ID string }
	if err := c.at.worker.call(ctx, "POST", "/api/v1/cases/"+c.id+"/attestations", crashClaims, key, &made); err != nil {
		return err
	}
	m.noted("an attestation", func() {
		c.stands[made.ID] = active
		delete(m.unanswered, key)
	})
	return nil
}

// takeIn is a person of whom nothing was known: a case, an attestation, a document, a page.
func (m *mortal) takeIn(ctx context.Context) error {
	var made struct{ ID string }
	c := &theCase{at: m.at, stands: map[string]string{}, busy: true}
	if err := c.at.worker.call(ctx, "POST", "/api/v1/cases", `{}`, randomHex(16), &made); err != nil {
		return fmt.Errorf("begin a case: %w", err)
	}
	c.id = made.ID
	defer m.give(c)
	key := randomHex(16)
	m.noted("a case", func() {
		m.cases = append(m.cases, c)
		m.touched[c], m.unanswered[key] = true, c
	})
	if err := m.attestIn(ctx, c, key); err != nil {
		return err
	}
	number := strings.ToUpper(randomHex(4))
	if err := c.at.worker.call(ctx, "POST", "/api/v1/cases/"+c.id+"/documents",
		`{"kind":"PASSPORT","issuing_state":"UTO","document_number":"`+number+`","custody":"unknown"}`, randomHex(16), &made); err != nil {
		return fmt.Errorf("record a document: %w", err)
	}
	m.noted("a document", func() { c.document = made.ID })
	return m.pageOf(ctx, c)
}

func (m *mortal) pageOf(ctx context.Context, c *theCase) error {
	if err := c.at.worker.uploadBy(ctx, "/api/v1/documents/"+c.document+"/pages?role=data", m.picture); err != nil {
		return fmt.Errorf("record a page: %w", err)
	}
	m.noted("a page", func() { c.pages++ })
	return nil
}

func (m *mortal) addPage(ctx context.Context) error {
	c := m.taking(func(c *theCase) bool { return c.document != "" && c.pages < 4 })
	if c == nil {
		return m.takeIn(ctx)
	}
	defer m.give(c)
	return m.pageOf(ctx, c)
}

func (m *mortal) print(ctx context.Context) error {
	c := m.taking(func(c *theCase) bool { return len(c.cards) == 0 })
	if c == nil {
		return errNobody
	}
	defer m.give(c)
	m.telling.Lock()
	m.ofCards++
	m.telling.Unlock()
	var made struct{ ID, Number, Code string }
	if err := c.at.worker.call(ctx, "POST", "/api/v1/cases/"+c.id+"/cards", `{"name":"MADE UP"}`, randomHex(16), &made); err != nil {
		return err
	}
	m.noted("a card", func() { c.cards, c.number, c.code = append(c.cards, made.ID), made.Number, made.Code })
	return nil
}

// share is what somebody agrees to with number and code of her card.
func (m *mortal) share(ctx context.Context) error {
	c := m.taking(func(c *theCase) bool { return c.code != "" && !c.shared })
	if c == nil {
		return errNobody
	}
	defer m.give(c)
	order := map[string]any{
		"record": c.id, "agency": m.helper, "purpose": "protection", "parts": []string{"attestations", "status"},
		"until": time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly), "language": "en", "circumstance": "free",
	}
	var question struct {
		Nonce string
		Text  string `json:"text_sha256"`
	}
	if err := c.at.worker.ask(ctx, "/api/v1/cases/"+c.id+"/consents/challenges", order, &question); err != nil {
		return err
	}
	delete(order, "record")
	maps.Copy(order, map[string]any{
		"nonce": question.Nonce, "text_sha256": question.Text, "proof": map[string]string{"number": c.number, "code": c.code},
		"mission": true, "safe_if_state_knows": "yes", "method": "signature",
	})
	m.telling.Lock()
	c.maybe = true
	m.telling.Unlock()
	if err := c.at.worker.ask(ctx, "/api/v1/cases/"+c.id+"/grants", order, nil); err != nil {
		return err
	}
	m.noted("a sharing", func() { c.shared = true })
	return nil
}

func (m *mortal) withdraw(ctx context.Context) error {
	c := m.taking(func(c *theCase) bool {
		for _, state := range c.stands {
			if state == active {
				return true
			}
		}
		return false
	})
	if c == nil {
		return errNobody
	}
	defer m.give(c)
	var id string
	m.telling.Lock()
	for one, state := range c.stands {
		if state == active {
			id = one
		}
	}
	c.stands[id] = unknown
	m.telling.Unlock()
	if err := c.at.boss.call(ctx, "POST", "/api/v1/attestations/"+id+"/status", `{"action":"withdraw","reason":"holder_asked"}`, randomHex(16), nil); err != nil {
		return err
	}
	m.noted("a withdrawal", func() { c.stands[id] = withdrawn })
	return nil
}

// erase erases a case in which nothing else happens from here on. What was signed in it
// was compared before: its records go.
func (m *mortal) erase(ctx context.Context) error {
	c := m.taking(func(c *theCase) bool { return !m.touched[c] && !m.isUnanswered(c) })
	if c == nil {
		return errNobody
	}
	defer m.give(c)
	m.telling.Lock()
	c.gone = asked
	m.telling.Unlock()
	var request caller.Asked
	if err := c.at.boss.call(ctx, "DELETE", "/api/v1/cases/"+c.id, "", "", &request); err != nil {
		return err
	}
	for _, p := range c.at.desk {
		if err := p.SignIn(ctx); err != nil {
			return err
		}
	}
	if err := caller.Agreed(ctx, request.Request, c.at.desk...); err != nil {
		return err
	}
	m.noted("an erasure", func() { c.gone = erased })
	return nil
}

// isUnanswered says whether an attestation of a case may still be asked for again.
func (m *mortal) isUnanswered(c *theCase) bool {
	for _, of := range m.unanswered {
		if of == c {
			return true
		}
	}
	return false
}

func (m *mortal) publish(ctx context.Context) error {
	if err := m.officer.call(ctx, "POST", "/api/v1/publications", `{"emergency":true}`, randomHex(16), nil); err != nil {
		return err
	}
	m.noted("a window", func() {})
	return nil
}

func (s *crashService) ask(ctx context.Context, path string, body, answer any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return s.call(ctx, "POST", path, string(data), randomHex(16), answer)
}

// kept holds what is in the stores against what people were told, in the cases in which
// anything happened; with nil in all of them. Whatever was signed was written down, and no
// place was given out twice.
func (m *mortal) kept(only map[*theCase]bool) {
	m.t.Helper()
	m.telling.Lock()
	defer m.telling.Unlock()
	m.look(func(db *sqlstore.DB, ring *sqlstore.Keyring) {
		m.t.Helper()
		for _, c := range m.cases {
			if only == nil || only[c] {
				m.keptCase(c, db, ring)
			}
		}
	})
	for _, digest := range m.signed() {
		m.signatures++
		if !m.recorded[digest] {
			m.t.Fatal("something was signed that is not recorded")
		}
	}
}

func (m *mortal) keptCase(c *theCase, db *sqlstore.DB, ring *sqlstore.Keyring) {
	m.t.Helper()
	ctx := m.t.Context()
	if c.gone == erased {
		m.isGone(c, db, ring)
	}
	if c.gone != "" {
		return
	}
	found, err := db.Credentials().ByCase(ctx, c.id)
	if err != nil {
		m.t.Fatal("what was issued in a case:", err)
	}
	there := map[string]credentials.Issued{}
	released := 0
	for _, d := range found {
		there[string(d.ID)] = d
		m.recorded[d.Digest] = true
		at := [2]uint32{uint32(d.List), d.Index}
		if of, taken := m.places[at]; taken && of != string(d.ID) {
			m.t.Fatalf("place %v was given out twice", at)
		}
		m.places[at] = string(d.ID)
		switch {
		case d.State == credentials.Abandoned:
			m.gaveUp[string(d.ID)] = true
		case d.State != credentials.Draft && d.Kind != credentials.KindCard:
			released++
		}
	}
	for id, want := range c.stands {
		if got := string(there[id].State); got != want && (want != unknown || got != active && got != withdrawn) {
			m.t.Fatalf("an acknowledged attestation is %q, want %q", got, want)
		}
		if _, err := db.Credentials().Token(ctx, there[id]); err != nil {
			m.t.Fatalf("the token of an acknowledged attestation: %v", err)
		}
	}
	for _, id := range c.cards {
		if d := there[id]; d.State != credentials.Active || d.Card == nil {
			m.t.Fatalf("an acknowledged card is %q", d.State)
		}
	}
	unanswered := 0
	for _, of := range m.unanswered {
		if of == c {
			unanswered++
		}
	}
	if released < len(c.stands) || released > len(c.stands)+unanswered {
		m.t.Fatalf("%d attestations are released in a case; %d were acknowledged and %d not answered", released, len(c.stands), unanswered)
	}
	if c.document != "" {
		if r, err := db.Vault().Record(ctx, c.document); err != nil || r.Case != c.id {
			m.t.Fatalf("an acknowledged document: %v", err)
		}
		if objects, err := db.Vault().Objects(ctx, c.document); err != nil || len(objects) < 1+c.pages {
			m.t.Fatalf("%d pages of %d, %v", len(objects)-1, c.pages, err)
		}
	}
	grants, err := db.Vault().Grants(ctx, c.id)
	if err != nil || c.shared && len(grants) == 0 || !c.shared && !c.maybe && len(grants) > 0 {
		m.t.Fatalf("a case that was shared (%v) has %d grants, %v", c.shared, len(grants), err)
	}
}

// isGone fails unless nothing of an erased case is left.
func (m *mortal) isGone(c *theCase, db *sqlstore.DB, ring *sqlstore.Keyring) {
	m.t.Helper()
	for _, id := range []string{c.id, c.document} {
		if id == "" {
			continue
		}
		if _, err := db.Vault().Record(m.t.Context(), id); !errors.Is(err, vault.ErrNotFound) {
			m.t.Fatalf("the row of an erased record: %v", err)
		}
		if _, err := ring.Get(m.t.Context(), id); !errors.Is(err, vault.ErrNotFound) {
			m.t.Fatalf("the key file of an erased record: %v", err)
		}
	}
}

// served reads over HTTP what people were told is there.
func (m *mortal) served(only map[*theCase]bool) {
	m.t.Helper()
	for _, c := range m.cases {
		if only != nil && !only[c] || c.gone == asked {
			continue
		}
		if c.gone == erased {
			if err := c.at.worker.call(m.t.Context(), "GET", "/api/v1/cases/"+c.id, "", "", nil); err == nil || !strings.HasPrefix(err.Error(), "404") {
				m.t.Fatalf("a case that was erased: %v", err)
			}
			continue
		}
		var is struct {
			Documents []string
			Grants    []struct{ Agency string }
		}
		c.at.worker.patiently("/api/v1/cases/"+c.id, &is)
		if c.document != "" && (len(is.Documents) != 1 || is.Documents[0] != c.document) || c.shared && len(is.Grants) != 1 {
			m.t.Fatalf("a case has %d documents and %d grants", len(is.Documents), len(is.Grants))
		}
		if c.document != "" {
			c.at.worker.patiently("/api/v1/documents/"+c.document, nil)
		}
		for n := range c.pages {
			c.at.worker.patiently(fmt.Sprintf("/api/v1/documents/%s/pages/%d", c.document, n+1), nil)
		}
		read := 0
		for id, want := range c.stands {
			if read++; read > 4 { // the stores have all of them
				break
			}
			var a struct{ State, Credential string }
			c.at.worker.patiently("/api/v1/attestations/"+id, &a)
			if a.State != want && want != unknown || a.Credential == "" {
				m.t.Fatalf("an acknowledged attestation is %q, want %q", a.State, want)
			}
		}
	}
}

// patiently reads something that has to be there, as fast as the service takes requests.
func (s *crashService) patiently(path string, answer any) {
	s.t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := s.call(s.t.Context(), "GET", path, "", "", answer)
		switch {
		case err == nil:
			return
		case !strings.HasPrefix(err.Error(), "429") && !strings.HasPrefix(err.Error(), "503") || time.Now().After(until):
			s.t.Fatalf("GET %s: %v", path, err)
		}
	}
}

// askAgain sends the requests again that nobody was told the end of, with their keys: what
// was done is not done once more. What a killed process had begun is not settled at once
// where others might still be at it; patience waits for that.
func (m *mortal) askAgain(patience time.Duration) {
	m.t.Helper()
	for key, c := range maps.Clone(m.unanswered) {
		m.touched[c] = true
		for until := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			err := m.attestIn(m.t.Context(), c, key)
			if err == nil || time.Now().After(until) {
				if err != nil && patience > 0 {
					m.t.Fatalf("the same request again: %v", err)
				}
				break
			}
		}
	}
}

// digestIn is the one that a line has in hexadecimal.
func digestIn(line string) (d [32]byte, err error) {
	raw, err := hex.DecodeString(strings.TrimSpace(line))
	if err != nil || len(raw) != sha256.Size {
		return d, fmt.Errorf("not a digest: %w", err)
	}
	return [32]byte(raw), nil
}
