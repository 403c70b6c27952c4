//go:build unix

package enginetest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/vaulttest"
)

// load is what clients do, and what they were told.
type load struct {
	t         *testing.T
	client    *http.Client
	addresses []string
	token     string
	cases     []string
	card      struct{ ID, Digits, Code string } // one that readers judge
	halted    chan struct{}
	workers   sync.WaitGroup

	mu                          sync.Mutex
	issued                      map[string]string // attestations, by key and case of the request
	unsettled                   []string          // requests whose answer nobody waited for, likewise
	withdrawn                   map[string]bool
	cards, lostCards, overQuota int
	answers                     map[string]int // what clients saw, by status and code
	longest                     time.Duration  // from the first try to the answer
	readCount, readFailures     int
	readError                   string
}

func newLoad(t *testing.T) *load {
	t.Helper()
	return &load{
		t: t, halted: make(chan struct{}), issued: map[string]string{}, withdrawn: map[string]bool{}, answers: map[string]int{},
		client: &http.Client{Timeout: 25 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
	}
}

// run starts five clients that change things and one that reads.
func (l *load) run() {
	for range 5 {
		l.workers.Go(func() {
			var mine []string
			for !l.isHalted() {
				switch n := rand.IntN(100); {
				case n < 4:
					l.makeCard()
				case n < 25 && len(mine) > 0:
					l.withdraw(mine[0])
					mine = mine[1:]
				default:
					if id := l.attest(); id != "" {
						mine = append(mine, id)
					}
				}
				time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
			}
		})
	}
	l.workers.Go(func() {
		for !l.isHalted() {
			l.read()
		}
	})
}

func (l *load) isHalted() bool {
	select {
	case <-l.halted:
		return true
	default:
		return false
	}
}

// halt lets every client finish what it began.
func (l *load) halt() {
	close(l.halted)
	l.workers.Wait()
}

func (l *load) anyCase() string { return l.cases[rand.IntN(len(l.cases))] }

func (l *load) attest() string {
	key, caseID := randomHex(16), l.anyCase()
	var made struct{ ID string }
	if _, err := l.ask(l.t.Context(), "", l.token, "POST", "/api/v1/cases/"+caseID+"/attestations", crashClaims, key, &made); err != nil {
		l.t.Errorf("issue: %v", err)
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.issued[key+" "+caseID] = made.ID
	return made.ID
}

// tryIssue tries once, and tells what was answered.
func (l *load) tryIssue(address string) (id string, status int, code string) {
	key, caseID := randomHex(16), l.anyCase()
	status, body, err := l.fetch(l.t.Context(), "POST", address, "/api/v1/cases/"+caseID+"/attestations", crashClaims, key, l.token)
	var answer struct{ ID, Code string }
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || status != http.StatusCreated {
		l.unsettled = append(l.unsettled, key+" "+caseID)
		return "", status, answer.Code
	}
	l.issued[key+" "+caseID] = answer.ID
	return answer.ID, status, ""
}

// settle asks again, with their keys, for everything whose answer nobody waited
// for: it was done or not, and is done now, once.
func (l *load) settle() {
	l.t.Helper()
	for _, request := range l.unsettled {
		key, caseID, _ := strings.Cut(request, " ")
		var made struct{ ID string }
		if _, err := l.ask(l.t.Context(), "", l.token, "POST", "/api/v1/cases/"+caseID+"/attestations", crashClaims, key, &made); err != nil {
			l.t.Errorf("issue: %v", err)
			continue
		}
		l.issued[request] = made.ID
		time.Sleep(5 * time.Millisecond)
	}
}

func (l *load) withdraw(id string) {
	_, err := l.ask(l.t.Context(), "", l.token, "POST", "/api/v1/attestations/"+id+"/status", `{"action":"withdraw","reason":"other"}`, randomHex(16), nil)
	if err != nil {
		l.t.Errorf("withdraw: %v", err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.withdrawn[id] = true
}

// makeCard counts a card whose answer got lost: its code is shown once.
func (l *load) makeCard() {
	status, err := l.ask(l.t.Context(), "", l.token, "POST", "/api/v1/cases/"+l.anyCase()+"/cards", `{"name":"MADE UP"}`, randomHex(16), nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.cards++
	case status == http.StatusConflict:
		l.lostCards++
	case status == http.StatusTooManyRequests: // an agency in its first month
		l.overQuota++
	default:
		l.t.Errorf("make a card: %v", err)
	}
}

// repeat sends requests again that were answered, with their keys: the answers
// are the same.
func (l *load) repeat(most int) {
	l.t.Helper()
	again := 0
	for request, id := range maps.Clone(l.issued) {
		key, caseID, _ := strings.Cut(request, " ")
		if again++; again > most {
			break
		}
		var made struct{ ID string }
		if _, err := l.ask(l.t.Context(), "", l.token, "POST", "/api/v1/cases/"+caseID+"/attestations", crashClaims, key, &made); err != nil || made.ID != id {
			l.t.Errorf("the same request again made another attestation: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// patience is how long a client goes on asking.
const patience = 4 * time.Minute

// ask sends one request until it is answered, to one replica after the other
// unless one is named, always with the same key.
func (l *load) ask(ctx context.Context, address, token, method, path, body, key string, into any) (int, error) {
	began := time.Now()
	for try := rand.IntN(2); time.Since(began) < patience; try++ {
		to := address
		if to == "" {
			to = l.addresses[try%len(l.addresses)]
		}
		status, answer, err := l.fetch(ctx, method, to, path, body, key, token)
		var problem struct{ Code string }
		if err == nil && status >= http.StatusBadRequest {
			_ = json.Unmarshal(answer, &problem)
		}
		l.note(status, problem.Code, err)
		switch {
		case err != nil, status == http.StatusServiceUnavailable, status == http.StatusTooManyRequests, problem.Code == "in_progress":
			time.Sleep(time.Duration(100+rand.IntN(100)) * time.Millisecond)
			continue
		case status >= http.StatusBadRequest:
			return status, fmt.Errorf("%d %s", status, answer)
		}
		l.mu.Lock()
		l.longest = max(l.longest, time.Since(began))
		l.mu.Unlock()
		if into == nil {
			return status, nil
		}
		return status, json.Unmarshal(answer, into)
	}
	return 0, errNotAnswered
}

func (l *load) note(status int, code string, err error) {
	what := fmt.Sprintf("%d %s", status, code)
	if err != nil {
		what = "no answer"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[what]++
}

// fetch sends one request once.
func (l *load) fetch(ctx context.Context, method, address, path, body, key, token string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return resp.StatusCode, data, err
}

// read judges a card at one replica and reads public files at another.
func (l *load) read() {
	for _, path := range []string{"/trust-list", "/status-lists/0", "/answers-lists/0", "/pack", "/log/checkpoint", ""} {
		address := l.addresses[rand.IntN(len(l.addresses))]
		var status int
		var body []byte
		var err error
		var good bool
		if path == "" {
			status, body, err = l.fetch(l.t.Context(), "POST", address, "/api/v1/verifications", `{"digits":"`+l.card.Digits+`","code":"`+l.card.Code+`"}`, randomHex(16), l.token)
			good = bytes.Contains(body, []byte(`"state":"unconfirmed"`)) || bytes.Contains(body, []byte(`"state":"confirmed"`))
		} else {
			status, body, err = l.fetch(l.t.Context(), "GET", address, path, "", "", "")
			good = len(body) > 0
		}
		l.mu.Lock()
		l.readCount++
		if err != nil || status != http.StatusOK || !good {
			l.readFailures++
			l.readError = fmt.Sprintf("%s %d %.200s %v", path, status, body, err)
		}
		l.mu.Unlock()
		time.Sleep(30 * time.Millisecond)
	}
}

func (l *load) reads() (all, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.readCount, l.readFailures
}

func (l *load) lastReadError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.readError
}

// liar stands between the replicas and the Vault.
type liar struct {
	url    string
	manner atomic.Int32

	mu   sync.Mutex
	made map[[32]byte]bool // inputs that it had signed in place of others
}

// manners of a liar.
const (
	honestly = iota
	slowly   // everything takes 30 s
	lying    // signatures are made for another input
)

func newLiar(t *testing.T, vault *vaulttest.Server) *liar {
	t.Helper()
	target, err := url.Parse(vault.Address)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(vault.CACert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	l := &liar{made: map[[32]byte]bool{}}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = target.Host },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, MaxIdleConnsPerHost: 64},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch l.manner.Load() {
		case slowly:
			select {
			case <-r.Context().Done():
				return
			case <-time.After(30 * time.Second):
			}
		case lying:
			if strings.Contains(r.URL.Path, "/sign/") {
				l.lie(r)
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // some wait for half a minute
	l.url = server.URL
	return l
}

func (l *liar) set(manner int32) { l.manner.Store(manner) }

// lie puts another input into a request for a signature.
func (l *liar) lie(r *http.Request) {
	var body map[string]any
	data, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if json.Unmarshal(data, &body) == nil {
		other := sha256.Sum256([]byte(randomHex(16)))
		l.mu.Lock()
		l.made[other] = true
		l.mu.Unlock()
		if batch, ok := body["batch_input"].([]any); ok {
			for _, one := range batch {
				if one, ok := one.(map[string]any); ok {
					one["input"] = base64.StdEncoding.EncodeToString(other[:])
				}
			}
		} else {
			body["input"] = base64.StdEncoding.EncodeToString(other[:])
		}
		data, _ = json.Marshal(body)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
}

func (l *liar) lies() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.made)
}

// forged are the inputs that were never ours.
func (l *liar) forged() map[[32]byte]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.made)
}
