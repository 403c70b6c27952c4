//go:build linux

package service

import (
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/people/roster"
)

// BenchmarkRows measures an attestation and a reading of it in a whole service, with
// the processor time of the process: the seals of rows must not be seen in it.
func BenchmarkRows(b *testing.B) {
	cfg := Config{Dir: b.TempDir(), WorkFactor: DemoWork, Passphrase: "a passphrase for a test", Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	access, err := Found(b.Context(), cfg, Founding{ID: randomHex(16), Name: "Test", BaseURL: "https://net.example", Desk: "+00 00"})
	if err != nil {
		b.Fatal(err)
	}
	s, err := Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	agency := peopletest.Joined(b, s.People, s.Passkeys, "https://net.example", access.Join).
		Agency(s.Network, roster.Agency{Name: "Lotus", Class: "NGO", Country: "KHM", Desk: "+855"})
	o := office{by: audit.Actor{ID: randomHex(16), Agency: agency, Role: "supervisor"}}
	b.Run("issue", func(b *testing.B) {
		perOperation(b, func() {
			c, err := s.Vault.CreateCase(b.Context(), o.by)
			if err != nil {
				b.Fatal(err)
			}
			for range 4 {
				o.record = c.ID
				if o.issued, err = o.issue(b.Context(), s); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("read", func(b *testing.B) {
		perOperation(b, func() {
			if _, err := s.Issuer.Read(b.Context(), o.by, o.issued); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("list", func(b *testing.B) {
		perOperation(b, func() {
			if _, err := s.Issuer.List(b.Context(), o.by, o.record); err != nil {
				b.Fatal(err)
			}
		})
	})
}

// perOperation runs a benchmark and reports the processor time of the process, too.
func perOperation(b *testing.B, do func()) {
	b.Helper()
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
		do()
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(spent)/float64(b.N)/1e3, "cpu-µs/op")
}
