package keystore_test

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/storetest"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/vault"
)

// Keys is what three rooms of the domain ask for.
var (
	_ credentials.Keys = keystore.Keys{}
	_ network.Keys     = keystore.Keys{}
	_ vault.KeyKeeper  = keystore.Keys{}
)

// TestThroughASocket has every keystore's suite pass with a socket between the
// rooms and the keys, over which nothing goes but lines of JSON: the Store could
// be another process.
func TestThroughASocket(t *testing.T) {
	storetest.Keys(t, func(t *testing.T) storetest.OpenKeys {
		cfg := keyfile.Config{Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}
		file, err := keyfile.Create(t.Context(), cfg, "example.org/log")
		if err != nil {
			t.Fatal(err)
		}
		return storetest.OpenKeys{
			Keystore: keystore.New(socketTo(t, file)), NoKey: keystore.ErrNoKey, Wrapped: keystore.ErrWrapped,
			Again: func(t *testing.T) storetest.Keystore {
				again, err := keyfile.Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				return keystore.New(socketTo(t, again))
			},
		}
	})
}

// TestLyingStore: what a Store answers is believed only as far as it can be
// checked.
func TestLyingStore(t *testing.T) {
	file, err := keyfile.Create(t.Context(), keyfile.Config{Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "made up for a test", WorkFactor: 2}, "example.org/log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.NewAgency(t.Context(), "aa01"); err != nil {
		t.Fatal(err)
	}
	if _, err := file.NewAgency(t.Context(), "aa02"); err != nil {
		t.Fatal(err)
	}
	for what, lie := range map[string]keystore.Store{
		"another key's signature":  otherSignatures{file},
		"no signature at all":      noSignatures{file},
		"a key under another's id": otherKeys{file},
	} {
		_, key, err := keystore.New(lie).Signer(t.Context(), "aa01")
		if err == nil {
			_, err = key.Sign(nil, make([]byte, 32), crypto.SHA256)
		}
		if !errors.Is(err, trouble.ErrWrongAnswer) {
			t.Errorf("%s: %v, want ErrWrongAnswer", what, err)
		}
	}
	signer, err := keystore.New(otherSignatures{file}).LogSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign([]byte("example.org/log\n1\nAAAA\n")); !errors.Is(err, trouble.ErrWrongAnswer) {
		t.Errorf("the log: %v, want ErrWrongAnswer", err)
	}
}

type otherSignatures struct{ keystore.Store }

func (s otherSignatures) Sign(ctx context.Context, _ keystore.Use, _ string, digests [][]byte) ([][]byte, error) {
	p, err := s.Public(ctx, keystore.Agency("aa02"))
	if err != nil {
		return nil, err
	}
	return s.Store.Sign(ctx, keystore.Agency("aa02"), p.KeyID, digests)
}

func (s otherSignatures) SignLog(ctx context.Context, text []byte) ([]byte, error) {
	return s.Store.SignLog(ctx, append(text, '\n'))
}

type noSignatures struct{ keystore.Store }

func (noSignatures) Sign(context.Context, keystore.Use, string, [][]byte) ([][]byte, error) {
	return nil, nil
}

type otherKeys struct{ keystore.Store }

func (s otherKeys) Public(ctx context.Context, use keystore.Use) (keystore.Public, error) {
	p, err := s.Store.Public(ctx, use)
	other, err2 := s.Store.Public(ctx, keystore.Agency("aa02"))
	p.DER = other.DER
	return p, errors.Join(err, err2)
}

// socket is a Store at the other end of a connection.
type socket struct {
	mu   sync.Mutex // one question at a time
	conn net.Conn
	from *bufio.Reader
}

// question is all that can be asked, and answer all that can come back.
type question struct {
	Ask            string
	Use            keystore.Use
	KeyID          string
	Digests        [][]byte
	Agency, Record string
	Label, Network string
	Epoch          uint32
	Data           []byte
}

type answer struct {
	Public  keystore.Public
	Many    [][]byte
	Data    []byte
	Text    string
	Number  uint64
	Trouble string // a word for what went wrong, "" if nothing did
}

// troubles are what can go wrong, by the words that go over the line.
var troubles = map[string]error{
	"no key": keystore.ErrNoKey, "wrapped": keystore.ErrWrapped, "unavailable": trouble.ErrKeystore, "wrong answer": trouble.ErrWrongAnswer,
}

// socketTo puts a connection between a Store and whoever uses what it returns.
func socketTo(t *testing.T, store keystore.Store) keystore.Store {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	go func() {
		lines := bufio.NewReader(theirs)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				return // the test is over
			}
			var q question
			if err := json.Unmarshal(line, &q); err != nil {
				return
			}
			a := reply(context.Background(), store, q)
			data, err := json.Marshal(a)
			if err != nil {
				return
			}
			if _, err := theirs.Write(append(data, '\n')); err != nil {
				return
			}
		}
	}()
	return &socket{conn: ours, from: bufio.NewReader(ours)}
}

// reply does what is asked, at the end where the keys are.
func reply(ctx context.Context, s keystore.Store, q question) (a answer) {
	var err error
	switch q.Ask {
	case "public":
		a.Public, err = s.Public(ctx, q.Use)
	case "sign":
		a.Many, err = s.Sign(ctx, q.Use, q.KeyID, q.Digests)
	case "log key":
		a.Text, err = s.LogKey(ctx)
	case "sign log":
		a.Data, err = s.SignLog(ctx, q.Data)
	case "sign derived":
		a.Data, err = s.SignDerived(ctx, q.Label, q.Network, q.Data)
	case "derived key":
		a.Data, err = s.DerivedKey(ctx, q.Label, q.Network)
	case "new agency":
		a.Public, err = s.NewAgency(ctx, q.Agency)
	case "rotate agency":
		a.Public, err = s.RotateAgency(ctx, q.Agency)
	case "wrap":
		a.Data, err = s.Wrap(ctx, q.Agency, q.Record, q.Data)
	case "unwrap":
		a.Data, err = s.Unwrap(ctx, q.Agency, q.Record, q.Data)
	case "wrap epoch":
		a.Data, err = s.WrapEpoch(ctx, q.Epoch, q.Data)
	case "unwrap epoch":
		a.Data, err = s.UnwrapEpoch(ctx, q.Epoch, q.Data)
	case "mac":
		a.Data, err = s.MAC(ctx, q.Label, q.Data)
	case "generation":
		a.Number, err = s.Generation(ctx)
	default:
		err = errors.New("nobody asks that")
	}
	if err != nil {
		a = answer{Trouble: "other"}
		for word, is := range troubles {
			if errors.Is(err, is) {
				a.Trouble = word
			}
		}
	}
	return a
}

func (s *socket) ask(q question) (a answer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	if _, err := s.conn.Write(append(data, '\n')); err != nil {
		return a, fmt.Errorf("%w: %w", trouble.ErrKeystore, err)
	}
	line, err := s.from.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("%w: %w", trouble.ErrKeystore, err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, trouble.ErrWrongAnswer
	}
	switch known := troubles[a.Trouble]; {
	case a.Trouble == "":
		return a, nil
	case known != nil:
		return answer{}, fmt.Errorf("over the line: %w", known)
	default:
		return answer{}, errors.New("over the line: it did not work")
	}
}

func (s *socket) Public(_ context.Context, use keystore.Use) (keystore.Public, error) {
	a, err := s.ask(question{Ask: "public", Use: use})
	return a.Public, err
}

func (s *socket) Sign(_ context.Context, use keystore.Use, kid string, digests [][]byte) ([][]byte, error) {
	a, err := s.ask(question{Ask: "sign", Use: use, KeyID: kid, Digests: digests})
	return a.Many, err
}

func (s *socket) LogKey(context.Context) (string, error) {
	a, err := s.ask(question{Ask: "log key"})
	return a.Text, err
}

func (s *socket) SignLog(_ context.Context, text []byte) ([]byte, error) {
	a, err := s.ask(question{Ask: "sign log", Data: text})
	return a.Data, err
}

func (s *socket) SignDerived(_ context.Context, label, network string, data []byte) ([]byte, error) {
	a, err := s.ask(question{Ask: "sign derived", Label: label, Network: network, Data: data})
	return a.Data, err
}

func (s *socket) DerivedKey(_ context.Context, label, network string) (ed25519.PublicKey, error) {
	a, err := s.ask(question{Ask: "derived key", Label: label, Network: network})
	return a.Data, err
}

func (s *socket) NewAgency(_ context.Context, agency string) (keystore.Public, error) {
	a, err := s.ask(question{Ask: "new agency", Agency: agency})
	return a.Public, err
}

func (s *socket) RotateAgency(_ context.Context, agency string) (keystore.Public, error) {
	a, err := s.ask(question{Ask: "rotate agency", Agency: agency})
	return a.Public, err
}

func (s *socket) Wrap(_ context.Context, agency, record string, fileKey []byte) ([]byte, error) {
	a, err := s.ask(question{Ask: "wrap", Agency: agency, Record: record, Data: fileKey})
	return a.Data, err
}

func (s *socket) Unwrap(_ context.Context, agency, record string, wrapped []byte) ([]byte, error) {
	a, err := s.ask(question{Ask: "unwrap", Agency: agency, Record: record, Data: wrapped})
	return a.Data, err
}

func (s *socket) WrapEpoch(_ context.Context, epoch uint32, plain []byte) ([]byte, error) {
	a, err := s.ask(question{Ask: "wrap epoch", Epoch: epoch, Data: plain})
	return a.Data, err
}

func (s *socket) UnwrapEpoch(_ context.Context, epoch uint32, wrapped []byte) ([]byte, error) {
	a, err := s.ask(question{Ask: "unwrap epoch", Epoch: epoch, Data: wrapped})
	return a.Data, err
}

func (s *socket) MAC(_ context.Context, label string, data []byte) ([]byte, error) {
	a, err := s.ask(question{Ask: "mac", Label: label, Data: data})
	return a.Data, err
}

func (s *socket) Generation(context.Context) (uint64, error) {
	a, err := s.ask(question{Ask: "generation"})
	return a.Number, err
}
