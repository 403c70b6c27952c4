package offsite_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/vault"
)

// someKeys is a keystore that can do a keyed hash.
func someKeys(t testing.TB) *keyfile.File {
	t.Helper()
	keys, err := keyfile.Create(context.Background(), keyfile.Config{
		Path: filepath.Join(t.TempDir(), "keys.age"), Passphrase: "a passphrase for a test", WorkFactor: 1,
	}, "safeconduct/test")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestJournal: only this network's keystore makes and opens it, for this network.
func TestJournal(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	keys, others := someKeys(t), someKeys(t)
	id := strings.Repeat("a", 32)
	j := offsite.Journal{Network: id, Sequence: 7, Made: time.Now().UTC().Truncate(time.Second), Erasures: []offsite.Entry{
		{Case: strings.Repeat("1", 32), Agency: "x", Records: []string{strings.Repeat("1", 32)}, Day: "2026-01-02", MAC: []byte("mac")},
	}}
	data, err := j.Marshal(ctx, keys)
	if err != nil {
		t.Fatal(err)
	}
	got, err := offsite.ParseJournal(ctx, keys, id, data)
	if err != nil || got.Sequence != 7 || len(got.Erasures) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := offsite.ParseJournal(ctx, others, id, data); !errors.Is(err, offsite.ErrJournal) {
		t.Errorf("another keystore: %v", err)
	}
	if _, err := offsite.ParseJournal(ctx, keys, strings.Repeat("b", 32), data); !errors.Is(err, offsite.ErrJournal) {
		t.Errorf("another network: %v", err)
	}
	for i := 0; i < len(data); i += 1 + i/100 {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		if _, err := offsite.ParseJournal(ctx, keys, id, changed); !errors.Is(err, offsite.ErrJournal) {
			t.Fatalf("a bit at %d: %v", i, err)
		}
		if _, err := offsite.ParseJournal(ctx, keys, id, data[:i]); !errors.Is(err, offsite.ErrJournal) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// TestJournalGrows: a database that is an older copy takes nothing out of the
// journal, and does not make it look older.
func TestJournalGrows(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var sequence uint64
	var erasures []vault.Erasure
	a := offsite.New(offsite.Config{
		Dir: t.TempDir(), Network: strings.Repeat("a", 32), Keys: someKeys(t),
		State: func(context.Context) (uint64, []vault.Erasure, error) { return sequence, erasures, nil },
	})
	one := vault.Erasure{Case: strings.Repeat("1", 32), Agency: "x", Records: []string{strings.Repeat("1", 32)}, Day: time.Now(), MAC: []byte("m")}
	two := vault.Erasure{Case: strings.Repeat("2", 32), Agency: "x", Records: []string{strings.Repeat("2", 32)}, Day: time.Now(), MAC: []byte("m")}
	for _, step := range []struct {
		sequence uint64
		erasures []vault.Erasure
		want     int
		number   uint64
	}{{3, nil, 0, 3}, {4, []vault.Erasure{one}, 1, 4}, {2, nil, 1, 4}, {2, []vault.Erasure{two}, 2, 4}} {
		sequence, erasures = step.sequence, step.erasures
		if err := a.KeepJournal(ctx); err != nil {
			t.Fatal(err)
		}
		j, err := a.Read(ctx)
		if err != nil || len(j.Erasures) != step.want || j.Sequence != step.number {
			t.Fatalf("%+v: %d erasures, number %d, %v", step, len(j.Erasures), j.Sequence, err)
		}
	}
}

// TestJournalTellsNothing: a copy of it says neither how much was erased, nor which, nor
// when.
func TestJournalTellsNothing(t *testing.T) {
	t.Parallel()
	keys, id := someKeys(t), strings.Repeat("a", 32)
	empty, err := offsite.Journal{Network: id, Erasures: []offsite.Entry{}}.Marshal(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	j := offsite.Journal{Network: id, Sequence: 7, Made: time.Now().UTC().Truncate(time.Second)}
	for range 30 {
		j.Erasures = append(j.Erasures, offsite.Entry{Case: strings.Repeat("1", 32), Agency: strings.Repeat("2", 32), Records: []string{strings.Repeat("1", 32)}, Day: "2026-01-02", MAC: []byte("mac")})
	}
	data, err := j.Marshal(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != len(empty) {
		t.Errorf("%d bytes, and %d with nothing in it", len(data), len(empty))
	}
	for _, text := range []string{id, strings.Repeat("1", 32), strings.Repeat("2", 32), "2026"} {
		if bytes.Contains(data, []byte(text)) {
			t.Errorf("%s stands in it", text)
		}
	}
}

// FuzzJournal reads what is no journal.
func FuzzJournal(f *testing.F) {
	keys := someKeys(f)
	id := strings.Repeat("a", 32)
	good, err := offsite.Journal{Network: id, Erasures: []offsite.Entry{}}.Marshal(context.Background(), keys)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("AAAA\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := offsite.ParseJournal(context.Background(), keys, id, data)
		if err == nil != bytes.Equal(data, good) || err != nil && !errors.Is(err, offsite.ErrJournal) {
			t.Errorf("%q: %v", data, err)
		}
	})
}
