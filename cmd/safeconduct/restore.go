package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/backup"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/verifier"
)

const (
	// unfinishedName marks a folder that a restore has begun and not ended.
	unfinishedName = "restore.unfinished"
	// formerName is where a log that begins anew keeps the one before.
	formerName = "former"
	// restartName is the public file that says what a log follows.
	restartName = "restart.json"
)

type restoreFlags struct {
	operateFlags

	identity, keyring, from, erasures, lists, checkpoint string
	engines                                              engines
	now                                                  func() time.Time
}

func restoreCommand() *cobra.Command {
	f := restoreFlags{now: time.Now}
	c := &cobra.Command{
		Use:   "restore BACKUP",
		Short: "Bring a network back from a backup, into an empty folder and empty engines",
		Long: `Bring a network back from a backup, into an empty folder and empty engines.

The whole backup is checked before anything is written. What the network said in
public after the backup stays said: --from names a copy of its aside folder, or
--lists the newest pack that anybody has. With --keyring-file the keys of records come
back as well; then the erasure journal must be as new as that pack, or what was
erased since would come back with them. Without it records stay shut, and
everything else works.

In the end it says what is lost.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), args[0])
		},
	}
	f.add(c)
	c.Flags().Lookup("dir").Usage = "an empty folder (required)"
	c.Flags().Lookup("passphrase-file").Usage = "a file with the passphrase of the keys in the backup"
	c.Flags().StringVar(&f.identity, "identity", "", "a file with a key that opens the backup (required)")
	c.Flags().StringVar(&f.keyring, "keyring-file", "", "the keyring's own backup")
	c.Flags().StringVar(&f.from, "from", "", "a copy of the network's aside folder: stands for the next three")
	c.Flags().StringVar(&f.lists, "lists", "", "file or https address of the newest public pack")
	c.Flags().StringVar(&f.erasures, "erasures", "", "file of the newest erasure journal")
	c.Flags().StringVar(&f.checkpoint, "checkpoint", "", "file of the log's newest checkpoint")
	f.engines.flags(c)
	_ = c.MarkFlagRequired("identity")
	return c
}

// restored says what a restore did, and what is lost.
type restored struct {
	Backup   time.Time        `json:"backup"`    // when it was begun
	LastPack time.Time        `json:"last_pack"` // when the network last said something, as far as is known
	Rows     map[string]int64 `json:"rows"`
	Pages    int64            `json:"pages"`
	KeyFiles int              `json:"key_files"`
	// Erasures is how many the backup did not know of, Drafts what was about to
	// be signed and now never is.
	Erasures int              `json:"erasures"`
	Drafts   int              `json:"drafts"`
	Adopted  sqlstore.Adopted `json:"adopted"`
	// LostLeaves is how many entries the old log had published that the backup
	// does not know.
	LostLeaves int64    `json:"lost_leaves"`
	Log        string   `json:"log"` // the log's name from now on
	NewList    uint16   `json:"new_list"`
	Sequence   uint64   `json:"pack_sequence"`
	Problems   []string `json:"problems"` // as fsck finds them
}

func (f *restoreFlags) run(ctx context.Context, out, progress io.Writer, path string) (err error) {
	r, err := f.prepare(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	r.say = newProgress(progress)
	if err := r.write(ctx); err != nil {
		return err
	}
	return f.report(out, func() { r.tell(out) }, r.done, r.done.Problems)
}

// restoring is one restore on its way: what was checked, and where it goes.
type restoring struct {
	cfg         houseConfig
	path        string // of the backup
	ids         []backup.Identity
	manifest    backup.Manifest
	keys        keystore
	keyData     []byte // the key file, if the keys are in one
	keyringPath string
	public      *verifier.Public
	lists       verifier.Lists
	journal     journal
	head        audit.Checkpoint // of the log in the backup
	lastHead    audit.Checkpoint // the newest one known
	lastSigned  string
	now         time.Time
	done        restored
	say         *progress
	temp        string
	closeVault  func() error
}

// prepare checks everything that there is to check, and writes nothing that
// stays.
func (f *restoreFlags) prepare(ctx context.Context, path string) (_ *restoring, err error) {
	r := &restoring{path: path, keyringPath: f.keyring, now: f.now().UTC()}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	passphrase, err := passphraseFor(f.engines, f.passphraseFile)
	if err != nil {
		return nil, err
	}
	r.cfg = houseConfig{dir: f.dir, engines: f.engines, passphrase: passphrase, now: f.now, log: slog.New(slog.DiscardHandler)}
	if r.ids, err = readIdentities(f.identity); err != nil {
		return nil, err
	}
	if err := r.cfg.vacant(ctx); err != nil {
		return nil, err
	}
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	if err := f.readPublic(ctx, r); err != nil {
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
func (c houseConfig) vacant(ctx context.Context) error {
	if entries, err := os.ReadDir(c.dir); !errors.Is(err, os.ErrNotExist) && (err != nil || len(entries) > 0) {
		return errors.Join(fmt.Errorf("%s is not empty; nothing was changed", c.dir), err)
	}
	for _, e := range []struct {
		what  string
		where string
		look  func(context.Context, string) (bool, error)
	}{
		{"the database", c.engines.database(c.dir), sqlstore.Vacant},
		{"the keyring", c.engines.keyring(c.dir), sqlstore.VacantKeyring},
	} {
		if free, err := e.look(ctx, e.where); err != nil || !free {
			return errors.Join(fmt.Errorf("%s is not empty; nothing was changed", e.what), err)
		}
	}
	if c.engines.Objects == "" {
		return nil
	}
	bucket, err := c.openObjects(ctx)
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
		if name == keysPart {
			r.keyData = slices.Clone(data)
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
	if r.cfg.engines.Vault != "" {
		if r.keyData != nil {
			return errors.New("the keys of this network are in the backup, and not in a Vault")
		}
		h := &house{cfg: r.cfg}
		r.closeVault = h.Close
		err := h.openKeys(ctx, network)
		r.keys = h.keys
		return err
	}
	if r.keyData == nil {
		return errors.New("the keys of this network are in a HashiCorp Vault; name it")
	}
	if r.temp, err = os.MkdirTemp("", "safeconduct-restore-"); err != nil {
		return err
	}
	cfg := houseConfig{dir: r.temp, passphrase: r.cfg.passphrase}
	if err := writeFile(filepath.Join(r.temp, keysName), r.keyData); err != nil {
		return err
	}
	r.keys, err = keyfile.Open(cfg.keyfile())
	return err
}

// verify checks a manifest's signature.
func (r *restoring) verify(ctx context.Context, s backup.Signed) error {
	key, err := signingKey(ctx, r.keys, labelBackup, s.Network)
	if err != nil {
		return err
	}
	if !ed25519.Verify(key.Public().(ed25519.PublicKey), signed(labelBackup, s.Raw), s.Signature) { //nolint:forcetypeassert // ed25519's own
		return backup.ErrDamaged
	}
	return nil
}

// readPublic reads what the network said last, and what it has erased.
func (f *restoreFlags) readPublic(ctx context.Context, r *restoring) error {
	lists, erasures, checkpoint := f.lists, f.erasures, f.checkpoint
	if f.from != "" {
		for name, into := range map[string]*string{publicPackName: &lists, journalName: &erasures, headName: &checkpoint} {
			if *into == "" {
				*into = filepath.Join(f.from, name)
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
		data, err := readBounded(erasures, maxJournal)
		if err != nil {
			return err
		}
		if r.journal, err = parseJournal(ctx, r.keys, r.manifest.Network, data); err != nil {
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
		return readBounded(where, verifier.MaxPack)
	}
	if err := safeToAsk(where); err != nil {
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
	vkey, err := r.keys.LogKey(ctx)
	if err != nil {
		return err
	}
	if r.head, err = headOf(vkey, []byte(r.manifest.Checkpoint)); err != nil {
		return fmt.Errorf("the log in the backup: %w", err)
	}
	r.lastHead, r.lastSigned = r.head, r.manifest.Checkpoint
	if path == "" {
		return nil
	}
	data, err := readBounded(path, 64<<10)
	if err != nil {
		return err
	}
	given, err := headOf(vkey, data)
	if err != nil {
		return err
	}
	if given.Origin == r.lastHead.Origin && given.Size < r.lastHead.Size {
		return errors.New("the checkpoint is older than the backup: find a newer one")
	}
	r.lastHead, r.lastSigned = given, string(data)
	return nil
}

// errJournalOld is why keys do not come back.
var errJournalOld = errors.New("the erasure journal is older than the newest pack, so that erasures may be missing from it: " +
	"find the newest journal, or restore without --keyring-file, and records stay shut")

// checkKeyring reads the keyring's backup, and decides whether it may come back.
func (r *restoring) checkKeyring(ctx context.Context) error {
	if r.keyringPath == "" {
		return nil
	}
	if sequence := r.public.Statement().Sequence; r.journal.Network == "" || r.journal.Sequence < sequence {
		return errJournalOld
	}
	signed, err := r.read(r.keyringPath, func(string, []byte) error { return nil })
	if err != nil {
		return fmt.Errorf("the keyring's backup: %w", err)
	}
	if signed.Kind != backup.Keyring || signed.Network != r.manifest.Network {
		return errors.New("--keyring-file: not a backup of this network's keyring")
	}
	if err := r.verify(ctx, signed); err != nil {
		return fmt.Errorf("the keyring's backup: %w", err)
	}
	if r.now.After(signed.Made.Add(keyringLife)) {
		return fmt.Errorf("--keyring-file: it is older than %d days, and what was erased then is gone for good", int(keyringLife.Hours()/24))
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
	dir := r.cfg.dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	mark := filepath.Join(dir, unfinishedName)
	if err := writeFile(mark, nil); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, clearFolder(dir))
			if r.cfg.engines != (engines{}) {
				err = errors.Join(err, errors.New("the engines outside the folder may hold parts of it: empty them"))
			}
		}
	}()
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
	h := &house{cfg: r.cfg}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.openStores(ctx); err != nil {
		return restart, err
	}
	if r.keyData != nil {
		if err := writeFile(filepath.Join(r.cfg.dir, keysName), r.keyData); err != nil {
			return restart, err
		}
	}
	if err := r.cfg.engines.write(r.cfg.dir); err != nil {
		return restart, err
	}
	schema, err := h.db.SchemaVersion(ctx)
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
	if err := r.fill(ctx, h); err != nil {
		return restart, err
	}
	if after.NewList, err = r.nextList(ctx, h); err != nil {
		return restart, err
	}
	known, err := h.db.Log().Size(ctx)
	if err != nil {
		return restart, err
	}
	r.done.LostLeaves = max(0, r.lastHead.Size-known)
	if r.done.Adopted, err = h.db.Adopt(ctx, after); err != nil {
		return restart, err
	}
	r.done.NewList, r.done.Sequence = after.NewList, after.Sequence
	return after.Restart, r.fillKeyring(ctx, h)
}

// fill reads the backup a second time, each part against its digest, and puts
// rows and pages where they belong.
func (r *restoring) fill(ctx context.Context, h *house) error {
	parts := make(chan []byte)
	loaded := make(chan error, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		rows, err := h.db.Load(ctx, func() ([]byte, bool, error) {
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
			_, err := h.blobs.Put(ctx, f.Name, strings.NewReader(string(f.Data)))
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
	return r.fillLogs(h)
}

// fillLogs reads the backup once more, for the log's files alone.
func (r *restoring) fillLogs(h *house) error {
	_, err := r.read(r.path, func(name string, data []byte) error {
		if !strings.HasPrefix(name, "log/") {
			return nil
		}
		if !slices.ContainsFunc(r.manifest.Parts, func(p backup.Part) bool { return p.Is(name, data) }) {
			return backup.ErrDamaged
		}
		return r.fillLog(h, data)
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
func (r *restoring) fillLog(h *house, data []byte) error {
	return backup.Files(data, func(f backup.File) error {
		name := f.Name
		if !strings.HasPrefix(name, formerName+"/") {
			name = formerName + "/" + logPlace(r.head.Origin) + "/" + name
		}
		return h.logDir.WriteFile(name, f.Data)
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
	a.Restart = sqlstore.LogRestart{Origin: newOrigin(r.manifest.Network), Former: r.lastSigned}
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
	a.Entry = audit.NewEntry("", note, plain, r.now)
	a.Restart.Note = string(plain)
	return nil
}

// nextList draws the number of the list that new entries go to, behind every
// one that may have been opened.
func (r *restoring) nextList(ctx context.Context, h *house) (uint16, error) {
	known, err := h.db.Credentials().Lists(ctx)
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

// fillKeyring puts the keys of records back, of those that there are.
func (r *restoring) fillKeyring(ctx context.Context, h *house) error {
	if r.keyringPath == "" {
		return nil
	}
	gone := map[string]bool{}
	for _, e := range r.journal.Erasures {
		for _, record := range e.Records {
			gone[record] = true
		}
	}
	signed, err := r.read(r.keyringPath, func(_ string, data []byte) error {
		return backup.Files(data, func(f backup.File) error {
			if _, err := h.db.Vault().Record(ctx, f.Name); gone[f.Name] || errors.Is(err, vault.ErrNotFound) {
				return nil // erased, or of a record that is lost
			} else if err != nil {
				return err
			}
			r.done.KeyFiles++
			return h.keyring.Create(ctx, f.Name, f.Data)
		})
	})
	if err != nil {
		return err
	}
	return r.verify(ctx, signed)
}

// begin opens the network as serve does, carries out what was erased since,
// publishes, and looks whether all is whole. Nobody is served before.
func (r *restoring) begin(ctx context.Context, restart sqlstore.LogRestart) (err error) {
	h, err := openQuietly(ctx, r.cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := r.keepLink(h, restart); err != nil {
		return err
	}
	unlock, err := lockFolder(r.cfg.dir)
	if err != nil {
		return err
	}
	h.closings = append([]func() error{unlock}, h.closings...)

	erasures, err := r.journal.erasures()
	if err != nil {
		return err
	}
	if r.done.Erasures, err = h.vault.Repeat(ctx, erasures); err != nil {
		return err
	}
	if err := h.settle(ctx); err != nil {
		return err
	}
	r.done.Drafts = h.settled
	if _, err := h.board.Publish(ctx, audit.Actor{ID: "service"}, true); err != nil {
		return err
	}
	r.done.Sequence = h.board.number()
	found, err := h.check(ctx, false)
	if err != nil {
		return err
	}
	r.done.Problems = found.Problems
	return nil
}

// keepLink puts beside the new log what it followed: the note that is its first
// leaf, where everybody can fetch it, and beside the old one its last known
// checkpoint and what came after it.
func (r *restoring) keepLink(h *house, restart sqlstore.LogRestart) error {
	at := formerName + "/" + logPlace(r.lastHead.Origin) + "/"
	return errors.Join(
		h.logDir.WriteFile(at+"last", []byte(restart.Former)),
		h.logDir.WriteFile(at+"next.json", []byte(restart.Note)),
		h.logDir.WriteFile(restartName, []byte(restart.Note)),
	)
}

// tell says in words what came back and what is lost.
func (r *restoring) tell(out io.Writer) {
	d := r.done
	lines := []string{
		fmt.Sprintf("Restored: the network as it was on %s.", d.Backup.Format("2006-01-02 15:04:05 MST")),
		fmt.Sprintf("Lost: what was done from then until the end; the last pack is of %s.", d.LastPack.Format("2006-01-02 15:04:05 MST")),
		fmt.Sprintf("  %d entries of the log have no record any more", d.LostLeaves),
		fmt.Sprintf("  %d places in the status lists stay out of use or paused, without a record", d.Adopted.Held),
		fmt.Sprintf("  %d drafts were never finished", d.Drafts),
	}
	if len(d.Adopted.Agencies) > 0 {
		lines = append(lines, "  agencies to add again: "+strings.Join(d.Adopted.Agencies, "; "))
	}
	lines = append(lines,
		"Kept, although it came after the backup:",
		fmt.Sprintf("  %d erasures, %d changes of status, %d burned epochs, %d suspended agencies and ended keys",
			d.Erasures, d.Adopted.Changed, d.Adopted.Burned, d.Adopted.Ended),
		fmt.Sprintf("Back: %d rows, %d pages, %d key files. New status list: %d. Pack: %d. Log: %s", sum(d.Rows), d.Pages, d.KeyFiles, d.NewList, d.Sequence, d.Log),
	)
	if d.KeyFiles == 0 {
		lines = append(lines, "Records stay shut: their keys did not come back.")
	}
	lines = append(lines, "Members and devices that were ended after the backup are back: look through them before you serve.")
	for _, l := range lines {
		_, _ = fmt.Fprintln(out, l)
	}
}
