package thief_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/verifier"
)

// How long a world lasts: days of work with a night behind each of all but the last.
const (
	days    = 4
	opens   = 8 // hour of the day
	closes  = 21
	fewest  = 160             // transactions that a case takes: bodies come to lie in one class
	actTime = 3 * time.Minute // from one transaction of a visit to the next
)

// person is one of a population.
type person struct {
	*world
	n        int
	survivor bool
	r        *rand.Rand

	plan    []act      // what is still to be done, in order
	slack   int        // how often she still comes for something else behind what is planned
	budget  [days]int  // how often the case is touched on each day
	came    [days]bool // on which days she is there
	begins  [days]time.Time
	pages   [][]byte
	kept    int // pages
	id      string
	record  string // her document's
	version string // its ETag
	about   string // the attestation that others answer
	card    printed
	handle  string
	wrote   int
	checked time.Time // her card
}

type printed struct{ ID, Number, Code, Digits string }

// act is something that is done to a case.
type act struct {
	name string
	do   func(p *person)
}

// populate draws n people of each population. Everything that may show is drawn before it
// is said of which population somebody is: on which days she comes, how often her case is
// touched on each, how many pages there are and how large they are.
func (w *world) populate(r *rand.Rand, n int) (all []*person) {
	pictures := scans(r, 48)
	for i := range 2 * n {
		p := &person{world: w, n: i, r: r, slack: r.IntN(16)}
		total := fewest + r.IntN(16)
		coming := 2 + r.IntN(days-1)
		for _, d := range r.Perm(days)[:coming] {
			p.came[d] = true
			p.begins[d] = beginning.AddDate(0, 0, d).Add(opens*time.Hour + time.Duration(r.IntN((closes-opens-4)*3600))*time.Second)
		}
		for d := range days {
			if p.came[d] {
				p.budget[d] = total / coming
				coming--
				total -= p.budget[d]
			}
		}
		for range 1 + r.IntN(3) {
			p.pages = append(p.pages, pictures[r.IntN(len(pictures))])
		}
		all = append(all, p)
	}
	for i, k := range r.Perm(len(all)) {
		all[i].survivor = k < n
		all[i].plan = all[i].acts()
	}
	return all
}

// acts are what is done once for everybody of a population, in order.
func (p *person) acts() []act {
	first := []act{{"case", (*person).open}, {"document", (*person).document}}
	for range p.pages {
		first = append(first, act{"page", (*person).page})
	}
	first = append(first, act{"identity", (*person).identity})
	if !p.survivor {
		return append(first, act{"stated document", (*person).statesDocument}, act{"card", (*person).prints}, act{"check", (*person).check})
	}
	return append(first,
		act{"screening", (*person).screening}, act{"card", (*person).prints}, act{"check", (*person).check},
		act{"share with the mission", func(p *person) { p.share("embassy", true) }},
		act{"share with the NGO", func(p *person) { p.share("ngo", false) }},
		act{"NGO opens", func(p *person) { p.opened("helper") }},
		act{"NGO relies", (*person).relies},
		act{"mission opens", func(p *person) { p.opened("consul") }},
		act{"mission answers", (*person).answers},
	)
}

// fillers are what is done to any case as often as somebody comes.
var fillers = []act{{"reads", (*person).reads}, {"amends", (*person).amends}, {"looks at a page", (*person).looks}, {"states again", (*person).identity}}

// play plays all days: visits side by side, publications at equal times, and a night behind
// each day. It returns how many transactions each act took.
func (w *world) play(all []*person, each time.Duration, night func(day int)) (cost map[string]int) {
	w.t.Helper()
	cost = map[string]int{} // transactions that an act takes at most
	for d := range days {
		type visit struct {
			p  *person
			at time.Time
		}
		var coming []visit
		for _, p := range all {
			if p.came[d] {
				coming = append(coming, visit{p, p.begins[d]})
			}
		}
		window := beginning.AddDate(0, 0, d).Add(each)
		for len(coming) > 0 {
			// Whoever is next; there are few enough for a heap to be no gain.
			next := 0
			for i := range coming {
				if coming[i].at.Before(coming[next].at) {
					next = i
				}
			}
			v := &coming[next]
			for !window.After(v.at) {
				w.until(window)
				w.publish()
				window = window.Add(each)
			}
			w.until(v.at)
			spent := v.p.goesOn(d, cost)
			if spent == 0 {
				coming = slices.Delete(coming, next, next+1)
				continue
			}
			v.at = v.at.Add(time.Duration(spent) * actTime)
		}
		end := beginning.AddDate(0, 0, d+1)
		for !window.After(end) {
			w.until(window)
			w.publish()
			window = window.Add(each)
		}
		night(d)
	}
	return cost
}

// until has the clock go on.
func (w *world) until(at time.Time) {
	if at.After(w.now) {
		w.now = at
	}
}

// goesOn does one act of somebody's visit, and says how many transactions that took: none
// where nothing was left to be done.
func (p *person) goesOn(day int, cost map[string]int) (spent int) {
	last := !slices.Contains(p.came[day+1:], true)
	left := p.budget[day]
	undone := len(p.plan) > 0
	if left <= 0 && (!last || !undone) {
		return 0
	}
	var do act
	// What is to be done is spread over the days; on the last one all of it is done.
	switch {
	case undone && p.id == "":
		do = p.plan[0]
	case undone && last && left <= planned(p.plan, cost)+p.slack, undone && p.r.IntN(5) < 3 && cost[p.plan[0].name] <= left:
		do = p.plan[0]
	case p.record == "" || p.kept == 0:
		if !undone {
			return 0
		}
		do = p.plan[0]
	default:
		do = fillers[p.r.IntN(len(fillers))]
	}
	if undone && do.name == p.plan[0].name {
		p.plan = p.plan[1:]
	}
	before := p.truth.touched(p.n)
	p.truth.act(p.n, p.now, func() { do.do(p) })
	spent = max(1, p.truth.touched(p.n)-before)
	cost[do.name] = max(cost[do.name], spent)
	p.budget[day] -= spent
	return spent
}

func planned(plan []act, cost map[string]int) (sum int) {
	for _, a := range plan {
		sum += max(1, cost[a.name])
	}
	return sum
}

func (p *person) open() {
	var made struct{ ID string }
	p.into(p.as("worker", "POST", "/api/v1/cases", nil), 201, &made)
	p.id = made.ID
}

// fields are those of her passport.
func (p *person) fields() map[string]any {
	f := map[string]any{
		"kind": "PASSPORT", "issuing_state": "ETH", "holder_names": strings.Repeat("TESFAYE ", 1+p.n%3) + "FELIX",
		"custody": []string{"trafficker", "embassy", "holder"}[p.wrote%3],
	}
	if p.n%3 > 0 { // the others do not know it
		f["document_number"], f["birth_date"] = fmt.Sprintf("EP%07d", p.n), "1995-03-14"
	}
	p.wrote++
	return f
}

func (p *person) document() {
	var made struct{ ID string }
	a := p.desk("POST", "/api/v1/cases/"+p.id+"/documents", p.fields())
	p.into(a, 201, &made)
	p.record, p.version = "/api/v1/documents/"+made.ID, a.header.Get("ETag")
}

func (p *person) page() {
	role := "data"
	if p.kept == 0 {
		role = "portrait"
	}
	p.into(p.desk("POST", p.record+"/pages?role="+role, p.pages[p.kept]), 201, nil)
	p.kept++
}

func (p *person) reads() { p.into(p.desk("GET", p.record, nil), 200, nil) }

func (p *person) looks() { p.into(p.desk("GET", p.record+"/pages/1", nil), 200, nil) }

func (p *person) amends() {
	a := p.desk("PUT", p.record, p.fields(), func(r *http.Request) { r.Header.Set("If-Match", p.version) })
	p.into(a, 200, nil)
	p.version = a.header.Get("ETag")
}

// states signs an attestation, and returns its id.
func (p *person) states(c claims.Claims) string {
	p.t.Helper()
	var made struct{ ID string }
	p.into(p.desk("POST", "/api/v1/cases/"+p.id+"/attestations", p.order(c)), 201, &made)
	return made.ID
}

func (p *person) order(c claims.Claims) map[string]any {
	p.t.Helper()
	encoded, err := claims.Encode(c)
	p.ok(err)
	return map[string]any{"kind": c.Kind(), "claims": json.RawMessage(encoded)}
}

func (p *person) identity() {
	p.states(&claims.IdentityClaim{
		Names:     []claims.Name{{Script: "Latn", Full: private.New("TESFAYE FELIX"), Type: "used"}},
		Assurance: "self_asserted", ClaimStatus: "open", Citizenship: []string{"ETH"},
	})
}

func (p *person) statesDocument() {
	p.about = p.states(&claims.DocumentReport{DocumentKind: "PASSPORT", IssuingState: "ETH", Custody: "unknown", RecordStatus: "active"})
}

func (p *person) screening() {
	day := claims.NewDay(p.now)
	p.about = p.states(&claims.Screening{
		TraffickingStatus: claims.StatusPossible, DecisionLevel: "preliminary_screening",
		AuthorityClass: "NGO", StandardOfEvidence: "suspicion_indicators", Confidence: "medium", Tool: "ILO_EC_2009",
		Act: []string{"recruitment"}, Means: []string{"deception"}, Purpose: []string{"ForcedLabour"}, MinorAtTime: "no",
		Interview: &claims.Interview{
			Date: day, PlaceCountry: "KHM", Mode: "in_person", Language: "amh", Interpreter: true,
			InterpreterKind: "vetted", InterviewerOrgRole: "NGO", Alone: "yes", PlaceKind: "shelter",
		},
		Consent: &claims.Consent{
			Interview: true, Purpose: true, Use: true, RightToRequestData: true, StorageDuration: true, HowToWithdraw: true,
			GivenOn: day, ReceiptLanguage: "amh", Method: "signature", ShareScope: claims.Values("share_scope"), TransferToState: []string{"ETH", "THA", "KHM"},
			Controller: private.New("Made up"), LawfulBasis: "consent", Circumstance: "free",
			SafeIfStateKnows: "yes", MissionMayBeContacted: true,
		},
	})
}

func (p *person) prints() {
	order := map[string]any{"name": "TESFAYE, FELIX", "nationality": "ETH"}
	if p.survivor {
		order["attestation"] = p.about
	}
	p.into(p.desk("POST", "/api/v1/cases/"+p.id+"/cards", order), 201, &p.card)
	pack, err := p.service.Board.Pack(p.t.Context())
	p.ok(err)
	v := pack.Verify(verifier.Presentation{Text: p.card.Digits, Code: &p.card.Code}, pack.Issued())
	if v.Card == nil {
		p.t.Fatalf("the card does not open: %s", v.State)
	}
	p.handle = fmt.Sprintf("%x", v.Card.Handle)
}

// check has an officer check the card: with a wrong code first, then with the right one.
func (p *person) check() {
	p.checked = p.now
	wrong := "1" + p.card.Code[1:]
	if wrong == p.card.Code {
		wrong = "2" + p.card.Code[1:]
	}
	for _, code := range []string{wrong, p.card.Code} {
		p.into(p.as(officer(p.n), "POST", "/api/v1/verifications", map[string]string{"digits": p.card.Digits, "code": code}), 200, nil)
	}
}

// share has the keeper ask her, and share the case if she gives her code for it; her own
// state learns nothing until two more have agreed.
func (p *person) share(with string, own bool) {
	p.t.Helper()
	order := map[string]any{
		"agency": p.agency[with], "purpose": "protection", "parts": []string{"attestations", "status"},
		"until": claims.NewDay(p.now).Add(30), "language": "am", "circumstance": "free",
	}
	question := map[string]any{"record": p.id}
	for k, v := range order {
		question[k] = v
	}
	var asked struct {
		Nonce string
		Text  string `json:"text_sha256"`
	}
	p.into(p.desk("POST", "/api/v1/cases/"+p.id+"/consents/challenges", question), 201, &asked)
	order["nonce"], order["text_sha256"], order["method"], order["mission"] = asked.Nonce, asked.Text, "signature", true
	order["safe_if_state_knows"] = "yes"
	order["proof"] = map[string]string{"number": p.card.Number, "code": p.card.Code}
	got := p.desk("POST", "/api/v1/cases/"+p.id+"/grants", order)
	if !own {
		p.into(got, 201, nil)
		return
	}
	var waits struct{ Request struct{ ID string } }
	p.into(got, 202, &waits)
	p.agree("boss", waits.Request.ID)
	if state := p.agree("worker", waits.Request.ID); state != "done" {
		p.t.Fatalf("two agreed, and it is %s", state)
	}
}

// opened has somebody open the case with card and code, and read the attestation.
func (p *person) opened(who string) {
	p.t.Helper()
	p.into(p.as(who, "POST", "/api/v1/openings/by-code", map[string]any{
		"record": p.id, "purpose": "protection", "parts": []string{"attestations", "status"}, "number": p.card.Number, "code": p.card.Code,
	}), 201, nil)
	p.into(p.as(who, "GET", "/api/v1/attestations/"+p.about, nil), 200, nil)
}

func (p *person) relies() {
	p.signs("helper", "lead", &claims.Reliance{Reliance: "relied_no_reinterview", AuthorityClass: "NGO", Date: claims.NewDay(p.now)})
}

func (p *person) answers() {
	p.signs("consul", "attache", &claims.Reply{
		Answer: "matched", Mission: private.New("Embassy (made up)"), MissionState: "ETH", Date: claims.NewDay(p.now), Channel: "account",
	})
}

// signs has somebody state something about her attestation, and another one agree.
func (p *person) signs(who, second string, c claims.Claims) {
	p.t.Helper()
	body := p.order(c)
	body["about"] = p.about
	var waits struct{ Request struct{ ID string } }
	p.into(p.as(who, "POST", "/api/v1/attestations", body), 202, &waits)
	if state := p.agree(second, waits.Request.ID); state != "done" {
		p.t.Fatalf("it was agreed to, and is %s", state)
	}
}
