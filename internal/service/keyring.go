package service

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/vault"
)

// A network without the key files of its records has lost these records, and one
// with other key files would lose what it writes. So nothing is opened unless the
// keyring is the one that belongs to the records: it is bound to the network, it
// is not an older copy, none of its rows is damaged, put back or gone, and every record
// has one.
// Only Found and a restore make a keyring.

// KeyringError says why the keyring that was found is not the one that belongs
// here. Nothing was changed.
type KeyringError struct {
	Found string // what is so
	Do    string // what to do
	Cause error  // nil when the keyring itself says so
}

// Error says both.
func (e *KeyringError) Error() string { return "the keyring " + e.Found + ". " + e.Do }

// Unwrap returns the cause.
func (e *KeyringError) Unwrap() error { return e.Cause }

// What to do stands in docs/restore.md, The keyring alone.
const (
	doPutBack = "Put the newest one back, or bring it back from its backup: safeconduct restore keyring (docs/restore.md, The keyring alone). Until then nothing is served and nothing was changed."
	doCompare = "Compare --keyring with the one that init was given. docs/restore.md, The keyring alone, says what to do when it is lost. Until then nothing is served and nothing was changed."
)

func keyringError(found, do string, cause error) *KeyringError {
	return &KeyringError{Found: found, Do: do, Cause: cause}
}

// openKeyring opens the keyring of a network that is there.
func openKeyring(ctx context.Context, cfg Config) (*sqlstore.Keyring, error) {
	k, err := sqlstore.OpenKeyring(ctx, cfg.Engines.KeyringAt(cfg.Dir))
	switch {
	case errors.Is(err, sqlstore.ErrMissing):
		return nil, keyringError("is not there, or empty", doPutBack, err)
	case errors.Is(err, trouble.ErrUnavailable), errors.Is(err, trouble.ErrBusy), errors.Is(err, trouble.ErrFull):
		return nil, err // it may be whole
	case errors.Is(err, sqlstore.ErrDamaged):
		return nil, keyringError("is damaged", doPutBack, err)
	case errors.Is(err, sqlstore.ErrMigration):
		return nil, keyringError("is damaged, or of another program: its tables could not be brought up to date", doPutBack, err)
	}
	return k, err
}

// sealKeyring gives the keyring its key. From here on it is the network's own, and what
// nobody wrote who had the key is damage.
func (s *Service) sealKeyring(ctx context.Context, network string) error {
	is, err := s.Keyring.Bond(ctx)
	if err != nil {
		return damagedOr(err)
	}
	if is.Network != network { // it has another key, too
		return keyringError("is another network's", doCompare, nil)
	}
	key, err := KeyringKey(ctx, s.Keys, network)
	if err != nil {
		return fmt.Errorf("derive the key of the keyring: %w", err)
	}
	s.Keyring.Seal(key)
	_, err = s.Keyring.Bond(ctx)
	return damagedOr(err)
}

// checkKeyring compares the keyring with the records. With bind it notes what it has seen.
func (s *Service) checkKeyring(ctx context.Context, bind bool) error {
	is, err := s.Keyring.Bond(ctx)
	if err != nil {
		return damagedOr(err)
	}
	noted, err := s.DB.KeyringBond(ctx)
	if err != nil {
		return err
	}
	switch {
	case noted.ID != "" && is.ID != noted.ID:
		return keyringError("is not the one that belongs to this database: it is of another restore of this network", doCompare, nil)
	case is.Changes < noted.Changes:
		return keyringError(fmt.Sprintf("is an older copy: %d changes of it were seen, and it has %d", noted.Changes, is.Changes), doPutBack, nil)
	}
	if err := s.compareKeyring(ctx); err != nil || !bind {
		return err
	}
	if noted.ID == "" {
		return s.DB.BindKeyring(ctx, is, nil)
	}
	return s.DB.SeeKeyring(ctx, is)
}

// compareKeyring looks at every row: whether it is whole and the newest, and whether every
// record has one. It names the records.
func (s *Service) compareKeyring(ctx context.Context) error {
	found, err := s.Keyring.Check(ctx)
	if err != nil {
		return damagedOr(err)
	}
	switch {
	case len(found.Problems) > 0:
		return keyringError("is damaged: "+strings.Join(found.Problems, "; "), doPutBack, vault.ErrIntegrity)
	case len(found.Damaged) > 0:
		of, err := s.recordsNamed(ctx, found.Damaged)
		if err != nil {
			return err
		}
		return keyringError(fmt.Sprintf("is damaged: %d key files are not what was kept%s", len(found.Damaged), listed(of)), doPutBack, vault.ErrIntegrity)
	}
	missing, err := s.MatchKeyring(ctx)
	if err != nil {
		return damagedOr(err)
	}
	// The database may have been put back to before an erasure. Opening the
	// folder carries that out again.
	erased, err := s.Offsite.Read(ctx)
	if err != nil {
		return err
	}
	for _, e := range erased.Erasures {
		missing = slices.DeleteFunc(missing, func(record string) bool { return slices.Contains(e.Records, record) })
	}
	if len(missing) > 0 {
		return keyringError(fmt.Sprintf("is an older copy, or another one: %d records have no key file in it%s", len(missing), listed(missing)), doPutBack, nil)
	}
	if found.Others {
		return keyringError("is damaged: key files in it were put back, taken away or added past this program", doPutBack, vault.ErrIntegrity)
	}
	return nil
}

// listed are some ids, for whoever has to find what belongs to them. They say nothing
// about anybody.
func listed(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	more := ""
	if len(ids) > maxNamed {
		ids, more = ids[:maxNamed], " and more"
	}
	return " (" + strings.Join(ids, ", ") + more + ")"
}

// recordsNamed finds the records of rows: from a name alone nobody can.
func (s *Stores) recordsNamed(ctx context.Context, names []string) (records []string, err error) {
	for record, err := range s.Records(ctx) {
		if err != nil {
			return nil, err
		}
		if slices.Contains(names, s.Keyring.Name(record)) {
			records = append(records, record)
		}
	}
	return records, nil
}

// damagedOr puts a KeyringError around what the engine calls damage.
func damagedOr(err error) error {
	if errors.Is(err, sqlstore.ErrDamaged) || errors.Is(err, vault.ErrIntegrity) {
		return keyringError("is damaged", doPutBack, err)
	}
	return err
}

// Records yields the ids of the records that must have a key file.
func (s *Stores) Records(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		all, err := s.DB.Keyed(ctx)
		if err != nil {
			yield("", err)
			return
		}
		for _, id := range all {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// MatchKeyring returns the records that must have a key file and have none. The records
// are read first: a key file is kept before its record, and erased before it.
func (s *Stores) MatchKeyring(ctx context.Context) (missing []string, err error) {
	var records []string
	for id, err := range s.Records(ctx) {
		if err != nil {
			return nil, err
		}
		records = append(records, id)
	}
	names, err := s.Keyring.Names(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range records {
		if !names[s.Keyring.Name(id)] {
			missing = append(missing, id)
		}
	}
	// Some may have been erased while we looked.
	return s.DB.Keyless(ctx, missing)
}

// watchedKeyring is the keyring of a service. It remembers that a key file was
// found damaged, so that whoever asks whether the service works is told.
type watchedKeyring struct {
	*sqlstore.Keyring

	mu      sync.Mutex
	damaged error
	seen    uint64 // changes that were noted in the database
}

// Get remembers damage.
func (k *watchedKeyring) Get(ctx context.Context, record string) ([]byte, error) {
	file, err := k.Keyring.Get(ctx, record)
	if errors.Is(err, vault.ErrIntegrity) {
		k.damage(err)
	}
	return file, err
}

// CaseKey remembers damage, too.
func (k *watchedKeyring) CaseKey(ctx context.Context, caseID string) ([]byte, error) {
	key, err := k.Keyring.CaseKey(ctx, caseID)
	if errors.Is(err, vault.ErrIntegrity) {
		k.damage(err)
	}
	return key, err
}

// damage remembers what only opening a key file can tell: it is whole, and
// another record's.
func (k *watchedKeyring) damage(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.damaged = keyringError("is damaged", doPutBack, err)
}

// ready says why the keyring cannot be relied on.
func (k *watchedKeyring) ready(ctx context.Context) error {
	k.mu.Lock()
	damaged := k.damaged
	k.mu.Unlock()
	return errors.Join(damaged, k.Ping(ctx))
}

// noteKeyring notes in the database how often the keyring was written to, so that
// an older copy is known for one.
func (s *Service) noteKeyring(ctx context.Context) error {
	is, err := s.Keyring.Bond(ctx)
	if err != nil {
		return err
	}
	s.keyring.mu.Lock()
	fresh := is.Changes > s.keyring.seen
	s.keyring.mu.Unlock()
	if !fresh {
		return nil
	}
	if err := s.DB.SeeKeyring(ctx, is); err != nil {
		return err
	}
	s.keyring.mu.Lock()
	defer s.keyring.mu.Unlock()
	s.keyring.seen = max(s.keyring.seen, is.Changes)
	return nil
}
