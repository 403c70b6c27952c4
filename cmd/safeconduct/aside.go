package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// aside is a folder for what must outlive the databases: which cases were
// erased, and what was published last. It belongs on another disk or machine
// than they do. Nothing in it is secret but the journal's random ids, and
// nothing in it is about anybody.
//
// An erasure is not begun, and a pack is not shown to anybody, before it is
// written here. So the newest journal in it is complete, and a journal that is
// older than a pack that somebody holds is known for an old one:
// docs/decisions/0022-erasures-after-restore.md.
type aside struct {
	dir     string
	network string
	keys    keystore
	// state reads what the database says now: the number of the last pack, and
	// then the erasures.
	state func(ctx context.Context) (sequence uint64, erasures []vault.Erasure, err error)
	now   func() time.Time

	mu sync.Mutex
}

// Names in the folder, and of the folder where no other was named.
const (
	asideName      = "aside"
	journalName    = "erasures.json"
	publicPackName = "pack.json"
	headName       = "checkpoint"
)

// What the two keys that sign for a restore are derived for. Each has one use;
// they come from the keystore's keyed hash, so that no keystore needs another
// kind of key.
const (
	labelJournal = "safeconduct/erasure-journal/1"
	labelBackup  = "safeconduct/backup-manifest/1"
)

// signingKey derives the key for one use.
func signingKey(ctx context.Context, keys keystore, label, network string) (ed25519.PrivateKey, error) {
	seed, err := keys.MAC(ctx, label, []byte(network))
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, errors.New("the keystore's keyed hash has another length")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// signed is what a signature covers: the label separates the uses, also for
// whoever only has the public halves.
func signed(label string, data []byte) []byte { return append([]byte(label+"\n"), data...) }

// journal is the erasure journal as it leaves the house. It holds ids only.
type journal struct {
	Network string `json:"network"`
	// Sequence is the number of the newest pack when it was written: it holds
	// every erasure from before that pack was shown.
	Sequence uint64         `json:"pack_sequence"`
	Made     time.Time      `json:"made"`
	Erasures []journalEntry `json:"erasures"`
}

type journalEntry struct {
	Case    string   `json:"case"`
	Agency  string   `json:"agency"`
	Records []string `json:"records"`
	Day     string   `json:"day"`
	MAC     []byte   `json:"mac"`
}

// maxJournal bounds a journal in bytes, some hundred thousand erasures.
const maxJournal = 128 << 20

// errJournal says that a journal cannot be believed.
var errJournal = errors.New("the erasure journal is damaged, or not of this network")

// marshal signs a journal: a line with the signature, and the journal.
func (j journal) marshal(ctx context.Context, keys keystore) ([]byte, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	key, err := signingKey(ctx, keys, labelJournal, j.Network)
	if err != nil {
		return nil, err
	}
	line := base64.StdEncoding.EncodeToString(ed25519.Sign(key, signed(labelJournal, data)))
	return append([]byte(line+"\n"), append(data, '\n')...), nil
}

// parseJournal reads what marshal wrote.
func parseJournal(ctx context.Context, keys keystore, network string, data []byte) (journal, error) {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	signature, err := base64.StdEncoding.Strict().DecodeString(string(line))
	if !ok || err != nil || len(data) > maxJournal || !bytes.HasSuffix(rest, []byte("\n")) {
		return journal{}, errJournal
	}
	rest = bytes.TrimSuffix(rest, []byte("\n"))
	key, err := signingKey(ctx, keys, labelJournal, network)
	if err != nil {
		return journal{}, err
	}
	if !ed25519.Verify(key.Public().(ed25519.PublicKey), signed(labelJournal, rest), signature) { //nolint:forcetypeassert // ed25519's own
		return journal{}, errJournal
	}
	var j journal
	if err := strictjson.Unmarshal(rest, strictjson.Limits{Size: maxJournal}, &j); err != nil || j.Network != network {
		return journal{}, errJournal
	}
	return j, nil
}

// erasures are the journal's entries as the vault knows them.
func (j journal) erasures() ([]vault.Erasure, error) {
	all := make([]vault.Erasure, len(j.Erasures))
	for i, e := range j.Erasures {
		day, err := time.Parse(time.DateOnly, e.Day)
		if err != nil {
			return nil, errJournal
		}
		all[i] = vault.Erasure{Case: e.Case, Agency: e.Agency, Records: e.Records, Day: day, MAC: e.MAC}
	}
	return all, nil
}

// journal reads the database.
func (a *aside) journal(ctx context.Context) (journal, error) {
	sequence, erasures, err := a.state(ctx)
	if err != nil {
		return journal{}, err
	}
	j := journal{Network: a.network, Sequence: sequence, Made: a.now().UTC().Truncate(time.Second), Erasures: []journalEntry{}}
	for _, e := range erasures {
		j.Erasures = append(j.Erasures, journalEntry{e.Case, e.Agency, e.Records, e.Day.UTC().Format(time.DateOnly), e.MAC})
	}
	return j, nil
}

// keepJournal writes the journal as the database has it. It only grows: what it
// knows and the database does not, because that is an older copy, stays in it.
func (a *aside) keepJournal(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	unlock, err := waitFolder(ctx, a.dir)
	if err != nil {
		return err
	}
	defer func() { _ = unlock() }()
	j, err := a.journal(ctx)
	if err != nil {
		return err
	}
	before, err := a.read(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(j.Erasures))
	for _, e := range j.Erasures {
		known[e.Case] = true
	}
	for _, e := range before.Erasures {
		if !known[e.Case] {
			j.Erasures = append(j.Erasures, e)
		}
	}
	j.Sequence = max(j.Sequence, before.Sequence)
	data, err := j.marshal(ctx, a.keys)
	if err != nil {
		return err
	}
	return a.put(journalName, data)
}

// read returns the journal in the folder, an empty one if there is none.
func (a *aside) read(ctx context.Context) (journal, error) {
	data, err := readBounded(filepath.Join(a.dir, journalName), maxJournal)
	if errors.Is(err, os.ErrNotExist) {
		return journal{}, nil
	}
	if err != nil {
		return journal{}, err
	}
	return parseJournal(ctx, a.keys, a.network, data)
}

// keepPack writes what is about to be published. The journal comes first, so
// that it is never older than a pack.
func (a *aside) keepPack(ctx context.Context, lists verifier.Lists) error {
	if err := a.keepJournal(ctx); err != nil {
		return fmt.Errorf("keep the erasure journal: %w", err)
	}
	data, err := json.Marshal(lists)
	if err != nil {
		return err
	}
	return a.put(publicPackName, data)
}

// keepHead writes the log's newest checkpoint.
func (a *aside) keepHead(checkpoint []byte) error { return a.put(headName, checkpoint) }

func (a *aside) put(name string, data []byte) error {
	if err := writeFile(filepath.Join(a.dir, name), data); err != nil {
		return err
	}
	d, err := os.Open(a.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// waitFolder takes a folder as lockFolder does, and waits for it.
func waitFolder(ctx context.Context, dir string) (unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		unlock, err = lockFolder(dir)
		if !errors.Is(err, errInUse) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// there reports why the folder cannot be used.
func (a *aside) there() error {
	if info, err := os.Stat(a.dir); err != nil || !info.IsDir() {
		return errors.Join(errors.New("the aside folder is not there; is its disk mounted?"), err)
	}
	return nil
}

// openAside finds the folder, and makes the one that lies in the network's own.
func (h *house) openAside(network string) error {
	dir := h.cfg.engines.aside(h.cfg.dir)
	if h.cfg.engines.Aside == "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := (&aside{dir: dir}).there(); err != nil {
		return err
	}
	h.aside = &aside{
		dir: dir, network: network, keys: h.keys, now: h.cfg.now,
		state: func(ctx context.Context) (uint64, []vault.Erasure, error) {
			// In this order: what is erased later is in a later journal.
			sequence, err := h.db.Network().PackSequence(ctx)
			if err != nil {
				return 0, nil, err
			}
			erasures, err := h.db.Vault().Erasures(ctx)
			return sequence, erasures, err
		},
	}
	return nil
}

// settleErasures carries out what the aside folder knows to be erased and the
// database does not: it was put back to an older state, by us or behind our
// back.
func (h *house) settleErasures(ctx context.Context) error {
	j, err := h.aside.read(ctx)
	if err != nil {
		return err
	}
	return h.carryOut(ctx, j)
}

// carryOut makes sure of every erasure in a journal.
func (h *house) carryOut(ctx context.Context, j journal) error {
	erasures, err := j.erasures()
	if err != nil {
		return err
	}
	_, err = h.vault.Repeat(ctx, erasures)
	return err
}

// journaled is the vault's store that begins no erasure before the journal
// outside of the database has it.
type journaled struct {
	vault.Store

	aside *aside
}

// BeginErasure writes the journal, here and there.
func (s journaled) BeginErasure(ctx context.Context, e vault.Erasure) error {
	if err := s.Store.BeginErasure(ctx, e); err != nil {
		return err
	}
	return s.aside.keepJournal(ctx)
}

// publicHalf is how somebody outside checks a signature: in hex.
func publicHalf(key ed25519.PrivateKey) string {
	return hex.EncodeToString(key.Public().(ed25519.PublicKey)) //nolint:forcetypeassert // ed25519's own
}
