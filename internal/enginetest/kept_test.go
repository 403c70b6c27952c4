package enginetest_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/internal/recovery"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	changes "github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// keptDir holds a network of each layout that the stores ever had from 0060 on, in a
// folder that is called as the newest migration then; its README says what lies there.
var keptDir = filepath.Join("..", "..", "testdata", "kept")

// keptMost is how much one of them may weigh in all.
const keptMost = 2 << 20

// known is what a kept network holds, and therefore has to be found. All of it is made up.
type known struct {
	Now        time.Time // when it was made: what runs out has not yet
	Passphrase string
	Origin     string
	First      string                             // the operator
	Passkeys   map[string]*software.Authenticator // by person
	Keeper     audit.Actor
	Cases      []knownCase
	Erased     knownCase // between the two backups
	Card       knownCard
}

type knownCase struct {
	ID           string
	Documents    []knownDocument
	Attestations []string // in use
	Entries      int      // of its history, or more
}

type knownDocument struct {
	ID, State, Number, BirthDate string
	Pages                        []string // SHA-256, in hex, of what is read back
}

type knownCard struct{ ID, Number, Code, Digits string }

// TestKeep makes the kept network of this version: make keep. It replaces none.
func TestKeep(t *testing.T) {
	if os.Getenv("SAFECONDUCT_KEEP") == "" {
		t.Skip("make keep")
	}
	a := newEmpty(t, nil)
	found, err := sqlstore.Inspect(t.Context(), filepath.Join(a.cfg.Dir, config.DatabaseName))
	a.ok(err)
	dir := filepath.Join(keptDir, strconv.FormatInt(found.Newest, 10))
	if _, err := os.Stat(dir); err == nil {
		t.Fatalf("%s is there: what was kept is never made anew. A version that lays stores anew has another number", dir)
	}
	made := t.TempDir() // and put there when all is well
	a.ok(os.WriteFile(filepath.Join(made, "passphrase"), []byte(a.cfg.Passphrase+"\n"), 0o600))

	k := known{Now: rowsNow(), Passphrase: a.cfg.Passphrase, Origin: a.house.Origin, First: a.house.First}
	printed, lost := a.fillSome()
	k.Keeper = a.ngo
	k.Card = knownCard{string(printed.ID), printed.Number, printed.Code.Reveal(), printed.Digits}
	k.Erased = a.known(lost)
	device, by := a.letIn()
	a.publish()

	secret, list := "", ""
	for range 2 { // the second one is nobody's
		one, public, err := backup.NewIdentity()
		a.ok(err)
		secret, list = one, list+public+"\n"
	}
	a.ok(os.WriteFile(filepath.Join(made, "identity"), []byte(secret+"\n"), 0o600))
	recipients := filepath.Join(t.TempDir(), "recipients")
	a.ok(os.WriteFile(recipients, []byte(list), 0o600))
	folder := config.Folder{Dir: a.cfg.Dir, PassphraseFile: filepath.Join(made, "passphrase")}
	copied := func(name string) {
		_, err := recovery.Backup(t.Context(), recovery.BackupOrder{
			Folder: folder, Recipients: recipients, Now: rowsNow, Progress: bytes.NewBuffer(nil),
			To: filepath.Join(made, name+"-data.age"), KeyringTo: filepath.Join(made, name+"-keyring.age"),
		})
		a.ok(err)
	}
	copied("early")
	early := a.known(a.case_)
	_, err = a.s.Vault.Erase(t.Context(), a.ngo, lost)
	a.ok(err)
	_, err = a.s.Issuer.ChangeAttestation(t.Context(), a.mission, a.reply, credentials.Withdraw, credentials.ReasonOther, randomHex(16))
	a.ok(err)
	a.publish()
	copied("late")

	late := a.known(a.case_)
	late.Entries = early.Entries // what both have
	k.Cases = []knownCase{late}
	k.Passkeys = a.house.Keys
	lists, err := a.s.Board.Lists(t.Context())
	a.ok(err)
	envelope, err := a.s.Board.Envelope(t.Context(), by)
	a.ok(err)
	pack, err := verifier.MarshalFile(verifier.File{Lists: lists, Envelope: envelope})
	a.ok(err)
	key, err := verifier.MarshalDevice(device)
	a.ok(err)
	text, err := json.MarshalIndent(k, "", "  ")
	a.ok(err)
	a.ok(errors.Join(
		os.WriteFile(filepath.Join(made, "pack.json"), pack, 0o600), os.WriteFile(filepath.Join(made, "device.json"), key, 0o600),
		os.WriteFile(filepath.Join(made, "known.json"), append(text, '\n'), 0o600), os.Remove(folder.PassphraseFile),
		a.s.Close(), a.db.Close(), // which puts all of it into the files
	))
	a.ok(archived(filepath.Join(made, "network.tar.gz"), a.cfg.Dir))
	if weigh(t, made); t.Failed() {
		return
	}
	a.ok(os.MkdirAll(keptDir, 0o755))
	a.ok(os.CopyFS(dir, os.DirFS(made)))
}

// fillSome does less than fill, so that what is kept is small: there is one of each kind.
// It returns a card, and a case that is going to be erased.
func (a *attacked) fillSome() (printed credentials.Card, lost string) {
	a.t.Helper()
	ctx := a.t.Context()
	a.ngo, a.mission = a.agency("Lotus", string(network.NGO), "KHM"), a.agency("Embassy", claims.ClassMission, "ETH")
	findable := func(state, number string) (caseID, document string) {
		made, err := a.s.Vault.CreateCase(ctx, a.ngo)
		a.ok(err)
		a.ok(a.s.Vault.SetFindable(ctx, a.ngo, made.ID, true))
		kept, err := a.s.Vault.AddDocument(ctx, a.ngo, made.ID, vault.Document{
			Kind: "PASSPORT", IssuingState: state, Number: private.New(number), BirthDate: private.New("1990-02-03"),
		})
		a.ok(err)
		return made.ID, kept.ID
	}
	identity := func(caseID, name string) credentials.ID {
		return a.issue(a.ngo, credentials.Order{Case: caseID, Claims: &claims.IdentityClaim{
			Names: []claims.Name{{Script: "Latn", Full: private.New(name), Type: "used"}}, Assurance: "self_asserted", ClaimStatus: "open",
		}})
	}
	a.case_, a.document = findable("ETH", "EP1234567")
	_, err := a.s.Vault.AddPage(ctx, a.ngo, a.document, vault.PageMeta{Role: vault.RoleData, MediaType: "image/png"}, bytes.NewReader(pageOf(a.t)))
	a.ok(err)
	a.identity = identity(a.case_, "MADE UP")
	printed, err = a.s.Issuer.IssueCard(ctx, a.ngo, credentials.CardOrder{
		Case: a.case_, Name: private.New("MADE UP"), BirthDate: private.New("1990"), Nationality: private.New("ETH"), RequestKey: randomHex(16),
	})
	a.ok(err)
	a.card = printed.ID
	for _, record := range []string{a.case_, a.document} {
		a.share(record, a.mission, a.card)
	}
	a.open(a.mission)
	a.reply = a.answer(credentials.Order{About: a.identity, Claims: &claims.Reply{
		Answer: "matched", Mission: private.New("Embassy"), MissionState: "ETH", Ref: private.New("CONS/1"), OfficerID: private.New("officer 7"),
		Date: claims.NewDay(rowsNow()), Channel: "account",
	}})
	_, err = a.s.Vault.LookUp(ctx, a.mission, vault.Query{Kind: "PASSPORT", State: "ETH", Number: private.New("EP1234567"), BirthDate: private.New("900203")})
	a.ok(err)
	_, err = a.s.Issuer.Paper(ctx, private.New("123412341234"), private.New("1234567890"))
	a.ok(err)
	_, err = a.s.People.Ask(ctx, a.house.Actor(a.house.First), changes.DoSuspendAgency, "", &changes.SuspendAgency{ID: a.mission.Agency})
	a.ok(err)
	lost, _ = findable("UTO", "L0000001")
	identity(lost, "NOBODY")
	return printed, lost
}

// known is what there is of a case.
func (a *attacked) known(id string) knownCase {
	a.t.Helper()
	ctx, c := a.t.Context(), knownCase{ID: id}
	documents, err := a.s.Vault.Documents(ctx, a.ngo, id)
	a.ok(err)
	for _, document := range documents {
		kept, err := a.s.Vault.ReadDocument(ctx, a.ngo, document)
		a.ok(err)
		d := knownDocument{ID: document, State: kept.Document.IssuingState, Number: kept.Document.Number.Reveal(), BirthDate: kept.Document.BirthDate.Reveal()}
		for i := range kept.Pages {
			page, err := a.s.Vault.ReadPage(ctx, a.ngo, document, i+1)
			a.ok(err)
			digest := sha256.Sum256(page.Bytes())
			d.Pages = append(d.Pages, hex.EncodeToString(digest[:]))
		}
		c.Documents = append(c.Documents, d)
	}
	issued, err := a.s.Issuer.List(ctx, a.ngo, id)
	a.ok(err)
	for _, one := range issued {
		if one.Card == nil && one.State == credentials.Active {
			c.Attestations = append(c.Attestations, string(one.ID))
		}
	}
	history, err := a.s.Vault.History(ctx, a.ngo, id)
	a.ok(err)
	c.Entries = len(history)
	return c
}

// letIn lets a device in.
func (a *attacked) letIn() (verifier.Device, audit.Actor) {
	a.t.Helper()
	ctx := a.t.Context()
	inviter, _ := a.house.Program(a.ngo.Agency, people.Supervisor, a.house.First)
	_, secret, err := a.s.Network.InviteDevice(ctx, audit.Actor{ID: inviter.ID, Agency: a.ngo.Agency, Role: string(people.Supervisor)}, a.ngo.Agency, "gate-2")
	a.ok(err)
	device, public, err := verifier.NewDevice(a.s.Network.ID(), "", nil)
	a.ok(err)
	e, err := a.s.Network.EnrolDevice(ctx, secret, public)
	a.ok(err)
	symbols, err := verifier.Symbols(a.s.Network.ID(), e.Root, e.Device.Recipient)
	a.ok(err)
	admission, err := a.s.Network.DeviceAdmission(ctx, a.house.Actor(a.house.First), e.Device.ID, symbols)
	a.ok(err)
	a.house.Do(changes.DoAdmitDevice, a.ngo.Agency, admission, a.house.First)
	a.ok(a.s.Network.Adopt(ctx))
	device.ID, device.Root = e.Device.ID, e.Root
	return device, audit.Actor{ID: device.ID, Agency: a.ngo.Agency, Role: string(people.DeviceRole)}
}

// archived puts a folder into an archive.
func archived(path, dir string) error {
	var data bytes.Buffer
	small, err := gzip.NewWriterLevel(&data, gzip.BestCompression)
	if err != nil {
		return err
	}
	all := tar.NewWriter(small)
	if err := errors.Join(all.AddFS(os.DirFS(dir)), all.Close(), small.Close()); err != nil {
		return err
	}
	return os.WriteFile(path, data.Bytes(), 0o600)
}

func weigh(t *testing.T, dir string) {
	t.Helper()
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
			t.Logf("%8d %s", info.Size(), d.Name())
		}
		return err
	})
	if err != nil || sum > keptMost {
		t.Errorf("%s has %d bytes: %v", dir, sum, err)
	}
}

// TestKept opens with the program of today what each version from 0060 on has kept: the
// folder, both of its backups in either engine, the pack and the keys of people and
// devices. What is kept in earnest has to open for as long as anybody needs it.
func TestKept(t *testing.T) {
	t.Parallel()
	all, err := os.ReadDir(keptDir)
	if err != nil {
		t.Fatal(err)
	}
	newest := slices.ContainsFunc(all, func(e fs.DirEntry) bool { return e.Name() == strconv.FormatInt(newestSchema(t), 10) })
	if !newest {
		t.Error("nothing is kept of this version: make keep")
	}
	for _, e := range all {
		if e.IsDir() {
			t.Run(e.Name(), func(t *testing.T) { openKept(t, filepath.Join(keptDir, e.Name())) })
		}
	}
}

func newestSchema(t *testing.T) int64 {
	t.Helper()
	at := filepath.Join(t.TempDir(), "new.db")
	db, err := sqlstore.Open(t.Context(), at)
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	found, err := sqlstore.Inspect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return found.Newest
}

func openKept(t *testing.T, kept string) {
	weigh(t, kept)
	var k known
	data, err := os.ReadFile(filepath.Join(kept, "known.json"))
	if err := errors.Join(err, json.Unmarshal(data, &k)); err != nil {
		t.Fatal(err)
	}
	at := func() time.Time { return k.Now.Add(time.Hour) }

	t.Run("device", func(t *testing.T) {
		pack := openKeptPack(t, kept, at())
		v := pack.Verify(verifier.Presentation{Text: k.Card.Digits, Code: &k.Card.Code}, at())
		if v.State != verifier.Unconfirmed || v.Card == nil || v.Card.Name.Reveal() != "MADE UP" {
			t.Errorf("the card is %s", v.State)
		}
	})
	dir := t.TempDir()
	network := filepath.Join(dir, "network")
	passphrase := filepath.Join(dir, "passphrase")
	if err := errors.Join(os.Mkdir(network, 0o700), os.WriteFile(passphrase, []byte(k.Passphrase+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	unpack(t, filepath.Join(kept, "network.tar.gz"), network)
	aside := filepath.Join(dir, "aside")
	if err := os.CopyFS(aside, os.DirFS(filepath.Join(network, config.AsideName))); err != nil {
		t.Fatal(err)
	}
	t.Run("folder", func(t *testing.T) {
		keptHolds(t, k, openKeptPack(t, kept, at()), config.Folder{Dir: network, PassphraseFile: passphrase}, at)
	})
	t.Run("late backup/without keys", func(t *testing.T) {
		keptWithoutKeys(t, k, recovery.RestoreOrder{
			Backup: filepath.Join(kept, "late-data.age"), Identity: filepath.Join(kept, "identity"), From: aside, Progress: bytes.NewBuffer(nil), Now: at,
			Folder: config.Folder{Dir: filepath.Join(t.TempDir(), "network"), PassphraseFile: passphrase},
		})
	})
	for _, name := range []string{"early", "late"} {
		for engine, where := range map[string]func(t *testing.T) config.Engines{
			"sqlite": func(*testing.T) config.Engines { return config.Engines{} },
			"postgres": func(t *testing.T) config.Engines {
				return config.Engines{Database: pgtest.Start(t), Keyring: pgtest.Start(t)}
			},
		} {
			t.Run(name+" backup/"+engine, func(t *testing.T) {
				to := config.Folder{Dir: filepath.Join(t.TempDir(), "network"), PassphraseFile: passphrase}
				done, err := recovery.Restore(t.Context(), recovery.RestoreOrder{
					Backup: filepath.Join(kept, name+"-data.age"), Keyring: filepath.Join(kept, name+"-keyring.age"),
					Identity: filepath.Join(kept, "identity"), Folder: to, Engines: where(t), From: aside, Progress: bytes.NewBuffer(nil), Now: at,
				})
				// The key of what was erased later does not come back.
				if erased := map[string]int{"early": 1, "late": 0}[name]; err != nil || len(done.Problems) > 0 || done.Erasures != erased || done.Shut != erased {
					t.Fatalf("%+v: %v", done, err)
				}
				keptHolds(t, k, openKeptPack(t, kept, at()), to, at)
			})
		}
	}
}

// keptWithoutKeys brings a backup back without the keyring: its cases stay shut, and that
// is no reason not to work on others.
func keptWithoutKeys(t *testing.T, k known, order recovery.RestoreOrder) {
	t.Helper()
	done, err := recovery.Restore(t.Context(), order)
	if err != nil || done.Shut == 0 {
		t.Fatalf("%+v: %v", done, err)
	}
	s, err := service.Open(t.Context(), service.Config{Dir: order.Folder.Dir, Passphrase: k.Passphrase, WorkFactor: service.DemoWork, Now: order.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	cases, err := s.Vault.Cases(t.Context(), k.Keeper, "", 100)
	if err != nil || len(cases) != 0 {
		t.Errorf("%d cases: %v", len(cases), err)
	}
	if _, err := s.Vault.CreateCase(t.Context(), k.Keeper); err != nil {
		t.Error(err)
	}
	if cases, err = s.Vault.Cases(t.Context(), k.Keeper, "", 100); err != nil || len(cases) != 1 {
		t.Errorf("with a new one %d cases: %v", len(cases), err)
	}
}

// openKeptPack opens the pack with the device's key.
func openKeptPack(t *testing.T, kept string, now time.Time) *verifier.Pack {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(kept, "pack.json"))
	key, err2 := os.ReadFile(filepath.Join(kept, "device.json"))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	device, err := verifier.ParseDevice(key)
	if err != nil {
		t.Fatal(err)
	}
	pack, err := verifier.OpenPack(file, device, now)
	if err != nil {
		t.Fatal(err)
	}
	return pack
}

// keptHolds opens a network, looks whether all is there that was, and goes on with it.
func keptHolds(t *testing.T, k known, pack *verifier.Pack, folder config.Folder, now func() time.Time) {
	t.Helper()
	ctx := t.Context()
	cfg := service.Config{Dir: folder.Dir, Passphrase: k.Passphrase, WorkFactor: service.DemoWork, Now: now, Log: slog.New(slog.DiscardHandler)}
	s, err := service.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	open := true
	defer func() {
		if open {
			_ = s.Close()
		}
	}()
	a := &attacked{t: t, cfg: cfg, s: s, ngo: k.Keeper}
	whole := func() {
		t.Helper()
		if found, err := doctor.Check(ctx, s, false); err != nil || len(found.Problems) > 0 {
			t.Errorf("fsck: %q: %v", found.Problems, err)
		}
		if scrubbed, err := s.Vault.Scrub(ctx); err != nil || len(scrubbed.Damaged) > 0 {
			t.Errorf("scrub: %+v: %v", scrubbed.Damaged, err)
		}
	}
	whole()
	cases, err := s.Vault.Cases(ctx, k.Keeper, "", 100)
	a.ok(err)
	if len(cases) != len(k.Cases) {
		t.Errorf("%d cases, want %d", len(cases), len(k.Cases))
	}
	for _, want := range k.Cases {
		a.keptCase(want, pack)
	}
	if _, err := s.Vault.Case(ctx, k.Keeper, k.Erased.ID); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the erased case: %v", err)
	}
	for _, d := range k.Erased.Documents {
		if _, err := s.Vault.ReadDocument(ctx, k.Keeper, d.ID); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("a document of the erased case: %v", err)
		}
	}

	// It goes on: with the passkey of somebody who was there, an agency, something signed,
	// and a pack.
	a.house = &peopletest.House{First: k.First, Keys: k.Passkeys, Origin: k.Origin}
	a.house = a.house.At(t, s.People, s.Passkeys)
	a.agency("Delta", string(network.NGO), "KHM")
	a.issue(a.ngo, credentials.Order{Case: k.Cases[0].ID, Claims: &claims.IdentityClaim{
		Names: []claims.Name{{Script: "Latn", Full: private.New("MADE UP"), Type: "used"}}, Assurance: "self_asserted", ClaimStatus: "open",
	}})
	a.publish()
	whole()
	open = false
	a.ok(s.Close())
	if log, err := doctor.VerifyLog(ctx, folder); err != nil || len(log.Problems) > 0 || !log.Roster || len(log.RosterProblems) > 0 {
		t.Errorf("log verify: %q, %q: %v", log.Problems, log.RosterProblems, err)
	}
}

// keptCase reads everything of a case.
func (a *attacked) keptCase(want knownCase, pack *verifier.Pack) {
	a.t.Helper()
	got := a.known(want.ID)
	if got.Entries < want.Entries {
		a.t.Errorf("case %s: %d entries of %d", want.ID, got.Entries, want.Entries)
	}
	got.Entries = want.Entries
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		a.t.Errorf("a case is\n%+v, want\n%+v", got, want)
	}
	for _, id := range want.Attestations {
		r, err := a.s.Issuer.Read(a.t.Context(), a.ngo, credentials.ID(id))
		a.ok(err)
		if v := pack.Verify(verifier.Presentation{Text: r.Token}, a.cfg.Now()); v.State != verifier.Unconfirmed && v.State != verifier.Confirmed {
			a.t.Errorf("attestation %s of kind %s is %s", id, r.Kind, v.State)
		}
	}
}
