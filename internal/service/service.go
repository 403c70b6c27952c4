// Package service runs one network: it opens its stores, its keys and the rooms
// of the domain, serves them over HTTP, publishes, and does by itself what has to
// be done from time to time. A network is brought back from a backup in
// internal/recovery and examined in internal/doctor; flags and words are for the
// commands.
package service

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/httpapi"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/vault"
	"github.com/safeconduct/safeconduct/web"
)

// Config says which folder to open, and how.
type Config struct {
	Dir string
	// Engines are read from the folder by whatever opens one that is there.
	Engines    config.Engines
	Passphrase string
	// Keys opens the keys. Nil means in this process, or at the signer that the
	// engines name.
	Keys       KeyOpener
	Socket     string           // of the signer that Keys asks, where it is one of its own
	WorkFactor int              // of the key file when it is written; zero is age's default
	Now        func() time.Time // nil means time.Now
	Log        *slog.Logger     // nil means nowhere
	Metrics    *Metrics         // nil when nobody counts
	// Restart puts a new process into the place of this one, with nothing of what this
	// one knows, and does not return. Nil leaves that to whoever gets ErrLocked.
	Restart func()
	// Upgrading is told, while the stores are brought up to date, which step does it and
	// what part of that is done. Nil: Look refuses stores that are not up to date
	// (sqlstore.ErrUnfinished), and Open tells the log alone.
	Upgrading func(step int64, part float64)
	// SecurityContact is where to report a weakness: httpapi.Config.
	SecurityContact string
	// rate is how much a second is taken of everybody who was let in; zero is the usual.
	// Only a test that counts asks for more.
	rate rate.Limit
	// finish brings stores up to date; nil is sqlstore.DB.Finish. Only a test that has
	// something to bring up to date names another.
	finish func(ctx context.Context, tell func(step int64, part float64)) error
}

// DemoWork is the scrypt work of a demo's key file, low because its keys protect
// nobody.
const DemoWork = 12

// ConfigFor is how a command opens a folder: now, and without a log.
func ConfigFor(f config.Folder) (Config, error) {
	passphrase, err := f.Passphrase()
	if err != nil {
		return Config{}, err
	}
	cfg := Config{Dir: f.Dir, Passphrase: passphrase}
	if f.IsDemo() {
		cfg.WorkFactor = DemoWork
	}
	return cfg, nil
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Service is every room of one network, wired together. What it holds is open
// until Close.
type Service struct {
	*Stores

	Keys     keystore.Keys
	Offsite  *offsite.Folder
	People   *people.Roster
	Passkeys *passkey.RelyingParty
	Sessions *signin.Sessions
	Network  *network.Network
	Vault    *vault.Vault
	Issuer   *credentials.Issuer
	Board    *Board
	API      *httpapi.Server // of a service that Open opened
	Settled  int             // drafts that Settle found

	remote signer.Retirer // the same keys, when they are in a Vault
	store  keystore.Store // the same keys, uncounted
	log    *audit.Log
	former []string // names that the log had, or has

	keyring *watchedKeyring // as the vault has it

	window   time.Duration // how often Serve publishes; zero when nobody does
	draining atomic.Bool   // no new requests, please
	beating  atomic.Bool   // heartbeats are sent
	// wrongRoster is what the last look at the roster found; nil is nothing.
	wrongRoster atomic.Pointer[RosterError]

	keptRows atomic.Int64 // how far the database had come when that was last written down
	openedAt int64        // how far it had come when we opened it
	rowsLog  string       // the name that the log had then
	keeps    atomic.Bool  // the log went on then, so that what we see is the newest there is

	collected time.Time // when orphans were last looked for; of the housekeeping alone
	boxed     time.Time // when places were last written anew; of the housekeeping alone

	asking   sync.Mutex // whether we are ready, once at a time
	answered time.Time
	answer   error
}

// Open opens a folder to serve it. It takes the folder for this process and
// settles what a crash may have left behind. ErrLocked, and no key is opened, while the
// network is locked. The caller closes it.
func Open(ctx context.Context, cfg Config) (_ *Service, err error) {
	if err := (config.Folder{Dir: cfg.Dir}).Check(); err != nil {
		return nil, err
	}
	unlock, err := files.Lock(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s, err := look(ctx, cfg, true)
	if err != nil {
		return nil, errors.Join(err, unlock())
	}
	s.closeLast(unlock)
	if err := s.unlock(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	// Before anything is begun here, so that no other process ends it.
	if err := s.DB.Heartbeat(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	// A newer program that did not see us may have begun to bring them up to date.
	if err := s.DB.Finished(ctx); err != nil {
		return nil, errors.Join(err, s.DB.Leave(ctx), s.Close())
	}
	s.closeWith(func() error {
		s.keepRowsAtLast(ctx)
		_ = s.DB.Leave(context.WithoutCancel(ctx)) // else the others find out by themselves
		return nil
	})
	waits, err := s.settle(ctx)
	if err := errors.Join(s.openDoors(), err); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if waits != nil { // packs and lists are served, and /readyz says why nothing else is done
		cfg.Log.ErrorContext(ctx, "not everything could be settled", "cause", waits.Error())
	}
	if err := s.Board.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.keepOpened(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Look opens a folder, served or not, and changes nothing of what it says. The
// caller closes it.
func Look(ctx context.Context, cfg Config) (*Service, error) { return look(ctx, cfg, false) }

// look is Look; with bind it notes what it has seen of the keyring, and whatever else
// only the one who serves the folder may.
func look(ctx context.Context, cfg Config, bind bool) (_ *Service, err error) {
	if cfg.Engines, err = config.ReadEngines(cfg.Dir); err != nil {
		return nil, err
	}
	stores, err := OpenStores(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &Service{Stores: stores, keyring: &watchedKeyring{Keyring: stores.Keyring}}
	s.DB.CaseKeys(s.keyring.CaseKey)
	if err := s.openRooms(ctx, bind); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// CheckLog looks whether the log may go on, and returns its newest head:
// audit.Log's Check.
func (s *Service) CheckLog(ctx context.Context) (audit.Checkpoint, error) { return s.log.Check(ctx) }

// InVault tells whether the keys are in a HashiCorp Vault.
func (s *Service) InVault() bool { return s.remote != nil }

// Elsewhere tells whether a process that is not ours has the keys: then there may
// be no key file in the folder.
func (s *Service) Elsewhere() bool { return s.cfg.Engines.Signer != "" }

// Settle ends what a crash cut off: keys and rows agree, no draft stays open,
// and what was to be erased is erased. Nothing is served before. It is only for
// the process that has the folder: in another one's hands a draft is about to
// be signed. Where several processes share a database, the drafts of those that
// live stay.
func (s *Service) Settle(ctx context.Context) error {
	waits, err := s.settle(ctx)
	return errors.Join(waits, err)
}

// settle is Settle that tells apart what waits until the log goes on from what
// nobody may be served without. Until it goes on nothing is signed, and of what
// was to be erased the key files are gone.
func (s *Service) settle(ctx context.Context) (waits, err error) {
	for _, step := range []func(context.Context) error{
		s.Network.Check,
		func(ctx context.Context) (err error) { s.Settled, err = s.Issuer.Recover(ctx); return err },
		s.tellOffsite,
		func(ctx context.Context) error { _, err := s.Vault.Replay(ctx); return err },
		s.settleErasures,
	} {
		switch err := step(ctx); {
		case errors.Is(err, audit.ErrStopped):
			waits = errors.Join(waits, err)
		case err != nil:
			return waits, err
		}
	}
	return waits, nil
}

// openRooms wires the domain rooms, which know of each other only what their
// interfaces say.
func (s *Service) openRooms(ctx context.Context, bind bool) (err error) {
	r, err := s.DB.Network().Network(ctx)
	if err != nil {
		return err
	}
	if bind {
		if err := s.mayOpen(ctx, r); err != nil {
			return err
		}
	}
	keys, done, err := OpenKeys(ctx, s.cfg, r.ID)
	if err != nil {
		return err
	}
	s.closeWith(done)
	if bind {
		if err := s.openSigner(ctx, keys, r); err != nil {
			return err
		}
	}
	s.store = keys
	if s.cfg.Engines.Vault != "" {
		s.remote, _ = keys.(signer.Retirer)
	}
	named, err := s.nameLog(ctx, r.ID, keys)
	if err != nil {
		return err
	}
	s.Keys = keystore.New(s.cfg.Metrics.countedKeys(watched(named)))
	if err := s.openOffsite(r.ID); err != nil {
		return err
	}
	if err := s.sealKeyring(ctx, r.ID); err != nil {
		return err
	}
	if err := BelieveRows(ctx, s.DB, s.Keys, r.ID); err != nil {
		return err
	}
	if bind {
		if err := s.checkJournal(ctx); err != nil {
			return err
		}
	}
	// By its id the keys were opened; the rest is believed only now.
	if r, err = s.DB.Network().Network(ctx); err != nil {
		return err
	}
	if err := s.checkKeyring(ctx, bind); err != nil {
		return err
	}
	if err := s.checkObjects(ctx, r.ID); err != nil {
		return err
	}
	if err := s.upgrade(ctx, bind); err != nil {
		return err
	}
	if s.People, s.Passkeys, err = openPeopleIn(keepsPeople{s.DB.People(), s.keepNow}, r, s.cfg.Now); err != nil {
		return err
	}
	if err := s.openSessions(r.Demo); err != nil {
		return err
	}
	if s.Network, err = network.New(network.Config{
		Store: s.DB.Network(), Keys: s.Keys, Rights: s.People, ID: r.ID, Name: r.Name, BaseURL: r.BaseURL, Desk: r.Desk, Demo: r.Demo, Now: s.cfg.Now,
		Signed: s.DB.Credentials().LoggedBetween, Log: s.cfg.Log,
	}); err != nil {
		return err
	}
	if s.log, err = s.openLog(ctx); err != nil {
		return err
	}
	s.DB.Guard(s.log.MayAppend)
	if err := s.openPutBack(ctx); err != nil {
		return err
	}
	if err := s.openRoster(ctx); err != nil {
		return err
	}
	if err := s.inform(ctx, bind); err != nil {
		return err
	}
	if s.Vault, err = vault.New(vault.Config{
		Store: journaled{s.DB.Vault(), s.Offsite}, Keyring: s.keyring, Blobs: s.Objects, Keys: s.Keys,
		Directory: members{s.Network}, Network: s.Network.ID(), Now: s.cfg.Now, KeyringDamaged: s.keyring.damage,
		OpenedByTwo: s.People.Opened, CardInUse: s.cardInUse, Admitted: s.People.Admitted, AllowedAgain: s.People.Again,
		Said: s.signed,
	}); err != nil {
		return err
	}
	if s.Issuer, err = credentials.NewIssuer(credentials.IssuerConfig{
		Store: keepsCredentials{s.DB.Credentials(), s.keepNow}, Keys: s.Keys, Cases: s.Vault, Network: members{s.Network},
		StatusLists: s.Network.StatusLists(), Now: s.cfg.Now, Agreed: s.People.Holds, Said: s.Vault.SaidOfCard,
	}); err != nil {
		return err
	}
	s.Board, err = newBoard(s)
	return err
}

// cardInUse asks the issuer, whom the vault does not know.
func (s *Service) cardInUse(ctx context.Context, caseID, card string) (bool, error) {
	return s.Issuer.CardInUse(ctx, caseID, credentials.ID(card))
}

func (s *Service) openLog(ctx context.Context) (*audit.Log, error) {
	key, err := s.Keys.LogKey(ctx)
	if err != nil {
		return nil, err
	}
	origin, _, _ := strings.Cut(key, "+")
	return audit.New(audit.Config{Store: s.DB.Log(), Dir: s.LogDir, Keys: logKeys{s.Keys, s.Network.LogKeys}, Kept: s.keptCheckpoint(origin)})
}

// publicLog are the log's public files as requests get them.
func (s *Service) publicLog() fs.FS {
	if s.Board.files != nil {
		return s.Board.files
	}
	return s.LogDir
}

// openDoors makes the HTTP face.
func (s *Service) openDoors() (err error) {
	card, err := web.CardPage(s.Network.Desk())
	if err != nil {
		return err
	}
	s.API, err = httpapi.New(httpapi.Config{
		People: s.People, Passkeys: s.Passkeys, Sessions: s.Sessions, Network: s.Network, Issuer: s.Issuer, Vault: s.Vault, Board: s.Board,
		CardPage: card, CardStyle: web.CardStyleSHA256,
		Idempotency: httpapi.Once(s.DB.Idempotency(s.cfg.Now), sqlstore.ErrMismatch, sqlstore.ErrInFlight),
		Tries:       s.DB.CodeTries(),
		LogFiles:    s.publicLog(), Log: s.cfg.Log, Now: s.cfg.Now, Ready: s.ready,
		TakeKeysOff: s.TakeKeysOff, Alarms: s.Alarms,
		Pages: web.Pages, Desk: s.Network.Desk(), SecurityContact: s.cfg.SecurityContact,
		Observe: s.cfg.Metrics.observe, StrangerRate: strangers(s.Network.Demo()), Rate: s.cfg.rate,
	})
	return err
}

// strangers is how many requests a second come without a token; zero is the usual. All
// of a demonstration's are this machine's own, and a whole network joins at once there.
func strangers(demo bool) rate.Limit {
	if demo {
		return 100
	}
	return 0
}

// members is the network as the other rooms see it.
type members struct{ *network.Network }

// Agency describes an agency that is a member, not suspended, and believed.
func (m members) Agency(ctx context.Context, id string) (credentials.Agency, error) {
	a, err := m.Network.Agency(ctx, id)
	switch {
	case errors.Is(err, network.ErrNotFound):
		return credentials.Agency{}, credentials.ErrNotFound
	case err != nil:
		return credentials.Agency{}, err
	case a.Suspended, !a.Compromised.IsZero(): // nothing that it would sign is believed
		return credentials.Agency{}, credentials.ErrNotAllowed
	}
	of := credentials.Agency{ID: a.ID, Class: string(a.Class), Country: a.Country, Issuer: m.Issuer(a.ID), Agreed: agreed(a), Confirms: a.Terms.Confirms}
	for _, l := range m.Limits(a) {
		of.Limits = append(of.Limits, credentials.Limit(l))
	}
	return of, nil
}

// agreed is what an agency signs, where that is not what its class signs.
func agreed(a network.Agency) *claims.Signing {
	if a.Terms.Signs == nil {
		return nil
	}
	return claims.NewSigning(a.Terms.Signs.Kinds, a.Terms.Signs.Level)
}

// signs is what an agency signs.
func signs(a network.Agency) claims.Signing {
	if terms := agreed(a); terms != nil {
		return *terms
	}
	return claims.SigningOf(string(a.Class))
}

// PublicKey returns a signing key of an agency, old ones included.
func (m members) PublicKey(ctx context.Context, agency, kid string) (*ecdsa.PublicKey, error) {
	a, err := m.Network.Agency(ctx, agency)
	if err != nil {
		return nil, err
	}
	for _, k := range a.Keys {
		if k.KeyID == kid {
			return jws.ParseKey(k.JWK)
		}
	}
	return nil, network.ErrNotFound
}

// Recipient tells of what class and of which country an agency is.
func (m members) Recipient(ctx context.Context, agency string) (claims.Recipient, error) {
	a, err := m.Network.Agency(ctx, agency)
	if err == nil && a.Suspended {
		err = network.ErrConflict // nothing more is shared with it, for the day on which it is let in again
	}
	return claims.Recipient{Class: string(a.Class), Country: a.Country, For: a.Terms.Confirms, Identifies: signs(a).Identifies()}, err
}

// signed is what the attestations of a case say about sharing it: of two rooms that never
// meet, one asks and the other answers.
func (s *Service) signed(ctx context.Context, caseID string) (vault.Signed, error) {
	words, origin, err := s.Issuer.Signed(ctx, caseID)
	return vault.Signed{Consents: words, Origin: origin}, err
}
