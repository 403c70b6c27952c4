//go:build linux

package service

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// TestLoad drives a whole service over HTTP, with one client and with sixteen, which are
// a process of their own, and prints what it costs beside what cannot be avoided. It
// fails where an answer is not the one that was asked for, and never for what the clock
// says. SAFECONDUCT_LOAD is how many requests of each kind there are, and
// SAFECONDUCT_LOAD_CASES how many cases there are when they are asked for once more
// (make load).
func TestLoad(t *testing.T) {
	count, more := 16, 0
	if text := os.Getenv("SAFECONDUCT_LOAD"); text != "" {
		var err1, err2 error
		count, err1 = strconv.Atoi(text)
		more, err2 = strconv.Atoi(os.Getenv("SAFECONDUCT_LOAD_CASES"))
		if errors.Join(err1, err2) != nil || count < 16 {
			t.Fatal("SAFECONDUCT_LOAD and SAFECONDUCT_LOAD_CASES: numbers")
		}
	}
	t.Run("sqlite", func(t *testing.T) { load(t, config.Engines{}, fileBytes(t), count, more) })
	t.Run("postgres", func(t *testing.T) {
		e := config.Engines{Database: pgtest.Start(t), Keyring: pgtest.Start(t)}
		load(t, e, serverBytes(t, e), count, more)
	})
}

const loadClients = 16

// loaded is a service under load.
type loaded struct {
	t      *testing.T
	s      *Service
	base   string
	tokens []string
	server int // the process id of a database server, if there is one
	raw    map[string]time.Duration
}

func load(t *testing.T, e config.Engines, size func(*Service) (data, keyring float64), count, more int) {
	l := startLoaded(t, e)
	l.rawParts(count)
	const people = 16 // what their first pages take does not count
	cases := l.open("", people, loadClients)
	l.screen("", cases, people, loadClients)
	l.record("", withoutNumber, cases, people, loadClients)

	data, keyring := size(l.s)
	kept := l.open("", people, loadClients)
	l.screen("", kept, people, loadClients)
	l.record("", withNumber, kept, people, loadClients)
	afterData, afterKeyring := size(l.s)
	fmt.Printf("%-44s %8.0f bytes in the database, %.0f in the keyring\n", "a case with a screening and a document",
		(afterData-data)/people, (afterKeyring-keyring)/people)

	l.all(count)
	if more > 0 {
		fmt.Printf("with %d cases:\n", more)
		l.screen("", l.open("", more, loadClients), more, loadClients)
		l.all(count)
	}
}

// all asks for each kind of thing, with one client and with many.
func (l *loaded) all(count int) {
	for _, clients := range []int{1, loadClients} {
		of := map[int]string{1: ", 1 client", loadClients: fmt.Sprintf(", %d clients", loadClients)}[clients]
		n := count
		if clients == 1 {
			n = max(4, count/8)
		}
		opened := l.open("open a case"+of, n, clients)
		signed := l.screen("attest"+of, opened, n, clients)
		l.drive("read it, with its entry"+of, clients, n, act{Method: http.MethodGet, Paths: under("/api/v1/attestations/", signed, ""), Want: 200})
		l.drive("read it again"+of, clients, n, act{Method: http.MethodGet, Paths: under("/api/v1/attestations/", signed, ""), Want: 200})
		documents := l.record("record a document"+of, withoutNumber, opened, n, clients)
		l.drive("read the document, with its entry"+of, clients, n, act{Method: http.MethodGet, Paths: under("/api/v1/documents/", documents, ""), Want: 200})
		// A document's number, and a card's code, are stretched: that is what they cost.
		few := min(n, max(1, count/64))
		l.record("record one with its number"+of, withNumber, opened, few, clients)
		l.drive("make a card"+of, clients, few, act{
			Method: http.MethodPost, Paths: under("/api/v1/cases/", opened, "/cards"), Body: `{"name":"MADE UP","nationality":"ETH"}`, Want: 201,
		})
	}
}

func (l *loaded) open(name string, n, clients int) []string {
	return l.drive(name, clients, n, act{Method: http.MethodPost, Paths: []string{"/api/v1/cases"}, Want: 201})
}

func (l *loaded) screen(name string, cases []string, n, clients int) []string {
	return l.drive(name, clients, n, act{Method: http.MethodPost, Paths: under("/api/v1/cases/", cases, "/attestations"), Body: loadScreening(l.t), Want: 201})
}

const (
	withoutNumber = `{"kind":"PASSPORT","issuing_state":"UTO","holder_names":"MADE UP","birth_date":"1990-05-01"}`
	withNumber    = `{"kind":"PASSPORT","issuing_state":"UTO","document_number":"X1234567","holder_names":"MADE UP","birth_date":"1990-05-01"}`
)

func (l *loaded) record(name, document string, cases []string, n, clients int) []string {
	return l.drive(name, clients, n, act{Method: http.MethodPost, Paths: under("/api/v1/cases/", cases, "/documents"), Body: document, Want: 201})
}

func under(before string, ids []string, behind string) (paths []string) {
	for _, id := range ids {
		paths = append(paths, before+id+behind)
	}
	return paths
}

// startLoaded founds a network of one agency and serves it.
func startLoaded(t *testing.T, e config.Engines) *loaded {
	t.Helper()
	cfg := Config{
		Dir: filepath.Join(t.TempDir(), "net"), Engines: e, WorkFactor: DemoWork, Now: time.Now, Metrics: NewMetrics(),
		Passphrase: "a passphrase for a test", Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), rate: 1e9,
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(cfg.Dir, 0o700))
	access, err := Found(t.Context(), cfg, Founding{ID: randomHex(16), Name: "Test", BaseURL: peopletest.Address, Desk: "+00 00", Demo: true})
	must(err)
	s, err := Open(t.Context(), cfg)
	must(err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	house := peopletest.Joined(t, s.People, s.Passkeys, peopletest.Origin, access.Join)
	agency := house.Agency(s.Network, roster.Agency{Name: "Lotus House", Class: "NGO", Country: "KHM", Desk: "+855 12 345 678"})
	l := &loaded{t: t, s: s, raw: map[string]time.Duration{}}
	for range loadClients {
		l.tokens = append(l.tokens, house.Token(agency, people.Supervisor))
	}
	_, err = s.Board.Publish(t.Context(), audit.Actor{ID: "service"}, false)
	must(err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(err)
	server := s.API.Listener("")
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	l.base = "http://" + listener.Addr().String()
	if e.Database != "" {
		text, err := os.ReadFile(filepath.Join(pgtest.Shared(t).Data(), "postmaster.pid"))
		must(err)
		first, _, _ := strings.Cut(string(text), "\n")
		l.server, err = strconv.Atoi(first)
		must(err)
	}
	return l
}

// rawParts measures what an act cannot do without.
func (l *loaded) rawParts(count int) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	l.must(err)
	digest := sha256.Sum256([]byte("made up"))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	l.must(err)
	identity, err := age.GenerateHybridIdentity()
	l.must(err)
	for _, part := range []struct {
		name string
		do   func()
	}{
		{"sign", func() { _, _ = ecdsa.SignASN1(rand.Reader, key, digest[:]) }},
		{"verify", func() { ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) }},
		{"encapsulate", func() {
			w, err := age.Encrypt(io.Discard, identity.Recipient())
			l.must(err)
			l.must(errors.Join(second(w.Write(make([]byte, 1000))), w.Close()))
		}},
	} {
		began := processor(l.t)
		for range count {
			part.do()
		}
		l.raw[part.name] = time.Duration((processor(l.t) - began) / float64(count) * 1e6)
		fmt.Printf("%-44s %8.3f ms\n", "raw: "+part.name, milli(l.raw[part.name]))
	}
	for _, callers := range []int{1, loadClients} {
		name := fmt.Sprintf("commit%d", callers)
		began := time.Now()
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range max(1, count/callers) {
					var challenge [32]byte
					_, _ = rand.Read(challenge[:])
					if _, err := l.s.DB.Sessions().Spend(context.Background(), challenge, time.Now().Add(time.Hour)); err != nil {
						l.t.Error(err)
					}
				}
			})
		}
		all.Wait()
		l.raw[name] = time.Since(began) / time.Duration(max(1, count/callers)*callers)
		fmt.Printf("%-44s %8.0f a second\n", fmt.Sprintf("raw: smallest change, %d callers", callers), 1/l.raw[name].Seconds())
	}
	file, err := os.Create(filepath.Join(l.t.TempDir(), "synced"))
	l.must(err)
	defer func() { _ = file.Close() }()
	began := time.Now()
	for range count {
		l.must(errors.Join(second(file.WriteAt(make([]byte, 4096), 0)), file.Sync()))
	}
	fmt.Printf("%-44s %8.3f ms\n", "raw: fsync", milli(time.Since(began)/time.Duration(count)))
}

func second(_ int, err error) error { return err }

func milli(d time.Duration) float64 { return float64(d) / 1e6 }

func (l *loaded) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// act is what is asked for: one path after the other.
type act struct {
	Method, Body string
	Paths        []string
	Want         int
}

// job is what the clients are told, and took is what they tell.
type job struct {
	act

	Base    string
	Tokens  []string
	Clients int
	Count   int
}

type took struct {
	Failed string
	IDs    []string
	Each   []time.Duration
	All    time.Duration
}

// drive has clients ask for something, says what it cost unless it has no name, and
// returns the ids of what was made.
func (l *loaded) drive(name string, clients, count int, a act) []string {
	l.t.Helper()
	encoded, err := json.Marshal(job{a, l.base, l.tokens, clients, count})
	l.must(err)
	before, server := processor(l.t), l.ofServer()
	cmd := exec.CommandContext(l.t.Context(), os.Args[0], "-test.run", "^TestLoadClients$", "-test.v")
	cmd.Env = append(os.Environ(), "SAFECONDUCT_LOAD_CLIENTS=1")
	cmd.Stdin = bytes.NewReader(encoded)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	l.must(err)
	spent, server := (processor(l.t)-before)/float64(count), (l.ofServer()-server)/float64(count)
	var done took
	_, line, _ := bytes.Cut(out, []byte("took "))
	line, _, _ = bytes.Cut(line, []byte("\n"))
	l.must(json.Unmarshal(line, &done))
	if done.Failed != "" || len(done.Each) != count {
		l.t.Fatalf("%s: %d of %d: %s", name, len(done.Each), count, done.Failed)
	}
	if name == "" {
		return done.IDs
	}
	slices.Sort(done.Each)
	text := fmt.Sprintf("%-44s %8.0f a second, %6.2f ms of processor", name, float64(count)/done.All.Seconds(), spent)
	if l.server != 0 {
		text += fmt.Sprintf(" + %.2f of the server's", server)
	}
	text += fmt.Sprintf(", p50 %.1f ms, p99 %.1f ms;", milli(done.Each[count/2]), milli(done.Each[count*99/100]))
	for _, part := range []string{"sign", "verify", "encapsulate"} {
		text += fmt.Sprintf(" %.1f %s,", spent/milli(l.raw[part]), part)
	}
	one := l.raw["commit1"]
	if clients > 1 {
		one = l.raw[fmt.Sprintf("commit%d", loadClients)]
	}
	fmt.Printf("%s %.2f of the smallest changes\n", text, one.Seconds()*float64(count)/done.All.Seconds())
	return done.IDs
}

// ofServer is the processor time of the database server's processes, in milliseconds.
func (l *loaded) ofServer() (spent float64) {
	if l.server == 0 {
		return 0
	}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	l.must(err)
	for _, one := range all {
		text, err := os.ReadFile(one)
		if err != nil {
			continue // it has ended
		}
		// proc_pid_stat(5): behind the name, state and the parent; 11 further on, the times.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if fields[1] != strconv.Itoa(l.server) {
			continue
		}
		for _, at := range []int{11, 12} {
			ticks, err := strconv.ParseFloat(fields[at], 64)
			l.must(err)
			spent += ticks * 10 // 100 a second
		}
	}
	return spent
}

// TestLoadClients is the clients of TestLoad, in a process of their own.
func TestLoadClients(t *testing.T) {
	if os.Getenv("SAFECONDUCT_LOAD_CLIENTS") == "" {
		t.Skip("TestLoad starts this")
	}
	var j job
	if err := json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&j); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: j.Clients}}
	var next atomic.Int64
	var mu sync.Mutex
	var done took
	began := time.Now()
	var all sync.WaitGroup
	for range j.Clients {
		all.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= j.Count {
					return
				}
				started := time.Now()
				id, err := j.ask(t.Context(), client, n)
				d := time.Since(started)
				mu.Lock()
				if err != nil {
					done.Failed = err.Error()
				} else {
					done.IDs, done.Each = append(done.IDs, id), append(done.Each, d)
				}
				stop := done.Failed != ""
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	all.Wait()
	done.All = time.Since(began)
	encoded, err := json.Marshal(done)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("took %s\n", encoded)
}

func (j *job) ask(ctx context.Context, client *http.Client, n int) (id string, err error) {
	var body io.Reader
	if j.Body != "" {
		body = strings.NewReader(j.Body)
	}
	r, err := http.NewRequestWithContext(ctx, j.Method, j.Base+j.Paths[n%len(j.Paths)], body)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+j.Tokens[n%len(j.Tokens)])
	if j.Method == http.MethodPost {
		r.Header.Set("Idempotency-Key", randomHex(16))
	}
	if j.Body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode != j.Want {
		return "", fmt.Errorf("%d: %s", answer.StatusCode, text)
	}
	var made struct{ ID string }
	err = json.Unmarshal(text, &made)
	return made.ID, err
}

func loadScreening(t *testing.T) string {
	t.Helper()
	today := claims.NewDay(time.Now())
	encoded, err := claims.Encode(&claims.Screening{
		TraffickingStatus: claims.StatusPossible, DecisionLevel: "preliminary_screening",
		AuthorityClass: "NGO", StandardOfEvidence: "suspicion_indicators", Confidence: "medium", Tool: "ILO_EC_2009",
		Act: []string{"recruitment"}, Means: []string{"deception"}, Purpose: []string{"ForcedLabour"},
		MinorAtTime: "no",
		Interview: &claims.Interview{
			Date: today, PlaceCountry: "KHM", Mode: "in_person", Language: "amh", Interpreter: true,
			InterpreterKind: "vetted", InterviewerOrgRole: "NGO", Alone: "yes", PlaceKind: "shelter",
		},
		Consent: &claims.Consent{
			Interview: true, Purpose: true, Use: true, RightToRequestData: true, StorageDuration: true, HowToWithdraw: true,
			GivenOn: today, ReceiptLanguage: "amh", Method: "signature", ShareScope: claims.Values("share_scope"), TransferToState: []string{"ETH", "THA"},
			Controller: private.New("Lotus (made up)"), LawfulBasis: "consent", Circumstance: "free",
			SafeIfStateKnows: "yes", MissionMayBeContacted: true,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"kind": claims.KindScreening, "claims": json.RawMessage(encoded)})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
