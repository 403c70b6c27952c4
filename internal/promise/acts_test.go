package promise_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/promise"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// act is one thing that somebody does to the case. Which members it has, its kind says.
type act struct {
	kind string

	who    string // a seat
	nth    int    // of her browsers
	office string // an agency's name

	record  string   // case or document
	what    string   // that is read: screening, identity, document, page
	purpose string   // of a grant or an opening
	parts   []string // of an opening
	days    int      // how long, or how long ago
	forward time.Duration

	said   said   // in a consent
	second bool   // a second person agrees
	alone  bool   // of another agency, who has asked her alone, if she is not free
	left   int    // readings that she leaves
	card   string // her, or a stranger's
	code   string // right, wrong
	device string // that read the card: own, another agency's, unknown; none gives number and code
	action string // on a card
}

// said is what she answers when she is asked.
type said struct {
	yes, contact bool
	safe         string
	circumstance string
	scope        string // all, none, or one kind
	states       string // all or none
}

func (s said) String() string {
	return fmt.Sprintf("yes=%v contact=%v safe=%s %s scope=%s states=%s", s.yes, s.contact, s.safe, s.circumstance, s.scope, s.states)
}

func (a act) String() string {
	switch a.kind {
	case "screen":
		return fmt.Sprintf("she says in a screening, %d days ago: %s", a.days, a.said)
	case "unscreen":
		return "the newest screening is withdrawn"
	case "share":
		return fmt.Sprintf("she shares the %s with the %s for %s: %s, %d days; %s card, %s code, a second person: %v, alone: %v, %d readings left; %s",
			a.record, a.office, a.purpose, strings.Join(a.parts, " "), a.days, a.card, a.code, a.second, a.alone, a.left, a.said)
	case "no":
		return "she takes everything back"
	case "record":
		return fmt.Sprintf("a worker writes down what she says: %s", a.said)
	case "unshare":
		return fmt.Sprintf("she takes the %s back from the %s", a.record, a.office)
	case "open":
		return fmt.Sprintf("%s (browser %d) opens the %s for %s: %s; %s card, %s code, device: %s", a.who, a.nth, a.record, a.purpose, strings.Join(a.parts, " "), a.card, a.code, a.device)
	case "read":
		return fmt.Sprintf("%s (browser %d) reads the %s", a.who, a.nth, a.what)
	case "linger":
		return fmt.Sprintf("%s (browser %d) works on something else for 18 minutes", a.who, a.nth)
	case "wait":
		return fmt.Sprintf("%s pass", a.forward)
	case "card":
		return "the card: " + a.action
	case "suspend", "resume":
		return fmt.Sprintf("the %s: %s", a.office, a.kind)
	case "assign", "unassign":
		return fmt.Sprintf("the boss: %s %s", a.kind, a.who)
	case "attend":
		return fmt.Sprintf("%s attends to her, with %s card and a code that is %s", a.who, a.card, a.code)
	case "again":
		return fmt.Sprintf("%s asks to open the %s once more today, and the desk lets her", a.who, a.record)
	case "leave":
		return fmt.Sprintf("%s (browser %d) signs out", a.who, a.nth)
	default:
		return a.kind
	}
}

// origins are what is known of where she is from.
var origins = []promise.Of{
	{Stated: "ETH", Host: "KHM"}, {Shown: "ETH", Host: "KHM"}, {Stated: "ETH", Shown: "ETH", Host: "KHM"},
	{Host: "KHM"}, {Stated: "MMR", Shown: "ETH", Host: "KHM"},
}

// sequence is what happens to one case.
type sequence struct {
	from promise.Of
	acts []act
}

func (s sequence) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "She stated %q, a document shows %q.\n", s.from.Stated, s.from.Shown)
	for i, a := range s.acts {
		fmt.Fprintf(&b, "%3d  %s\n", i+1, a)
	}
	return b.String()
}

func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// often picks the first, and in one of four the rest.
func often[T any](r *rand.Rand, first T, rest ...T) T {
	if r.IntN(4) > 0 {
		return first
	}
	return pick(r, rest...)
}

func seatsOf(office string) []string {
	for _, one := range cast {
		if one.name == office {
			var names []string
			for name := range one.seats {
				names = append(names, name)
			}
			slices.Sort(names)
			return names
		}
	}
	return nil
}

// partsOf are parts that an opening of a record is for, most often enough of them.
func partsOf(r *rand.Rand, record string) []string {
	if record == "case" {
		return often(r, []string{"attestations", "status"}, []string{"attestations"}, []string{"identity"})
	}
	return often(r, []string{"document", "pages"}, []string{"portrait"}, []string{"document"}, []string{"identity"})
}

// grantOf are the parts that she shares.
func grantOf(r *rand.Rand, record string) []string {
	if record == "case" {
		return often(r, []string{"attestations", "status"}, []string{"attestations"})
	}
	return often(r, []string{"portrait", "document", "pages"}, []string{"document", "pages"}, []string{"document"})
}

func answers(r *rand.Rand) said {
	s := said{yes: r.IntN(30) > 0, contact: r.IntN(14) > 0, safe: "yes", circumstance: "free", scope: "all", states: "all"}
	if r.IntN(14) == 0 {
		s.safe = pick(r, "no", "unsure", "")
	}
	if r.IntN(12) == 0 {
		s.circumstance = pick(r, "detained", "first_72h")
	}
	if r.IntN(12) == 0 {
		s.scope = pick(r, "none", "ngo", "police", "mission_of_origin", "other_mission")
	}
	if r.IntN(15) == 0 {
		s.states = "none"
	}
	return s
}

// newSequence draws what happens. Most of it is about one agency, so that something
// comes of it.
func newSequence(r *rand.Rand) sequence {
	s := sequence{from: pick(r, origins...)}
	all := []string{"ngo", "ngo", "embassy", "embassy", "consulate", "homepolice", "police", "border"}
	focus, record, purpose := pick(r, all...), pick(r, "case", "document"), "protection"
	office := func() string {
		if r.IntN(10) == 0 {
			return pick(r, all...)
		}
		return focus
	}
	rec := func() string {
		if r.IntN(14) == 0 {
			return pick(r, "case", "document")
		}
		return record
	}
	why := func() string {
		if r.IntN(16) == 0 {
			return pick(r, "confirm_identity", "travel_document")
		}
		return purpose
	}
	whose := func() string {
		if r.IntN(15) == 0 {
			return "a stranger's"
		}
		return "her"
	}
	var shared act
	share := func() act {
		a := act{kind: "share", office: office(), record: rec(), purpose: why(), days: pick(r, 0, 1, 5, 30), said: answers(r), card: whose(), code: "right", second: r.IntN(8) > 0, alone: r.IntN(4) > 0, left: often(r, 0, 1, 2, 10)}
		if a.left > 0 {
			a.days = min(a.days, 14)
		}
		if r.IntN(20) == 0 {
			a.code = "wrong"
		}
		a.parts = grantOf(r, a.record)
		shared = a
		return a
	}
	who := func() (string, int) { return pick(r, seatsOf(office())...), r.IntN(8) / 7 }
	var last act // that opened
	open := func() act {
		a := act{kind: "open", record: rec(), purpose: why(), card: whose(), code: "right", device: pick(r, "none", "own", "own", "own", "own", "none", "none", "none", "none", "own", "left", "left", "another's", "unknown")}
		if r.IntN(20) == 0 {
			a.code = "wrong"
		}
		a.who, a.nth = who()
		a.parts = partsOf(r, a.record)
		if shared.left > 0 && r.IntN(2) == 0 {
			a.device = "left"
		}
		last = a
		return a
	}
	what := func() string {
		if record == "case" {
			return pick(r, "screening", "identity", "screening", "identity", "document")
		}
		return pick(r, "document", "page", "document", "page", "screening")
	}
	read := func() act {
		a := act{kind: "read", what: what(), who: last.who, nth: last.nth}
		if r.IntN(4) == 0 {
			a.who, a.nth = who()
		}
		return a
	}
	screen := func() act { return act{kind: "screen", said: answers(r), days: pick(r, 0, 0, 0, 1, 3)} }
	// Mostly something is shared and opened at first.
	if r.IntN(2) > 0 {
		s.acts = append(s.acts, screen())
	}
	s.acts = append(s.acts, share(), open())
	for range 4 + r.IntN(8) {
		switch n := r.IntN(100); {
		case n < 36:
			s.acts = append(s.acts, read())
		case n < 48:
			s.acts = append(s.acts, open())
		case n < 49: // more often than she would like
			again := open()
			s.acts = append(s.acts, again, again, again, again)
		case n < 52:
			s.acts = append(s.acts, act{kind: "linger", who: last.who, nth: last.nth}, read())
		case n < 62:
			s.acts = append(s.acts, act{kind: "wait", forward: pick(r, 3*time.Minute, 7*time.Minute, 7*time.Minute, 20*time.Minute, 5*time.Hour, 24*time.Hour, 4*24*time.Hour, 15*24*time.Hour)})
		case n < 70:
			s.acts = append(s.acts, share())
		case n < 75:
			s.acts = append(s.acts, act{kind: pick(r, "unshare", "unshare", "unshare", "no"), office: office(), record: rec()})
		case n < 81:
			s.acts = append(s.acts, screen())
		case n < 82:
			s.acts = append(s.acts, act{kind: "record", said: answers(r)})
		case n < 84:
			s.acts = append(s.acts, act{kind: "unscreen"})
		case n < 90:
			s.acts = append(s.acts, act{kind: "card", action: pick(r, "pause", "withdraw", "replace")})
		case n < 91:
			s.acts = append(s.acts, act{kind: "again", who: last.who, nth: last.nth, record: last.record})
		case n < 92:
			a := act{kind: "leave"}
			a.who, a.nth = who()
			s.acts = append(s.acts, a)
		case n < 94:
			s.acts = append(s.acts, act{kind: pick(r, "suspend", "suspend", "resume"), office: focus}, read())
		case n < 97:
			s.acts = append(s.acts, act{kind: pick(r, "assign", "assign", "attend", "attend", "unassign"), who: pick(r, "worker", "colleague", "colleague"), card: whose(), code: pick(r, "right", "right", "right", "wrong")})
		default:
			s.acts = append(s.acts, act{kind: "read", what: what(), who: pick(r, "worker", "colleague", "boss")})
		}
	}
	return s
}

// play is a sequence being played.
type play struct {
	*world
	model               *promise.Case
	from                promise.Of
	id, document        string
	screening, identity string
	screenings          []screened
	card                *printed
	cards               int
	stranger            *printed // of somebody else's case
	suspended           map[string]bool
	allowed             map[string]int // readings, by who and what
	tally               *tally
	found               []fault
}

type screened struct {
	id   string
	word int
}

// printed is a card as somebody has it.
type printed struct {
	ID, Number, Code, Digits string

	nth     int // of the case's cards
	handle  string
	verdict verifier.Verdict
}

// fault is where the service and the model do not agree.
type fault struct {
	act     int
	allowed bool // by the service
	broken  []promise.Rule
	answer  string
}

func (f fault) String() string {
	if f.allowed {
		return fmt.Sprintf("act %d is allowed, and breaks:\n     - %s", f.act+1, strings.Join(rules(f.broken), "\n     - "))
	}
	return fmt.Sprintf("act %d is refused, and nothing forbids it: %s", f.act+1, f.answer)
}

func rules(all []promise.Rule) (said []string) {
	for _, r := range all {
		said = append(said, string(r))
	}
	return said
}

// begin makes a case with a document, a page, an identity, a screening and a card.
func (w *world) begin(from promise.Of, t *tally) *play {
	w.t.Helper()
	w.cases++
	p := &play{world: w, from: from, suspended: map[string]bool{}, allowed: map[string]int{}, tally: t}
	var made struct{ ID string }
	a, _ := w.as(w.seats["worker"], 0, "POST", "/api/v1/cases", nil)
	w.into(a, 201, &made)
	p.id = made.ID
	keeper := w.offices["keeper"]
	p.model = promise.New(p.id, keeper.ID, w.seats["worker"].id, from, w.now)
	doc := map[string]any{"kind": "WORK_PERMIT", "issuing_state": "KHM"}
	if from.Shown != "" {
		doc = map[string]any{"kind": "PASSPORT", "issuing_state": from.Shown}
	}
	w.into(w.desk("POST", "/api/v1/cases/"+p.id+"/documents", doc), 201, &made)
	p.document = made.ID
	w.into(w.desk("POST", "/api/v1/documents/"+p.document+"/pages?role=portrait", portrait), 201, nil)
	who := &claims.IdentityClaim{
		Names:     []claims.Name{{Script: "Latn", Full: private.New("TESFAYE FELIX"), Type: "used"}},
		Assurance: "self_asserted", ClaimStatus: "open",
	}
	if from.Stated != "" {
		who.Citizenship = []string{from.Stated}
	}
	p.identity = p.state(who)
	p.print("")
	return p
}

// state signs an attestation and returns its id.
func (p *play) state(c claims.Claims) string {
	p.t.Helper()
	encoded, err := claims.Encode(c)
	p.ok(err)
	var made struct{ ID string }
	p.into(p.desk("POST", "/api/v1/cases/"+p.id+"/attestations", map[string]any{"kind": c.Kind(), "claims": json.RawMessage(encoded)}), 201, &made)
	return made.ID
}

// print makes a card.
func (p *play) print(replaces string) {
	p.t.Helper()
	made := p.printed(p.id, replaces)
	if made == nil {
		return
	}
	p.card = made
	p.cards++
	p.card.nth = p.cards
}

func (w *world) printed(caseID, replaces string) *printed {
	w.t.Helper()
	order := map[string]any{"name": "TESFAYE, FELIX"}
	if replaces != "" {
		order["replaces"] = replaces
	}
	var c printed
	got := w.desk("POST", "/api/v1/cases/"+caseID+"/cards", order)
	if replaces != "" && got.status == http.StatusConflict {
		return nil // what is withdrawn is replaced by nothing
	}
	w.into(got, 201, &c)
	pack, err := w.service.Board.Pack(w.within())
	w.ok(err)
	v := pack.Verify(verifier.Presentation{Text: c.Digits, Code: &c.Code}, pack.Issued())
	if v.Card == nil {
		w.t.Fatalf("the card does not open: %s", v.State)
	}
	c.handle, c.verdict = fmt.Sprintf("%x", v.Card.Handle), v
	return &c
}

// strangers is the card of somebody else.
func (p *play) strangers() *printed {
	if p.stranger == nil {
		var made struct{ ID string }
		p.into(p.desk("POST", "/api/v1/cases", nil), 201, &made)
		p.stranger = p.printed(made.ID, "")
	}
	return p.stranger
}

func (p *play) recordID(record string) string {
	if record == "case" {
		return p.id
	}
	return p.document
}

func (p *play) recordPath(record string) string {
	if record == "case" {
		return "/api/v1/cases/" + p.id
	}
	return "/api/v1/documents/" + p.document
}

// do does one act.
func (p *play) do(i int, a act) {
	p.t.Helper()
	switch a.kind {
	case "wait":
		p.now = p.now.Add(a.forward)
	case "linger":
		for range 3 {
			p.now = p.now.Add(6 * time.Minute)
			p.asked(&p.seats[a.who].browsers[a.nth], "GET", "/api/v1/sessions/self", nil)
		}
	case "screen":
		p.screen(a)
	case "unscreen":
		p.unscreen()
	case "share":
		p.share(i, a)
	case "unshare":
		if got := p.desk("DELETE", p.recordPath(a.record)+"/grants/"+p.offices[a.office].ID, nil); got.done() {
			p.model.Unshares(p.offices[a.office].ID, p.recordID(a.record))
		}
	case "no":
		if p.desk("POST", "/api/v1/cases/"+p.id+"/consents/none", nil).done() {
			p.model.SaysNo(p.now)
		}
	case "record":
		p.record(a)
	case "again":
		p.openAgain(a)
	case "open":
		p.open(i, a)
	case "read":
		p.read(i, a)
	case "card":
		p.change(a)
	case "suspend", "resume":
		p.suspend(a)
	case "assign", "unassign":
		p.assign(a)
	case "attend":
		p.attend(i, a)
	case "leave":
		s := p.seats[a.who]
		if s.browsers[a.nth].cookie != nil {
			p.as(s, a.nth, "DELETE", "/api/v1/sessions/self", nil)
			s.browsers[a.nth].cookie = nil
		}
	default:
		p.t.Fatalf("nobody knows how to %s", a.kind)
	}
}

func scopeOf(s said) []string {
	switch {
	case s.scope == "all" && s.safe == "yes":
		return claims.Values("share_scope")
	case s.scope == "all":
		return slices.DeleteFunc(slices.Clone(claims.Values("share_scope")), func(v string) bool { return v == "mission_of_origin" })
	case s.scope == "none", s.scope == "mission_of_origin" && s.safe != "yes":
		return nil
	default:
		return []string{s.scope}
	}
}

func statesOf(s said) []string {
	if s.states == "none" || s.safe == "" {
		return nil
	}
	return []string{"ETH", "THA", "KHM"}
}

// screen signs a screening in which she says something.
func (p *play) screen(a act) {
	day := claims.NewDay(p.now).Add(-a.days)
	s := a.said
	word := promise.Word{
		Day: p.model.Day(p.now) - a.days, Until: 1 << 30, Scope: scopeOf(s), States: statesOf(s),
		Safe: s.safe == "yes", Contact: s.contact && s.safe == "yes", Free: s.circumstance == "free",
	}
	consent := &claims.Consent{
		Interview: true, Purpose: true, Use: true, RightToRequestData: true, StorageDuration: true, HowToWithdraw: true,
		GivenOn: day, ReceiptLanguage: "amh", Method: "signature", ShareScope: word.Scope, TransferToState: word.States,
		Controller: private.New("Made up"), LawfulBasis: "consent", Circumstance: s.circumstance,
		SafeIfStateKnows: s.safe, MissionMayBeContacted: word.Contact,
	}
	if word.Until = until(s, word.Day); !word.Free {
		consent.ReconfirmBy = day.Add(14)
	}
	id := p.state(&claims.Screening{
		TraffickingStatus: claims.StatusPossible, DecisionLevel: "preliminary_screening",
		AuthorityClass: "NGO", StandardOfEvidence: "suspicion_indicators", Confidence: "medium", Tool: "ILO_EC_2009",
		Act: []string{"recruitment"}, Means: []string{"deception"}, Purpose: []string{"ForcedLabour"}, MinorAtTime: "no",
		Interview: &claims.Interview{
			Date: day, PlaceCountry: "KHM", Mode: "in_person", Language: "amh", Interpreter: true,
			InterpreterKind: "vetted", InterviewerOrgRole: "NGO", Alone: "yes", PlaceKind: "shelter",
		},
		Consent: consent,
	})
	p.screenings = append(p.screenings, screened{id, p.model.Says(word)})
	if p.screening == "" {
		p.screening = id
	}
}

func (p *play) unscreen() {
	if len(p.screenings) == 0 {
		return
	}
	last := p.screenings[len(p.screenings)-1]
	if p.desk("POST", "/api/v1/attestations/"+last.id+"/status", map[string]string{"action": "withdraw", "reason": "other"}).done() {
		p.model.Unsaid(last.word)
	}
}

// share has the keeper ask her, and share a record if she gives her code for it. Where an
// authority of her state is to be told, others agree, or do not.
func (p *play) share(i int, a act) {
	p.t.Helper()
	s, to, c := a.said, p.offices[a.office], p.card
	if a.card != "her" {
		c = p.strangers()
	}
	order := map[string]any{
		"agency": to.ID, "purpose": a.purpose, "parts": a.parts, "until": claims.NewDay(p.now).Add(a.days), "language": "am", "circumstance": s.circumstance,
	}
	if a.left > 0 {
		order["readings"] = a.left
	}
	question := maps.Clone(order)
	question["record"] = p.recordID(a.record)
	var asked struct {
		Nonce string
		Text  string `json:"text_sha256"`
		Own   bool   `json:"own_state"`
	}
	got := p.desk("POST", "/api/v1/cases/"+p.id+"/consents/challenges", question)
	if !got.done() {
		p.tally.refused(a, got)
		return
	}
	p.into(got, 201, &asked)
	day := p.model.Day(p.now)
	g := promise.Grant{
		Agency: to.ID, Record: p.recordID(a.record), Purpose: a.purpose, Parts: a.parts, Until: day + a.days, Left: a.left, Card: c.nth, Code: s.yes && a.card == "her" && a.code == "right",
		Said: promise.Word{
			Day: day, Until: until(s, day), No: !s.yes, Scope: claims.Values("share_scope"), States: []string{to.Country},
			Safe: s.safe == "yes", Unsafe: s.safe == "no" || s.safe == "unsure", Contact: s.contact && s.safe == "yes", Free: s.circumstance == "free",
		},
	}
	order["nonce"], order["text_sha256"], order["method"], order["mission"] = asked.Nonce, asked.Text, "signature", g.Said.Contact
	if s.safe != "" {
		order["safe_if_state_knows"] = s.safe
	}
	code := a.code
	if !s.yes {
		code = "wrong" // whoever says no gives none
	}
	order["proof"] = map[string]string{"number": c.Number, "code": c.typed(code)}
	g.Second, g.Alone = true, asked.Own && !g.Said.Free && a.alone
	if g.Alone {
		order["second_agency"] = p.offices["ngo"].ID
	}
	got = p.desk("POST", p.recordPath(a.record)+"/grants", order)
	forbids := p.model.ForbidsGrant(g, to.Agency, p.now)
	switch {
	case got.status == http.StatusAccepted:
		var waits struct{ Request struct{ ID string } }
		p.into(got, 202, &waits)
		second := "worker"
		if !g.Said.Free {
			second = "ngo1"
		}
		state := p.agree("boss", waits.Request.ID)
		if g.Second = a.second; a.second {
			state = p.agree(second, waits.Request.ID)
		}
		if state != "done" {
			p.tally.alone(p.model.ForbidsGrant(g, to.Agency, p.now))
			p.tally.acts["share: waits"]++
			return
		}
		p.tally.acts["share by two"]++
		p.model.Shares(g)
	case got.done():
		p.tally.acts["share"]++
		g.Second = false
		p.model.Shares(g)
	default:
		p.tally.alone(forbids)
		p.tally.refused(a, got)
		if len(forbids) == 0 {
			p.found = append(p.found, fault{act: i, answer: got.String()})
		}
		// That it is not safe is kept also where it is refused for that.
		if g.Said.Unsafe && (asked.Own || to.Class == "x_DiplomaticMission") {
			p.model.Recorded(g.Said)
		}
	}
}

// until is the last day on which what she says stands: what is not said in freedom is asked
// again.
func until(s said, day int) int {
	if s.circumstance == "free" {
		return 1 << 30
	}
	return day + 14
}

// agree has somebody agree to a request, and returns what has become of it.
func (p *play) agree(who, request string) (state string) {
	p.t.Helper()
	s := p.seats[who]
	path := "/api/v1/requests/" + request
	var q struct {
		State   string
		Options json.RawMessage
	}
	got, _ := p.as(s, 0, "GET", path, nil)
	if !got.done() || json.Unmarshal(got.body, &q) != nil || len(q.Options) == 0 {
		return ""
	}
	response, err := s.key.Get(q.Options, peopletest.Origin)
	p.ok(err)
	got, _ = p.as(s, 0, "POST", path+"/approvals", map[string]any{"response": json.RawMessage(response)})
	if !got.done() {
		return ""
	}
	p.into(got, 200, &q)
	return q.State
}

// record has a worker write down what she says of her own record, without her code.
func (p *play) record(a act) {
	s := a.said
	order := map[string]any{"language": "am", "circumstance": s.circumstance, "method": "signature", "mission": s.contact && s.safe == "yes"}
	if s.safe != "" {
		order["safe_if_state_knows"] = s.safe
	}
	if p.desk("POST", "/api/v1/cases/"+p.id+"/consents", order).done() {
		day := p.model.Day(p.now)
		p.model.Recorded(promise.Word{
			Day: day, Until: until(s, day), Scope: claims.Values("share_scope"), States: []string{"ETH", "THA", "KHM"},
			Safe: s.safe == "yes", Unsafe: s.safe == "no" || s.safe == "unsure", Contact: s.contact && s.safe == "yes", Free: s.circumstance == "free",
		})
	}
}

// open has somebody open a record with a card and a code.
func (p *play) open(i int, a act) {
	s := p.seats[a.who]
	of := p.offices[s.agency]
	c := p.card
	if a.card != "her" {
		c = p.strangers()
	}
	var got answer
	var place string
	switch a.device {
	case "left":
		got, place = p.as(s, a.nth, "POST", "/api/v1/openings/left", map[string]any{"record": p.recordID(a.record), "purpose": a.purpose, "parts": a.parts})
	case "none":
		got, place = p.as(s, a.nth, "POST", "/api/v1/openings/by-code", map[string]any{
			"record": p.recordID(a.record), "purpose": a.purpose, "parts": a.parts, "number": c.Number, "code": c.typed(a.code),
		})
	default:
		got, place = p.openSigned(s, of, c, a)
	}
	left := a.device == "left"
	proven := left || a.card == "her" && a.code == "right"
	o := promise.Opening{
		Person: s.id, Place: place, Agency: of.ID, Record: p.recordID(a.record), Purpose: a.purpose, Parts: a.parts, At: p.now, Card: c.nth,
		Device: a.device == "none" || a.device == "own", Left: left,
	}
	forbids := p.model.Forbids(o, of.Agency)
	switch {
	case got.done():
		p.tally.acts["open"]++
		if proven { // whatever else it opened, it was not hers
			p.model.Opens(o)
		}
	case proven && len(forbids) == 0:
		p.found = append(p.found, fault{act: i, answer: got.String()})
	default:
		if proven {
			p.tally.alone(forbids)
		}
		p.tally.refused(a, got)
	}
}

// openAgain has somebody ask the desk to open a record once more today, which it lets.
func (p *play) openAgain(a act) {
	s := p.seats[a.who]
	var waits struct{ Request struct{ ID string } }
	got, _ := p.as(s, a.nth, "POST", "/api/v1/openings/again", map[string]string{"record": p.recordID(a.record)})
	if got.status != http.StatusAccepted {
		p.tally.refused(a, got)
		return
	}
	p.into(got, 202, &waits)
	if p.agree("worker", waits.Request.ID) == "done" {
		p.tally.acts["again"]++
		p.model.Again(p.offices[s.agency].ID, p.recordID(a.record), p.now)
	}
}

// typed is a code as somebody types it.
func (c *printed) typed(code string) string {
	if code == "right" {
		return c.Code
	}
	return strings.Map(func(d rune) rune {
		if d < '0' || d > '9' {
			return d
		}
		return '0' + (d-'0'+1)%10
	}, c.Code)
}

// openSigned is an opening by a device that has read the card. With a wrong code nothing
// comes of the card, and it is signed with another.
func (p *play) openSigned(s *seat, of *office, c *printed, a act) (answer, string) {
	var challenge struct{ Nonce string }
	got, place := p.as(s, a.nth, "POST", "/api/v1/openings/challenges", map[string]string{"card_handle": c.handle})
	if !got.done() {
		return got, place
	}
	p.into(got, 201, &challenge)
	o := card.Opening{
		Nonce: challenge.Nonce, Agency: of.ID, Record: p.recordID(a.record), Purpose: a.purpose, Parts: a.parts, Minute: p.now.Unix() / 60,
	}
	switch a.device {
	case "own":
		o.Device = of.device
	case "unknown":
		o.Device = hexID()
	default:
		o.Device = p.offices["keeper"].device
	}
	signs := c.verdict
	if a.code != "right" {
		signs = p.strangers().verdict
	}
	return p.as(s, a.nth, "POST", "/api/v1/openings", map[string]any{
		"nonce": o.Nonce, "device": o.Device, "record": o.Record, "card_handle": c.handle, "purpose": o.Purpose,
		"parts": o.Parts, "minute": o.Minute, "signature": base64.RawURLEncoding.EncodeToString(signs.SignOpening(o)),
	})
}

// request is what a reading asks for, and what the model has to know of it.
func (p *play) request(a act) (path string, r promise.Reading) {
	s := p.seats[a.who]
	r = promise.Reading{Person: s.id, Supervisor: s.role == people.Supervisor, Of: p.offices[s.agency].Agency, Record: p.id}
	path = "/api/v1/attestations/"
	switch a.what {
	case "screening":
		path += p.screening
		r.Parts = [][]string{{"attestations"}}
		if r.Of.Class == "x_DiplomaticMission" {
			r.Parts = append(r.Parts, []string{"status"})
		}
	case "identity":
		path += p.identity
		r.Parts = [][]string{{"attestations"}}
	case "document":
		path, r.Record, r.Parts = p.recordPath("document"), p.document, [][]string{{"document", "pages", "portrait"}}
		if s.role == people.Officer { // who sees her portrait, and nothing of what stands there
			r.Parts = [][]string{{"pages", "portrait"}}
		}
	case "page":
		path, r.Record, r.Parts = p.recordPath("document")+"/pages/1", p.document, [][]string{{"pages", "portrait"}}
	default:
		p.t.Fatalf("nobody knows how to read the %s", a.what)
	}
	return path, r
}

// reads asks, in the session that there is, and does not sign in for it.
func (p *play) reads(a act) answer {
	p.t.Helper()
	path, _ := p.request(a)
	return p.asked(&p.seats[a.who].browsers[a.nth], "GET", path, nil)
}

// read is where the two are held against each other.
func (p *play) read(i int, a act) {
	if a.what == "screening" && p.screening == "" {
		return
	}
	s := p.seats[a.who]
	path, r := p.request(a)
	var got answer
	got, r.Place = p.as(s, a.nth, "GET", path, nil)
	r.At = p.now
	broken := p.model.Breaks(r)
	p.tally.note(s.agency, got.done(), broken)
	switch got.status {
	case http.StatusOK:
		p.allowed[s.id+" "+a.what]++
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
	default:
		p.t.Fatalf("%s: %s", a, got)
	}
	if got.done() == (len(broken) > 0) {
		p.found = append(p.found, fault{i, got.done(), broken, got.String()})
	}
}

// told wants each reading that was allowed in the history of the case.
func (p *play) told(i int) {
	p.t.Helper()
	var history struct {
		Entries []struct {
			Kind string
			Body struct{ Actor, ID string }
		}
	}
	a, _ := p.as(p.seats["boss"], 0, "GET", "/api/v1/cases/"+p.id+"/history", nil)
	p.into(a, 200, &history)
	told := map[string]int{}
	for _, e := range history.Entries {
		if what, ok := strings.CutSuffix(e.Kind, ".read"); ok {
			told[e.Body.Actor+" "+what]++
		}
	}
	for reading, n := range p.allowed {
		if told[reading] != n {
			p.found = append(p.found, fault{i, true, []promise.Rule{promise.Told}, fmt.Sprintf("%d of %d: %s", told[reading], n, reading)})
		}
	}
}

// change takes the card out of use, or prints another.
func (p *play) change(a act) {
	old := p.card
	if a.action == "replace" {
		if p.print(old.ID); p.card != old {
			p.model.CardEnds(old.nth)
		}
		return
	}
	if p.desk("POST", "/api/v1/cards/"+old.ID+"/status", map[string]string{"action": a.action, "reason": "safety"}).done() {
		p.model.CardEnds(old.nth)
	}
}

// assign has the supervisor give the case to somebody, or take it away.
func (p *play) assign(a act) {
	person := p.seats[a.who].id
	path, boss := "/api/v1/cases/"+p.id+"/people", p.seats["boss"]
	if a.kind == "assign" {
		if got, _ := p.as(boss, 0, "POST", path, map[string]string{"person": person}); got.done() {
			p.model.Assigns(person, time.Time{})
		}
		return
	}
	if got, _ := p.as(boss, 0, "DELETE", path+"/"+person, nil); got.done() {
		p.model.Unassigns(person)
	}
}

// attend gives somebody on duty the case, for her card and her code.
func (p *play) attend(i int, a act) {
	c := p.card
	if a.card != "her" {
		c = p.strangers()
	}
	s := p.seats[a.who]
	got, _ := p.as(s, 0, "POST", "/api/v1/cases/attendances", map[string]string{"number": c.Number, "code": c.typed(a.code)})
	if got.done() && a.card == "her" && a.code == "right" && p.model.Uses(c.nth) {
		p.tally.acts["attend"]++
		p.model.Attends(s.id, p.now)
	}
}

// suspend lets an agency out, or in again.
func (p *play) suspend(a act) {
	of := p.offices[a.office]
	out := a.kind == "suspend"
	if p.suspended[a.office] == out {
		return
	}
	do, what := roster.DoResumeAgency, any(&roster.ResumeAgency{ID: of.ID})
	if out {
		do, what = roster.DoSuspendAgency, &roster.SuspendAgency{ID: of.ID}
	}
	p.house.Do(do, "", what, p.house.First, p.seats["boss"].id)
	p.ok(p.service.Network.Adopt(p.within()))
	p.floor = p.now
	p.suspended[a.office] = out
	if out {
		p.model.Suspends(of.ID)
	} else {
		p.model.Returns(of.ID)
	}
}

// begins is a case before which everybody has to sign in.
func (w *world) begins(from promise.Of, t *tally) *play {
	w.t.Helper()
	w.now = w.floor.Add(time.Hour)
	for _, s := range w.seats {
		s.browsers = [2]browser{}
	}
	return w.begin(from, t)
}

// ends lets everybody in again who is out.
func (p *play) ends() {
	p.t.Helper()
	for _, one := range cast {
		p.suspend(act{kind: "resume", office: one.name})
	}
}

// played plays a sequence, and returns its faults.
func (w *world) played(s sequence, t *tally) (found []fault) {
	w.t.Helper()
	p := w.begins(s.from, t)
	defer p.ends()
	for i, a := range s.acts {
		p.do(i, a)
	}
	p.told(len(s.acts) - 1)
	return p.found
}
