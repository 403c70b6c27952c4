// Package doctor examines a network: what it depends on, whether its rows, pages
// and log fit together, and whether its log holds up before strangers. It says
// what it found and what to do, and opens no record. Serving is for
// internal/service, bringing back for internal/recovery, and printing for the
// commands.
package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/internal/blobs"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/hcvault"
	"github.com/safeconduct/safeconduct/internal/keyfile"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/web"
)

// A Finding is one thing that was looked at.
type Finding struct {
	Check string `json:"check"`        // stable, for programs
	State string `json:"state"`        // ok, fault or unchecked
	Found string `json:"found"`        // what is so
	Do    string `json:"do,omitempty"` // what to do about it
}

// What a finding can be. Unchecked is never a yes.
const (
	OK        = "ok"
	Fault     = "fault"
	Unchecked = "unchecked"
)

// doctor looks at one folder and what its engines are.
type doctor struct {
	folder  config.Folder
	engines config.Engines
	now     func() time.Time
	found   []Finding
}

// Examine looks at everything that the service depends on. It changes nothing,
// and may run while the folder is served. Nil now means time.Now.
func Examine(ctx context.Context, folder config.Folder, now func() time.Time) []Finding {
	if now == nil {
		now = time.Now
	}
	d := &doctor{folder: folder, now: now}
	d.examine(ctx)
	return d.found
}

func (d *doctor) ok(check, found string) {
	d.found = append(d.found, Finding{check, OK, found, ""})
}

func (d *doctor) fault(check, found, do string) {
	d.found = append(d.found, Finding{check, Fault, found, do})
}

func (d *doctor) unchecked(check, found, do string) {
	d.found = append(d.found, Finding{check, Unchecked, "could not check: " + found, do})
}

// judge is ok or a fault.
func (d *doctor) judge(good bool, check, found, do string) {
	if good {
		d.ok(check, found)
	} else {
		d.fault(check, found, do)
	}
}

// examine looks at everything, whatever else it finds: one fault must not hide
// another.
func (d *doctor) examine(ctx context.Context) {
	switch err := d.folder.Check(); {
	case errors.Is(err, config.ErrNoKeys):
		d.fault("keys", config.KeysName+" is not there, and the rest of a network is", "Put it back, from a copy or from a backup: docs/restore.md. Without it nothing opens.")
		return
	case err != nil:
		d.fault("folder", "not a folder that init or demo made", "Give --dir the folder of the network, or run safeconduct init.")
		return
	}
	var err error
	if d.engines, err = config.ReadEngines(d.folder.Dir); err != nil {
		d.fault("configuration", config.EnginesName+" cannot be read", "Compare it with docs/operate.md, Engines; safeconduct config show says more.")
		return
	}
	d.pages(web.Built())
	d.lock()
	d.modes()
	d.owners(files.Owner)
	d.disk()
	d.passphraseFile()
	d.signer()
	d.aside()
	d.logFolder()
	whole := d.databases(ctx)
	d.objects(ctx)
	whole = d.keystore(ctx) && whole
	if !whole {
		d.unchecked("network", "its databases or keys cannot be opened", "Mend what is marked ✕ above, and run this again. Where nothing is, fsck says what it is.")
		return
	}
	d.network(ctx)
}

// pages tells whether this binary has the pages that people open. It is the one
// that serves, or should be.
func (d *doctor) pages(missing error) {
	d.judge(missing == nil, "web pages", tell(missing == nil, "are in this binary", "are not in this binary, so that nobody can open /check"),
		web.HowToBuild)
}

// lock says that the network is locked, which is all that has to be said of one that is
// not served.
func (d *doctor) lock() {
	if _, err := os.Lstat(d.folder.Path(config.LockedName)); err == nil {
		d.fault("lock", "the network is locked, and no process that serves it has a key", "Find out why, and have two people open it again: docs/operate.md, When the network is locked.")
	}
}

// modes looks at who may read what lies in the folder.
func (d *doctor) modes() {
	info, err := os.Stat(d.folder.Dir)
	if err != nil {
		d.unchecked("folder", "it cannot be looked at", "Run this as the user that serves.")
		return
	}
	mode := info.Mode().Perm()
	d.judge(mode&0o077 == 0, "folder", fmt.Sprintf("mode %04o", mode), "Others can look into it: chmod 700 the folder.")
	var open []string
	for _, name := range []string{config.DatabaseName, config.KeyringName, config.KeysName, config.PackName + ".key", config.PassphraseName} {
		if info, err := os.Stat(filepath.Join(d.folder.Dir, name)); err == nil && info.Mode().Perm()&0o077 != 0 {
			open = append(open, name)
		}
	}
	d.judge(len(open) == 0, "files", tell(len(open) == 0, "databases and keys are their owner's alone", "others may read "+strings.Join(open, ", ")),
		"chmod 600 these files.")
}

// owners looks at whom the folder and what lies in it belong to. What a command run by
// root left there the service cannot open, and root, who can, would not notice. owner is
// files.Owner, and in tests whoever they say.
func (d *doctor) owners(owner func(path string) (uid int, err error)) {
	const unknown = "See that all of the folder belongs to the user that serves."
	dir, err := filepath.Abs(d.folder.Dir)
	if err != nil {
		d.unchecked("owner", "where the folder is", unknown)
		return
	}
	whose, err := owner(dir)
	if err != nil {
		d.unchecked("owner", "whose folder it is", unknown)
		return
	}
	// Root's folder in somebody else's: init was run as root, and whose the folder above
	// is will serve.
	if above, err := owner(filepath.Dir(dir)); err == nil && whose == 0 && !d.folder.IsDemo() {
		whose = above
	}
	var strange []string
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		uid := whose
		if err == nil {
			uid, err = owner(path)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // taken away meanwhile
			return nil
		case err == nil && uid != whose:
			strange = append(strange, path)
		}
		return err
	})
	switch {
	case len(strange) > 0:
		d.fault("owner", fmt.Sprintf("%d files and folders do not belong to the user %s: %s first", len(strange), nameOf(whose), strange[0]),
			fmt.Sprintf("chown -R %s: %s, and run commands as that user: docs/operate.md, Install.", nameOf(whose), dir))
	case err != nil:
		d.unchecked("owner", "not all of the folder can be looked at", unknown)
	default:
		d.ok("owner", "all of the folder belongs to "+nameOf(whose))
	}
}

// nameOf is what a user is called, or her number where that is not known.
func nameOf(uid int) string {
	number := strconv.Itoa(uid)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}

// tell is one of two things that are found.
func tell(good bool, yes, no string) string {
	if good {
		return yes
	}
	return no
}

// leastFree is how much room a folder must have.
const leastFree = 1 << 30

func (d *doctor) disk() {
	free, total, err := files.Space(d.folder.Dir)
	if err != nil {
		d.unchecked("disk", "this system does not tell", "See that there is 1 GiB at least.")
		return
	}
	d.judge(free >= leastFree && free*20 >= total, "disk", fmt.Sprintf("%.1f of %.1f GiB are free", gib(free), gib(total)),
		"Make room: with a full disk nothing can be issued. Less than 1 GiB or a twentieth is too little.")
}

func gib(n uint64) float64 { return float64(n) / (1 << 30) }

// passphraseFile looks at where the passphrase of the key file is.
func (d *doctor) passphraseFile() {
	if d.engines.Vault != "" || d.engines.Signer != "" {
		return
	}
	path := d.folder.PassphraseFile
	if path == "" {
		path = os.Getenv("SAFECONDUCT_PASSPHRASE_FILE")
	}
	if left := filepath.Join(d.folder.Dir, config.PassphraseName); path == "" && d.folder.IsDemo() {
		if _, err := os.Stat(left); err == nil {
			d.ok("passphrase", "lies beside the keys, as a demonstration's does")
			return
		}
	}
	info, err := os.Stat(filepath.Clean(path)) //nolint:gosec // the file that the operator named
	if path == "" || err != nil {
		d.fault("passphrase", "there is no file with the passphrase", "Give --passphrase-file or SAFECONDUCT_PASSPHRASE_FILE; without it nothing can be opened.")
		return
	}
	if info.Mode().Perm()&0o077 != 0 {
		d.fault("passphrase", "others may read the file", "chmod 600 the file with the passphrase.")
	}
	same, err := files.SameDisk(path, filepath.Join(d.folder.Dir, config.KeysName))
	switch {
	case err != nil:
		d.unchecked("passphrase place", "this system does not tell disks apart", "Keep the passphrase on another disk than the keys.")
	case same:
		d.fault("passphrase place", "the passphrase lies on the same disk as the keys, so that whoever takes the disk has both",
			"Keep it on another disk, or let systemd bring it: docs/operate.md, Install.")
	default:
		d.ok("passphrase place", "on another disk than the keys")
	}
}

// signer says which process has the keys, and what that leaves open.
func (d *doctor) signer() {
	const open = "whoever becomes that user on this machine while it runs can have everything signed, and read"
	if d.engines.Signer == "" {
		d.ok("signer", "serve starts one as its own user: "+open+". docs/operate.md, The signer, gives it a user of its own")
		return
	}
	owner, err := files.Owner(d.engines.Signer)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fault("signer", "there is no socket where the signer should answer", "Start it: safeconduct signer, as the user that has the keys. docs/operate.md, The signer.")
	case err != nil:
		d.unchecked("signer", "whose socket it is", "See that the signer runs as a user of its own.")
	case owner == os.Geteuid():
		d.ok("signer", "it answers on a socket and runs as the user that serves: "+open)
	default:
		d.ok("signer", "it runs as a user of its own: whoever becomes the user that serves can ask it, and has neither a key nor a signature that people have to agree to; root has everything")
	}
}

// aside looks at where the erasure journal and what was published last are kept:
// a restore needs both, so they must not be lost with the databases.
func (d *doctor) aside() {
	if d.folder.IsDemo() {
		return
	}
	const do = "Let it be a folder on another disk or machine: aside in engines.json, and move what lies there. Or copy it away every hour: docs/restore.md."
	path := d.engines.AsideAt(d.folder.Dir)
	if _, err := os.Stat(path); err != nil {
		d.fault("aside", "the off-site folder is not there", do)
		return
	}
	same, err := files.SameDisk(path, d.folder.Dir)
	switch {
	case err != nil:
		d.unchecked("aside", "this system does not tell disks apart", do)
	case same:
		d.fault("aside", "what must outlive the databases lies on the same disk as they do", do)
	default:
		d.ok("aside", "what must outlive the databases is on another disk")
	}
}

// logFolder looks whether what is public of the log is there at all.
func (d *doctor) logFolder() {
	if d.engines.Database != "" {
		return
	}
	if _, err := os.Stat(d.folder.Path(config.LogName)); errors.Is(err, fs.ErrNotExist) {
		d.fault("log", "the folder "+config.LogName+" is not there", "Put it back from a backup, or from anybody who has a copy: docs/operate.md, When the log has stopped.")
	}
}

// unsane is how far two clocks may be apart.
const unsane = time.Minute

// databases looks at both. It reports whether they can be opened.
func (d *doctor) databases(ctx context.Context) bool {
	data, ok := d.database(ctx, "database", d.engines.DatabaseAt(d.folder.Dir), sqlstore.Inspect)
	keyring, ok2 := d.database(ctx, "keyring", d.engines.KeyringAt(d.folder.Dir), sqlstore.InspectKeyring)
	switch {
	case data.Engine == "" || keyring.Engine == "":
		d.unchecked("keyring apart", "not both databases could be looked at", "Mend them first.")
	case data.Server == keyring.Server && data.Name == keyring.Name:
		d.fault("keyring apart", "the keyring lies in the same database as the data, so that one backup holds both",
			"Move the schema keyring into a database of its own: its backups live 35 days, the data's 180.")
	case data.Server == keyring.Server && strings.HasPrefix(data.Engine, "PostgreSQL"):
		d.ok("keyring apart", "in a database of its own on the same server; that server's physical backups hold both and live 35 days at most")
	default:
		d.ok("keyring apart", "in a database of its own")
	}
	return ok && ok2
}

func (d *doctor) database(ctx context.Context, name, where string, look func(context.Context, string) (sqlstore.Inspection, error)) (sqlstore.Inspection, bool) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	i, err := look(ctx, where)
	switch {
	case errors.Is(err, sqlstore.ErrMissing):
		d.fault(name, "it is not there", "Put it back, or bring it back from a backup: docs/restore.md.")
		return i, false
	case errors.Is(err, sqlstore.ErrConnectionString):
		d.fault(name, "its address cannot be used", "postgres://USER@HOST/DATABASE?sslmode=verify-full&passfile=FILE; without verify-full only on this machine.")
		return i, false
	case errors.Is(err, sqlstore.ErrUnavailable):
		d.fault(name, "the server cannot be reached, or none that takes changes", "Start it, or let this machine reach it; after a failover see that one of the hosts takes changes.")
		return i, false
	case errors.Is(err, sqlstore.ErrDamaged):
		d.fault(name, "it is damaged, or something else", "Keep what is there, and bring it back from a backup: docs/restore.md.")
		return i, false
	case err != nil:
		d.fault(name, "it cannot be read", "Look into the server's log, or at the file; fsck says more. Put it back from a backup when it is damaged.")
		return i, false
	}
	d.ok(name, i.Engine)
	switch {
	case errors.Is(i.Writable, sqlstore.ErrBusy):
		d.unchecked(name+" writable", "somebody else is writing", "Run this again.")
	default:
		d.judge(i.Writable == nil, name+" writable", tell(i.Writable == nil, "it takes changes", "it takes no changes"),
			"Let the role of the service own the database, and see that the disk is not mounted for reading alone.")
	}
	good := true
	switch {
	case i.Old:
		good = false
		d.fault(name+" schema", fmt.Sprintf("version %d is of stores from before this program's, which are not taken over", i.Schema), "Go on with the version that made it, or make a new network: docs/operate.md, From the version before.")
	case i.Schema < i.Newest:
		good = false
		d.fault(name+" schema", fmt.Sprintf("version %d, and this program brings %d", i.Schema, i.Newest), "Start serve once with this program: it brings the schema up to date.")
	case i.Schema > i.Newest:
		d.fault(name+" schema", fmt.Sprintf("version %d is of a newer program than this one, which knows %d", i.Schema, i.Newest), "Use the newer program; the one before it works too, an older one does not.")
	default:
		d.ok(name+" schema", fmt.Sprintf("version %d", i.Schema))
	}
	var wrong, do []string
	for _, w := range i.Wrong {
		wrong, do = append(wrong, w[0]+" is "+w[1]), append(do, w[0]+" = "+w[2])
	}
	d.judge(len(wrong) == 0, name+" settings", tell(len(wrong) == 0, "lose no commit and log no value", strings.Join(wrong, ", ")),
		"For the role of the service (ALTER ROLE … SET), or for the server: "+strings.Join(do, ", ")+". docs/decisions/0008-postgresql.md says why.")
	d.clock(name+" clock", i.Ahead)
	return i, good
}

func (d *doctor) clock(check string, ahead time.Duration) {
	d.judge(ahead.Abs() <= unsane, check, fmt.Sprintf("%s apart from this machine's", ahead.Round(time.Second).Abs()),
		"More than a minute is too much: dates on cards and in the log would be wrong. Set both clocks by NTP.")
}

// objects puts an object, reads it, and removes it again.
func (d *doctor) objects(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	where := "the folder " + config.ObjectsName
	if d.engines.Objects != "" {
		where = "the bucket"
	} else if _, err := os.Stat(filepath.Join(d.folder.Dir, config.ObjectsName)); errors.Is(err, fs.ErrNotExist) {
		d.fault("pages", "the folder "+config.ObjectsName+" is not there", "Put it back from a backup: docs/restore.md.")
		return
	}
	store, err := service.OpenObjects(ctx, service.Config{Dir: d.folder.Dir, Engines: d.engines, Now: d.now})
	switch {
	case errors.Is(err, blobs.ErrUnavailable):
		d.fault("pages", where+" cannot be reached", "Start the server, or let this machine reach it; certificate and region have to fit.")
		return
	case errors.Is(err, blobs.ErrBucket):
		// These texts are our own.
		d.fault("pages", err.Error(), "The bucket keeps no versions, and the key may put, get, list and delete: docs/decisions/0009-s3.md.")
		return
	case err != nil:
		d.fault("pages", where+" cannot be opened", "Look at --objects and at SAFECONDUCT_S3_ACCESS_KEY and SAFECONDUCT_S3_SECRET_KEY_FILE; a folder has to be the service's own.")
		return
	}
	defer func() { _ = store.Close() }()
	if err := tryObjects(ctx, store); err != nil {
		full := errors.Is(err, blobs.ErrFull)
		d.fault("pages", tell(full, where+" is full", "what is put into "+where+" does not come back"),
			tell(full, "Make room.", "Look at the disk, or at what the key of the bucket may do: put, get, delete."))
		return
	}
	d.ok("pages", where+" takes, gives back and removes an object"+tell(d.engines.Objects != "", ", and keeps no versions", ""))
}

func tryObjects(ctx context.Context, store service.Objects) error {
	var drawn [48]byte
	_, _ = rand.Read(drawn[:]) // never returns an error
	key, want := hex.EncodeToString(drawn[:16]), drawn[16:]
	if _, err := store.Put(ctx, key, bytes.NewReader(want)); err != nil {
		return err
	}
	r, err := store.Get(ctx, key)
	if err == nil {
		var got []byte
		got, err = io.ReadAll(io.LimitReader(r, 1<<10))
		if err = errors.Join(err, r.Close()); err == nil && !bytes.Equal(got, want) {
			err = errors.New("other bytes came back")
		}
	}
	return errors.Join(err, store.Delete(ctx, key))
}

// keystore looks at where the keys are. It reports whether they can be used.
func (d *doctor) keystore(ctx context.Context) bool {
	if d.engines.Signer != "" {
		keys, done, err := service.SignerAt(d.engines.Signer)(ctx, "")
		if err == nil {
			_, err = keys.LogKeys(ctx)
			err = errors.Join(err, done())
		}
		if errors.Is(err, service.ErrSignerShut) {
			d.fault("keys", "the signer is locked, and has put them away",
				"Find out why, and have two people open the network again: serve finds its signer locked, locks itself, and its page opens both. docs/operate.md, When the network is locked.")
			return false
		}
		d.judge(err == nil, "keys", tell(err == nil, "the signer has them and answers", "the signer does not answer, or not us"),
			"Start it, and name the user that runs this and serves with --peer. docs/operate.md, The signer.")
		return err == nil
	}
	if d.engines.Vault != "" {
		return d.hcvault(ctx)
	}
	passphrase, err := d.folder.Passphrase()
	if err != nil {
		d.unchecked("keys", "without the passphrase", "See passphrase.")
		return false
	}
	keys, err := keyfile.Open(keyfile.Config{Path: d.folder.Path(config.KeysName), Passphrase: passphrase})
	switch {
	case errors.Is(err, keyfile.ErrPassphrase):
		d.fault("keys", "the passphrase does not open the key file", "It is another one, or the file was altered: take the file from a backup, or the right passphrase.")
	case errors.Is(err, keyfile.ErrMode):
		d.fault("keys", "others may read the key file", "chmod 600 "+config.KeysName+". If others were on this machine, take the keys for known to them.")
	case err != nil:
		d.fault("keys", "the key file is damaged or cannot be read", "Put it back from where it is kept offline.")
	default:
		_, err = keys.LogKeys(ctx)
		d.judge(err == nil, "keys", "the key file opens", "Put it back from where it is kept offline.")
	}
	return err == nil
}

// longestToken is how long a login should live: docs/operate.md, Engines.
const longestToken = time.Hour

func (d *doctor) hcvault(ctx context.Context) bool {
	id := "unknown"
	if db, err := sqlstore.Inspect(ctx, d.engines.DatabaseAt(d.folder.Dir)); err == nil && db.Schema == db.Newest {
		if opened, err := sqlstore.Open(ctx, d.engines.DatabaseAt(d.folder.Dir)); err == nil {
			if r, err := opened.Network().Network(ctx); err == nil {
				id = r.ID
			}
			_ = opened.Close()
		}
	}
	i, err := hcvault.Inspect(ctx, service.HashiCorp(d.engines, id, d.now))
	switch {
	case errors.Is(err, hcvault.ErrUnavailable):
		d.fault("vault", "it cannot be reached, or its certificate is not trusted", "Start it, let this machine reach it, and compare --vault-ca-file with its certificate.")
		return false
	case errors.Is(err, hcvault.ErrBadResponse):
		d.fault("vault", "what answers there is no Vault", "Look at --vault.")
		return false
	case err != nil:
		d.fault("vault", "its address, mount, prefix or files cannot be right", "Compare "+config.EnginesName+" with docs/operate.md, Engines.")
		return false
	case !i.Initialized || i.Sealed:
		d.fault("vault", "Vault "+i.Version+" is sealed", "Unseal it with the people who hold the shares. Until then nothing can be issued, and everything can be checked.")
		return false
	}
	d.ok("vault", "Vault "+i.Version+" is unsealed")
	d.clock("vault clock", i.Ahead)
	if !i.Certificate.IsZero() {
		left := i.Certificate.Sub(d.now())
		d.judge(left > 14*24*time.Hour, "vault certificate", fmt.Sprintf("good for %d more days", int(left.Hours()/24)), "Renew it before it ends: afterwards nothing can be issued.")
	}
	switch {
	case errors.Is(i.Login, hcvault.ErrToken):
		d.fault("vault login", "its tokens live longer than a day", "token_ttl=15m token_max_ttl=12h for the AppRole.")
		return false
	case i.Login != nil:
		d.fault("vault login", "the AppRole does not let us in", "Write a new secret id into the file that --vault-secret-id-file names, and compare the role id.")
		return false
	}
	d.judge(i.TokenLife <= longestToken, "vault login", fmt.Sprintf("tokens live %s", i.TokenLife), "An hour at most, so that a token that was copied ends soon: token_ttl=15m for the AppRole.")
	d.judge(i.Keys == nil, "keys", tell(i.Keys == nil, "the network's keys are there, and can neither be exported nor deleted", "a key is not there or not as it must be"),
		"A key that could be exported or deleted has to be taken for known to others: docs/decisions/0007-hashicorp-vault.md, Keys.")
	policies := "Put the policies that safeconduct key policies --vault-mount M --vault-prefix P prints, and give the AppRole no others."
	if i.Rights != nil {
		d.unchecked("vault rights", "the login may not ask what it may do", policies)
		return i.Keys == nil
	}
	d.judge(len(i.Excess) == 0, "vault rights", tell(len(i.Excess) == 0, "no more than the duties need: nothing can be exported, deleted or granted", "more than the duties need: "+strings.Join(i.Excess, "; ")), policies)
	if len(i.Lacking) > 0 {
		d.fault("vault duties", "lacking: "+strings.Join(i.Lacking, "; "), policies)
	}
	return i.Keys == nil && len(i.Lacking) == 0
}

// network opens the network and asks what only its rooms know.
func (d *doctor) network(ctx context.Context) {
	cfg, err := service.ConfigFor(d.folder)
	var s *service.Service
	if err == nil {
		cfg.Now = d.now
		s, err = service.Look(ctx, cfg)
	}
	var keyring *service.KeyringError
	var roster *service.RosterError
	var old *service.PutBackError
	var objects *service.ObjectsError
	switch {
	case errors.As(err, &objects):
		d.fault("pages fit", "they "+objects.Found, "Put them back from a backup, or compare --objects with what init was given: docs/restore.md.")
		return
	case errors.As(err, &keyring):
		d.fault("keyring fits", "it "+keyring.Found, keyring.Do)
		return
	case errors.As(err, &roster):
		d.fault("roster", "it "+roster.Found, roster.Do)
		return
	case errors.As(err, new(*sqlstore.SealError)):
		d.rowFault(err.Error())
		return
	case errors.As(err, &old):
		d.fault("rows", "the database "+old.Found, old.Do)
		return
	case err != nil:
		d.unchecked("network", "it cannot be opened", "fsck says why, and what to do. Mend what is marked ✕ above first.")
		return
	}
	defer func() { _ = s.Close() }()
	d.ok("keyring fits", "whole, and of the records of this network")
	served := false
	if unlock, err := files.Lock(d.folder.Dir); err == nil {
		_ = unlock()
	} else {
		served = errors.Is(err, files.ErrInUse)
	}
	d.roster(ctx, s)
	d.asideWhole(ctx, s)
	d.rows(ctx, s)
	d.generation(ctx, s)
	d.published(ctx, s, served)
	d.log(ctx, s)
	d.drafts(ctx, s, served)
	d.epochs(ctx, s)
}

// roster replays the roster, and looks whether it ends as the log says.
func (d *doctor) roster(ctx context.Context, s *service.Service) {
	err := s.CheckRoster(ctx)
	if wrong, ok := errors.AsType[*service.RosterError](err); ok {
		d.fault("roster", "it "+wrong.Found, wrong.Do)
		return
	}
	if err != nil {
		d.unchecked("roster", "the database did not say", "Run this again.")
		return
	}
	d.ok("roster", "every change proves itself, and the newest is the one that was logged last")
	d.signersRoster(ctx, s)
	d.signerKept(ctx, s)
}

// asideWhole looks whether what is kept outside of the databases is there, and is what was
// written.
func (d *doctor) asideWhole(ctx context.Context, s *service.Service) {
	switch problems, err := s.CheckAside(ctx); {
	case err != nil:
		d.unchecked("aside", "the database did not say what has to be there, or the folder did not", "Run this again; fsck says more.")
	case len(problems) > 0:
		d.fault("aside", strings.Join(problems, "; "), "Put back what is missing or damaged. What is lost serve writes anew with its next window: docs/operate.md, When the aside folder is lost.")
	}
}

// signerKept looks whether what the signer keeps opens.
func (d *doctor) signerKept(ctx context.Context, s *service.Service) {
	switch err := s.CheckSigner(ctx); {
	case errors.Is(err, service.ErrSignerState):
		d.fault("signer's folder", strings.ReplaceAll(err.Error(), "\n", "; "), "serve does not start with it. Put the file back as it was: docs/operate.md, What the signer believes.")
	case err != nil:
		d.unchecked("signer's folder", "it could not be read", "See whose the files are, and run this again.")
	}
}

// signersRoster looks whether the signer has the same.
func (d *doctor) signersRoster(ctx context.Context, s *service.Service) {
	const name, do = "signer's roster", "docs/operate.md, What the signer believes."
	switch there, err := s.TellSigner(ctx); {
	case !there:
	case errors.Is(err, service.ErrSignerAhead):
		d.fault(name, "is another one than this database has, or a later one: it signs by its own", do)
	case err != nil:
		d.fault(name, "lacks changes that it does not take, or not yet", do)
	default:
		began, err := s.SignerBegan(ctx)
		if err != nil {
			d.unchecked(name, "when it began, the signer or the database did not say", "Run this again.")
			return
		}
		d.ok(name, "it has adopted every change"+late(began))
	}
}

// late says of a signer that it began with an empty folder in a network that was there
// already: nobody but people can tell whether what it was handed then was all.
func late(b service.SignerBegan) string {
	days := int(b.At.Sub(b.Founding) / (24 * time.Hour))
	if b.At.IsZero() || days < 1 {
		return ""
	}
	return fmt.Sprintf("; it began with an empty folder on %s, when the network was %d days old, and believed the first %d as they were handed over. "+
		"Find out why if nobody of you let it begin on that day: docs/operate.md, What the signer believes", b.At.UTC().Format(time.DateOnly), days, b.Changes)
}

// rows holds every row that grants something against its seal.
func (d *doctor) rows(ctx context.Context, s *service.Service) {
	switch problems, err := s.DB.CheckSeals(ctx); {
	case err != nil:
		d.unchecked("rows", "the database did not say", "Run this again.")
	case len(problems) > 0:
		d.rowFault(fmt.Sprintf("%d things do not hold: %s", len(problems), problems[0]))
	default:
		d.newest(ctx, s)
	}
}

// newest looks whether the database has come as far as it had.
func (d *doctor) newest(ctx context.Context, s *service.Service) {
	switch old, err := service.AsPutBack(s.CheckPutBack(ctx)); {
	case err != nil:
		d.unchecked("rows", "the aside folder did not say how far the database had come", "Mend what is marked ✕ above, or run this again.")
	case old != nil:
		d.fault("rows", "the database "+old.Found, old.Do)
	default:
		d.ok("rows", "each is what was written with the keys, and none is from before")
	}
}

func (d *doctor) rowFault(found string) {
	d.fault("rows", found, "Somebody changed the database past this program. Change nothing; find out who, and bring the network back from a backup: docs/operate.md, When rows do not hold.")
}

// generation compares the keystore with what the database has seen of it.
func (d *doctor) generation(ctx context.Context, s *service.Service) {
	r, err := s.DB.Network().Network(ctx)
	now, err2 := s.Keys.Generation(ctx)
	if err := errors.Join(err, err2); err != nil {
		d.unchecked("keys' age", "database or keystore did not say", "Run this again.")
		return
	}
	d.judge(now >= r.Generation, "keys' age", tell(now >= r.Generation, "the newest that this network has used", "an older copy than one that this network has used"),
		"Put the newest key file back, or the newest state of Vault: older ones lack keys that have signed.")
}

// Ages of what is published from which on somebody should look.
const (
	listsOld   = 3 * time.Hour
	listsAmber = 72 * time.Hour
)

func (d *doctor) published(ctx context.Context, s *service.Service, served bool) {
	oldest, err := oldestList(ctx, s.DB.Credentials())
	switch {
	case err != nil:
		d.unchecked("lists", "the database did not say, or what it keeps cannot be read", "Run this again; fsck says more.")
		return
	case oldest.IsZero():
		d.judge(!served, "lists", "nothing was published yet", "serve publishes when it starts: look at its log.")
		return
	}
	age := d.now().Sub(oldest)
	found := fmt.Sprintf("the oldest is %s old", age.Round(time.Minute))
	if age > listsAmber {
		found += ", so that every check is amber"
	}
	d.judge(age <= listsOld, "lists", found, tell(served, "serve publishes each hour: look for housekeeping in its log.",
		"Nobody serves this folder. Start serve: it publishes at once what is late."))

	trust, err := s.DB.Network().TrustList(ctx)
	if err != nil {
		d.unchecked("trust list", "the database did not say", "Start serve: it signs one.")
		return
	}
	left := trust.Expires.Sub(d.now())
	d.judge(left > 7*24*time.Hour, "trust list", fmt.Sprintf("good for %d more days", int(left.Hours()/24)),
		"It is signed anew half way through its 30 days. See that serve publishes.")
	kid, until := trust.Named()
	if kid == "" {
		d.unchecked("trust key", "the trust list is from before the root named who signs it", "Start serve: it signs a new one.")
		return
	}
	left = until.Sub(d.now())
	d.judge(left > 90*24*time.Hour, "trust key", fmt.Sprintf("named by the root for %d more days", int(left.Hours()/24)),
		"Half way through its year the root names it anew where it can sign. Let it, and run key trust.")
}

// oldestList is when the oldest of the newest tokens was signed, zero when
// there is none. Whether they verify is for whoever gets a pack.
func oldestList(ctx context.Context, store credentials.Store) (oldest time.Time, err error) {
	numbers, err := store.Lists(ctx)
	if err != nil {
		return oldest, err
	}
	for _, n := range numbers {
		status, _, err := store.Tokens(ctx, n)
		if err != nil {
			return oldest, err
		}
		if status == "" {
			continue // opened since the last window
		}
		parts := strings.Split(status, ".")
		if len(parts) != 3 {
			return oldest, errors.New("no token")
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			return oldest, err
		}
		var claims struct {
			IssuedAt int64 `json:"iat"`
		}
		if err := json.Unmarshal(payload, &claims); err != nil || claims.IssuedAt == 0 {
			return oldest, errors.New("no date")
		}
		if at := time.Unix(claims.IssuedAt, 0); oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest, nil
}

// log looks at the log as every append does, and at more of it: fsck and log
// verify read everything.
func (d *doctor) log(ctx context.Context, s *service.Service) {
	const fsck = "Change nothing. Run safeconduct log verify and fsck, and hold the checkpoint against the aside folder's, and one that somebody outside kept: docs/operate.md, When the log has stopped."
	size, err := s.DB.Log().Size(ctx)
	if err != nil {
		d.unchecked("log", "the database did not say", "Run this again.")
		return
	}
	switch head, err := s.CheckLog(ctx); {
	case errors.Is(err, audit.ErrStopped):
		d.fault("log", "what was published and what the database has do not hold together, or the aside folder has another state of it, so that nothing is issued", fsck)
	case err != nil:
		d.unchecked("log", "the database did not say", "Run this again.")
	case head.Size > 0:
		waiting, err := s.DB.Log().Waiting(ctx)
		if err != nil {
			d.unchecked("log", "the database did not say", "Run this again.")
			return
		}
		d.ok("log", fmt.Sprintf("%d leaves under the signed checkpoint; %d entries wait, which takes %d windows", head.Size, waiting, audit.Backlog(waiting)))
	case size > 0:
		d.fault("log", "the checkpoint is not there", fsck)
	default:
		d.ok("log", "nothing was published yet")
	}
}

func (d *doctor) drafts(ctx context.Context, s *service.Service, served bool) {
	drafts, err := s.DB.Credentials().Drafts(ctx)
	switch {
	case err != nil:
		d.unchecked("drafts", "the database did not say", "Run this again.")
	case len(drafts) > 0 && !served:
		d.fault("drafts", fmt.Sprintf("%d that a crash left open", len(drafts)), "Start serve, or run fsck: both settle them.")
	case len(drafts) > 0:
		d.ok("drafts", fmt.Sprintf("%d are being signed", len(drafts)))
	default:
		d.ok("drafts", "none is open")
	}
}

func (d *doctor) epochs(ctx context.Context, s *service.Service) {
	epochs, err := s.DB.Network().Epochs(ctx)
	if err != nil {
		d.unchecked("epochs", "the database did not say", "Run this again.")
		return
	}
	now, states := d.now(), map[network.EpochState]int{}
	var ends time.Time
	for _, e := range epochs {
		states[e.State(now)]++
		if e.State(now) == network.EpochLive && e.EndsAt.After(ends) {
			ends = e.EndsAt
		}
	}
	found := fmt.Sprintf("%d live, %d next, %d ended, %d burned", states[network.EpochLive], states[network.EpochNext],
		states[network.EpochEnded], states[network.EpochBurned])
	d.judge(states[network.EpochLive] > 0 && states[network.EpochNext] > 0, "epochs", found,
		"Cards need an epoch that is live, and devices the next one's keys in time: safeconduct epoch rotate, or start serve, which does it at each window.")
}
