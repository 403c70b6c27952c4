package enginetest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/recovery"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/verifier"
)

// beforeDir holds what the version before this one wrote; its README says how.
var beforeDir = filepath.Join("..", "..", "testdata", "before")

// beforeNow is the time in which it is opened: what runs out has not yet.
func beforeNow() time.Time { return time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC) }

// knownBefore is what was done, and what therefore has to be there.
type knownBefore struct {
	Agency, Case, Attestation, Withdrawn, Document, Mission, Erased string
	PageSHA256                                                      string `json:"page_sha256"`
	Card                                                            struct{ ID, Number, Code, Digits string }
}

// TestBefore opens everything that the version before this one wrote: stored
// data outlives the program that wrote it.
func TestBefore(t *testing.T) {
	var known knownBefore
	data, err := os.ReadFile(filepath.Join(beforeDir, "known.json"))
	if err := errors.Join(err, json.Unmarshal(data, &known)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, filepath.Join(beforeDir, "network.tar.gz"), dir)
	network := filepath.Join(dir, "network")
	listed := readManifest(t, network)
	passphrase, err := config.ReadPassphrase(filepath.Join(network, config.PassphraseName))
	if err != nil {
		t.Fatal(err)
	}
	cfg := service.Config{Dir: network, Passphrase: passphrase, WorkFactor: service.DemoWork, Now: beforeNow, Log: slog.New(slog.DiscardHandler)}

	t.Run("device", func(t *testing.T) {
		pack := openBefore(t, filepath.Join(dir, "device", config.PackName))
		v := pack.Verify(verifier.Presentation{Text: known.Card.Digits, Code: &known.Card.Code}, beforeNow())
		if v.State != verifier.Unconfirmed || v.Card == nil || v.Card.Name.Reveal() != "PHIRI, GRACE" {
			t.Errorf("the newest card is %s", v.State)
		}
		pack = openBefore(t, filepath.Join(network, listed.Pack))
		for _, c := range listed.Cards {
			if v := pack.Verify(verifier.Presentation{Text: c.Digits, Code: &c.Code}, beforeNow()); string(v.State) != c.Expect {
				t.Errorf("%s is %s, want %s", c.PNG, v.State, c.Expect)
			}
		}
	})
	t.Run("folder", func(t *testing.T) {
		h := openWhole(t, cfg)
		servedBefore(t, h, listed, known, true)
		if _, err := h.Board.Publish(t.Context(), service.Console, false); err != nil {
			t.Error("it publishes no more:", err)
		}
	})
	for _, one := range []struct {
		name  string
		pages int64
		keys  int
		late  bool
	}{{"early", 1, 8, false}, {"late", 2, 10, true}} {
		t.Run(one.name+" backup", func(t *testing.T) {
			again := config.Folder{Dir: filepath.Join(t.TempDir(), "again"), PassphraseFile: filepath.Join(network, config.PassphraseName)}
			done, err := recovery.Restore(t.Context(), recovery.RestoreOrder{
				Backup: filepath.Join(beforeDir, one.name+"-data.age"), Keyring: filepath.Join(beforeDir, one.name+"-keyring.age"),
				Identity: filepath.Join(beforeDir, "identity"), From: filepath.Join(network, config.AsideName),
				Folder: again, Progress: io.Discard, Now: beforeNow,
			})
			if err != nil {
				t.Fatal(err)
			}
			if done.Pages != one.pages || done.KeyFiles != one.keys || len(done.Problems) > 0 {
				t.Errorf("%d pages, %d key files, problems %q", done.Pages, done.KeyFiles, done.Problems)
			}
			cfg := cfg
			cfg.Dir = again.Dir
			servedBefore(t, openWhole(t, cfg), listed, known, one.late)
		})
	}
}

// openBefore opens a pack with the device key beside it.
func openBefore(t *testing.T, path string) *verifier.Pack {
	t.Helper()
	key, err := os.ReadFile(path + ".key")
	file, err2 := os.ReadFile(path)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	device, err := verifier.ParseDevice(key)
	if err != nil {
		t.Fatal(err)
	}
	pack, err := verifier.OpenPack(file, device, beforeNow())
	if err != nil {
		t.Fatal(err)
	}
	return pack
}

// openWhole opens a folder in which fsck and log verify find nothing wrong.
func openWhole(t *testing.T, cfg service.Config) *service.Service {
	t.Helper()
	h, err := service.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	found, err := doctor.Check(t.Context(), h, false)
	if err != nil || len(found.Problems) > 0 || found.Issued == 0 || found.Pages == 0 {
		t.Fatalf("fsck: %v, %+v", err, found)
	}
	key, err := h.Keys.LogKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	report, err := audit.Verify(h.LogDir, key)
	if err != nil || report.Size == 0 {
		t.Fatalf("log verify: %v, %d leaves", err, report.Size)
	}
	return h
}

// servedBefore asks the service for what is there, and lets it go on: late when
// what was done last is in it.
func servedBefore(t *testing.T, h *service.Service, listed manifest, known knownBefore, late bool) {
	t.Helper()
	var caseworkers []string
	for _, a := range listed.Actors {
		if a.Role == "caseworker" {
			caseworkers = append(caseworkers, a.Token)
		}
	}
	handler := h.API.Listener("").Handler
	call := func(token, method, path, body string, answer any) int {
		req := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+token)
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Idempotency-Key", "test-"+randomHex(16))
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		if raw, ok := answer.(*[]byte); ok {
			*raw = w.Body.Bytes()
		} else if answer != nil && w.Code < 300 {
			if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
			}
		}
		return w.Code
	}

	// Every document opens with its key, and every attestation can be read.
	documents, attestations := 0, 0
	for _, token := range caseworkers {
		var cases struct{ Cases []struct{ ID string } }
		if got := call(token, http.MethodGet, "/api/v1/cases", "", &cases); got != http.StatusOK || len(cases.Cases) == 0 {
			t.Fatalf("cases: %d", got)
		}
		for _, c := range cases.Cases {
			var all struct {
				Documents    []string
				Attestations []struct{ ID, State string }
			}
			if got := call(token, http.MethodGet, "/api/v1/cases/"+c.ID, "", &all); got != http.StatusOK {
				t.Errorf("a case answers %d", got)
			}
			if got := call(token, http.MethodGet, "/api/v1/cases/"+c.ID+"/attestations", "", &all); got != http.StatusOK {
				t.Errorf("its attestations answer %d", got)
			}
			for _, a := range all.Attestations {
				attestations++
				var one struct{ State, Credential string }
				if got := call(token, http.MethodGet, "/api/v1/attestations/"+a.ID, "", &one); got != http.StatusOK || one.State != a.State {
					t.Errorf("an attestation answers %d %s", got, one.State)
				}
			}
			for _, d := range all.Documents {
				documents++
				var page []byte
				if got := call(token, http.MethodGet, "/api/v1/documents/"+d, "", nil); got != http.StatusOK {
					t.Errorf("a document answers %d", got)
				}
				if got := call(token, http.MethodGet, "/api/v1/documents/"+d+"/pages/1", "", &page); got != http.StatusOK || len(page) < 100 {
					t.Errorf("its page answers %d", got)
				}
			}
		}
		if got := call(token, http.MethodGet, "/api/v1/cases/"+known.Erased, "", nil); got != http.StatusNotFound {
			t.Errorf("the erased case answers %d", got)
		}
	}
	want := 1
	if late {
		want = 2
	}
	if documents != want || attestations == 0 {
		t.Errorf("%d documents and %d attestations were read", documents, attestations)
	}

	var document struct {
		Record struct {
			Number string `json:"document_number"`
		}
	}
	var page []byte
	states := map[string]string{known.Attestation: "active", known.Withdrawn: "withdrawn"}
	got := call(caseworkers[0], http.MethodGet, "/api/v1/documents/"+known.Document, "", &document)
	if !late {
		if got != http.StatusNotFound {
			t.Errorf("a document of later answers %d", got)
		}
	} else {
		if got != http.StatusOK || document.Record.Number != "X0000009" {
			t.Errorf("the document answers %d %q", got, document.Record.Number)
		}
		got := call(caseworkers[0], http.MethodGet, "/api/v1/documents/"+known.Document+"/pages/1", "", &page)
		if sum := sha256.Sum256(page); got != http.StatusOK || hex.EncodeToString(sum[:]) != known.PageSHA256 {
			t.Errorf("its page answers %d and %d other bytes", got, len(page))
		}
		for id, want := range states {
			var a struct{ State string }
			if call(caseworkers[0], http.MethodGet, "/api/v1/attestations/"+id, "", &a); a.State != want {
				t.Errorf("an attestation is %q, want %s", a.State, want)
			}
		}
	}

	// And it goes on.
	var made struct{ ID string }
	if got := call(caseworkers[0], http.MethodPost, "/api/v1/cases", `{}`, &made); got != http.StatusCreated {
		t.Fatalf("a new case answers %d", got)
	}
	if got := call(caseworkers[0], http.MethodPost, "/api/v1/cases/"+made.ID+"/attestations", crashClaims, nil); got != http.StatusCreated {
		t.Errorf("a new attestation answers %d", got)
	}
}

// unpack puts an archive of ours into a folder.
func unpack(t *testing.T, path, dir string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(plain)
	for {
		f, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || !filepath.IsLocal(f.Name) {
			t.Fatalf("%s: %v", f.Name, err)
		}
		at := filepath.Join(dir, f.Name)
		if f.Typeflag == tar.TypeDir {
			err = os.MkdirAll(at, 0o700)
		} else {
			var content []byte
			if content, err = io.ReadAll(io.LimitReader(files, 8<<20)); err == nil {
				err = os.WriteFile(at, content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
