//go:build unix

package enginetest_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
)

// TestChaos has two replicas serve one network on a PostgreSQL server with a
// synchronous standby, a HashiCorp Vault and a bucket, all real, under load,
// while one thing after the other is broken: replicas are killed, the primary
// dies, the Vault is sealed, is slow, and is lied for, and an agency's key is
// changed. At the end everything that a client was told is there, no status
// index was given out twice, the Vault has signed nothing that was not written
// down before, and clients saw nothing but answers that say to try again.
//
// SAFECONDUCT_CHAOS_MINUTES repeats it for so long (`make chaos`), and then
// every recovery has to be shorter than five seconds.
func TestChaos(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	var minutes int
	if s := os.Getenv("SAFECONDUCT_CHAOS_MINUTES"); s != "" {
		var err error
		if minutes, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	c := newChaos(t)
	c.begin()
	until := time.Now().Add(time.Duration(minutes) * time.Minute)
	for round := 0; ; round++ {
		c.killReplicas(3)
		c.pauseReplica()
		c.rollReplicas()
		c.sealVault()
		c.slowVault()
		c.lieForVault()
		c.rotateKey()
		c.loseCommits()
		if round%2 == 0 {
			c.failOver()
		}
		if !time.Now().Before(until) {
			break
		}
		c.followAgain()
	}
	c.end()
	if minutes > 0 {
		for what, longest := range c.recovery {
			if longest > 5*time.Second {
				t.Errorf("%s: recovery took %s", what, longest)
			}
		}
	}
}

// chaos is a network under load, and all that can be broken of it.
type chaos struct {
	*load
	binary, temp     string
	main, keyring    string // databases
	primary, standby *pgtest.Server
	vault            *vaulttest.Server
	keys             hcvault.Config
	proxy            *liar
	env              []string
	engines          config.Engines
	db               *sqlstore.DB // the test's own
	replicas         [2]*replica
	operator, agency string
	vaultLog         string
	kills, rotations int
	pauses           int                      // drafts that were given up while a replica slept
	recovery         map[string]time.Duration // the longest of each kind
	lostCommits      int
	failovers        int
}

// replica is one process with a folder of its own.
type replica struct {
	c            *chaos
	dir, address string
	process      *exec.Cmd
	output       *bytes.Buffer
}

func newChaos(t *testing.T) *chaos {
	t.Helper()
	temp := t.TempDir()
	c := &chaos{temp: temp, binary: program(t, "failpoints"), vaultLog: filepath.Join(temp, "vault-audit"), recovery: map[string]time.Duration{}}
	c.load = newLoad(t)
	c.primary = pgtest.New(t)
	c.main, c.keyring = c.primary.Database(t), c.primary.Database(t)
	c.followAgain()

	c.vault = vaulttest.Start(t)
	c.keys = c.vault.Network(t)
	c.vault.AuditRaw(t, c.vaultLog)
	c.proxy = newLiar(t, c.vault)
	c.keys.Address, c.keys.CACert = c.proxy.url, ""

	bucket := s3test.Run(t)
	secret := filepath.Join(temp, "secret")
	if err := os.WriteFile(secret, []byte(bucket.Config.SecretKey.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	c.env = append(os.Environ(), "SAFECONDUCT_FAILPOINT=15ms", "SAFECONDUCT_S3_ACCESS_KEY="+bucket.Config.AccessKey, "SAFECONDUCT_S3_SECRET_KEY_FILE="+secret)
	c.engines.Objects = "s3://" + bucket.Config.Bucket + "/chaos?endpoint=" + bucket.Config.Endpoint + "&region=" + bucket.Config.Region + "&path-style=true"
	c.engines.Vault, c.engines.VaultMount, c.engines.VaultPrefix = c.keys.Address, c.keys.Mount, c.keys.Prefix
	c.engines.VaultRoleID, c.engines.VaultSecretID = c.keys.RoleIDFile, c.keys.SecretIDFile
	return c
}

// begin makes the network and starts both replicas and the load.
func (c *chaos) begin() {
	t := c.t
	t.Helper()
	for i := range c.replicas {
		c.replicas[i] = &replica{c: c, dir: filepath.Join(c.temp, "replica"+strconv.Itoa(i)), address: freeAddress(t)}
	}
	e := c.engines
	out, err := c.command("init", "--dir", c.replicas[0].dir, "--name", "Chaos", "--url", "https://chaos.example", "--desk", "+00 00 000 000", "--json",
		"--database", e.Database, "--keyring", e.Keyring, "--objects", e.Objects, "--vault", e.Vault, "--vault-mount", e.VaultMount,
		"--vault-prefix", e.VaultPrefix, "--vault-role-id-file", e.VaultRoleID, "--vault-secret-id-file", e.VaultSecretID).Output()
	var made struct{ Network, Token, Link string }
	if err != nil || json.Unmarshal(out, &made) != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	c.operator = made.Token
	c.keys.Origin = service.LogOrigin(made.Network)
	// The second replica needs nothing but the names of the engines.
	if err := os.Mkdir(c.replicas[1].dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c.writeEngines()
	c.db = c.openDatabase()
	t.Cleanup(func() { _ = c.db.Close() })
	for _, r := range c.replicas {
		r.start()
		c.addresses = append(c.addresses, r.address)
	}
	first := openOffice(t, c.addresses[0], made.Link)
	first.agency("Chaos NGO (made up)", "KHM")
	c.agency = first.agency("Second NGO (made up)", "THA")
	c.token = first.program(c.agency, "supervisor")
	var id struct{ ID string }
	for range 8 {
		c.mustAsk(c.token, "POST", "/api/v1/cases", `{}`, &id)
		c.cases = append(c.cases, id.ID)
	}
	c.mustAsk(c.token, "POST", "/api/v1/cases/"+c.cases[0]+"/cards", `{"name":"MADE UP"}`, &c.card)
	c.mustAsk(c.operator, "POST", "/api/v1/publications", `{"emergency":false}`, nil)
	c.sameEverywhere()
	c.run()
}

// sameEverywhere: what one replica has published, the other one serves within
// seconds, byte for byte.
func (c *chaos) sameEverywhere() {
	c.t.Helper()
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		var bodies []string
		for _, path := range []string{"/pack", "/trust-list", "/status-lists/0", "/log/checkpoint"} {
			for _, address := range c.addresses {
				_, body, err := c.fetch(c.t.Context(), "GET", address, path, "", "", "")
				if err != nil {
					c.t.Fatal(err)
				}
				bodies = append(bodies, string(body))
			}
		}
		same := true
		for i := 0; i < len(bodies); i += 2 {
			same = same && bodies[i] == bodies[i+1] && bodies[i] != ""
		}
		if same {
			return
		}
	}
	c.t.Error("two replicas serve two packs")
}

func (c *chaos) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.t.Context(), c.binary, args...)
	cmd.Env = c.env
	return cmd
}

func (c *chaos) writeEngines() {
	for _, r := range c.replicas {
		if err := c.engines.Write(r.dir); err != nil {
			c.t.Fatal(err)
		}
	}
}

// start runs a replica and returns when it is ready.
func (r *replica) start() {
	r.c.t.Helper()
	r.process = r.c.command("serve", "--dir", r.dir, "--listen", r.address, "--window", "3s", "--drain-delay", "3s")
	r.output = &bytes.Buffer{}
	r.process.Stderr = r.output
	if err := r.process.Start(); err != nil {
		r.c.t.Fatal(err)
	}
	for until := time.Now().Add(3 * time.Minute); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if status, _, err := r.c.fetch(r.c.t.Context(), "GET", r.address, "/readyz", "", "", ""); err == nil && status == http.StatusOK {
			return
		}
	}
	r.kill()
	r.c.t.Fatalf("a replica does not come up:\n%s", tail(r.output.String()))
}

func (r *replica) kill() {
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
}

// stop asks a replica to finish what it began. It says that it takes no more
// while it still does.
func (r *replica) stop() {
	r.c.t.Helper()
	_ = r.process.Process.Signal(os.Interrupt)
	warned := false
	for !warned {
		status, _, err := r.c.fetch(r.c.t.Context(), "GET", r.address, "/readyz", "", "", "")
		if err != nil {
			break
		}
		if warned = status == http.StatusServiceUnavailable; warned {
			status, _, err = r.c.fetch(r.c.t.Context(), "GET", r.address, "/trust-list", "", "", "")
			warned = err == nil && status == http.StatusOK
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !warned {
		r.c.t.Error("a replica stopped without a word")
	}
	if err := r.process.Wait(); err != nil {
		r.c.t.Errorf("a replica did not stop well: %v\n%s", err, tail(r.output.String()))
	}
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// recovered notes how long something took to work again.
func (c *chaos) recovered(what string, since time.Time) {
	c.t.Helper()
	took := time.Since(since)
	c.recovery[what] = max(c.recovery[what], took)
	c.t.Logf("%s: %s", what, took.Round(10*time.Millisecond))
}

// issuesAgain waits until an attestation can be issued at an address.
func (c *chaos) issuesAgain(address string) {
	c.t.Helper()
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if id, _, _ := c.tryIssue(address); id != "" {
			return
		}
	}
	c.t.Error("two minutes later nothing is issued")
}

// killReplicas kills one replica after the other, and starts it again.
func (c *chaos) killReplicas(times int) {
	c.t.Helper()
	for i := range times {
		time.Sleep(800 * time.Millisecond)
		dead, alive := c.replicas[i%2], c.replicas[(i+1)%2]
		dead.kill()
		killed := time.Now()
		c.kills++
		left, err := c.db.Credentials().Drafts(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		c.issuesAgain(alive.address)
		c.recovered("kill -9: the other replica issues", killed)
		if i%2 == 0 {
			c.settles(left)
			c.recovered("kill -9: the other replica has settled "+strconv.Itoa(min(1, len(left)))+" or more drafts", killed)
		}
		again := time.Now()
		dead.start()
		c.recovered("kill -9: from start to ready", again)
	}
}

// pauseReplica stops a replica in the middle of issuing, for longer than the
// other one waits. When it wakes up it goes on where it was, and is refused.
func (c *chaos) pauseReplica() {
	c.t.Helper()
	asleep := c.replicas[1]
	var given []credentials.Issued
	for range 20 {
		c.signal(asleep, syscall.SIGSTOP)
		stopped := time.Now()
		drafts, err := c.db.Credentials().Drafts(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		c.settles(drafts)
		// Some of them the other one had in hand, and has finished. What was given up
		// is for good, whatever the one that sleeps may do when it wakes up.
		for _, d := range drafts {
			if now, err := c.db.Credentials().Get(c.t.Context(), d.ID); err == nil && now.State == credentials.Abandoned {
				given = append(given, d)
			}
		}
		if len(given) > 0 {
			c.recovered("SIGSTOP: the other replica has settled its drafts", stopped)
			break
		}
		c.signal(asleep, syscall.SIGCONT)
		time.Sleep(50 * time.Millisecond)
	}
	if len(given) == 0 {
		c.t.Error("a replica was never stopped while it issued")
	}
	c.signal(asleep, syscall.SIGCONT)
	woken := time.Now()
	c.issuesAgain(asleep.address)
	c.recovered("SIGCONT: it issues again", woken)
	for _, d := range given {
		now, err := c.db.Credentials().Get(c.t.Context(), d.ID)
		_, signed := c.db.Credentials().Token(c.t.Context(), now)
		if err != nil || now.State != credentials.Abandoned || !errors.Is(signed, credentials.ErrNotFound) {
			c.t.Errorf("a draft that was given up while its replica slept is %q: %v", now.State, err)
		}
	}
	c.pauses += len(given)
}

func (c *chaos) signal(r *replica, s syscall.Signal) {
	c.t.Helper()
	if err := r.process.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// rollReplicas starts one replica after the other anew, as a new release comes
// in.
func (c *chaos) rollReplicas() {
	c.t.Helper()
	for _, r := range c.replicas {
		r.stop()
		r.start()
	}
}

// settles waits until none of the drafts is one any more.
func (c *chaos) settles(left []credentials.Issued) {
	c.t.Helper()
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		drafts, err := c.db.Credentials().Drafts(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		if !slices.ContainsFunc(left, func(d credentials.Issued) bool {
			return slices.ContainsFunc(drafts, func(e credentials.Issued) bool { return d.ID == e.ID })
		}) {
			return
		}
	}
	c.t.Error("drafts of a killed replica stay open")
}

// reading runs do, and wants cards judged and public files served meanwhile, and
// not one request for them refused.
func (c *chaos) reading(what string, do func()) {
	c.t.Helper()
	before, failed := c.reads()
	do()
	after, failedNow := c.reads()
	// Two rounds of everything, also where this machine is slow.
	for until := time.Now().Add(2 * time.Minute); after-before < 12 && time.Now().Before(until); after, failedNow = c.reads() {
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Logf("%s: %d cards judged and files read meanwhile", what, after-before)
	if after-before < 12 || failedNow != failed {
		c.t.Errorf("%s: %d reads, %d of them failed: %s", what, after-before, failedNow-failed, c.lastReadError())
	}
}

func (c *chaos) sealVault() {
	c.t.Helper()
	c.reading("the Vault was sealed", func() {
		c.vault.Seal(c.t)
		time.Sleep(3 * time.Second)
		c.sees(http.StatusServiceUnavailable, "keystore_unavailable")
	})
	c.vault.Unseal(c.t)
	lifted := time.Now()
	c.eachIssuesAgain()
	c.recovered("the Vault unsealed", lifted)
}

func (c *chaos) slowVault() {
	c.t.Helper()
	c.reading("the Vault took 30 s", func() {
		c.proxy.set(slowly)
		time.Sleep(3 * time.Second)
		c.sees(http.StatusServiceUnavailable, "keystore_unavailable")
	})
	c.proxy.set(honestly)
	lifted := time.Now()
	c.eachIssuesAgain()
	c.recovered("the Vault quick again", lifted)
}

func (c *chaos) lieForVault() {
	c.t.Helper()
	c.reading("signatures were made for another input", func() {
		before := c.proxy.lies()
		c.proxy.set(lying)
		time.Sleep(2 * time.Second)
		c.sees(http.StatusServiceUnavailable, "keystore_bad_response")
		if c.proxy.lies() == before {
			c.t.Error("nobody was lied to")
		}
	})
	c.proxy.set(honestly)
	lifted := time.Now()
	c.eachIssuesAgain()
	c.recovered("the Vault honest again", lifted)
}

// sees wants a replica that is asked to issue to answer so.
func (c *chaos) sees(status int, code string) {
	c.t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if _, got, problem := c.tryIssue(c.addresses[0]); got == status && problem == code {
			return
		}
	}
	c.t.Errorf("nobody answered %d %s", status, code)
}

func (c *chaos) eachIssuesAgain() {
	c.t.Helper()
	for _, address := range c.addresses {
		c.issuesAgain(address)
	}
}

// openDatabase opens the database as another process of the network does.
func (c *chaos) openDatabase() *sqlstore.DB {
	c.t.Helper()
	db, ring, _ := openEngines(c.t, c.engines.Database, c.engines.Keyring, c.keys)
	c.t.Cleanup(func() { _ = ring.Close() })
	return db
}

// rotateKey makes a new key for the agency, as another process of the network.
func (c *chaos) rotateKey() {
	c.t.Helper()
	ctx := c.t.Context()
	keys, err := hcvault.Open(ctx, c.keys)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = keys.Close(ctx) }()
	r, err := c.db.Network().Network(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	site, err := passkey.At(r.BaseURL, r.Name, r.Demo)
	if err != nil {
		c.t.Fatal(err)
	}
	passkeys, err := passkey.New(site)
	if err != nil {
		c.t.Fatal(err)
	}
	roster, err := people.New(people.Config{Store: c.db.People(), Checker: passkey.Checker{RelyingParty: passkeys}})
	if err != nil {
		c.t.Fatal(err)
	}
	n, err := network.New(network.Config{Store: c.db.Network(), Keys: keystore.New(keys), Rights: roster, ID: r.ID, Name: r.Name, BaseURL: r.BaseURL, Desk: r.Desk, Demo: r.Demo})
	if err != nil {
		c.t.Fatal(err)
	}
	key, err := n.RotateKey(ctx, audit.Actor{ID: randomHex(16), Role: string(people.Operator)}, c.agency)
	if err != nil {
		c.t.Fatal(err)
	}
	rotated := time.Now()
	c.rotations++
	c.eachIssuesAgain()
	c.recovered("a new key", rotated)
	// Soon it is the new one that signs, everywhere.
	for _, address := range c.addresses {
		var kid string
		for until := time.Now().Add(time.Minute); kid != key.KeyID && time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
			id, _, _ := c.tryIssue(address)
			if id == "" {
				continue
			}
			var made struct{ Credential string }
			c.mustAskAt(address, c.token, "GET", "/api/v1/attestations/"+id, "", &made)
			head, _, _ := strings.Cut(made.Credential, ".")
			var header struct{ Kid string }
			if data, err := base64.RawURLEncoding.DecodeString(head); err != nil || json.Unmarshal(data, &header) != nil {
				c.t.Errorf("the head of an attestation cannot be read: %v", err)
			}
			kid = header.Kid
		}
		if kid != key.KeyID {
			c.t.Errorf("a minute after it was replaced by %q, key %q signs", key.KeyID, kid)
		}
	}
}

// loseCommits cuts connections in the middle of COMMIT: the standby applies
// nothing for a second, so that every change waits for it, and then the server
// ends whoever waits. All of these changes have happened, and nobody was told.
func (c *chaos) loseCommits() {
	c.t.Helper()
	for range min(3, 1+c.failovers) { // once, and more often in the long form
		c.standby.Administer(c.t, c.main, "SELECT pg_wal_replay_pause()")
		time.Sleep(time.Second)
		lost := "0"
		for until := time.Now().Add(time.Minute); lost == "0" && time.Now().Before(until); {
			lost = c.primary.Administer(c.t, c.main, "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
		}
		c.standby.Administer(c.t, c.main, "SELECT pg_wal_replay_resume()")
		resumed := time.Now()
		n, err := strconv.Atoi(lost)
		if err != nil {
			c.t.Fatal(err)
		}
		c.lostCommits += n
		c.eachIssuesAgain()
		c.recovered("connections cut in COMMIT", resumed)
	}
}

// failOver stops the primary as a power cut does and promotes its standby.
func (c *chaos) failOver() {
	c.t.Helper()
	c.primary.Kill(c.t)
	time.Sleep(time.Second)
	c.standby.Promote(c.t)
	promoted := time.Now()
	c.primary, c.standby = c.standby, nil
	c.failovers++
	c.eachIssuesAgain()
	c.recovered("the standby promoted", promoted)
	time.Sleep(2 * time.Second)
}

// followAgain gives the primary a synchronous standby when it has none, and
// tells the replicas where it is when they are started next.
func (c *chaos) followAgain() {
	c.t.Helper()
	if c.standby != nil {
		return
	}
	c.standby = c.primary.Standby(c.t)
	c.primary.Administer(c.t, c.main, "ALTER SYSTEM SET synchronous_standby_names = '*'; ALTER SYSTEM SET synchronous_commit = 'remote_apply'; SELECT pg_reload_conf(); SELECT pg_sleep(1)")
	c.engines.Database = pgtest.DSN(pgtest.Name(c.t, c.main), c.primary, c.standby)
	c.engines.Keyring = pgtest.DSN(pgtest.Name(c.t, c.keyring), c.primary, c.standby)
	if c.db == nil {
		return
	}
	_ = c.db.Close()
	c.db = c.openDatabase()
	c.writeEngines()
	c.rollReplicas()
}

// end stops the load and looks at what is left.
func (c *chaos) end() {
	t := c.t
	t.Helper()
	c.halt()
	c.settle()
	c.mustAsk(c.operator, "POST", "/api/v1/publications", `{"emergency":true}`, nil)
	c.sameEverywhere()
	c.repeat(150)
	for _, r := range c.replicas {
		r.stop()
	}
	time.Sleep(4 * time.Second) // the killed ones count as gone by now
	for _, args := range [][]string{{"fsck"}, {"log", "verify"}} {
		out, err := c.command(append(args, "--json", "--dir", c.replicas[1].dir)...).Output()
		if err != nil {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
		t.Logf("%s: %s", strings.Join(args, " "), bytes.TrimSpace(out))
	}
	records := c.records()
	c.everythingIsThere(records)
	c.noIndexTwice(records)
	c.oneEffectEach(records)
	signed := c.nothingSignedUnrecorded(records)
	t.Logf("%d attestations and %d cards acknowledged, %d withdrawals, %d cards whose answer was lost; %d records, %d signatures of the agency in the Vault's own log, %d of them forged by the proxy",
		len(c.issued), c.cards, len(c.withdrawn), c.lostCards, len(records), signed, c.proxy.lies())
	t.Logf("%d kills, %d drafts given up under a sleeping replica, %d COMMITs cut off, %d failovers, %d new keys; %d reads, %d failed; the longest wait of a client %s", c.kills, c.pauses, c.lostCommits, c.failovers, c.rotations, c.readCount, c.readFailures, c.longest.Round(10*time.Millisecond))
	for _, what := range slices.Sorted(maps.Keys(c.answers)) {
		t.Logf("%6d × %s", c.answers[what], what)
	}
	for _, what := range slices.Sorted(maps.Keys(c.recovery)) {
		t.Logf("longest: %s: %s", what, c.recovery[what].Round(10*time.Millisecond))
	}
	if c.lostCommits == 0 {
		t.Error("no COMMIT was cut off")
	}
	if len(c.issued) < 50 || len(c.withdrawn) == 0 || c.cards == 0 {
		t.Error("there was hardly any load")
	}
}

// records is everything that was ever reserved, for both agencies.
func (c *chaos) records() map[credentials.ID]credentials.Issued {
	c.t.Helper()
	all := map[credentials.ID]credentials.Issued{}
	for _, id := range c.cases {
		found, err := c.db.Credentials().ByCase(c.t.Context(), id)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, d := range found {
			all[d.ID] = d
		}
	}
	return all
}

// everythingIsThere compares with what clients were told.
func (c *chaos) everythingIsThere(records map[credentials.ID]credentials.Issued) {
	c.t.Helper()
	published := map[[2]uint32]uint8{}
	lists, err := c.db.Credentials().Lists(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, list := range lists {
		entries, err := c.db.Credentials().Entries(c.t.Context(), list)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range entries {
			published[[2]uint32{uint32(list), e.Index}] = e.PublishedStatus
		}
	}
	for key, id := range c.issued {
		d, ok := records[credentials.ID(id)]
		want, status := credentials.Active, statuslist.Valid
		if c.withdrawn[id] {
			want, status = credentials.Withdrawn, statuslist.Invalid
		}
		if _, err := c.db.Credentials().Token(c.t.Context(), d); !ok || d.State != want || err != nil {
			c.t.Errorf("an acknowledged attestation (%s) is %q, want %q; its token: %v", key, d.State, want, err)
		}
		if got := published[[2]uint32{uint32(d.List), d.Index}]; got != status {
			c.t.Errorf("an attestation that is %s shows %d", d.State, got)
		}
	}
	for _, d := range records {
		if d.State == credentials.Draft {
			c.t.Error("a draft is left")
		}
	}
}

// oneEffectEach: there is nothing that nobody asked for, and nothing twice that
// was asked for once.
func (c *chaos) oneEffectEach(records map[credentials.ID]credentials.Issued) {
	c.t.Helper()
	attestations, cards := 0, 0
	for _, d := range records {
		switch {
		case d.State == credentials.Abandoned:
		case d.Kind == credentials.KindCard:
			cards++
		default:
			attestations++
		}
	}
	if want := len(c.issued); attestations != want {
		c.t.Errorf("%d attestations were released for %d requests", attestations, want)
	}
	if want := 1 + c.cards + c.lostCards; cards != want {
		c.t.Errorf("%d cards were released for %d requests", cards, want)
	}
}

func (c *chaos) noIndexTwice(records map[credentials.ID]credentials.Issued) {
	c.t.Helper()
	seen := map[[2]uint32]bool{}
	for _, d := range records {
		at := [2]uint32{uint32(d.List), d.Index}
		if seen[at] {
			c.t.Errorf("index %v was given out twice", at)
		}
		seen[at] = true
	}
}

// nothingSignedUnrecorded reads the Vault's own log: every input that an
// agency's key has signed was written down by us before, or made up by the
// proxy.
func (c *chaos) nothingSignedUnrecorded(records map[credentials.ID]credentials.Issued) (signed int) {
	c.t.Helper()
	recorded := c.proxy.forged()
	for _, d := range records {
		recorded[d.Digest] = true
	}
	for _, digest := range newVaultSignatures(c.t, c.vaultLog, c.keys)() {
		signed++
		if !recorded[digest] {
			c.t.Error("the Vault has signed something that is not recorded")
		}
	}
	if signed < len(c.issued) {
		c.t.Errorf("the Vault's log tells of %d signatures for %d attestations: the test does not watch", signed, len(c.issued))
	}
	return signed
}

// newVaultSignatures reads, in the log that a Vault itself writes, what it has signed with
// the key of an agency: everything at first, and later what came since.
func newVaultSignatures(t *testing.T, path string, keys hcvault.Config) func() [][32]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	lines := bufio.NewReaderSize(f, 1<<20)
	var half []byte // a line that is being written
	return func() (signed [][32]byte) {
		for {
			part, err := lines.ReadBytes('\n')
			half = append(half, part...)
			if errors.Is(err, io.EOF) {
				return signed
			}
			if err != nil {
				t.Fatal(err)
			}
			signed = append(signed, signedBy(t, half, keys)...)
			half = half[:0]
		}
	}
}

// signedBy is what a line of a Vault's log says that was signed with the key of an agency.
func signedBy(t *testing.T, line []byte, keys hcvault.Config) (signed [][32]byte) {
	t.Helper()
	var said struct {
		Type    string
		Request struct {
			Path string
			Data struct {
				Input string
				Batch []struct{ Input string } `json:"batch_input"`
			}
		}
		Response struct{ Data map[string]any }
	}
	if err := json.Unmarshal(line, &said); err != nil {
		t.Fatal("the Vault's log is not as it should be:", err)
	}
	if said.Type != "response" || !strings.HasPrefix(said.Request.Path, keys.Mount+"/sign/"+keys.Prefix+"-sign-") || said.Response.Data == nil {
		return nil
	}
	inputs := []string{said.Request.Data.Input}
	for _, one := range said.Request.Data.Batch {
		inputs = append(inputs, one.Input)
	}
	for _, input := range inputs {
		if input == "" {
			continue
		}
		digest, err := base64.StdEncoding.DecodeString(input)
		if err != nil || len(digest) != 32 {
			t.Error("the Vault has signed something that is no digest")
			continue
		}
		signed = append(signed, [32]byte(digest))
	}
	return signed
}

var errNotAnswered = errors.New("not answered")

// mustAsk asks any replica until it answers well.
func (c *chaos) mustAsk(token, method, path, body string, into any) {
	c.t.Helper()
	if _, err := c.ask(c.t.Context(), "", token, method, path, body, randomHex(16), into); err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
}

func (c *chaos) mustAskAt(address, token, method, path, body string, into any) {
	c.t.Helper()
	if _, err := c.ask(c.t.Context(), address, token, method, path, body, randomHex(16), into); err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
}
