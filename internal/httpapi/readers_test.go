package httpapi_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/sdjwt"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
)

// asReader is one file of testdata/readers: somebody who reads a case in which there is an
// attestation of each kind with every member, and a document with every member and two pages.
type asReader struct {
	name           string
	is             claims.Reader
	class, country string
	role           people.Role
	purpose        string
	parts          []vault.Part
}

// noMore is what a mission is told that hears no more than who somebody is.
var noMore = []vault.Part{vault.PartIdentity, vault.PartPortrait, vault.PartDocument, vault.PartPages, vault.PartAttestations}

var asReaders = []asReader{
	{"embassy", claims.ReaderEmbassy, "x_DiplomaticMission", "ETH", people.Mission, "travel_document", noMore},
	{"embassy-status", claims.ReaderEmbassy, "x_DiplomaticMission", "ETH", people.Mission, "protection", vault.Parts},
	{"immigration", claims.ReaderOfficer, "ImmigrationService", "KHM", people.Officer, "protection", vault.Parts},
	{"police", claims.ReaderOfficer, "LawEnforcement", "KHM", people.Officer, "protection", vault.Parts},
	{"caseworker", claims.ReaderCaseworker, "x_Shelter", "THA", people.Caseworker, "shelter", vault.Parts},
	{"authority", claims.ReaderAuthority, "CentralGovernmentOrganisation", "KHM", people.Supervisor, "protection", vault.Parts},
	{"lawyer", claims.ReaderLawyer, "LegalService", "THA", people.Caseworker, "legal_aid", vault.Parts},
	{"medical", claims.ReaderMedical, "HealthServiceOrganisation", "THA", people.Caseworker, "medical", vault.Parts},
}

// sees is what a reader saw, as a golden file has it: without ids, and with the days of the
// samples.
type sees struct {
	Reader       claims.Reader             `json:"reader"`
	Attestations map[string]map[string]any `json:"attestations"`
	Document     documentSeen              `json:"document"`
}

type documentSeen struct {
	Record  map[string]any `json:"record"`
	LeftOut []string       `json:"left_out,omitempty"`
	Pages   []string       `json:"pages"` // by what they show
	Opens   []int          `json:"opens"` // the pages that were read
}

// presented is a signed form that a reader was given, with the key of whoever signed it.
type presented struct {
	Credential string          `json:"credential"`
	Key        json.RawMessage `json:"key"`
	Status     bool            `json:"status"` // is asked for

	reader, kind string
	payload      map[string]any
}

// full is a case with everything in it.
type full struct {
	*file
	signed map[string]presented // by kind, whole
	ids    map[string]string
}

// newFull states one of each kind about a case, keeps a document, and gives a card.
func newFull(t *testing.T) *full {
	t.Helper()
	f := &full{
		file:   &file{t: t, world: newWorld(t, func(cfg *httpapi.Config) { cfg.Rate, cfg.StrangerRate = 1e6, 1e6 })},
		signed: map[string]presented{}, ids: map[string]string{},
	}
	f.keeper = f.admit("Lotus", "NGO", "KHM", "supervisor")
	f.at, f.document = f.keeps(f.keeper, json.RawMessage(`{
		"kind": "OTHER", "custom_type": "Seafarer's discharge book", "issuing_state": "UTO", "document_number": "L898902C3",
		"issue_date": "2007", "expiry_date": "2012-04-15", "issuing_authority": "Zenith City Office", "holder_names": "ERIKSSON ANNA MARIA",
		"birth_date": "1974-08-12", "sex": "F", "mrz": "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10",
		"custody": "trafficker", "custody_since": "2025-11-02", "record_status": "active",
		"loss_report": {
			"event": "confiscated_by_trafficker", "sltd_equivalent": "STOLEN", "event_date": {"value": "2025-11-02", "precision": "day"},
			"place_country": "KHM", "place_city": "Poipet", "taken_by_role": "RecruiterOrIntermediary", "circumstances": "Taken at the gate,\nfor registration.",
			"police_report": {"made": "yes", "ref": "P-55-2026", "date": "2026-03-09"}, "embassy_notified": "yes",
			"embassy_consent": "44444444444444444444444444444444", "sltd_requested": "no", "misuse_suspected": true, "review_date": "2036-03-09"
		}
	}`))
	f.id = f.at[len("/api/v1/cases/"):]
	for _, role := range []string{"data", "portrait"} {
		f.into(f.call(f.keeper, "POST", f.document+"/pages?role="+role, scan(t), header("Content-Type", "image/png")), 201, nil)
	}
	// What she agreed to lets all of them read: what she did not is asked elsewhere.
	f.states("screening", f.keeper, map[string]any{"decision_level": "preliminary_screening"}, map[string]any{
		"share_scope": claims.Values("share_scope"), "transfer_to_state": []string{"THA", "KHM", "ETH"}, "circumstance": "free",
	})
	for _, k := range claims.Kinds() {
		if !k.Answers && k.Kind != claims.KindScreening {
			f.states(k.Kind, f.keeper, nil, nil)
		}
	}
	var printed cardAnswer
	f.into(f.call(f.keeper, "POST", f.at+"/cards", map[string]any{"name": personName}), 201, &printed)
	f.into(f.call(f.operator, "POST", "/api/v1/publications", nil), 201, nil)
	f.into(f.call(f.keeper, "POST", "/api/v1/verifications", map[string]string{"digits": printed.Digits, "code": printed.Code}), 200, &f.seen)
	f.opened = f.shown(printed.Digits, printed.Code)
	f.slips[f.id] = slip{printed.Number, printed.Code, f.opened}
	// Others answer: none of those who read later.
	river := f.enter(asReader{"River", "", "NGO", "THA", people.Supervisor, "protection", vault.Parts})
	consulate := f.enter(asReader{"Consulate", "", "x_DiplomaticMission", "ETH", people.Mission, "confirm_identity", vault.Parts})
	for _, k := range claims.Kinds() {
		switch {
		case k.Kind == claims.KindReply:
			f.states(k.Kind, consulate.token, nil, nil)
		case k.Answers:
			f.states(k.Kind, river.token, nil, nil)
		}
	}
	f.into(f.call(f.operator, "POST", "/api/v1/publications", nil), 201, nil)
	return f
}

// states signs the fullest sample of a kind, which is the first, with some members of it and
// of its consent changed.
func (f *full) states(kind claims.Kind, token string, change, consent map[string]any) {
	f.t.Helper()
	files, err := filepath.Glob("../../claims/testdata/" + string(kind) + "*.json")
	if err != nil || len(files) == 0 {
		f.t.Fatalf("no sample of a %s: %v", kind, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		f.t.Fatal(err)
	}
	var stated map[string]any
	if err := json.Unmarshal(asOfToday(data), &stated); err != nil {
		f.t.Fatal(err)
	}
	maps.Copy(stated, change)
	if consent != nil {
		maps.Copy(stated["consent"].(map[string]any), consent)
	}
	body := map[string]any{"kind": kind, "claims": stated}
	terms, err := claims.TermsFor(kind)
	if err != nil {
		f.t.Fatal(err)
	}
	var made struct{ ID string }
	at := f.at + "/attestations"
	if terms.Answers {
		body["about"], at = f.ids["screening"], "/api/v1/attestations"
	}
	if kind == claims.KindReply {
		made.ID = f.world.reply(token, body)
	} else {
		f.into(f.call(token, "POST", at, body), 201, &made)
	}
	f.ids[string(kind)] = made.ID
	var whole struct{ Credential string }
	f.into(f.call(token, "GET", "/api/v1/attestations/"+made.ID, nil), 200, &whole)
	f.signed[string(kind)] = f.presented("own", string(kind), whole.Credential, f.of(token))
}

// presented verifies a signed form.
func (f *full) presented(reader, kind, credential, agency string) presented {
	f.t.Helper()
	a, err := f.net.Agency(f.t.Context(), agency)
	if err != nil {
		f.t.Fatal(err)
	}
	key, err := jws.ParseKey(a.Keys[len(a.Keys)-1].JWK)
	if err != nil {
		f.t.Fatal(err)
	}
	parsed, err := sdjwt.Parse(credential, sdjwt.TypeVC)
	if err != nil {
		f.t.Fatalf("%s of a %s: %v", reader, kind, err)
	}
	said, err := parsed.Verify(key, sdjwt.Policy{Now: time.Now(), Required: []string{"iss", "iat", "exp", "status", "kind"}})
	if err != nil {
		f.t.Fatalf("%s of a %s: %v", reader, kind, err)
	}
	return presented{credential, a.Keys[len(a.Keys)-1].JWK, false, reader, kind, said.Payload()}
}

// enter shares the case and the document with somebody, for whom the holder opens both.
func (f *full) enter(one asReader) reader {
	f.t.Helper()
	r := reader{people.Opened, one.role, "", f.admit(one.name, one.class, one.country, string(one.role)), nil, one.purpose}
	r.agency = f.agency[one.name]
	grant := grantTo(r.agency)
	grant["purpose"] = one.purpose
	for _, record := range []string{f.at, f.document} {
		f.into(f.shares(f.keeper, record, grant), 201, nil)
		f.into(f.open(r, record[strings.LastIndexByte(record, '/')+1:], one.parts...), 201, nil)
	}
	return r
}

// read is everything that somebody sees of the case, and the signed forms that he got.
func (f *full) read(name, token string) (got sees, all []presented) {
	f.t.Helper()
	got = sees{Attestations: map[string]map[string]any{}, Document: documentSeen{Opens: []int{}}}
	for _, kind := range slices.Sorted(maps.Keys(f.ids)) {
		a := f.call(token, "GET", "/api/v1/attestations/"+f.ids[kind], nil)
		if a.status == 404 {
			continue
		}
		var out struct {
			Kind, Agency, Credential string
			Reader                   claims.Reader
		}
		f.into(a, 200, &out)
		p := f.presented(name, kind, out.Credential, out.Agency)
		all, got.Reader = append(all, p), out.Reader
		got.Attestations[kind] = f.asSampled(p.payload)
	}
	var d struct {
		Record  map[string]any
		Reader  claims.Reader
		LeftOut []string `json:"left_out"`
		Pages   []struct{ Role string }
	}
	f.into(f.call(token, "GET", f.document, nil), 200, &d)
	if got.Reader != d.Reader {
		f.t.Errorf("%s reads attestations as %s and documents as %s", name, got.Reader, d.Reader)
	}
	got.Document.Record, got.Document.LeftOut = d.Record, d.LeftOut
	got.Document.Pages = []string{}
	for _, p := range d.Pages {
		got.Document.Pages = append(got.Document.Pages, p.Role)
	}
	for page, path := range map[int]string{1: "/pages/1", 2: "/pages/2"} {
		if f.call(token, "GET", f.document+path, nil).status == 200 {
			got.Document.Opens = append(got.Document.Opens, page)
		}
	}
	slices.Sort(got.Document.Opens)
	return got, all
}

// asSampled is a verified payload with its days moved back to those of the samples, and
// without what is drawn.
func (f *full) asSampled(payload map[string]any) map[string]any {
	f.t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		f.t.Fatal(err)
	}
	signed := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	passed := int(time.Since(signed).Hours() / 24)
	data = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}`).ReplaceAllFunc(data, func(day []byte) []byte {
		return []byte(claims.Day(day).Add(-passed))
	})
	var plain map[string]any
	if err := json.Unmarshal(data, &plain); err != nil {
		f.t.Fatal(err)
	}
	for _, drawn := range []string{"iss", "iat", "exp", "status", "attestation_id", "about", "supersedes"} {
		if _, there := plain[drawn]; there {
			plain[drawn] = "…"
		}
	}
	return plain
}

// TestReaders is of hostile case 86. What each reader sees of a case is a file in
// testdata/readers that a person has read, and every signed form that was given out verifies
// with a library that nobody here wrote, which finds the same claims in it.
func TestReaders(t *testing.T) {
	f := newFull(t)
	own, all := f.read("own", f.keeper)
	holds(t, "own", own)
	for _, one := range asReaders {
		r := f.enter(one)
		got, shown := f.read(one.name, r.token)
		if got.Reader != one.is {
			t.Errorf("%s reads as %q, want %q", one.name, got.Reader, one.is)
		}
		holds(t, one.name, got)
		all = append(all, shown...)
		f.tells(one, r, len(shown))
	}
	if files, err := filepath.Glob("testdata/readers/*.json"); err != nil || len(files) != len(asReaders)+1 {
		t.Errorf("%d files, %v", len(files), err)
	}
	t.Run("by a foreign library", func(t *testing.T) { f.foreign(t, all) })
}

// holds compares what a reader saw with its file.
func holds(t *testing.T, name string, got sees) {
	t.Helper()
	data, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file := "testdata/readers/" + name + ".json"
	data = append(data, '\n')
	if *httpapi.Update {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(data)); diff != "" {
		t.Errorf("%s sees something else; if somebody wants that, run make golden and read the difference: -want +got\n%s", name, diff)
	}
}

// tells checks that the holder can be shown each reading, and by whom.
func (f *full) tells(one asReader, r reader, attestations int) {
	f.t.Helper()
	var history struct {
		Entries []struct {
			Kind string
			Body struct {
				ID, Agency, Role, Reader, Purpose, At string
			}
		}
	}
	f.into(f.call(f.keeper, "GET", f.at+"/history", nil), 200, &history)
	read := map[string]int{}
	for _, e := range history.Entries {
		b := e.Body
		if b.Agency != r.agency || !strings.HasSuffix(e.Kind, ".read") {
			continue
		}
		read[e.Kind]++
		if b.Role != string(one.role) || b.Reader != string(one.is) || b.Purpose != one.purpose || b.At == "" {
			f.t.Errorf("%s: the history says %+v of %s", one.name, b, e.Kind)
		}
		if kind := strings.TrimSuffix(e.Kind, ".read"); b.ID != "" && b.ID != f.ids[kind] {
			f.t.Errorf("%s: the history has another id for %s", one.name, e.Kind)
		}
	}
	n := 0
	for kind := range f.ids {
		if kind != "document" { // the record is read as well
			n += read[kind+".read"]
		}
	}
	n += read["document.read"] - 1
	if n != attestations || read["page.read"] == 0 {
		f.t.Errorf("%s read %d attestations, and the history has %v", one.name, attestations, read)
	}
}

// foreign has every signed form verified by a library of others, and one that was changed.
func (f *full) foreign(t *testing.T, all []presented) {
	const at = "testdata/sdjwt"
	missing := func(what string) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s: scripts/install.sh test brings it", what)
		}
		t.Skipf("%s: scripts/install.sh test brings it", what)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node is not installed")
	}
	if _, err := os.Stat(at + "/node_modules/@sd-jwt/sd-jwt-vc/package.json"); errors.Is(err, os.ErrNotExist) {
		missing("the reader of SD-JWTs is not there")
	}
	screening := f.signed["screening"]
	parts := strings.Split(screening.Credential, "~")
	bad := map[string]string{
		"another payload":              strings.Replace(screening.Credential, ".", ".x", 1),
		"another signature":            changed(parts[0]) + "~",
		"a disclosure of another":      parts[0] + "~" + strings.Split(f.signed["identity"].Credential, "~")[3] + "~",
		"one that says something else": parts[0] + "~" + changed(parts[3]) + "~",
	}
	all[0].Status = true
	in := map[string]any{"lists": f.lists(all), "listKey": f.listKey(t)}
	type result struct {
		Payload map[string]any
		Refused string
	}
	ask := func(in map[string]any) (out []result) {
		t.Helper()
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), node, "verify.mjs")
		cmd.Dir, cmd.Stdin, cmd.Stderr = at, bytes.NewReader(data), os.Stderr
		answer, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(answer, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	in["presentations"] = all
	for i, got := range ask(in) {
		want := all[i]
		if diff := cmp.Diff(plainly(t, want.payload), got.Payload); got.Refused != "" || diff != "" {
			t.Errorf("%s of a %s: %s -ours +theirs\n%s", want.reader, want.kind, got.Refused, diff)
		}
	}
	names, tried := slices.Sorted(maps.Keys(bad)), []presented{}
	for _, name := range names {
		tried = append(tried, presented{Credential: bad[name], Key: screening.Key})
	}
	in["presentations"] = tried
	for i, got := range ask(in) {
		for _, open := range []string{"iss", "iat", "exp", "vct", "status"} {
			delete(got.Payload, open)
		}
		// RFC 9901 §7.1 refuses what no digest names; a library may drop it instead.
		if got.Refused == "" && (len(got.Payload) > 0 || strings.HasPrefix(names[i], "another")) {
			t.Errorf("%s: taken, with %v", names[i], got.Payload)
		}
	}
	t.Logf("%d signed forms, %d that are not", len(all), len(tried))
}

// changed is some base64url with another end.
func changed(s string) string { return s[:len(s)-4] + "AAAA" }

// plainly is a payload as any reader of JSON has it.
func plainly(t *testing.T, payload map[string]any) (plain map[string]any) {
	t.Helper()
	data, err := json.Marshal(payload)
	if err == nil {
		err = json.Unmarshal(data, &plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// lists are the published status lists that these attestations stand in.
func (f *full) lists(all []presented) map[string]string {
	f.t.Helper()
	lists := map[string]string{}
	for _, p := range all {
		uri := p.payload["status"].(map[string]any)["status_list"].(map[string]any)["uri"].(string)
		if lists[uri] == "" {
			got := f.call("", "GET", uri[strings.Index(uri, "/status-lists/"):], nil)
			f.into(answer{got.status, got.header, []byte("{}")}, 200, nil)
			lists[uri] = string(got.body)
		}
	}
	return lists
}

func (f *full) listKey(t *testing.T) json.RawMessage {
	t.Helper()
	signer, err := f.keys.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	public, ok := signer.Key.Public().(*ecdsa.PublicKey)
	if !ok {
		t.Fatal("the lists are signed with a key of another kind")
	}
	jwk, err := jws.MarshalKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return jwk
}

// TestReadersHearNothingBeside: what stands beside a signed form tells no more than it does,
// and a kind that a reader sees nothing of is to him an id that nobody has.
func TestReadersHearNothingBeside(t *testing.T) {
	f := newFull(t)
	embassy := f.enter(asReaders[0])
	unknown := f.call(embassy.token, "GET", "/api/v1/attestations/"+randomID(), nil)
	for _, kind := range []string{"screening", "appointment", "opinion", "reliance", "reply"} {
		got := f.call(embassy.token, "GET", "/api/v1/attestations/"+f.ids[kind], nil)
		if got.status != 404 || !bytes.Equal(got.body, unknown.body) {
			t.Errorf("a %s: got %d %s", kind, got.status, got.body)
		}
	}
	newer := map[string]any{"kind": "identity", "supersedes": f.ids["identity"], "claims": f.order(claims.KindIdentity)["claims"]}
	var made struct{ ID string }
	f.into(f.call(f.keeper, "POST", f.at+"/attestations", newer), 201, &made)
	var mine, theirs map[string]any
	f.into(f.call(f.keeper, "GET", "/api/v1/attestations/"+made.ID, nil), 200, &mine)
	f.into(f.call(embassy.token, "GET", "/api/v1/attestations/"+made.ID, nil), 200, &theirs)
	if mine["supersedes"] != f.ids["identity"] || theirs["supersedes"] != nil || theirs["reader"] != "embassy" {
		t.Errorf("beside it stands %v", theirs)
	}
	if strings.Contains(theirs["credential"].(string), "~~") || len(theirs["credential"].(string)) >= len(mine["credential"].(string)) {
		t.Error("the credential is whole")
	}
	if _, there := theirs["left_out"]; there {
		t.Error("what is not shown is named")
	}
}

// TestFindsWhatIsOpen: whoever a case is opened to is listed those attestations that he can
// read, which is one entry of the holder's history, and nobody else is listed anything.
func TestFindsWhatIsOpen(t *testing.T) {
	f := newFull(t)
	list := f.at + "/attestations"
	type entry = map[string]any
	listed := func(who comer) (ids []string, all []entry) {
		t.Helper()
		var out struct{ Attestations []entry }
		f.into(f.ask(who, "GET", list, nil), 200, &out)
		for _, a := range out.Attestations {
			ids = append(ids, a["id"].(string))
		}
		return ids, out.Attestations
	}
	whole, _ := listed(comer{token: f.keeper})
	for _, one := range asReaders {
		r := f.enter(one)
		ids, all := listed(r.comer())
		for _, id := range whole {
			got := f.call(r.token, "GET", "/api/v1/attestations/"+id, nil)
			if is := slices.Contains(ids, id); is != (got.status == 200) || !is && got.status != 404 {
				t.Errorf("%s: listed %t, and read: %d %s", one.name, is, got.status, got.body)
			}
		}
		if len(ids) == 0 {
			t.Errorf("%s finds nothing", one.name)
		}
		for _, a := range all {
			for member := range a {
				if !slices.Contains([]string{"id", "kind", "agency", "state", "issued", "valid_until"}, member) {
					t.Errorf("%s is told %s of a %s", one.name, member, a["kind"])
				}
			}
		}
		var history struct {
			Entries []struct {
				Kind string
				Body struct{ Agency, Reader string }
			}
		}
		f.into(f.call(f.keeper, "GET", f.at+"/history", nil), 200, &history)
		told := 0
		for _, e := range history.Entries {
			if e.Kind == "attestations.read" && e.Body.Agency == r.agency && e.Body.Reader == string(one.is) {
				told++
			}
		}
		if told != 1 {
			t.Errorf("%s listed once, and the history has it %d times", one.name, told)
		}
	}

	f.admit("Window", "NGO", "THA", "caseworker")
	window := f.agency["Window"]
	worker, colleague := f.person(window, people.Caseworker), f.person(window, people.Supervisor)
	elsewhere := &browser{world: f.world, key: worker.key}
	f.into(elsewhere.signIn(), 201, nil)
	refused := func(what string, b *browser, status int, code string) {
		t.Helper()
		if got := b.call("GET", list, nil); got.status != status || got.code() != code {
			t.Errorf("%s: %d %s, want %d %s", what, got.status, got.body, status, code)
		}
	}
	refused("not shared", worker, 404, "not_found")
	grant := grantTo(window)
	grant["purpose"] = "protection"
	f.into(f.shares(f.keeper, f.at, grant), 201, nil)
	refused("shared and not opened", worker, 403, "not_opened")
	r := reader{people.Opened, people.Caseworker, window, "", worker, "protection"}
	f.into(f.open(r, f.id, vault.PartIdentity), 201, nil)
	refused("opened without the attestations", worker, 403, "not_opened")
	f.into(f.open(r, f.id, vault.PartAttestations), 201, nil)
	if ids, _ := listed(r.comer()); len(ids) == 0 {
		t.Error("shared and opened, and nothing is found")
	}
	refused("a colleague", colleague, 403, "not_opened")
	refused("in another browser", elsewhere, 403, "not_opened")
	f.into(f.call(f.keeper, "DELETE", f.at+"/grants/"+window, nil), 204, nil)
	refused("after it was taken back", worker, 404, "not_found")
}
