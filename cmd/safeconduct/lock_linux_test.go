package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/people/roster"
)

// canaries are what a record says of somebody, in the words in which it is asked for.
var canaries = map[string]string{
	"a name": "ZABULON QUILLFEATHER", "a village": "Upper Canary Wells", "a document number": "QZ7719934", "a birth date": "1977-11-23",
}

// TestLockedMemory: a person is taken in, and then the network is locked. Of what runs
// afterwards, which is one process, the memory holds nothing of her, no key, no
// passphrase, no token and no session; and two people open it again (hostile case 99).
func TestLockedMemory(t *testing.T) {
	s := newSigned(t)
	var house *peopletest.House
	var worker, token, other string
	cfg := service.Config{Dir: s.dir, WorkFactor: service.DemoWork, Passphrase: s.passphrase}
	opened(t, cfg, func(h *service.Service) {
		state, err := h.People.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		house = s.house.At(t, h.People, h.Passkeys)
		var agency string
		for id := range state.Agencies {
			agency = id
		}
		_, token = house.Program(agency, roster.Caseworker, house.First)
		worker = house.Person(agency, roster.Caseworker, house.First)
		other = house.Person("", roster.Operator, house.First)
	})
	s.serve("--passphrase-file", s.phrase)
	takeCanaryIn(t, caller.New("http://"+s.address, token))
	pid := s.process.Process.Pid

	secrets := s.secrets()
	secrets["row key"] = s.rowKey()
	secrets["a token"], secrets["the operator's token"] = []byte(token), []byte(s.token)
	for what, value := range canaries {
		secrets[what] = []byte(value)
	}
	if names := inMemory(t, pid, secrets); !slices.Contains(names, "a name") || !slices.Contains(names, "row key") {
		t.Errorf("of the memory of a process that works the search finds %v: it would find nothing afterwards", names)
	}
	signer := child(t, pid)

	out, err := exec.CommandContext(t.Context(), program(t), "lock", "--dir", s.dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.answers("/readyz", http.StatusServiceUnavailable, `"locked"`)
	if now := child(t, pid); now != 0 {
		t.Errorf("process %d is there beside it; the signer was %d", now, signer)
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(signer)); err == nil {
		t.Errorf("the signer is still there")
	}
	for range 3 { // also after it has answered
		for _, path := range []string{"/pack", "/trust-list", "/trust-key", "/log/checkpoint", "/api/v1/cases", "/unlock", "/check"} {
			if status, _ := s.ask(http.MethodGet, path); status == 0 || status >= 500 && !strings.HasPrefix(path, "/api") && status != http.StatusNotImplemented {
				t.Errorf("%s: %d", path, status)
			}
		}
	}
	delete(secrets, "the operator's token") // it was just sent once more
	if names := inMemory(t, pid, secrets); len(names) > 0 {
		t.Errorf("a process that is locked has %v in its memory", names)
	}

	at := caller.New("http://"+s.address, "")
	act, first := agreesToUnlock(t, at, house, "", house.First)
	_, second := agreesToUnlock(t, at, house, act, other)
	_, third := agreesToUnlock(t, at, house, act, worker)
	var now struct{ Open bool }
	if err := at.Post(t.Context(), "/api/v1/unlock", map[string]any{"act": act, "responses": []json.RawMessage{first, third}}, &now); caller.Refused(err) != "approval_invalid" || now.Open {
		t.Errorf("with a caseworker: %v", err)
	}
	if err := at.Post(t.Context(), "/api/v1/unlock", map[string]any{"act": act, "responses": []json.RawMessage{first, second}}, &now); err != nil || !now.Open {
		t.Fatalf("%+v %v", now, err)
	}
	s.becomes("/readyz", http.StatusOK)
	if child(t, pid) == 0 {
		t.Error("it works, and has no signer")
	}
	if status, answer := s.ask(http.MethodPost, "/api/v1/publications"); status != http.StatusOK && status != http.StatusCreated {
		t.Errorf("publish: %d %s", status, answer)
	}
}

// takeCanaryIn has a program keep all that can be said of somebody.
func takeCanaryIn(t *testing.T, c caller.Client) {
	t.Helper()
	var made struct{ ID string }
	post := func(path string, body string) {
		t.Helper()
		if err := c.Post(t.Context(), path, json.RawMessage(body), &made); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	post("/api/v1/cases", `{}`)
	of := "/api/v1/cases/" + made.ID
	post(of+"/attestations", `{"kind":"identity","claims":{"names":[{"script":"Latn","full":"ZABULON QUILLFEATHER","type":"passport"}],
		"dob":{"value":"1977-11-23","precision":"day"},"village":"Upper Canary Wells","assurance":"self_asserted","claim_status":"open"}}`)
	post(of+"/documents", `{"kind":"PASSPORT","issuing_state":"UTO","document_number":"QZ7719934",
		"holder_names":"ZABULON QUILLFEATHER","birth_date":"1977-11-23","custody":"unknown"}`)
}

// agreesToUnlock has somebody agree that a locked network is opened.
func agreesToUnlock(t *testing.T, c caller.Client, house *peopletest.House, act, person string) (string, json.RawMessage) {
	t.Helper()
	order := map[string]string{}
	if act != "" {
		order["act"] = act
	}
	var drawn struct {
		Act     string
		Options json.RawMessage
	}
	if err := c.Post(t.Context(), "/api/v1/unlock/options", order, &drawn); err != nil {
		t.Fatal(err)
	}
	response, err := house.Keys[person].Get(drawn.Options, house.Origin)
	if err != nil {
		t.Fatal(err)
	}
	return drawn.Act, response
}

// rowKey is the key by which the rows of the database are believed.
func (s *signed) rowKey() []byte {
	s.t.Helper()
	look, err := service.Look(s.t.Context(), service.Config{Dir: s.dir, Passphrase: s.passphrase})
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := service.SealKey(s.t.Context(), look.Keys, look.Network.ID())
	if err := errors.Join(err, look.Close()); err != nil {
		s.t.Fatal(err)
	}
	return key
}

// TestLockedSigner: a signer that is a process of its own is told, and has no key in its
// memory afterwards. It opens them again when it was shown what two people have signed,
// and for nothing else that the process that serves could show it.
func TestLockedSigner(t *testing.T) {
	s := newSigned(t)
	var other string
	cfg := service.Config{Dir: s.dir, WorkFactor: service.DemoWork, Passphrase: s.passphrase}
	opened(t, cfg, func(h *service.Service) {
		other = s.house.At(t, h.People, h.Passkeys).Person("", roster.Operator, s.house.First)
	})
	secrets := s.secrets()
	keys := filepath.Join(t.TempDir(), "keys")
	socket := filepath.Join(keys, config.SocketName)
	if err := errors.Join(os.Mkdir(keys, 0o700), os.Rename(filepath.Join(s.dir, config.KeysName), filepath.Join(keys, config.KeysName)),
		os.WriteFile(filepath.Join(s.dir, config.EnginesName), []byte(`{"signer_socket": "`+socket+`"}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	own := s.start("signer", "--dir", keys, "--passphrase-file", s.phrase).Process.Pid
	waitFor(t, "the signer answers", func() bool { _, err := os.Stat(socket); return err == nil })
	s.serve()
	if names := inMemory(t, own, secrets); !slices.Contains(names, "passphrase") {
		t.Errorf("of the signer's memory the search finds %v: it would find nothing afterwards", names)
	}

	if out, err := exec.CommandContext(t.Context(), program(t), "lock", "--dir", s.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.answers("/readyz", http.StatusServiceUnavailable, `"locked"`)
	var names []string
	waitFor(t, "the signer has put its keys away", func() bool {
		if _, err := os.Stat(filepath.Join(keys, config.LockedName)); err != nil {
			return false
		}
		names = inMemory(t, own, secrets)
		return len(names) == 0
	})
	// Whoever may ask it, without what two people have signed, has no key.
	// It answers so once the process without keys has begun.
	waitFor(t, "the signer says that its keys are put away", func() bool {
		out, err := exec.CommandContext(t.Context(), program(t), "key", "list", "--dir", s.dir).CombinedOutput()
		if err == nil {
			t.Errorf("a command that needs a key: %s", out)
		}
		return err == nil || strings.Contains(string(out), "put away")
	})

	opensAgain := func() {
		t.Helper()
		at := caller.New("http://"+s.address, "")
		act, first := agreesToUnlock(t, at, s.house, "", s.house.First)
		_, second := agreesToUnlock(t, at, s.house, act, other)
		var now struct{ Open bool }
		if err := at.Post(t.Context(), "/api/v1/unlock", map[string]any{"act": act, "responses": []json.RawMessage{first, second}}, &now); err != nil || !now.Open {
			t.Fatalf("%+v %v", now, err)
		}
		s.becomes("/readyz", http.StatusOK)
		if status, answer := s.ask(http.MethodPost, "/api/v1/publications"); status != http.StatusOK && status != http.StatusCreated {
			t.Errorf("publish: %d %s", status, answer)
		}
		for _, dir := range []string{s.dir, keys} {
			if _, err := os.Stat(filepath.Join(dir, config.LockedName)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is locked: %v", dir, err)
			}
		}
	}
	opensAgain()

	// Its folder alone is locked, and the service runs on: it locks itself, so that there
	// is a page on which two people open both.
	if err := os.WriteFile(filepath.Join(keys, config.LockedName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.answers("/readyz", http.StatusServiceUnavailable, `"locked"`)
	opensAgain()
}

// waitFor waits for what has to become so.
func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 720 { // three minutes: the machine may be busy
		if is() {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}
