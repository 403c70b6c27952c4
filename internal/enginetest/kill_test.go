//go:build unix

package enginetest_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
)

// TestCrash kills the service with SIGKILL while people take cases in, record documents
// with pages, sign, print cards, share, withdraw, publish and erase, again and again, and
// looks at what is left: everything that somebody was told of is there, no place in a list
// was given out twice, and nothing was signed that was not written down before. It does so
// on the engines of one machine, and on PostgreSQL, S3 and Vault.
//
// SAFECONDUCT_CRASH_CYCLES says how often on each; `make crash` does it 200 times. At least
// a quarter of the kills have to fall between reserving and completing.
func TestCrash(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	cycles := 10
	if s := os.Getenv("SAFECONDUCT_CRASH_CYCLES"); s != "" {
		var err error
		if cycles, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("one machine", func(t *testing.T) {
		t.Parallel()
		newMortal(t).die(cycles)
	})
	t.Run("engines", func(t *testing.T) {
		t.Parallel()
		m, bucket := newMortalElsewhere(t)
		m.alsoKill = bucket.Restart
		m.die(cycles)
	})
}

// newMortal is a network on one machine.
func newMortal(t *testing.T) *mortal {
	t.Helper()
	m := &mortal{crashService: newCrashService(t)}
	m.attr = ownGroup
	m.look = func(see func(*sqlstore.DB, *sqlstore.Keyring)) {
		t.Helper()
		h, err := service.Look(t.Context(), service.Config{Dir: m.dir, Passphrase: config.DemoPassphrase + "crash", Now: time.Now})
		if err != nil {
			t.Fatal("look at what is left:", err)
		}
		see(h.DB, h.Keyring)
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var read int64
	m.signed = func() (digests [][32]byte) {
		f, err := os.Open(m.sums)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if _, err := f.Seek(read, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		read += int64(len(data))
		for line := range strings.Lines(string(data)) {
			digest, err := digestIn(line)
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, digest)
		}
		return digests
	}
	m.people()
	return m
}

// newMortalElsewhere is a network on PostgreSQL, S3 and Vault. What was signed there says
// the Vault.
func newMortalElsewhere(t *testing.T) (*mortal, *s3test.Server) {
	t.Helper()
	server := vaulttest.Start(t)
	v := server.Network(t)
	log := filepath.Join(t.TempDir(), "vault-audit")
	server.AuditRaw(t, log)
	bucket := s3test.Run(t)
	main, keyring := pgtest.Start(t), pgtest.Start(t)
	temp := t.TempDir()
	secret := filepath.Join(temp, "secret")
	if err := os.WriteFile(secret, []byte(bucket.Config.SecretKey.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &mortal{crashService: &crashService{
		t: t, binary: program(t, "failpoints"), dir: filepath.Join(temp, "house"), address: freeAddress(t),
		engines: []string{
			"--database", main, "--keyring", keyring,
			"--objects", "s3://" + bucket.Config.Bucket + "/crash?endpoint=" + bucket.Config.Endpoint + "&region=" + bucket.Config.Region + "&path-style=true",
			"--vault", v.Address, "--vault-ca-file", v.CACert, "--vault-mount", v.Mount, "--vault-prefix", v.Prefix,
			"--vault-role-id-file", v.RoleIDFile, "--vault-secret-id-file", v.SecretIDFile,
		},
		env: []string{"SAFECONDUCT_S3_ACCESS_KEY=" + bucket.Config.AccessKey, "SAFECONDUCT_S3_SECRET_KEY_FILE=" + secret},
	}}
	m.attr = ownGroup
	m.look = func(see func(*sqlstore.DB, *sqlstore.Keyring)) {
		t.Helper()
		db, ring, done := openEngines(t, main, keyring, v)
		defer done()
		see(db, ring)
	}
	m.signed = newVaultSignatures(t, log, v)
	m.people()
	return m, bucket
}

// openEngines opens the databases of a network as another process of it does.
func openEngines(t *testing.T, main, keyring string, vault hcvault.Config) (db *sqlstore.DB, ring *sqlstore.Keyring, done func()) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlstore.Open(ctx, main)
	must(err)
	r, err := db.Network().Network(ctx)
	must(err)
	vault.Origin = service.LogOrigin(r.ID)
	keys, err := hcvault.Open(ctx, vault)
	must(err)
	defer func() { _ = keys.Close(ctx) }()
	key, err := service.SealKey(ctx, keys, r.ID)
	must(err)
	db.Seal(key)
	ring, err = sqlstore.OpenKeyring(ctx, keyring)
	must(err)
	if key, err = service.KeyringKey(ctx, keys, r.ID); err != nil {
		must(err)
	}
	ring.Seal(key)
	db.CaseKeys(ring.CaseKey)
	return db, ring, func() { _ = db.Close(); _ = ring.Close() }
}

// die kills the process again and again, and holds what is left against what people were
// told: in the cases that were touched after each kill, in all of them at the end.
func (m *mortal) die(cycles int) {
	t := m.t
	t.Helper()
	began := time.Now()
	var before map[*theCase]bool
	for i := range cycles {
		m.start()
		m.served(before)
		m.askAgain(0)
		if i%20 == 19 {
			m.move()
		}
		m.killOnce(i)
		m.kept(m.touched)
		before, m.touched = m.touched, map[*theCase]bool{}
		if cycles <= 20 || i%10 == 9 {
			m.fsck()
		}
		if i%25 == 24 {
			t.Logf("%s: %s", time.Since(began).Round(time.Second), m.sofar(i+1))
		}
	}
	m.start()
	m.askAgain(2 * time.Minute)
	if len(m.unanswered) > 0 {
		t.Fatalf("%d requests stay without an answer", len(m.unanswered))
	}
	m.served(nil)
	m.stop()
	m.kept(nil)
	if m.phrase == "" {
		time.Sleep(4 * time.Second) // the killed ones count as gone by now
	}
	m.fsck()
	m.fsck()
	t.Log(m.sofar(cycles))
	if len(m.gaveUp)*4 < cycles {
		t.Errorf("only %d drafts were given up in %d kills", len(m.gaveUp), cycles)
	}
	if signed := m.done["an attestation"]; m.signatures < signed || signed < cycles {
		t.Errorf("%d signatures and %d attestations in %d kills: the test does not watch", m.signatures, signed, cycles)
	}
	for _, act := range acts {
		if m.kills[act.name] == 0 && cycles >= 20*len(acts) {
			t.Errorf("no kill fell into %s", act.name)
		}
	}
}

// sofar says how far it came, and what was found: any loss would have ended it.
func (m *mortal) sofar(cycles int) string {
	var said []string
	for _, what := range slices.Sorted(maps.Keys(m.done)) {
		said = append(said, fmt.Sprintf("%d × %s", m.done[what], what))
	}
	for _, what := range slices.Sorted(maps.Keys(m.kills)) {
		said = append(said, fmt.Sprintf("%d kills in %s", m.kills[what], what))
	}
	return fmt.Sprintf("%d kills: lost 0, unrecorded of %d signatures 0, places twice 0 of %d; %d drafts given up; acknowledged: %s",
		cycles, m.signatures, len(m.places), len(m.gaveUp), strings.Join(said, ", "))
}

// killOnce has four clients work and kills: right after a draft was reserved, at any time,
// in the middle of an act that is another one each time, and right after its answer.
func (m *mortal) killOnce(cycle int) {
	ctx, cancel := context.WithCancel(m.t.Context())
	act := acts[cycle%len(acts)]
	told := func() int {
		m.telling.Lock()
		defer m.telling.Unlock()
		return m.done["an attestation"]
	}
	before := told()
	for len(m.reserved) > 0 {
		<-m.reserved
	}
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_ = m.attest(ctx)
				time.Sleep(time.Duration(n) * 5 * time.Millisecond) // an act may take long, and these are enough
			}
		})
	}
	ended := make(chan struct{})
	began := time.Now()
	clients.Go(func() {
		defer close(ended)
		_ = act.do(m, ctx)
	})
	switch cycle % 4 {
	case 0:
		wait(m.t, m.reserved)
	case 1:
		for end := time.Now().Add(5 * time.Minute); told() < before+2; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				m.t.Error("nothing was acknowledged in five minutes")
				break
			}
		}
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
	case 2:
		// As long as it took others, at most.
		select {
		case <-ended:
		case <-time.After(time.Duration(rand.Int64N(int64(max(m.takes[act.name], 100*time.Millisecond))))):
		}
	case 3:
		wait(m.t, ended)
		m.takes[act.name] = time.Since(began)
	}
	select {
	case <-ended:
	default:
		m.kills[act.name]++
	}
	m.killAll(cycle)
	cancel()
	clients.Wait()
}

// wait waits for something that has to happen.
func wait(t *testing.T, happens <-chan struct{}) {
	t.Helper()
	select {
	case <-happens:
	case <-time.After(2 * time.Minute):
		t.Error("what was waited for did not happen in two minutes")
	}
}

// ownGroup has a process begin a group, so that it can be killed with its signer.
var ownGroup = &syscall.SysProcAttr{Setpgid: true}

// killAll kills the process, every other time with the signer beside it, and now and then
// with the server that keeps its objects.
func (m *mortal) killAll(cycle int) {
	if cycle%2 == 0 {
		_ = syscall.Kill(-m.process.Process.Pid, syscall.SIGKILL)
	}
	m.kill()
	if m.alsoKill != nil && cycle%10 == 0 {
		m.alsoKill()
	}
}
