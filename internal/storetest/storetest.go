// Package storetest holds the suite that every store has to pass: the same
// tests for each database, so that a domain room cannot tell which one it has.
// It opens no database itself; each suite is given a function that does.
package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/safeconduct/safeconduct/audit"
)

// NewID returns an id as all rooms make them: 128 random bits in hex.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never returns an error
	return hex.EncodeToString(b[:])
}

// Day is a day that the suites use, midnight UTC, moved by n days.
func Day(n int) time.Time { return time.Date(2026, 3, 1+n, 0, 0, 0, 0, time.UTC) }

// Entry makes a log entry of a case, or of none if caseID is empty.
func Entry(t *testing.T, caseID string) audit.Entry {
	t.Helper()
	n, err := audit.NewNote("test.entry", map[string]string{"id": NewID()})
	if err != nil {
		t.Fatal(err)
	}
	e, err := audit.NewEntry(caseID, n, Day(0))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ok ends the test at an error.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get ends the test at an error and passes the value on otherwise.
func get[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		ok(t, err)
		return v
	}
}

// same reports every difference between two values.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// is reports an error that is not want.
func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// Sealed is a database whose rows are believed by their seals.
type Sealed interface {
	Seal(key []byte)
	CaseKeys(key func(ctx context.Context, caseID string) ([]byte, error))
	SealRows(ctx context.Context) error
}

// CaseKey is a made-up key of a case, for stores without a keyring.
func CaseKey(_ context.Context, caseID string) ([]byte, error) {
	key := sha256.Sum256([]byte("the key of a case, for a test: " + caseID))
	return key[:], nil
}

// Seal gives a new database the key of its seals, as whoever founds a network does, and
// made-up keys of cases. Whoever has a keyring calls CaseKeys with that one's.
func Seal(ctx context.Context, db Sealed) error {
	db.Seal([]byte("the key of the seals, for a test"))
	db.CaseKeys(CaseKey)
	return db.SealRows(ctx)
}
