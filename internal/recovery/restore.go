package recovery

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/doctor"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

// RestoreOrder says what is to be brought back, and where to.
type RestoreOrder struct {
	Backup   string        // the file with the data
	Keyring  string        // the keyring's own backup, "" to leave records shut
	Identity string        // a file with a key that opens both
	Folder   config.Folder // an empty folder, and the passphrase of the keys in the backup
	Engines  config.Engines
	// From is a copy of the off-site folder. It stands for the next three, where
	// they are empty.
	From       string
	Lists      string // file or https address of the newest public pack
	Erasures   string // file of the newest erasure journal
	Checkpoint string // file of the log's newest checkpoint
	Progress   io.Writer
	Now        func() time.Time // nil means time.Now
}

// Restored says what a restore did, and what is lost.
type Restored struct {
	Backup   time.Time        `json:"backup"`    // when it was begun
	LastPack time.Time        `json:"last_pack"` // when the network last said something, as far as is known
	Rows     map[string]int64 `json:"rows"`
	Pages    int64            `json:"pages"`
	KeyFiles int              `json:"key_files"`
	// Shut is how many records have no key any more.
	Shut int `json:"shut"`
	// Mended is how many key files were older than who may read the record now.
	Mended int `json:"mended"`
	// Erasures is how many the backup did not know of, Drafts what was about to
	// be signed and now never is.
	Erasures int              `json:"erasures"`
	Drafts   int              `json:"drafts"`
	Adopted  sqlstore.Adopted `json:"adopted"`
	// Suspended is how many agencies were suspended after the backup, and are again.
	Suspended int `json:"suspended"`
	// Stopped is how many changes of the roster waited in the backup, and have to be
	// agreed to anew.
	Stopped int `json:"stopped"`
	// Agencies are those on the trust list that the backup does not know: their names.
	Agencies []string `json:"agencies"`
	// LostLeaves is how many leaves the old log had published that the backup
	// does not know.
	LostLeaves  int64    `json:"lost_leaves"`
	LostWindows int64    `json:"lost_windows"` // that they are, each of which is filled
	Log         string   `json:"log"`          // the log's name from now on
	NewList     uint16   `json:"new_list"`
	Sequence    uint64   `json:"pack_sequence"`
	Problems    []string `json:"problems"` // as fsck finds them
}

// Restore brings a network back from a backup, into an empty folder and empty
// engines. Everything is checked before anything is written.
func Restore(ctx context.Context, order RestoreOrder) (_ Restored, err error) {
	r, err := order.prepare(ctx)
	if err != nil {
		return Restored{}, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.write(ctx); err != nil {
		return Restored{}, err
	}
	return r.done, nil
}

// restoring is one restore on its way: what was checked, and where it goes.
type restoring struct {
	cfg         service.Config
	path        string // of the backup
	ids         []backup.Identity
	manifest    backup.Manifest
	keys        keystore.Keys
	keyData     []byte // the key file, if the keys are in one
	signedData  []byte // what the signer signed last, if it is in the backup
	keyringPath string
	public      *verifier.Public
	lists       verifier.Lists
	journal     offsite.Journal
	head        audit.Checkpoint // of the log in the backup
	lastHead    audit.Checkpoint // the newest one known
	lastSigned  string
	now         time.Time
	done        Restored
	say         *progress
	temp        string
	closeVault  func() error
}

// prepare checks everything that there is to check, and writes nothing that
// stays.
func (o RestoreOrder) prepare(ctx context.Context) (_ *restoring, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &restoring{path: o.Backup, keyringPath: o.Keyring, now: o.Now().UTC(), say: newProgress(o.Progress)}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	passphrase, err := o.Engines.Passphrase(o.Folder.PassphraseFile)
	if err != nil {
		return nil, err
	}
	r.cfg = service.Config{Dir: o.Folder.Dir, Engines: o.Engines, Passphrase: passphrase, Now: o.Now}
	if r.ids, err = readIdentities(o.Identity); err != nil {
		return nil, err
	}
	if err := vacant(ctx, r.cfg); err != nil {
		return nil, err
	}
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	if err := o.readPublic(ctx, r); err != nil {
		return nil, err
	}
	return r, r.checkKeyring(ctx)
}

func readIdentities(path string) ([]backup.Identity, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return backup.ParseIdentities(file)
}

// vacant refuses a folder or engines that hold anything.
func vacant(ctx context.Context, c service.Config) error {
	if entries, err := os.ReadDir(c.Dir); !errors.Is(err, os.ErrNotExist) && (err != nil || len(entries) > 0) {
		return errors.Join(fmt.Errorf("%s is not empty; nothing was changed", c.Dir), err)
	}
	for _, e := range []struct {
		what  string
		where string
		look  func(context.Context, string) (bool, error)
	}{
		{"the database", c.Engines.DatabaseAt(c.Dir), sqlstore.Vacant},
		{"the keyring", c.Engines.KeyringAt(c.Dir), sqlstore.VacantKeyring},
	} {
		if free, err := e.look(ctx, e.where); err != nil || !free {
			return errors.Join(fmt.Errorf("%s is not empty; nothing was changed", e.what), err)
		}
	}
	if c.Engines.Objects == "" {
		return nil
	}
	bucket, err := service.OpenObjects(ctx, c)
	if err != nil {
		return err
	}
	for _, err = range bucket.List(ctx, "") {
		return errors.Join(errors.New("the place for objects is not empty; nothing was changed"), err, bucket.Close())
	}
	return bucket.Close()
}

// check reads the whole backup once and believes it only then.
func (r *restoring) check(ctx context.Context) error {
	signed, err := r.read(r.path, func(name string, data []byte) error {
		switch name {
		case keysPart:
			r.keyData = slices.Clone(data)
		case signedPart:
			r.signedData = slices.Clone(data)
		}
		return nil
	})
	if err != nil {
		return err
	}
	m := signed.Manifest
	if m.Kind != backup.Data {
		return errors.New("this is the keyring's backup; name the other file, and this one with --keyring-file")
	}
	if err := r.openKeys(ctx, m.Network); err != nil {
		return err
	}
	if err := r.verify(ctx, signed); err != nil {
		return err
	}
	if m.Schema < sqlstore.OldestSchema {
		return sqlstore.ErrOldStores
	}
	r.manifest = m
	return nil
}

func (r *restoring) read(path string, each func(name string, data []byte) error) (backup.Signed, error) {
	file, err := os.Open(path)
	if err != nil {
		return backup.Signed{}, err
	}
	defer func() { _ = file.Close() }()
	return backup.Read(file, r.ids, each)
}

// openKeys opens the network's keys: those in the backup, which the passphrase
// vouches for, or those in the Vault that was named.
func (r *restoring) openKeys(ctx context.Context, network string) (err error) {
	if len(network) != 32 || strings.Trim(network, "0123456789abcdef") != "" {
		return backup.ErrDamaged
	}
	if r.cfg.Engines.Vault != "" {
		if r.keyData != nil {
			return errors.New("the keys of this network are in the backup, and not in a Vault")
		}
		store, done, err := service.OpenKeys(ctx, r.cfg, network)
		r.keys, r.closeVault = keystore.New(store), done
		return err
	}
	if r.keyData == nil && r.cfg.Engines.Signer != "" {
		store, done, err := service.OpenKeys(ctx, r.cfg, network)
		r.keys, r.closeVault = keystore.New(store), done
		return err
	}
	if r.keyData == nil {
		return errors.New("the keys of this network are in a HashiCorp Vault, or a signer has them; name it")
	}
	if r.temp, err = os.MkdirTemp("", "safeconduct-restore-"); err != nil {
		return err
	}
	if err := files.Replace(filepath.Join(r.temp, config.KeysName), r.keyData); err != nil {
		return err
	}
	store, done, err := service.OpenKeys(ctx, service.Config{Dir: r.temp, Passphrase: r.cfg.Passphrase}, network)
	r.keys, r.closeVault = keystore.New(store), done
	return err
}

// verify checks a manifest's signature.
func (r *restoring) verify(ctx context.Context, s backup.Signed) error {
	key, err := r.keys.DerivedKey(ctx, offsite.LabelBackup, s.Network)
	if err != nil {
		return err
	}
	if !ed25519.Verify(key, keystore.Labelled(offsite.LabelBackup, s.Raw), s.Signature) {
		return backup.ErrDamaged
	}
	return nil
}

// readPublic reads what the network said last, and what it has erased.
func (o RestoreOrder) readPublic(ctx context.Context, r *restoring) error {
	lists, erasures, checkpoint := o.Lists, o.Erasures, o.Checkpoint
	if o.From != "" {
		for name, into := range map[string]*string{offsite.PackName: &lists, offsite.JournalName: &erasures, offsite.CheckpointName: &checkpoint} {
			if *into == "" {
				*into = filepath.Join(o.From, name)
			}
		}
	}
	if lists == "" {
		return errors.New("which pack was the newest? Give --from or --lists; every device has one, and whoever fetched /pack")
	}
	if err := r.readLists(ctx, lists); err != nil {
		return fmt.Errorf("the newest pack: %w", err)
	}
	if erasures != "" {
		data, err := files.Read(erasures, offsite.MaxJournal)
		if err != nil {
			return err
		}
		if r.journal, err = offsite.ParseJournal(ctx, r.keys, r.manifest.Network, data); err != nil {
			return err
		}
	}
	return r.readHead(ctx, checkpoint)
}

func (r *restoring) readLists(ctx context.Context, where string) error {
	data, err := fetchOrRead(ctx, where)
	if err != nil {
		return err
	}
	// Either as it is served, or with a device's envelope beside it.
	var file verifier.File
	if err := json.Unmarshal(data, &file); err != nil {
		return errors.New("not a pack")
	}
	if file.Lists.Pack == "" {
		if err := json.Unmarshal(data, &file.Lists); err != nil {
			return errors.New("not a pack")
		}
	}
	root, err := r.keys.Root(ctx)
	if err != nil {
		return err
	}
	public, ok := root.Key.Public().(*ecdsa.PublicKey)
	if !ok {
		return errors.New("the keystore gave another kind of root key")
	}
	jwk, err := jws.MarshalKey(public)
	if err != nil {
		return err
	}
	if r.public, err = verifier.OpenLists(file.Lists, r.manifest.Network, jwk); err != nil {
		return err
	}
	r.lists = file.Lists
	if s := r.public.Statement(); s.Sequence < r.manifest.Sequence {
		return fmt.Errorf("its number is %d, and the backup was made after pack %d: find a newer one", s.Sequence, r.manifest.Sequence)
	}
	return nil
}

func fetchOrRead(ctx context.Context, where string) ([]byte, error) {
	if !strings.HasPrefix(where, "https://") && !strings.HasPrefix(where, "http://") {
		return files.Read(where, verifier.MaxPack)
	}
	if err := config.CheckURL(where); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the service answers %d", resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, verifier.MaxPack))
}

// readHead finds the newest checkpoint that is known: the one given, or that of
// the backup.
func (r *restoring) readHead(ctx context.Context, path string) error {
	vkeys, err := r.keys.LogKeys(ctx)
	if err != nil {
		return err
	}
	if r.head, err = service.ParseHead(vkeys, []byte(r.manifest.Checkpoint)); err != nil {
		return fmt.Errorf("the log in the backup: %w", err)
	}
	r.lastHead, r.lastSigned = r.head, r.manifest.Checkpoint
	if path == "" {
		return nil
	}
	data, err := files.Read(path, 64<<10)
	if err != nil {
		return err
	}
	given, err := service.ParseHead(vkeys, data)
	if err != nil {
		return err
	}
	if given.Origin == r.lastHead.Origin && given.Size < r.lastHead.Size {
		return errors.New("the checkpoint is older than the backup: find a newer one")
	}
	r.lastHead, r.lastSigned = given, string(data)
	return nil
}

// ErrJournalOld is why keys do not come back.
var ErrJournalOld = errors.New("the erasure journal is older than the newest pack, so that erasures may be missing from it: " +
	"find the newest journal, or restore without --keyring-file, and records stay shut")

// checkKeyring reads the keyring's backup, and decides whether it may come back.
func (r *restoring) checkKeyring(ctx context.Context) error {
	if r.keyringPath == "" {
		return nil
	}
	if sequence := r.public.Statement().Sequence; r.journal.Network == "" || r.journal.Sequence < sequence {
		return ErrJournalOld
	}
	signed, err := r.read(r.keyringPath, func(string, []byte) error { return nil })
	if err != nil {
		return fmt.Errorf("the keyring's backup: %w", err)
	}
	return r.checkKeyringBackup(ctx, signed, r.manifest.Network, r.now)
}

// checkKeyringBackup refuses what is no backup of this network's keyring, or one
// that may not be used any more.
func (r *restoring) checkKeyringBackup(ctx context.Context, signed backup.Signed, network string, now time.Time) error {
	if signed.Kind != backup.Keyring || signed.Network != network {
		return errors.New("the keyring's backup: not one of this network's keyring")
	}
	if err := r.verify(ctx, signed); err != nil {
		return fmt.Errorf("the keyring's backup: %w", err)
	}
	if now.After(signed.Made.Add(KeyringLife)) {
		return fmt.Errorf("the keyring's backup: it is older than %d days, and what was erased then is gone for good", int(KeyringLife.Hours()/24))
	}
	return nil
}

// close forgets the copy of the key file.
func (r *restoring) close() error {
	var errs []error
	if r.closeVault != nil {
		errs = append(errs, r.closeVault())
		r.closeVault = nil
	}
	if r.temp != "" {
		errs = append(errs, os.RemoveAll(r.temp))
		r.temp = ""
	}
	return errors.Join(errs...)
}

// write brings everything back. The folder says that it is unfinished until
// all is there; when it fails, the folder is empty again.
func (r *restoring) write(ctx context.Context) (err error) {
	dir := r.cfg.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	mark := filepath.Join(dir, config.UnfinishedName)
	if err := files.Replace(mark, nil); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, clearFolder(dir))
			if r.cfg.Engines != (config.Engines{}) {
				err = errors.Join(err, errors.New("the engines outside the folder may hold parts of it: empty them"))
			}
		}
	}()
	if r.cfg.Engines.Aside == "" { // the one in the network's own folder, which nobody else makes
		if err := os.Mkdir(r.cfg.Engines.AsideAt(dir), 0o700); err != nil {
			return err
		}
	}
	restart, err := r.stores(ctx)
	if err != nil {
		return err
	}
	if err := r.begin(ctx, restart); err != nil {
		return err
	}
	return os.Remove(mark)
}

func clearFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

// stores fills the engines.
func (r *restoring) stores(ctx context.Context) (restart sqlstore.LogRestart, err error) {
	ring, err := service.KeyringKey(ctx, r.keys, r.manifest.Network)
	if err != nil {
		return restart, err
	}
	s, err := service.CreateStores(ctx, r.cfg, r.manifest.Network, ring)
	if err != nil {
		return restart, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if r.keyData != nil {
		if err := files.Replace(filepath.Join(r.cfg.Dir, config.KeysName), r.keyData); err != nil {
			return restart, err
		}
	}
	if r.signedData != nil {
		folder := filepath.Join(r.cfg.Dir, config.SignerName)
		if err := errors.Join(os.MkdirAll(folder, 0o700), files.Replace(filepath.Join(folder, signer.StateName), r.signedData)); err != nil {
			return restart, err
		}
	}
	if err := r.cfg.Engines.Write(r.cfg.Dir); err != nil {
		return restart, err
	}
	schema, err := s.DB.SchemaVersion(ctx)
	if err != nil {
		return restart, err
	}
	if r.manifest.Schema > schema {
		return restart, sqlstore.ErrNewer
	}
	after, err := r.aftermath(ctx)
	if err != nil {
		return restart, err
	}
	if err := r.fill(ctx, s); err != nil {
		return restart, err
	}
	if err := r.fillKeyring(ctx, s); err != nil {
		return restart, err
	}
	if err := r.believeRows(ctx, s); err != nil {
		return restart, err
	}
	if after.NewList, err = r.nextList(ctx, s); err != nil {
		return restart, err
	}
	known, err := s.DB.Log().Size(ctx)
	if err != nil {
		return restart, err
	}
	r.done.LostLeaves = max(0, r.lastHead.Size-known)
	r.done.LostWindows = r.done.LostLeaves / audit.Window
	if r.done.Adopted, err = s.DB.Adopt(ctx, after); err != nil {
		return restart, err
	}
	r.done.NewList, r.done.Sequence = after.NewList, after.Sequence
	if err := r.dropKeys(ctx, s); err != nil {
		return restart, err
	}
	r.done.Shut, err = bindKeyring(ctx, s)
	return after.Restart, err
}

// believeRows holds the rows of the backup against their seals, and says which do not
// hold: somebody had changed them before it was made. They come back as they are, so
// that people can look at them.
func (r *restoring) believeRows(ctx context.Context, s *service.Stores) error {
	key, err := service.SealKey(ctx, r.keys, r.manifest.Network)
	if err != nil {
		return err
	}
	s.DB.Seal(key)
	if err := s.DB.LeadAnew(ctx); err != nil {
		return err
	}
	problems, err := s.DB.CheckLoaded(ctx)
	switch {
	case errors.Is(err, sqlstore.ErrNeverSealed): // of the version before
	case err != nil:
		return err
	case len(problems) == 0:
		return nil
	}
	for _, p := range problems {
		r.done.Problems = append(r.done.Problems, "in the backup: "+p)
	}
	return s.DB.SealRows(ctx)
}

// fill reads the backup a second time, each part against its digest, and puts
// rows and pages where they belong.
func (r *restoring) fill(ctx context.Context, s *service.Stores) error {
	parts := make(chan []byte)
	loaded := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		rows, err := s.DB.Load(ctx, func() ([]byte, bool, error) {
			select {
			case p, ok := <-parts:
				return p, ok, nil
			case <-ctx.Done():
				return nil, false, context.Cause(ctx)
			}
		})
		r.done.Rows = rows
		cancelOn(cancel, err)
		loaded <- err
	}()
	inRows := true
	endRows := func() error {
		if !inRows {
			return nil
		}
		inRows = false
		close(parts)
		return <-loaded
	}
	next := 0
	_, err := r.read(r.path, func(name string, data []byte) error {
		// The file may have changed since it was checked.
		if next >= len(r.manifest.Parts) || !r.manifest.Parts[next].Is(name, data) {
			return backup.ErrDamaged
		}
		next++
		r.say.add("restoring", len(data))
		kind, _, _ := strings.Cut(name, "/")
		if kind == "rows" {
			select {
			case parts <- data:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if kind == "log" {
			return nil // below: its place may be the database that is being filled
		}
		if err := endRows(); err != nil {
			return err
		}
		if kind != "objects" {
			return nil
		}
		return backup.Files(data, func(f backup.File) error {
			r.done.Pages++
			_, err := s.Objects.Put(ctx, f.Name, strings.NewReader(string(f.Data)))
			return err
		})
	})
	if err != nil {
		cancel(err)
	}
	err = errors.Join(err, endRows())
	if err == nil && next != len(r.manifest.Parts) {
		return backup.ErrDamaged
	}
	if err != nil {
		return err
	}
	return r.fillLogs(s)
}

// fillLogs reads the backup once more, for the log's files alone.
func (r *restoring) fillLogs(s *service.Stores) error {
	_, err := r.read(r.path, func(name string, data []byte) error {
		if !strings.HasPrefix(name, "log/") {
			return nil
		}
		if !slices.ContainsFunc(r.manifest.Parts, func(p backup.Part) bool { return p.Is(name, data) }) {
			return backup.ErrDamaged
		}
		return r.fillLog(s, data)
	})
	return err
}

func cancelOn(cancel context.CancelCauseFunc, err error) {
	if err != nil {
		cancel(err)
	}
}

// fillLog puts the log's files beside the new one, as what came before, behind
// those that came before them.
func (r *restoring) fillLog(s *service.Stores, data []byte) error {
	return backup.Files(data, func(f backup.File) error {
		name := f.Name
		if !strings.HasPrefix(name, service.FormerName+"/") {
			name = service.FormerName + "/" + logPlace(r.head.Origin) + "/" + name
		}
		return s.LogDir.WriteFile(name, f.Data)
	})
}

// logPlace is where a former log lies: under what was drawn for its name, or
// under first.
func logPlace(origin string) string {
	if at := strings.LastIndexByte(origin, '/'); strings.Count(origin, "/") == 2 {
		return origin[at+1:]
	}
	return "first"
}

// aftermath is what the database has to be brought up to.
func (r *restoring) aftermath(ctx context.Context) (sqlstore.Aftermath, error) {
	statement := r.public.Statement()
	a := sqlstore.Aftermath{
		Burned: statement.Burned, Agencies: r.public.Trust().Agencies,
		Day: r.now.Unix() / 86400,
	}
	r.done.Backup, r.done.LastPack = r.manifest.Made, time.Unix(statement.IssuedAt, 0).UTC()
	// Packs and lists may have been made that nobody here has heard of.
	jump, err := rand.Int(rand.Reader, big.NewInt(1<<20))
	if err != nil {
		return a, err
	}
	a.Sequence = max(statement.Sequence, r.manifest.Sequence) + 1<<16 + jump.Uint64()
	answers := map[uint16]string{}
	for _, t := range statement.Answers {
		answers[t.Number] = t.Token
	}
	for _, t := range statement.Status {
		l := sqlstore.PublishedList{
			Number: t.Number, Status: r.public.Status(t.Number), Answers: r.public.Answers(t.Number),
			StatusToken: t.Token, AnswersToken: answers[t.Number],
		}
		if l.Status == nil || l.Answers == nil {
			return a, errors.New("the newest pack has a status list without its answers list")
		}
		a.Lists = append(a.Lists, l)
	}
	return a, r.restartLog(&a)
}

// restartLog begins the log anew under another name, whether or not something
// is known to have been published after the backup: two heads of one log that
// contradict each other could never be taken back. The first entry names the
// last known word of the log before.
func (r *restoring) restartLog(a *sqlstore.Aftermath) error {
	a.Restart = sqlstore.LogRestart{Origin: service.NewOrigin(r.manifest.Network), Former: r.lastSigned}
	r.done.Log = a.Restart.Origin
	note, err := audit.NewNote("network.restored", map[string]any{
		"backup": r.manifest.Made.Format(time.DateOnly), "day": r.now.Format(time.DateOnly), "pack": r.manifest.Sequence,
		"log": a.Restart.Origin, "former": a.Restart.Former,
	})
	if err != nil {
		return err
	}
	plain, err := note.MarshalJSON()
	if err != nil {
		return err
	}
	a.Restart.Note = string(plain)
	a.Entry, err = audit.NewEntry("", note, r.now)
	return err
}

// nextList draws the number of the list that new entries go to, behind every
// one that may have been opened.
func (r *restoring) nextList(ctx context.Context, s *service.Stores) (uint16, error) {
	known, err := s.DB.Credentials().Lists(ctx)
	if err != nil {
		return 0, err
	}
	for _, t := range r.public.Statement().Status {
		known = append(known, t.Number)
	}
	jump, err := rand.Int(rand.Reader, big.NewInt(16))
	if err != nil {
		return 0, err
	}
	next := int64(2) + jump.Int64()
	if len(known) > 0 {
		next += int64(slices.Max(known))
	}
	if next > 1<<16-1 {
		return 0, errors.New("no number is left for a new status list")
	}
	return uint16(next), nil //nolint:gosec // bounded above
}

// fillKeyring puts the keys of records back, but for those that were erased.
func (r *restoring) fillKeyring(ctx context.Context, s *service.Stores) error {
	if r.keyringPath == "" {
		return nil
	}
	gone := map[string]bool{}
	for record := range r.erased() {
		for _, name := range s.Keyring.MayBeNamesOf(record) { // the key of its case is in each of them
			gone[name] = true
		}
	}
	signed, err := r.read(r.keyringPath, func(_ string, data []byte) error {
		return backup.Files(data, func(f backup.File) error {
			if gone[f.Name] {
				return nil
			}
			r.done.KeyFiles++
			return s.Keyring.PutBack(ctx, sqlstore.KeyRow{Name: f.Name, Box: f.Data})
		})
	})
	if err != nil {
		return err
	}
	return r.verify(ctx, signed)
}

// erased are the records that the journal says were erased.
func (r *restoring) erased() map[string]bool {
	all := map[string]bool{}
	for _, e := range r.journal.Erasures {
		for _, record := range e.Records {
			all[record] = true
		}
	}
	return all
}

// dropKeys removes the keys of records that are lost, now that it is known which there are.
func (r *restoring) dropKeys(ctx context.Context, s *service.Stores) error {
	erased := r.erased()
	lost, err := s.Keyring.Names(ctx)
	if err != nil {
		return err
	}
	for record, err := range s.Records(ctx) {
		if err != nil {
			return err
		}
		switch {
		case lost[s.Keyring.Name(record)]:
		case erased[record]:
			continue
		default:
			// Of the documents of a case whose key did not come back nobody can say.
			return nil
		}
		for _, name := range s.Keyring.NamesOf(record, func(name string) bool { return lost[name] }) {
			delete(lost, name)
		}
	}
	r.done.KeyFiles -= len(lost)
	return s.Keyring.EraseRows(ctx, slices.Collect(maps.Keys(lost))...)
}

// bindKeyring notes which keyring belongs to the records, and that those without
// a key in it stay shut.
func bindKeyring(ctx context.Context, s *service.Stores) (shut int, err error) {
	missing, err := s.MatchKeyring(ctx)
	if err != nil {
		return 0, err
	}
	bond, err := s.Keyring.Bond(ctx)
	if err != nil {
		return 0, err
	}
	return len(missing), s.DB.BindKeyring(ctx, bond, missing)
}

// mendReaders rewrites key files that came back from before a grant was given or
// taken back.
func mendReaders(ctx context.Context, s *service.Service) (mended int, err error) {
	for record, err := range s.Records(ctx) {
		if err != nil {
			return mended, err
		}
		changed, err := s.Vault.MendReaders(ctx, record)
		if err != nil && !errors.Is(err, vault.ErrNotFound) { // erased meanwhile
			return mended, err
		}
		if changed {
			mended++
		}
	}
	return mended, nil
}

// begin opens the network as serve does, carries out what was erased since,
// publishes, and looks whether all is whole. Nobody is served before.
func (r *restoring) begin(ctx context.Context, restart sqlstore.LogRestart) (err error) {
	unlock, err := files.Lock(r.cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	r.cfg.Upgrading = func(_ int64, part float64) { // the backup may be of a version before
		r.say.part("bringing the stores up to date", part)
	}
	s, err := service.Look(ctx, r.cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := r.keepLink(s.Stores, restart); err != nil {
		return err
	}

	erasures, err := r.journal.All()
	if err != nil {
		return err
	}
	if r.done.Erasures, err = s.Vault.Repeat(ctx, erasures); err != nil {
		return err
	}
	if r.done.Mended, err = mendReaders(ctx, s); err != nil {
		return err
	}
	if err := s.Settle(ctx); err != nil {
		return err
	}
	r.done.Drafts = s.Settled
	if err := r.shutOut(ctx, s); err != nil {
		return err
	}
	if _, err := s.Board.Publish(ctx, audit.Actor{ID: "service"}, true); err != nil {
		return err
	}
	r.done.Sequence = s.Board.Number()
	found, err := doctor.Check(ctx, s, false)
	if err != nil {
		return err
	}
	r.done.Problems = append(r.done.Problems, found.Problems...)
	return nil
}

// shutOut suspends anew whom the network had suspended after the backup: in the
// roster, by the root alone, because whoever restores has folder and passphrase. And
// it tells which agencies are lost: to take one in takes people. What waits is stopped.
func (r *restoring) shutOut(ctx context.Context, s *service.Service) error {
	r.done.Agencies = []string{}
	for _, public := range r.public.Trust().Agencies {
		kept, err := s.Network.Agency(ctx, public.ID)
		switch {
		case errors.Is(err, network.ErrNotFound):
			r.done.Agencies = append(r.done.Agencies, public.Name)
			continue
		case err != nil:
			return err
		case !public.Suspended || kept.Suspended:
			continue
		}
		if err := s.Suspend(ctx, public.ID, false); err != nil {
			return fmt.Errorf("suspend %s: %w", public.Name, err)
		}
		r.done.Suspended++
	}
	var err error
	r.done.Stopped, err = s.StopWaiting(ctx)
	return err
}

// keepLink puts beside the new log what it followed: the note that is its first
// leaf, where everybody can fetch it, and beside the old one its last known
// checkpoint and what came after it.
func (r *restoring) keepLink(s *service.Stores, restart sqlstore.LogRestart) error {
	at := service.FormerName + "/" + logPlace(r.lastHead.Origin) + "/"
	return errors.Join(
		s.LogDir.WriteFile(at+"last", []byte(restart.Former)),
		s.LogDir.WriteFile(at+"next.json", []byte(restart.Note)),
		s.LogDir.WriteFile(service.RestartName, []byte(restart.Note)),
	)
}
