package enginetest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/recovery"
	"github.com/safeconduct/safeconduct/internal/s3test"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/internal/vaulttest"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// TestRestoreDrill loses a whole network while people work with it and brings
// it back: everything that was acknowledged before the backup is there, and
// what was erased, withdrawn or paused after it is so again. It is played on
// the engines of one machine, and on PostgreSQL, S3 and Vault together.
func TestRestoreDrill(t *testing.T) {
	t.Parallel() // mostly other processes, and waiting for them
	t.Run("one machine", func(t *testing.T) {
		t.Parallel()
		newDrill(t, func() site { return site{passphrase: true} }).play()
	})
	t.Run("engines", func(t *testing.T) {
		t.Parallel()
		server := vaulttest.Start(t)
		bucket := s3test.Run(t)
		v := server.Network(t)
		secret := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(secret, []byte(bucket.Config.SecretKey.Reveal()), 0o600); err != nil {
			t.Fatal(err)
		}
		// The Vault survives; it has backups of its own.
		newDrill(t, func() site {
			s := site{database: pgtest.Start(t), keyring: pgtest.Start(t)}
			s.objects = "s3://" + bucket.Config.Bucket + "/" + randomHex(4) + "?endpoint=" + bucket.Config.Endpoint +
				"&region=" + bucket.Config.Region + "&path-style=true"
			s.env = []string{
				"SAFECONDUCT_DATABASE=" + s.database, "SAFECONDUCT_KEYRING=" + s.keyring, "SAFECONDUCT_OBJECTS=" + s.objects,
				"SAFECONDUCT_VAULT=" + v.Address, "SAFECONDUCT_VAULT_CA_FILE=" + v.CACert, "SAFECONDUCT_VAULT_MOUNT=" + v.Mount,
				"SAFECONDUCT_VAULT_PREFIX=" + v.Prefix, "SAFECONDUCT_VAULT_ROLE_ID_FILE=" + v.RoleIDFile,
				"SAFECONDUCT_VAULT_SECRET_ID_FILE=" + v.SecretIDFile,
				"SAFECONDUCT_S3_ACCESS_KEY=" + bucket.Config.AccessKey, "SAFECONDUCT_S3_SECRET_KEY_FILE=" + secret,
			}
			return s
		}).play()
	})
}

// site is one set of engines.
type site struct {
	dir                        string
	passphrase                 bool
	database, keyring, objects string // outside of the folder, if not empty
	env                        []string
}

func (s site) databaseAt() string { return config.Engines{Database: s.database}.DatabaseAt(s.dir) }
func (s site) keyringAt() string  { return config.Engines{Keyring: s.keyring}.KeyringAt(s.dir) }

// drill is one network, its clients, and what they were told.
type drill struct {
	t                      *testing.T
	temp, binary, phrase   string
	aside, recipients      string
	identity               string
	newSite                func() site
	at                     site
	process                *exec.Cmd
	output                 *bytes.Buffer
	address                string
	caseworker, supervisor *crashService
	operator               *crashService
	desk                   []*caller.Person // two who agree to what one asks
	network, logKey        string
	root                   json.RawMessage

	mu     sync.Mutex
	acked  []string // attestations that were acknowledged
	errors []error
}

func newDrill(t *testing.T, newSite func() site) *drill {
	temp := t.TempDir()
	d := &drill{
		t: t, temp: temp, binary: program(t, ""), phrase: filepath.Join(temp, "passphrase"), aside: filepath.Join(temp, "aside"),
		recipients: filepath.Join(temp, "recipients"), identity: filepath.Join(temp, "key2"), newSite: newSite,
	}
	if err := errors.Join(os.WriteFile(d.phrase, []byte("a passphrase for a test\n"), 0o600), os.Mkdir(d.aside, 0o700)); err != nil {
		t.Fatal(err)
	}
	var list string
	d.at.dir = temp
	for _, name := range []string{"key1", "key2"} {
		list += d.must("backup", "keygen", filepath.Join(temp, name))
	}
	if err := os.WriteFile(d.recipients, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// move chooses new engines.
func (d *drill) move(name string) {
	d.at = d.newSite()
	d.at.dir = filepath.Join(d.temp, name)
}

func (d *drill) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(d.t.Context(), d.binary, args...)
	c.Env = append(os.Environ(), d.at.env...)
	c.Env = append(c.Env, "SAFECONDUCT_ASIDE="+d.aside, "SAFECONDUCT_PASSPHRASE_FILE="+d.phrase)
	return c
}

// must runs a command that has to succeed, and returns what it printed.
func (d *drill) must(args ...string) string {
	d.t.Helper()
	c := d.command(args...)
	var told bytes.Buffer
	c.Stderr = &told
	out, err := c.Output()
	if err != nil {
		d.t.Fatalf("%s: %v\n%s%s", args[0], err, out, told.Bytes())
	}
	return string(out)
}

// mustNot runs a command that has to be refused, and returns why.
func (d *drill) mustNot(args ...string) string {
	d.t.Helper()
	out, err := d.command(args...).CombinedOutput()
	if err == nil {
		d.t.Fatalf("%q was done:\n%s", args, out)
	}
	return string(out)
}

func (d *drill) serve() {
	d.t.Helper()
	d.address = freeAddress(d.t)
	d.process = d.command("serve", "--dir", d.at.dir, "--listen", d.address, "--window", "1s")
	d.output = new(bytes.Buffer)
	d.process.Stderr = d.output
	if err := d.process.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(d.kill)
	for _, s := range []*crashService{d.caseworker, d.supervisor, d.operator} {
		if s != nil {
			s.address = d.address
		}
	}
	for _, p := range d.desk {
		p.URL = "http://" + d.address
	}
	waitReady(d.t, d.address)
}

func (d *drill) kill() {
	if d.process == nil {
		return
	}
	_ = d.process.Process.Kill()
	_ = d.process.Wait()
	d.process = nil
}

// found makes the network, an agency and two of its programs.
func (d *drill) found() {
	d.t.Helper()
	d.move("house")
	var made struct{ Token, Link string }
	out := d.must("init", "--json", "--dir", d.at.dir, "--name", "Drill", "--url", "https://drill.example", "--desk", "+00 00 000 000")
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		d.t.Fatal(err)
	}
	d.serve()
	d.operator = &crashService{t: d.t, address: d.address, token: made.Token}
	first := openOffice(d.t, d.address, made.Link)
	agency := first.agency("Drill NGO (made up)", "KHM")
	for role, into := range map[string]**crashService{"caseworker": &d.caseworker, "supervisor": &d.supervisor} {
		*into = &crashService{t: d.t, address: d.address, token: first.program(agency, role)}
		d.desk = append(d.desk, first.person(agency, role))
	}
}

// erase has a program ask that a case is erased, and two people agree.
func (d *drill) erase(caseID string) error {
	var asked caller.Asked
	if err := d.supervisor.call(d.t.Context(), "DELETE", "/api/v1/cases/"+caseID, "", "", &asked); err != nil {
		return err
	}
	for _, p := range d.desk {
		if err := p.SignIn(d.t.Context()); err != nil {
			return err
		}
	}
	return caller.Agreed(d.t.Context(), asked.Request, d.desk...)
}

func (d *drill) mustErase(caseID string) {
	d.t.Helper()
	if err := d.erase(caseID); err != nil {
		d.t.Fatal("erase a case:", err)
	}
}

// person is a case with one document, one page and two attestations.
type person struct {
	caseID, document string
	attestations     []string
	page             []byte // as it was read back
}

func (d *drill) takeIn() person {
	d.t.Helper()
	var made struct{ ID string }
	var p person
	d.caseworker.must("POST", "/api/v1/cases", `{}`, &made)
	p.caseID = made.ID
	d.caseworker.must("POST", "/api/v1/cases/"+p.caseID+"/documents", `{"kind":"PASSPORT","issuing_state":"UTO","document_number":"Z0000001","custody":"unknown"}`, &made)
	p.document = made.ID
	if err := d.caseworker.upload("/api/v1/documents/"+p.document+"/pages?role=data", pageOf(d.t)); err != nil {
		d.t.Fatal(err)
	}
	for range 2 {
		p.attestations = append(p.attestations, d.attest(p.caseID))
	}
	p.page = d.page(p.document)
	return p
}

func (d *drill) attest(caseID string) string {
	d.t.Helper()
	var made struct{ ID string }
	d.caseworker.must("POST", "/api/v1/cases/"+caseID+"/attestations", crashClaims, &made)
	return made.ID
}

func (d *drill) change(attestation, action string) {
	d.t.Helper()
	d.supervisor.must("POST", "/api/v1/attestations/"+attestation+"/status", `{"action":"`+action+`","reason":"holder_asked"}`, nil)
}

// page reads the first page of a document, nil if it cannot be read.
func (d *drill) page(document string) []byte {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, "http://"+d.address+"/api/v1/documents/"+document+"/pages/1", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.caseworker.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	return data
}

func pageOf(t *testing.T) []byte {
	img := image.NewGray(image.Rect(0, 0, 64, 64))
	for i := range img.Pix {
		img.Pix[i] = byte(i * 7)
	}
	img.SetGray(1, 1, color.Gray{Y: 77})
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// load issues until it is stopped, and notes what was acknowledged.
func (d *drill) load(caseID string) (stop func()) {
	var ended atomic.Bool
	var clients sync.WaitGroup
	for client := range 2 {
		clients.Go(func() {
			for n := 0; !ended.Load(); n++ {
				var made struct{ ID string }
				err := d.caseworker.call(d.t.Context(), "POST", "/api/v1/cases/"+caseID+"/attestations", crashClaims,
					fmt.Sprintf("drill-%02d-%06d-%s", client, n, randomHex(4)), &made)
				d.mu.Lock()
				if err != nil {
					d.errors = append(d.errors, err)
				} else {
					d.acked = append(d.acked, made.ID)
				}
				d.mu.Unlock()
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	return func() { ended.Store(true); clients.Wait() }
}

func (d *drill) acknowledged() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.acked)
}

// place is where an attestation stands in the lists.
type listPlace struct {
	list  uint16
	index uint32
}

// places reads where everything of some cases stands.
func (d *drill) places(cases ...string) map[string]listPlace {
	d.t.Helper()
	all := map[string]listPlace{}
	d.look(func(h *service.Service) {
		for _, c := range cases {
			issued, err := h.DB.Credentials().ByCase(d.t.Context(), c)
			if err != nil {
				d.t.Fatal(err)
			}
			for _, i := range issued {
				all[string(i.ID)] = listPlace{i.List, i.Index}
			}
		}
	})
	return all
}

// statusOf reads a place in the pack that the service gives everybody.
func (d *drill) statusOf(p listPlace) uint8 {
	d.t.Helper()
	resp, err := http.Get("http://" + d.address + "/pack") //nolint:noctx // of this machine
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var lists verifier.Lists
	if err := json.NewDecoder(resp.Body).Decode(&lists); err != nil {
		d.t.Fatal(err)
	}
	public, err := verifier.OpenLists(lists, d.network, d.root)
	if err != nil {
		d.t.Fatal(err)
	}
	v, err := public.Status(p.list).Get(int(p.index))
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

// look opens the folder as fsck does.
func (d *drill) look(see func(h *service.Service)) {
	d.t.Helper()
	for _, e := range d.at.env {
		name, value, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "SAFECONDUCT_S3") {
			_ = os.Setenv(name, value) //nolint:usetesting // parallel tests may not; the value is one for all of them
		}
	}
	cfg := service.Config{Dir: d.at.dir, Now: time.Now}
	if d.at.passphrase {
		cfg.Passphrase = "a passphrase for a test"
	}
	h, err := service.Look(d.t.Context(), cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	see(h)
	if err := h.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// learn asks the folder which network it is.
func (d *drill) learn() {
	d.look(func(h *service.Service) {
		var err error
		d.network = h.Network.ID()
		if d.root, err = h.Network.RootKey(d.t.Context()); err != nil {
			d.t.Fatal(err)
		}
		if d.logKey, err = h.Keys.LogKey(d.t.Context()); err != nil {
			d.t.Fatal(err)
		}
	})
}

func (d *drill) fsck() doctor.Health {
	d.t.Helper()
	var found doctor.Health
	if err := json.Unmarshal([]byte(d.must("fsck", "--json", "--dir", d.at.dir)), &found); err != nil {
		d.t.Fatal(err)
	}
	if len(found.Problems) > 0 {
		d.t.Fatalf("fsck: %q", found.Problems)
	}
	return found
}

// published waits until a window has closed that began after now.
func (d *drill) published() {
	d.t.Helper()
	var done struct{ Waiting int }
	d.operator.must("POST", "/api/v1/publications", `{"emergency":true}`, &done)
	if done.Waiting != 0 {
		d.t.Fatalf("%d changes still wait", done.Waiting)
	}
}

func (d *drill) play() {
	t := d.t
	d.found()
	kept, erasedBefore, erasedAfter, changed := d.takeIn(), d.takeIn(), d.takeIn(), d.takeIn()
	d.mustErase(erasedBefore.caseID)
	stop := d.load(kept.caseID)

	// The backup, while they work. On a busy machine nothing may be issued during a first
	// one.
	var before []string
	var data, keyring string
	var during int
	for try := range 20 {
		before = d.acknowledged()
		data, keyring = filepath.Join(d.temp, fmt.Sprintf("data-%d.age", try)), filepath.Join(d.temp, fmt.Sprintf("keyring-%d.age", try))
		d.must("backup", "--dir", d.at.dir, "--to", d.recipients, "--keyring-file", keyring, data)
		if during = len(d.acknowledged()); during > len(before) && len(before) > 0 {
			break
		}
	}
	old := filepath.Join(d.temp, "old-journal")
	journal, err := os.ReadFile(filepath.Join(d.aside, offsite.JournalName))
	if err := errors.Join(err, os.WriteFile(old, journal, 0o600)); err != nil {
		t.Fatal(err)
	}

	// What comes after it.
	late := d.takeIn()
	places := d.places(erasedAfter.caseID) // which nothing leads to when it is erased
	d.mustErase(erasedAfter.caseID)
	d.change(changed.attestations[0], "withdraw")
	d.change(changed.attestations[1], "pause")
	d.change(late.attestations[0], "withdraw")
	d.change(late.attestations[1], "pause")
	d.published()
	stop()
	d.kill() // and not a clean end
	if len(d.errors) > 0 {
		t.Fatalf("%d requests were refused, the first: %v", len(d.errors), d.errors[0])
	}
	if during == len(before) {
		t.Error("nothing was issued during the backup: it was not under load")
	}
	d.learn()
	maps.Copy(places, d.places(kept.caseID, changed.caseID, late.caseID))
	used := map[listPlace]bool{}
	for _, p := range places {
		used[p] = true
	}
	root, network := d.root, d.network
	if err := os.RemoveAll(d.at.dir); err != nil {
		t.Fatal(err)
	}

	// The refusals that matter most, then the restore itself.
	d.move("again")
	restore := []string{"restore", "--json", "--dir", d.at.dir, "--identity", d.identity, "--from", d.aside}
	if why := d.mustNot(append(slices.Clone(restore), "--keyring-file", keyring, "--erasures", old, data)...); !strings.Contains(why, recovery.ErrJournalOld.Error()) {
		t.Errorf("an old journal: %s", why)
	}
	d.mustNot(append(slices.Clone(restore), "--keyring-file", data, data)...)
	d.mustNot(append(slices.Clone(restore), keyring)...)
	d.mustNot("restore", "--dir", d.at.dir, "--identity", d.identity, data)
	d.nothingThere()
	var done recovery.Restored
	if err := json.Unmarshal([]byte(d.must(append(slices.Clone(restore), "--keyring-file", keyring, data)...)), &done); err != nil {
		t.Fatal(err)
	}
	d.mustNot(append(slices.Clone(restore), "--keyring-file", keyring, data)...) // not empty any more
	if done.Erasures != 1 || done.Adopted.Changed < 2 || done.Adopted.Held < 2 || done.LostLeaves == 0 || len(done.Problems) > 0 {
		t.Errorf("the report: %+v", done)
	}
	if d.learn(); !bytes.Equal(d.root, root) || d.network != network {
		t.Error("it is another network")
	}
	d.fsck()
	d.linked(network)
	d.goneForGood(erasedBefore, erasedAfter)
	if _, err := os.Stat(filepath.Join(d.at.dir, config.SignerName, signer.StateName)); err != nil {
		t.Errorf("what the signer signed last did not come back: %v", err)
	}

	d.serve()
	for _, id := range append(before, changed.attestations...) {
		var a struct{ ID, State, Credential string }
		time.Sleep(5 * time.Millisecond) // as fast as the service takes requests
		d.caseworker.must("GET", "/api/v1/attestations/"+id, "", &a)
		want := "active"
		if i := slices.Index(changed.attestations, id); i >= 0 {
			want = []string{"withdrawn", "paused"}[i]
		}
		if a.State != want || a.Credential == "" {
			t.Fatalf("an attestation from before the backup is %q, want %s", a.State, want)
		}
	}
	if resp, err := http.Get("http://" + d.address + "/log/restart"); err != nil || resp.StatusCode != http.StatusOK { //nolint:noctx // of this machine
		t.Errorf("what the log follows is not public: %v", err)
	} else {
		_ = resp.Body.Close()
	}
	for _, p := range []person{kept, changed} {
		if !bytes.Equal(d.page(p.document), p.page) {
			t.Error("a page from before the backup differs or cannot be read")
		}
	}
	for _, p := range []person{erasedBefore, erasedAfter, late} {
		if d.page(p.document) != nil || d.caseworker.call(t.Context(), "GET", "/api/v1/cases/"+p.caseID, "", "", nil) == nil {
			t.Error("a case is there that was erased, or that came after the backup")
		}
	}
	for id, want := range map[string]uint8{
		changed.attestations[0]: 1, changed.attestations[1]: 2, late.attestations[0]: 1, late.attestations[1]: 2,
		erasedAfter.attestations[0]: 1, kept.attestations[0]: 0,
	} {
		if got := d.statusOf(places[id]); got != want {
			t.Errorf("a place says %d in public, want %d", got, want)
		}
	}

	// Nothing is used twice, not even what was given out after the backup.
	for range 200 {
		time.Sleep(5 * time.Millisecond)
		d.attest(kept.caseID)
	}
	d.published()
	d.kill()
	again := 0
	for id, p := range d.places(kept.caseID) {
		if _, known := places[id]; known {
			continue
		}
		again++
		if used[p] || p.list != done.NewList {
			t.Fatalf("place %d of list %d was given out after the restore", p.index, p.list)
		}
		used[p] = true
	}
	if again != 200 {
		t.Errorf("%d new attestations, want 200", again)
	}
	found := d.fsck()
	d.withoutKeys(data, kept)
	var rows int64
	for _, n := range done.Rows {
		rows += n
	}
	t.Logf("%d attestations acknowledged before the backup and %d in all, %d places in use; restored: %d rows, %d pages, %d key files, %d entries lost; fsck: %d records, %d leaves",
		len(before), len(d.acked), len(places), rows, done.Pages, done.KeyFiles, done.LostLeaves, found.Issued, found.Leaves)
}

// linked: the log has another name, and proves with public files alone what it
// follows. A link that was changed is noticed.
func (d *drill) linked(network string) {
	d.t.Helper()
	verify := []string{"log", "verify", "--json", "--dir", d.at.dir, "--key", d.logKey} // as a stranger does
	var log struct{ Origin, Follows string }
	if err := json.Unmarshal([]byte(d.must(verify...)), &log); err != nil {
		d.t.Fatal(err)
	}
	if log.Follows != service.LogOrigin(network) || len(log.Origin) != len(log.Follows)+9 || !strings.HasPrefix(log.Origin, log.Follows+"/") {
		d.t.Errorf("the log %s follows %s", log.Origin, log.Follows)
	}
	if d.at.database != "" {
		return // the log's files are in the database; the check is the same
	}
	path := filepath.Join(d.at.dir, config.LogName, service.RestartName)
	link, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, other := range [][]byte{bytes.Replace(link, []byte("20"), []byte("21"), 1), nil} {
		if err := os.WriteFile(path, other, 0o600); err != nil {
			d.t.Fatal(err)
		}
		d.mustNot(verify...)
	}
	if err := os.WriteFile(path, link, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// nothingThere: whatever was refused has changed nothing.
func (d *drill) nothingThere() {
	d.t.Helper()
	if entries, err := os.ReadDir(d.at.dir); !errors.Is(err, os.ErrNotExist) {
		d.t.Fatalf("a refused restore left %d files, %v", len(entries), err)
	}
	for _, free := range []func() (bool, error){
		func() (bool, error) { return sqlstore.Vacant(d.t.Context(), d.at.databaseAt()) },
		func() (bool, error) { return sqlstore.VacantKeyring(d.t.Context(), d.at.keyringAt()) },
	} {
		if ok, err := free(); err != nil || !ok {
			d.t.Fatalf("a refused restore left something in the engines: %v", err)
		}
	}
}

// goneForGood: no key file, no row and no ciphertext of the erased is left.
func (d *drill) goneForGood(people ...person) {
	d.t.Helper()
	ctx := d.t.Context()
	d.look(func(h *service.Service) {
		for _, p := range people {
			for _, id := range []string{p.caseID, p.document} {
				if _, err := h.Keyring.Get(ctx, id); !errors.Is(err, vault.ErrNotFound) {
					d.t.Errorf("the key file of an erased record: %v", err)
				}
				if _, err := h.DB.Vault().Record(ctx, id); !errors.Is(err, vault.ErrNotFound) {
					d.t.Errorf("the row of an erased record: %v", err)
				}
			}
			for key, err := range h.Objects.List(ctx, p.caseID+"/") {
				d.t.Errorf("a page of an erased record is left (%d), %v", len(key), err)
			}
		}
	})
}

// withoutKeys restores the data alone, and into other engines than it came
// from: the network works, its old records stay shut.
func (d *drill) withoutKeys(data string, kept person) {
	d.t.Helper()
	d.move("shut")
	if d.at.database == "" {
		d.at.database, d.at.keyring = pgtest.Start(d.t), pgtest.Start(d.t)
		d.at.env = append(d.at.env, "SAFECONDUCT_DATABASE="+d.at.database, "SAFECONDUCT_KEYRING="+d.at.keyring)
	} else {
		d.at.database, d.at.keyring, d.at.objects = "", "", ""
		d.at.env = append(d.at.env, "SAFECONDUCT_DATABASE=", "SAFECONDUCT_KEYRING=", "SAFECONDUCT_OBJECTS=")
	}
	// An off-site folder of this network's own: the one of the network that goes on
	// would outrun it.
	own := filepath.Join(d.temp, "own-aside")
	if err := os.Mkdir(own, 0o700); err != nil {
		d.t.Fatal(err)
	}
	from := d.aside
	d.aside = own
	d.must("restore", "--dir", d.at.dir, "--identity", d.identity, "--from", from, data)
	d.fsck()
	d.serve()
	defer d.kill()
	if d.page(kept.document) != nil {
		d.t.Error("a page opens without its key")
	}
	var made struct{ ID string }
	d.caseworker.must("POST", "/api/v1/cases", `{}`, &made)
	d.attest(made.ID)
	d.look(func(h *service.Service) {
		files := 0
		for _, err := range h.Keyring.Rows(d.t.Context()) {
			if files++; err != nil {
				d.t.Fatal(err)
			}
		}
		if files != 1 {
			d.t.Errorf("the keyring has %d key files; want that of the new case alone", files)
		}
	})
}

// TestBackupHoldsNoKeys looks inside a backup: no key file of a record is in
// the data, and nothing else is in the keyring's.
func TestBackupHoldsNoKeys(t *testing.T) {
	t.Parallel()
	d := newDrill(t, func() site { return site{passphrase: true} })
	d.found()
	p := d.takeIn()
	data, keyring := filepath.Join(d.temp, "data.age"), filepath.Join(d.temp, "keyring.age")
	d.must("backup", "--dir", d.at.dir, "--to", d.recipients, "--keyring-file", keyring, data)
	d.kill()
	var files [][]byte
	d.look(func(h *service.Service) {
		for _, id := range []string{p.caseID, p.document} {
			for row, err := range h.Keyring.Rows(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if row.Name == h.Keyring.Name(id) {
					files = append(files, row.Box)
				}
			}
		}
		if len(files) != 2 {
			t.Fatalf("%d rows of two records", len(files))
		}
	})
	for path, want := range map[string]bool{data: false, keyring: true} {
		var all []byte
		kinds := map[string]bool{}
		read(t, path, d.identity, func(name string, data []byte) {
			kind, _, _ := strings.Cut(name, "/")
			kinds[kind] = true
			all = append(all, data...)
		})
		for _, f := range files {
			if got := bytes.Contains(all, f); got != want {
				t.Errorf("%s holds a key file: %v", filepath.Base(path), got)
			}
		}
		if kinds["keyfiles"] != want || kinds["rows"] == want {
			t.Errorf("%s holds %v", filepath.Base(path), kinds)
		}
	}
}

// read shows the parts of a backup.
func read(t *testing.T, path, identity string, each func(name string, data []byte)) backup.Signed {
	t.Helper()
	ids := identities(t, identity)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s, err := backup.Read(f, ids, func(name string, data []byte) error { each(name, data); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return s
}
