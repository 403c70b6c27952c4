package httpapi_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// reader is somebody who stands in a relation to the case of TestRelations.
type reader struct {
	relation people.Relation
	role     people.Role
	agency   string   // its id
	token    string   // of its program
	person   *browser // who is signed in, where it is no program
	purpose  string   // of what he opens; to confirm an identity, where none is said
}

// keeps tells whether the case is one of the reader's own.
func (r reader) keeps() bool {
	return r.relation == people.Assigned || r.relation == people.Own && r.role == people.Supervisor
}

// comer is the reader as he comes in.
func (r reader) comer() comer { return comer{token: r.token, browser: r.person} }

// as asks as the reader does: with a token, or out of a browser.
func (f *file) as(r reader, method, path string, body any, edit ...func(*http.Request)) answer {
	f.t.Helper()
	if r.person != nil {
		return r.person.call(method, path, body, edit...)
	}
	return f.call(r.token, method, path, body, edit...)
}

// by sends requests as a reader does.
func (f *file) by(r reader) caller {
	return func(method, path string, body any, edit ...func(*http.Request)) answer {
		return f.as(r, method, path, body, edit...)
	}
}

// file is a case with everything that belongs to one, and everybody who may or
// may not have to do with it.
type file struct {
	*world
	t       *testing.T
	readers []reader
	keeper  string // the token of the supervisor whose agency keeps the case
	spare   string // id of an agency that grants come and go for

	id, at, document, screening, card, reply string
	replied                                  string // id of the agency that signed the reply
	seen                                     verdictAnswer
	number, code                             string           // of the card
	opened                                   verifier.Verdict // on it, as a device has it
	second                                   string           // where another case of the same keeper is
	handedCard                               cardAnswer
	handedOut                                int // how often number and code of it were given
}

// newFile makes each relation with real data: a case that one agency keeps, that
// it shares with others, that the holder opens to some of those, and that has
// nothing to do with the rest.
func newFile(t *testing.T) *file {
	t.Helper()
	f := &file{t: t, world: newWorld(t, func(cfg *httpapi.Config) { cfg.Rate, cfg.StrangerRate = 1e6, 1e6 })}
	f.keeper = f.admit("Lotus", "NGO", "KHM", "supervisor")
	worker := f.admit("Lotus", "NGO", "KHM", "caseworker")
	f.readers = []reader{
		{people.Own, people.Supervisor, f.agency["Lotus"], f.keeper, nil, ""},
		{people.Own, people.Caseworker, f.agency["Lotus"], worker, nil, ""},
		{people.Assigned, people.Caseworker, f.agency["Lotus"], f.house.Token(f.agency["Lotus"], people.Caseworker), nil, ""},
	}
	for _, relation := range []people.Relation{people.Shared, people.Opened, people.None} {
		for _, of := range []struct {
			role           people.Role
			class, country string
		}{
			{people.Supervisor, "NGO", "THA"}, {people.Caseworker, "NGO", "THA"},
			{people.Officer, "ImmigrationService", "THA"}, {people.Mission, "x_DiplomaticMission", "ETH"},
		} {
			name := string(relation) + " " + strings.TrimPrefix(of.class, "x_")
			token := f.admit(name, of.class, of.country, string(of.role))
			f.readers = append(f.readers, reader{relation, of.role, f.agency[name], token, nil, ""})
		}
	}
	f.admit("Spare", "NGO", "THA", "caseworker")
	f.spare = f.agency["Spare"]

	f.at, f.document = f.keeps(f.keeper, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	f.id = f.at[len("/api/v1/cases/"):]
	f.second = f.cases(f.keeper)
	for _, r := range f.readers {
		if r.relation == people.Assigned {
			f.given(comer{token: f.keeper}, f.at, r.comer())
			f.given(comer{token: f.keeper}, f.second, r.comer())
		}
	}
	f.into(f.call(f.keeper, "POST", f.document+"/pages?role=portrait", scan(t), header("Content-Type", "image/png")), 201, nil)
	var made struct{ ID string }
	f.into(f.call(f.keeper, "POST", f.at+"/attestations", screeningBody(t)), 201, &made)
	f.screening = made.ID
	var printed cardAnswer
	f.into(f.call(f.keeper, "POST", f.at+"/cards", map[string]any{"name": personName}), 201, &printed)
	f.card, f.number, f.code = printed.ID, printed.Number, printed.Code
	f.into(f.call(f.operator, "POST", "/api/v1/publications", nil), 201, nil)
	f.into(f.call(f.keeper, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits, "code": printed.Code}), 200, &f.seen)
	f.opened = f.shown(printed.Digits, printed.Code)
	f.slips[f.id] = slip{f.number, f.code, f.opened}

	f.again = 100
	shared := map[string]bool{} // once: what was open ends when it is shared again
	for _, r := range f.readers {
		if r.relation != people.Shared && r.relation != people.Opened {
			continue
		}
		for _, record := range []string{f.document, f.at} {
			if !shared[r.agency+record] {
				f.into(f.share(f.keeper, record, r.agency), 201, nil)
			}
			shared[r.agency+record] = true
		}
		f.opens(r)
		if r.relation == people.Opened && r.role == people.Mission {
			body := f.order(claims.KindReply)
			body["about"] = f.screening
			f.reply, f.replied = f.world.reply(r.token, body), r.agency
		}
	}
	return f
}

// opens opens what is shared to whoever it is open to: where it was opened, and nowhere
// else.
func (f *file) opens(r reader) {
	f.t.Helper()
	if r.relation == people.Opened {
		f.into(f.open(r, f.document[len("/api/v1/documents/"):], vault.PartDocument, vault.PartPages), 201, nil)
		f.into(f.open(r, f.id, vault.PartAttestations, vault.PartStatus), 201, nil)
	}
}

// share shares a record with an agency, for everything that a holder can agree to.
func (f *file) share(token, record, agency string) answer {
	return f.shares(token, record, grantTo(agency))
}

// open opens a record with the card and its code, as a device does.
func (f *file) open(r reader, record string, parts ...vault.Part) answer {
	f.t.Helper()
	return f.as(r, "POST", "/api/v1/openings", f.opening(r, record, parts...))
}

// opening is the body of a request that opens a record.
func (f *file) opening(r reader, record string, parts ...vault.Part) map[string]any {
	f.t.Helper()
	var challenge struct{ Nonce string }
	f.into(f.as(r, "POST", "/api/v1/openings/challenges", map[string]string{"card_handle": f.seen.Card.Handle}), 201, &challenge)
	o := card.Opening{
		Nonce: challenge.Nonce, Device: f.deviceOf(r.agency), Agency: r.agency, Record: record, Purpose: cmp.Or(r.purpose, "confirm_identity"),
		Minute: time.Now().Unix() / 60,
	}
	for _, p := range parts {
		o.Parts = append(o.Parts, string(p))
	}
	return map[string]any{
		"nonce": o.Nonce, "device": o.Device, "record": o.Record, "card_handle": f.seen.Card.Handle, "purpose": o.Purpose,
		"parts": o.Parts, "minute": o.Minute, "signature": base64.RawURLEncoding.EncodeToString(f.opened.SignOpening(o)),
	}
}

// byCode is the body of a request that opens a record with number and code.
func (f *file) byCode(r reader, record string, parts ...vault.Part) map[string]any {
	return map[string]any{
		"record": record, "purpose": cmp.Or(r.purpose, "confirm_identity"), "parts": parts, "number": f.number, "code": f.code,
	}
}

// order is the first sample of a kind, among those that every room's tests read.
func (f *file) order(kind claims.Kind) map[string]any {
	f.t.Helper()
	files, err := filepath.Glob("../../claims/testdata/" + string(kind) + "*.json")
	if err != nil || len(files) == 0 {
		f.t.Fatalf("no sample of a %s: %v", kind, err)
	}
	slices.Sort(files)
	data, err := os.ReadFile(files[len(files)-1]) // of everything and least, the least
	if err != nil {
		f.t.Fatal(err)
	}
	return map[string]any{"kind": kind, "claims": json.RawMessage(asOfToday(data))}
}

// asOfToday moves every day of a sample by as many days as have passed since the
// one on which it may be signed: an appointment is not in the past, and an
// interview is not in the future.
func asOfToday(sample []byte) []byte {
	signed := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC) // claimsNow, in package claims
	passed := int(time.Since(signed).Hours() / 24)
	return regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}`).ReplaceAllFunc(sample, func(day []byte) []byte {
		return []byte(claims.Day(day).Add(passed))
	})
}

// deed is one operation on the case, as a reader tries it.
type deed struct {
	operation string
	action    people.Action
	do        func(r reader) answer
	// to is the reader's relation to what it is done to; nil for that to the case.
	to func(r reader) people.Relation
}

// signed is the relation to what an agency has signed; in a case that it keeps, some of
// its people are nearer.
func signed(agency string) func(r reader) people.Relation {
	return func(r reader) people.Relation {
		switch {
		case r.agency != agency:
			return people.None
		case r.relation == people.Assigned:
			return people.Assigned
		default:
			return people.Own
		}
	}
}

// handed adds number and code of a card of the case, as its holder gives them. Nobody
// tries the code of one card often.
func (f *file) handed(body map[string]string) map[string]string {
	f.t.Helper()
	if f.handedOut%4 == 0 {
		f.into(f.call(f.keeper, "POST", f.at+"/cards", map[string]any{"name": personName}), 201, &f.handedCard)
	}
	f.handedOut++
	body["number"], body["code"] = f.handedCard.Number, f.handedCard.Code
	return body
}

// deeds lists every operation on cases, attestations, cards and documents. What
// takes something out of use comes last.
func (f *file) deeds() []deed {
	get := func(path string) func(reader) answer {
		return func(r reader) answer { return f.as(r, "GET", path, nil) }
	}
	post := func(path string, body any) func(reader) answer {
		return func(r reader) answer { return f.as(r, "POST", path, body) }
	}
	record := map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"}
	pause := map[string]string{"action": "pause", "reason": "other"}
	lotus := f.agency["Lotus"]
	deeds := []deed{
		{"listCases", people.CaseRead, func(r reader) answer {
			got := f.as(r, "GET", "/api/v1/cases", nil)
			return f.unless(got, f.names(got, "cases", "id", f.id))
		}, nil},
		{"readCase", people.CaseRead, get(f.at), nil},
		{"readHistory", people.HistoryRead, get(f.at + "/history"), nil},
		{"copyCase", people.Export, post(f.at+"/copies", map[string]string{"number": f.number, "code": f.code, "passphrase": "four words or more"}), nil},
		{"assignCase", people.CaseAssign, func(r reader) answer {
			return f.as(r, "POST", f.at+"/people", map[string]string{"person": f.whoIs(comer{token: f.keeper})})
		}, nil},
		{"unassignCase", people.CaseAssign, func(r reader) answer {
			f.given(comer{token: f.keeper}, f.at, comer{token: f.keeper})
			return f.as(r, "DELETE", f.at+"/people/"+f.whoIs(comer{token: f.keeper}), nil)
		}, nil},
		{"makeCaseFindable", people.DocumentShare, func(r reader) answer {
			return f.as(r, "PUT", f.at+"/findable", map[string]bool{"findable": true})
		}, nil},
		{"listAttestations", people.AttestationRead, get(f.at + "/attestations"), nil},
		{"readAttestation", people.AttestationRead, get("/api/v1/attestations/" + f.screening), nil},
		{"issueCard", people.CardIssue, post(f.at+"/cards", map[string]any{"name": personName}), nil},
		{"addDocument", people.DocumentWrite, post(f.at+"/documents", record), nil},
		{"readDocument", people.DocumentRead, get(f.document), nil},
		{"updateDocument", people.DocumentWrite, func(r reader) answer {
			tag := f.call(f.keeper, "GET", f.document, nil).header.Get("ETag")
			return f.as(r, "PUT", f.document, record, header("If-Match", tag))
		}, nil},
		{"addPage", people.PageWrite, func(r reader) answer {
			return f.as(r, "POST", f.document+"/pages?role=data", scan(f.t), header("Content-Type", "image/png"))
		}, nil},
		{"readPage", people.PageRead, get(f.document + "/pages/1"), nil},
		{"challengeOpening", people.RecordOpen, func(r reader) answer {
			got := f.as(r, "POST", "/api/v1/openings/challenges", map[string]string{"card_handle": f.seen.Card.Handle})
			return f.unless(got, f.names(got, "records", "", f.id))
		}, nil},
		{"listShared", people.RecordOpen, func(r reader) answer {
			got := f.as(r, "GET", "/api/v1/shared", nil)
			return f.unless(got, f.names(got, "records", "record", f.id))
		}, nil},
	}
	for _, record := range []struct{ noun, path string }{{"Case", f.at}, {"Document", f.document}} {
		deeds = append(deeds,
			deed{"askConsent", people.DocumentShare, func(r reader) answer {
				return f.as(r, "POST", f.at+"/consents/challenges", questionOf(record.path, grantTo(f.spare)))
			}, nil},
			deed{"share" + record.noun, people.DocumentShare, func(r reader) answer { return f.consents(f.by(r), record.path, grantTo(f.spare)) }, nil},
			deed{"unshare" + record.noun, people.DocumentShare, func(r reader) answer {
				f.into(f.share(f.keeper, record.path, f.spare), 201, nil)
				return f.as(r, "DELETE", record.path+"/grants/"+f.spare, nil)
			}, nil})
	}
	for _, terms := range claims.Kinds() {
		body, action := f.order(terms.Kind), people.Issue(string(terms.Kind))
		if terms.Kind == claims.KindScreening { // in which she agrees to all that is done here
			body = screeningBody(f.t)
		}
		if terms.Answers {
			body["about"] = f.screening
			deeds = append(deeds, deed{"answer", action, post("/api/v1/attestations", body), nil})
		}
		deeds = append(deeds, deed{"attest", action, post(f.at+"/attestations", body), nil})
	}
	return append(deeds,
		deed{"contest", people.Contest, post("/api/v1/attestations/"+f.reply+"/contest", map[string]string{"reason": "not_expected"}), nil},
		deed{"takeContestBack", people.Contest, func(r reader) answer {
			return f.as(r, "DELETE", "/api/v1/attestations/"+f.reply+"/contest", nil)
		}, nil},
		// From here on what was shared is opened.
		deed{"openRecord", people.RecordOpen, func(r reader) answer { return f.open(r, f.id, vault.PartAttestations, vault.PartStatus) }, nil},
		deed{"openByCode", people.RecordOpen, func(r reader) answer {
			return f.as(r, "POST", "/api/v1/openings/by-code", f.byCode(r, f.id, vault.PartAttestations))
		}, nil},
		deed{"listConsents", people.DocumentShare, get(f.at + "/consents"), nil},
		deed{"recordConsent", people.DocumentShare, post(f.at+"/consents", recordedBody), nil},
		deed{"takeBackConsent", people.DocumentShare, func(r reader) answer {
			var made struct{ ID string }
			f.into(f.call(f.keeper, "POST", f.at+"/consents", recordedBody), 201, &made)
			return f.as(r, "DELETE", f.at+"/consents/"+made.ID, nil)
		}, nil},
		deed{"changeAttestation", people.AttestationStatus, post("/api/v1/attestations/"+f.reply+"/status", pause), signed(f.replied)},
		deed{"changeCard", people.CardStatus, post("/api/v1/cards/"+f.card+"/status", pause), signed(lotus)},
		deed{"changeAttestation", people.AttestationStatus, post("/api/v1/attestations/"+f.screening+"/status", pause), signed(lotus)},
		deed{"takeBackConsents", people.DocumentShare, post(f.at+"/consents/none", nil), nil},
		deed{"joinCases", people.CaseJoin, func(r reader) answer {
			return f.as(r, "POST", f.at+"/joins", f.handed(map[string]string{"case": idIn(f.second)}))
		}, nil},
		// Whoever has attended is assigned.
		deed{"attendCase", people.CaseAttend, func(r reader) answer {
			return f.as(r, "POST", "/api/v1/cases/attendances", f.handed(map[string]string{}))
		}, nil},
		deed{"eraseCase", people.Erase, func(r reader) answer { return f.as(r, "DELETE", f.at, nil) }, nil},
	)
}

// names tells whether a list in an answer names an id, in a member of its
// entries or as an entry.
func (f *file) names(a answer, list, member, id string) bool {
	if a.status >= 300 {
		return false
	}
	var body map[string]json.RawMessage
	var entries []json.RawMessage
	if json.Unmarshal(a.body, &body) != nil || json.Unmarshal(body[list], &entries) != nil {
		f.t.Fatalf("no list of %s in %s", list, a.body)
	}
	return slices.ContainsFunc(entries, func(e json.RawMessage) bool {
		if member == "" {
			return string(e) == `"`+id+`"`
		}
		var fields map[string]any
		return json.Unmarshal(e, &fields) == nil && fields[member] == id
	})
}

// unless turns an answer that tells nothing of the case into a refusal.
func (f *file) unless(a answer, told bool) answer {
	if a.status < 300 && !told {
		a.status = http.StatusNotFound
	}
	return a
}

// TestRelations is of hostile cases 44 and 46. It holds the service to the table of rights,
// relation by relation: what the table says of a role and a relation is what each
// operation answers, to programs and to people who are signed in.
func TestRelations(t *testing.T) {
	t.Run("programs", func(t *testing.T) { testRelations(t, newFile(t)) })
	t.Run("people", func(t *testing.T) {
		f := newFile(t)
		for i, r := range f.readers {
			f.readers[i].person = f.person(r.agency, r.role)
			if r.relation == people.Assigned {
				f.readers[i].person = f.anotherPerson(r.agency, r.role)
				f.given(comer{token: f.keeper}, f.at, f.readers[i].comer())
				f.given(comer{token: f.keeper}, f.second, f.readers[i].comer())
			}
			f.opens(f.readers[i])
		}
		testRelations(t, f)
	})
}

func testRelations(t *testing.T, f *file) {
	tried := map[string]bool{
		"openWithoutHolder": true, // for people alone: TestOpenedWithoutHolder
		"openLeft":          true, // and TestLeft
		"openAgain":         true,
	}
	for _, d := range f.deeds() {
		tried[d.operation] = true
		done := 0
		// Whoever may comes last: an erased case is there for nobody.
		readers := slices.Clone(f.readers)
		slices.Reverse(readers)
		for _, r := range readers {
			in := r.relation
			if d.to != nil {
				in = d.to(r)
			}
			may := people.MayIn(audit.Actor{ID: "1", Agency: r.agency, Role: string(r.role)}, d.action, in) == nil
			got := d.do(r)
			switch {
			// That it is in that state already is no question of rights.
			case got.status < 300, got.status == http.StatusConflict && got.code() == "state_conflict":
				done++
				if !may {
					t.Errorf("%s (%s): a %s to whom it is %s may: %d", d.operation, d.action, r.role, in, got.status)
				}
			case got.status == http.StatusForbidden, got.status == http.StatusNotFound:
				if may {
					t.Errorf("%s (%s): a %s to whom it is %s may not: %d %s", d.operation, d.action, r.role, in, got.status, got.body)
				}
			default:
				t.Errorf("%s (%s) by a %s to whom it is %s proves nothing: %d %s", d.operation, d.action, r.role, in, got.status, got.body)
			}
		}
		if done == 0 {
			t.Errorf("%s (%s): nobody may", d.operation, d.action)
		}
	}
	for operation, actions := range f.server.Actions() {
		about := slices.ContainsFunc(people.Rights(), func(r people.Right) bool {
			return slices.Contains(actions, r.Action) && (r.About == people.AboutCase || r.About == people.AboutSigned)
		})
		if about && !tried[operation] {
			t.Errorf("%s is about a case, and nobody tried it", operation)
		}
	}
}
