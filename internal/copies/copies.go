// Package copies writes a holder's own copy of what is kept about her: one age file that
// ordinary tools open, with her papers, what was said about her in its signed form, the
// history, a page that says what is what, and all that it takes to check the signed
// parts without us (docs/copy.md). It holds one page at a time in memory and puts nothing
// on a disk. It leaves to others who may have one, telling her code, files, and HTTP.
package copies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// ErrBusy says that as many copies are being made as may be at once. Nothing was
// written down.
var ErrBusy = errors.New("copies: too many copies at once")

// Board is what a network has put up for everybody.
type Board interface {
	Lists(ctx context.Context) (verifier.Lists, error)
	Tokens(ctx context.Context, list uint16) (status, answers string, err error)
}

// Config is what a Maker needs. All fields but Now are required.
type Config struct {
	Vault   *vault.Vault
	Issuer  *credentials.Issuer
	Network *network.Network
	Board   Board
	Log     fs.FS // the log's public files

	Now func() time.Time // nil means time.Now
}

// Maker makes copies. It is safe for use by many goroutines.
type Maker struct {
	cfg   Config
	seats chan struct{}
}

// How many copies are made at once, and how long one more waits for its turn: a
// passphrase costs 64 MiB while it is stretched, and a page lies whole in memory.
const (
	atOnce   = 2
	patience = 5 * time.Second
)

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Maker, error) {
	if cfg.Vault == nil || cfg.Issuer == nil || cfg.Network == nil || cfg.Board == nil || cfg.Log == nil {
		return nil, errors.New("copies: needs Vault, Issuer, Network, Board and Log")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Maker{cfg: cfg, seats: make(chan struct{}, atOnce)}, nil
}

// Order asks for a copy.
type Order struct {
	Case string
	To   Recipient
	// Language is the one that the page is in, beside English; of one that there is no
	// catalogue of, it is in English alone.
	Language string
}

// Copy is a copy that may be written, once. That it is made is in the holder's history.
type Copy struct {
	cfg   Config
	by    audit.Actor
	order Order
	of    *vault.Copy
	proof proof
	made  time.Time
	free  func()
}

// AtDesk begins a copy for a holder who gave number and code of her card at a desk of the
// agency that keeps her case. credentials.ErrCode if they are not those of a card of hers
// in use; she sees the try. The caller calls Write or Close.
func (m *Maker) AtDesk(ctx context.Context, by audit.Actor, o Order, number, code private.String) (*Copy, error) {
	if _, err := m.cfg.Vault.Case(ctx, by, o.Case); err != nil {
		return nil, err
	}
	proof, err := m.cfg.Issuer.Prove(ctx, by, o.Case, number, code, nil)
	if errors.Is(err, credentials.ErrCode) {
		if said := m.cfg.Vault.RefuseCopy(ctx, by, o.Case); said != nil {
			return nil, said
		}
	}
	if err != nil {
		return nil, err
	}
	return m.begin(ctx, by, o, vault.Handover{Card: string(proof.Card), To: o.To.kind})
}

// AtConsole begins a copy for whoever has the folder of the network and the passphrase of
// its keys. Nobody is asked for a code; the history says so. o.Case may be any record of
// the case.
func (m *Maker) AtConsole(ctx context.Context, o Order) (*Copy, error) {
	caseID, agency, err := m.cfg.Vault.Keeper(ctx, o.Case)
	if err != nil {
		return nil, err
	}
	o.Case = caseID
	by := audit.Actor{ID: "console", Agency: agency, Role: "console"}
	return m.begin(ctx, by, o, vault.Handover{Console: true, To: o.To.kind})
}

// begin gathers what can go wrong before it writes down that a copy is made.
func (m *Maker) begin(ctx context.Context, by audit.Actor, o Order, h vault.Handover) (_ *Copy, err error) {
	free, err := m.sit(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			free()
		}
	}()
	p, err := m.prove(ctx)
	if err != nil {
		return nil, err
	}
	of, err := m.cfg.Vault.Copy(ctx, by, o.Case, h)
	if err != nil {
		return nil, err
	}
	return &Copy{cfg: m.cfg, by: by, order: o, of: of, proof: p, made: m.cfg.Now().UTC(), free: free}, nil
}

// sit waits for a seat, and returns how to leave it.
func (m *Maker) sit(ctx context.Context) (free func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case m.seats <- struct{}{}:
		return sync.OnceFunc(func() { <-m.seats }), nil
	case <-ctx.Done():
		return nil, ErrBusy
	}
}

// Close gives the seat of a copy back that is not written.
func (c *Copy) Close() { c.free() }

// proof is what it takes to check a copy without us, as it was when the copy was begun.
type proof struct {
	root   json.RawMessage // of the network, a JWK
	lists  verifier.Lists  // with the trust list
	logKey string
	log    *audit.Prover
}

func (m *Maker) prove(ctx context.Context) (p proof, err error) {
	if p.root, err = m.cfg.Network.RootKey(ctx); err != nil {
		return p, err
	}
	if p.lists, err = m.cfg.Board.Lists(ctx); err != nil {
		return p, err
	}
	logKeys, err := logKeysOf(p.lists.TrustList)
	if err != nil {
		return p, err
	}
	for _, key := range logKeys {
		p.logKey = key
		if p.log, err = audit.NewProver(m.cfg.Log, key); !errors.Is(err, audit.ErrCheckpoint) {
			break // it is this one, or nothing can be read
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		p.log, err = nil, nil // the log has published nothing yet: every entry waits
	}
	if err != nil {
		return p, fmt.Errorf("copies: read the log: %w", err)
	}
	return p, nil
}

// logKeysOf are the keys that a trust list names for the log. Whoever checks a copy finds
// them there, too.
func logKeysOf(trustList string) (keys []string, err error) {
	m, err := jws.Parse(trustList, verifier.MaxTrustList, verifier.TypeTrustList)
	if err != nil {
		return nil, fmt.Errorf("copies: read the trust list: %w", err)
	}
	var list verifier.TrustList
	if err := json.Unmarshal(m.Unverified(), &list); err != nil {
		return nil, fmt.Errorf("copies: read the trust list: %w", err)
	}
	for _, k := range list.Keys {
		if k.Use == verifier.UseLog {
			keys = append(keys, k.Note)
		}
	}
	return keys, nil
}

// Made counts what a copy holds.
type Made struct {
	Case         string `json:"case"`
	Documents    int    `json:"documents"`
	Pages        int    `json:"pages"`
	Attestations int    `json:"attestations"`
	Cards        int    `json:"cards"`
	History      int    `json:"history"`
	Waiting      int    `json:"waiting"` // entries of the history that are not in the log yet
}

// Write writes the copy, encrypted. What w has after an error opens for nobody to its
// end: age's last chunk is missing.
func (c *Copy) Write(ctx context.Context, w io.Writer) (Made, error) {
	defer c.free()
	a, err := newArchive(w, c.order.To, c.made)
	if err != nil {
		return Made{}, err
	}
	k := &keeping{Copy: c, ctx: ctx, out: a, counts: Made{Case: c.order.Case}, agencies: map[string]Agency{}, lists: map[uint16]bool{}}
	if err := k.all(); err != nil {
		return Made{}, fmt.Errorf("copies: write a copy: %w", err)
	}
	return k.counts, nil
}
