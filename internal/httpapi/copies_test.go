package httpapi_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/copies"
	"github.com/safeconduct/safeconduct/internal/httpapi"
)

// TestCopy is item 7 of what the holder's word opens: whoever has her card and her code
// gets all that is kept of her, in one file that ordinary age opens, and nobody else gets
// anything. The history has both.
func TestCopy(t *testing.T) {
	w := newWorld(t, func(cfg *httpapi.Config) { cfg.Rate = 1e6 })
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	other := w.admit("Harbour", "NGO", "THA", "supervisor")
	embassy := w.admit("Embassy", "x_DiplomaticMission", "ETH", "mission")
	at, document := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO", "document_number": "X0000002", "holder_names": `<script>alert(1)</script>`})
	w.into(w.call(ngo, "POST", document+"/pages?role=data", scan(t), header("Content-Type", "image/png")), 201, nil)
	w.into(w.call(ngo, "POST", document+"/pages?role=portrait", scan(t), header("Content-Type", "image/png")), 201, nil)
	w.into(w.call(ngo, "POST", at+"/attestations", screeningBody(t)), 201, nil)
	var printed, neighbour cardAnswer
	w.into(w.call(ngo, "POST", at+"/cards", map[string]any{"name": personName}), 201, &printed)
	w.slips[at[len("/api/v1/cases/"):]] = slip{number: printed.Number, code: printed.Code}
	elsewhere, _ := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	w.into(w.call(ngo, "POST", elsewhere+"/cards", map[string]any{"name": personName}), 201, &neighbour)
	w.into(w.shares(ngo, document, grantTo(w.agency["Embassy"])), 201, nil)
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
	page := w.call(ngo, "GET", document+"/pages/1", nil).body

	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	const passphrase = "four words, រួចហើយ"
	order := func(edit func(o map[string]string)) map[string]string {
		o := map[string]string{"number": printed.Number, "code": printed.Code, "recipient": identity.Recipient().String()}
		if edit != nil {
			edit(o)
		}
		return o
	}
	for _, c := range []struct {
		name, token, case_ string
		edit               func(o map[string]string)
		status             int
		code               string
	}{
		{"another code", ngo, at, func(o map[string]string) { o["code"] = neighbour.Code }, 403, "code_refused"},
		{"another's card", ngo, at, func(o map[string]string) { o["number"], o["code"] = neighbour.Number, neighbour.Code }, 403, "code_refused"},
		{"no number", ngo, at, func(o map[string]string) { o["number"] = "" }, 403, "code_refused"},
		{"another agency", other, at, nil, 404, "not_found"},
		{"an agency that it is shared with", embassy, at, nil, 403, "forbidden"},
		{"no such case", ngo, "/api/v1/cases/" + randomID(), nil, 404, "not_found"},
		{"to nothing", ngo, at, func(o map[string]string) { delete(o, "recipient") }, 400, "invalid_request"},
		{"to two", ngo, at, func(o map[string]string) { o["passphrase"] = passphrase }, 400, "invalid_request"},
		{"to a plugin", ngo, at, func(o map[string]string) {
			o["recipient"] = "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t"
		}, 422, "input_refused"},
		{"to an SSH key", ngo, at, func(o map[string]string) { o["recipient"] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" }, 422, "input_refused"},
		{"to what is soon guessed", ngo, at, func(o map[string]string) { delete(o, "recipient"); o["passphrase"] = "1234567890" }, 422, "input_refused"},
		{"to what nobody can write down", ngo, at, func(o map[string]string) { delete(o, "recipient"); o["passphrase"] = "four words, and\ta tab" }, 422, "input_refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.call(c.token, "POST", c.case_+"/copies", order(c.edit))
			if got.status != c.status || got.code() != c.code {
				t.Errorf("got %d %s, want %d %s", got.status, got.code(), c.status, c.code)
			}
		})
	}

	for _, c := range []struct {
		name string
		edit func(o map[string]string)
		by   age.Identity
		to   string
	}{
		{"a recipient", nil, identity, "x25519"},
		{"a hybrid recipient", func(o map[string]string) { o["recipient"] = hybrid.Recipient().String() }, hybrid, "hybrid"},
		{"a passphrase", func(o map[string]string) {
			delete(o, "recipient")
			o["passphrase"], o["language"] = passphrase, "km"
		}, scrypt(t, passphrase), "passphrase"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key := header("Idempotency-Key", newKey())
			got := w.call(ngo, "POST", at+"/copies", order(c.edit), key)
			if got.status != 200 {
				t.Fatalf("got %d %s", got.status, got.code())
			}
			for name, want := range map[string]string{
				"Content-Type": "application/octet-stream", "Content-Disposition": `attachment; filename="copy.age"`,
				"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			} {
				if is := got.header.Get(name); is != want {
					t.Errorf("%s is %q", name, is)
				}
			}
			opened := openCopy(t, got.body, c.by)
			checkCopy(t, w, opened, page)
			last := opened.history[len(opened.history)-1]
			var said struct{ To, Proof, Card string }
			if err := json.Unmarshal([]byte(last.Body), &said); err != nil || last.Kind != "copy.made" || said.To != c.to || said.Proof != "code" || said.Card != printed.ID {
				t.Errorf("the history ends with %s %s", last.Kind, last.Body)
			}
			if again := w.call(ngo, "POST", at+"/copies", order(c.edit), key); again.status != 409 || again.code() != "already_done" {
				t.Errorf("again: %d %s", again.status, again.code())
			}
		})
	}
	var history struct{ Entries []struct{ Kind string } }
	w.into(w.call(ngo, "GET", at+"/history", nil), 200, &history)
	count := map[string]int{}
	for _, e := range history.Entries {
		count[e.Kind]++
	}
	if count["copy.refused"] != 3 || count["copy.made"] != 3 {
		t.Errorf("the history has %d refused and %d made", count["copy.refused"], count["copy.made"])
	}
}

// TestCopyCutOff: where something cannot be read the copy ends without its end, and whoever
// receives it is told by the connection and by age. It is in the history, because some of it
// left; the key is spent; and the place of who makes copies is free again.
func TestCopyCutOff(t *testing.T) {
	w := newWorld(t, func(cfg *httpapi.Config) { cfg.Rate = 1e6 })
	ngo := w.admit("Lotus", "NGO", "KHM", "supervisor")
	at, document := w.keeps(ngo, map[string]any{"kind": "PASSPORT", "issuing_state": "UTO"})
	w.into(w.call(ngo, "POST", document+"/pages?role=data", scan(t), header("Content-Type", "image/png")), 201, nil)
	var printed cardAnswer
	w.into(w.call(ngo, "POST", at+"/cards", map[string]any{"name": personName}), 201, &printed)
	w.into(w.call(w.operator, "POST", "/api/v1/publications", nil), 201, nil)
	back := w.movePages(t)
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	order := `{"number":"` + printed.Number + `","code":"` + printed.Code + `","recipient":"` + identity.Recipient().String() + `"}`
	key := newKey()
	for range 3 { // more than are made at once
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.http.URL+at+"/copies", strings.NewReader(order))
		if err != nil {
			t.Fatal(err)
		}
		key = newKey()
		for name, value := range map[string]string{"Authorization": "Bearer " + ngo, "Content-Type": "application/json", "Idempotency-Key": key} {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // cut off before anything of it came
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil {
			t.Errorf("%d, and %d bytes that end as if they were all", resp.StatusCode, len(got))
		}
		if plain, err := age.Decrypt(bytes.NewReader(got), identity); err == nil {
			if _, err := io.ReadAll(plain); err == nil {
				t.Error("age takes it for whole")
			}
		}
	}
	if again := w.call(ngo, "POST", at+"/copies", order, header("Idempotency-Key", key)); again.code() != "already_done" {
		t.Errorf("again: %d %s", again.status, again.code())
	}
	w.server.Hour(t.Context()) // a holder was there with her code: it is not told at once
	if !strings.Contains(w.log.String(), "a copy was cut off") {
		t.Error("the service's log does not say so")
	}
	back()
	if whole := w.call(ngo, "POST", at+"/copies", order); whole.status != 200 {
		t.Errorf("afterwards: %d %s", whole.status, whole.code())
	}
}

// movePages takes every page out of its place, and returns how to put all back.
func (w *world) movePages(t *testing.T) (back func()) {
	t.Helper()
	away, moved := t.TempDir(), map[string]string{}
	err := filepath.WalkDir(w.blobs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		moved[path] = filepath.Join(away, strconv.Itoa(len(moved)))
		return os.Rename(path, moved[path])
	})
	if err != nil || len(moved) == 0 {
		t.Fatalf("%d pages, %v", len(moved), err)
	}
	return func() {
		for path, there := range moved {
			if err := os.Rename(there, path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// opened is a copy as its holder sees it.
type opened struct {
	files   map[string][]byte
	history []copies.Entry
	list    struct {
		Documents    []copies.Document
		Attestations []copies.Attestation
		Cards        []copies.Card
		Shared       []copies.Grant
		Files        []copies.File
	}
}

func openCopy(t *testing.T, sealed []byte, by age.Identity) opened {
	t.Helper()
	plain, err := age.Decrypt(bytes.NewReader(sealed), by)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	o := opened{files: map[string][]byte{}}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if o.files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	for name, into := range map[string]any{"contents.json": &o.list, "history.json": &o.history} {
		if err := json.Unmarshal(o.files[name], into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return o
}

// checkCopy is the short check; what a stranger checks is in internal/enginetest.
func checkCopy(t *testing.T, w *world, o opened, page []byte) {
	t.Helper()
	if len(o.list.Documents) != 1 || len(o.list.Documents[0].Pages) != 2 || len(o.list.Attestations) != 1 || len(o.list.Cards) != 1 || len(o.list.Shared) != 1 {
		t.Fatalf("it lists %+v", o.list)
	}
	if len(o.list.Files) != len(o.files)-1 {
		t.Errorf("%d files are listed, %d are there besides the list", len(o.list.Files), len(o.files)-1)
	}
	for _, f := range o.list.Files {
		if sum := sha256.Sum256(o.files[f.Name]); hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(o.files[f.Name])) != f.Bytes {
			t.Errorf("%s is not as it is listed", f.Name)
		}
	}
	if !bytes.Equal(o.files[o.list.Documents[0].Pages[0].Name], page) {
		t.Error("the page is another one")
	}
	waiting := 0
	for _, e := range o.history {
		note := audit.Note{Kind: e.Kind, Salt: [32]byte(e.Salt), Body: []byte(e.Body)}
		leaf := note.Hash()
		if hex.EncodeToString(leaf[:]) != e.Leaf {
			t.Errorf("%s: another leaf", e.Kind)
		}
		if e.Proof == "" {
			waiting++
			continue
		}
		p, err := audit.ParseProof([]byte(e.Proof))
		if err == nil {
			_, err = audit.CheckInclusion(w.vkey, leaf, p)
		}
		if err != nil {
			t.Errorf("%s: %v", e.Kind, err)
		}
	}
	if waiting == 0 || waiting == len(o.history) {
		t.Errorf("%d of %d entries wait", waiting, len(o.history))
	}
	readme := string(o.files["README.html"])
	if strings.Contains(readme, "<script") || !strings.Contains(readme, "&lt;script&gt;alert(1)") {
		t.Error("what stands in a record is markup on the page")
	}
	for _, link := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(readme, -1) {
		if o.files[link[1]] == nil {
			t.Errorf("the page leads to %s, which is not there", link[1])
		}
	}
	// What can be seen without reading it says nothing of what happened, or who helped.
	seen := strings.ToLower(regexp.MustCompile(`<title>(.*?)</title>`).FindString(readme) + strings.Join(namesOf(o), " "))
	for _, word := range []string{"victim", "survivor", "traffick", "rescue", "shelter", "ngo", "screening", "safeconduct"} {
		if strings.Contains(seen, word) {
			t.Errorf("a name or the title says %s", word)
		}
	}
}

func namesOf(o opened) (names []string) {
	for name := range o.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func scrypt(t *testing.T, passphrase string) age.Identity {
	t.Helper()
	i, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return i
}
