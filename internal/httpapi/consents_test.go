package httpapi_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// slip is number and code of a card, as its holder has them, and what a device has that
// has read it with the code.
type slip struct {
	number, code string
	read         verifier.Verdict
}

// held are the number and code of a case's holder. A card is made for her the first time,
// unless the test has said which one she has.
func (w *world) held(caseID string) slip {
	w.t.Helper()
	if s, ok := w.slips[caseID]; ok {
		return s
	}
	_, keeper, err := w.cfg.Vault.Keeper(w.t.Context(), caseID)
	if err != nil {
		return slip{} // there is nobody
	}
	made, err := w.cfg.Issuer.IssueCard(w.t.Context(), audit.Actor{ID: randomID(), Agency: keeper, Role: "supervisor"},
		credentials.CardOrder{Case: caseID, Name: private.New("MADE UP"), RequestKey: newKey(), Supervised: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.slips[caseID] = slip{number: made.Number, code: made.Code.Reveal()}
	return w.slips[caseID]
}

// grantTo is a yes to everything, for an agency.
func grantTo(agency string) map[string]any {
	return map[string]any{
		"agency": agency, "purpose": "confirm_identity", "parts": vault.Parts, "until": claims.NewDay(time.Now()).Add(30),
		"language": "am", "circumstance": "free", "mission": true, "safe_if_state_knows": "yes",
	}
}

// recordedBody is what a worker heard without a card.
var recordedBody = map[string]any{"language": "am", "circumstance": "free", "method": "signature", "mission": true, "safe_if_state_knows": "yes"}

// caller sends a request as somebody.
type caller func(method, path string, body any, edit ...func(*http.Request)) answer

func (w *world) with(token string) caller {
	return func(method, path string, body any, edit ...func(*http.Request)) answer {
		w.t.Helper()
		return w.call(token, method, path, body, edit...)
	}
}

// questionOf is what is asked of the holder for an order.
func questionOf(record string, order map[string]any) map[string]any {
	q := map[string]any{"record": record[strings.LastIndexByte(record, '/')+1:]}
	for _, member := range []string{"agency", "purpose", "parts", "readings", "until", "language", "circumstance"} {
		if v, there := order[member]; there {
			q[member] = v
		}
	}
	return q
}

// unasked is an order that nobody was asked about.
func unasked(order map[string]any) map[string]any {
	order["nonce"], order["text_sha256"] = strings.Repeat("A", 22), strings.Repeat("0", 64)
	order["proof"] = map[string]string{"number": "123456789012", "code": "1234567890"}
	return order
}

// consents has a record shared by number and code of its holder: she is read the text, and
// gives them. Where others have to agree, the answer is 202.
func (w *world) consents(ask caller, record string, order map[string]any) answer {
	w.t.Helper()
	if got := w.reads(ask, record, order); got.status != http.StatusCreated {
		return got
	}
	return ask("POST", record+"/grants", order)
}

// reads has the holder read the text about an order, and puts what she gives into it.
func (w *world) reads(ask caller, record string, order map[string]any) answer {
	w.t.Helper()
	id := record[strings.LastIndexByte(record, '/')+1:]
	caseID, _, err := w.cfg.Vault.Keeper(w.t.Context(), id)
	if err != nil {
		caseID = id
	}
	var q struct {
		Nonce string
		Text  string `json:"text_sha256"`
	}
	got := ask("POST", "/api/v1/cases/"+caseID+"/consents/challenges", questionOf(record, order))
	if got.status != http.StatusCreated {
		return got
	}
	w.into(got, 201, &q)
	order["nonce"], order["text_sha256"], order["proof"] = q.Nonce, q.Text, w.proof(caseID, id, q.Nonce, q.Text, order)
	return got
}

// proof is what shows that a holder agrees to an order: what a device signs that has read
// her card, or number and code.
func (w *world) proof(caseID, record, nonce, text string, order map[string]any) map[string]any {
	w.t.Helper()
	s := w.held(caseID)
	if s.read.Card == nil {
		return map[string]any{"number": s.number, "code": s.code}
	}
	_, keeper, err := w.cfg.Vault.Keeper(w.t.Context(), caseID)
	if err != nil {
		w.t.Fatal(err)
	}
	c := card.Consent{Nonce: nonce, Keeper: keeper, Record: record, Minute: time.Now().Unix() / 60}
	encoded, _ := json.Marshal(order)
	var said struct {
		Agency, Purpose, Until string
		Parts                  []string
		Readings               int
	}
	if err := json.Unmarshal(encoded, &said); err != nil {
		w.t.Fatal(err)
	}
	c.Agency, c.Purpose, c.Until, c.Parts, c.Readings = said.Agency, said.Purpose, said.Until, said.Parts, said.Readings
	_, _ = hex.Decode(c.Text[:], []byte(text))
	return map[string]any{
		"card_handle": fmt.Sprintf("%x", s.read.Card.Handle), "device": w.deviceOf(keeper), "minute": c.Minute,
		"signature": base64.RawURLEncoding.EncodeToString(s.read.SignConsent(c)),
	}
}

// shares is consents until the record is shared: two people of the agency agree, where
// they have to.
func (w *world) shares(token, record string, order map[string]any) answer {
	w.t.Helper()
	got := w.consents(w.with(token), record, order)
	if got.status != http.StatusAccepted {
		return got
	}
	w.touched(got, w.of(token), people.Caseworker, people.Supervisor)
	return w.granted(token, record, order["agency"])
}

// granted is the answer that says that a record is shared.
func (w *world) granted(token, record string, agency any) answer {
	w.t.Helper()
	id := record[strings.LastIndexByte(record, '/')+1:]
	caseID, _, err := w.cfg.Vault.Keeper(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var c struct {
		Grants []map[string]any
	}
	w.into(w.call(token, "GET", "/api/v1/cases/"+caseID, nil), 200, &c)
	for _, g := range c.Grants {
		if g["record"] == id && g["agency"] == agency {
			body, _ := json.Marshal(g)
			return answer{status: http.StatusCreated, body: body}
		}
	}
	w.t.Fatal("nothing was shared")
	return answer{}
}
