// Package hcvault keeps a network's keys in the transit engine of a HashiCorp
// Vault: signatures, wrappings and keyed hashes are made there, under keys
// that no process of ours ever holds. It offers what package keyfile offers,
// so that a network can be moved from one to the other. What Vault answers is
// checked before it is used, above all each signature; when Vault cannot be
// reached there is an error and never another key. How Vault is run, sealed,
// backed up and audited, and who may ask for a signature, is left to others.
//
// docs/decisions/0007-hashicorp-vault.md says why it is shaped like this.
package hcvault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/trouble"
	"github.com/safeconduct/safeconduct/vault"
)

var (
	// ErrUnavailable says that Vault cannot be reached, is sealed, is too slow
	// or turns us away for now. Nothing was done that counts, and the same
	// call may succeed later. The error in hand is a *trouble.Later.
	ErrUnavailable = fmt.Errorf("hcvault: %w", trouble.ErrKeystore)

	// ErrBadResponse says that Vault answered something that cannot be right.
	// Nothing of the answer is used.
	ErrBadResponse = fmt.Errorf("hcvault: %w", trouble.ErrWrongAnswer)

	// ErrDenied says that Vault's policies do not allow this process the call.
	ErrDenied = fmt.Errorf("hcvault: %w: its policy does not allow it", keystore.ErrRefused)

	// ErrNoKey says that Vault holds no such key.
	ErrNoKey = fmt.Errorf("hcvault: %w", keystore.ErrNoKey)

	// ErrKey says that a key in Vault is not as it must be: of another type,
	// exportable, deletable, or brought in from outside.
	ErrKey = errors.New("hcvault: a key has other properties than it must have")

	// ErrWrapped says that wrapped bytes do not open for the record, agency or
	// epoch they were presented for, were altered, or are under a version of
	// the key that was ended.
	ErrWrapped = fmt.Errorf("hcvault: %w, %w", keystore.ErrWrapped, vault.ErrIntegrity)

	// ErrExists says that the network's keys were made already.
	ErrExists = errors.New("hcvault: the network has keys")

	// ErrToken says that the AppRole gives out tokens that live too long.
	ErrToken = errors.New("hcvault: the role's tokens must end within a day; set token_ttl")
)

func unavailable(cause string, after time.Duration) error {
	return &trouble.Later{Err: ErrUnavailable, Cause: cause, After: after}
}

// Config says which Vault, and who we are to it. Address, RoleIDFile,
// SecretIDFile and Origin are required.
type Config struct {
	// Address is https://host:port. Without TLS only a loopback address is
	// taken. Nothing of it comes from VAULT_… in the environment.
	Address string

	// CACert is a PEM file with the authorities that may sign Vault's
	// certificate. Empty means those of the system.
	CACert string

	// RoleIDFile and SecretIDFile hold the two halves of an AppRole login.
	// They are read at each login, so that they can be replaced.
	RoleIDFile, SecretIDFile string

	// AppRoleMount is where AppRole is mounted. Empty means "approle".
	AppRoleMount string

	// Namespace is a namespace of Vault Enterprise. Empty means none.
	Namespace string

	// Mount is where the network's own transit engine is mounted. Empty means
	// "transit".
	Mount string

	// Prefix begins the name of each key. Empty means "safeconduct".
	Prefix string

	// Origin is the name under which the log signs its checkpoints, without
	// spaces and plus signs (C2SP signed-note).
	Origin string

	// Timeout bounds one call; half of it may be spent waiting for its turn.
	// Zero means 2 s.
	Timeout time.Duration

	// MaxInFlight is how many calls may be on their way at once. Four times
	// as many may wait for their turn; more are turned away. Zero means 64.
	MaxInFlight int

	// Now tells the time. Nil means time.Now.
	Now func() time.Time
}

// name is what a mount, a prefix and an agency's id may consist of: one
// segment of a path in Vault, and nothing that Vault reads as more than that.
var name = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$`)

// complete fills in the defaults and reports all problems at once.
func (c Config) complete() (Config, error) {
	var errs []error
	problem := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New("hcvault: "+text))
		}
	}
	fill := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	fill(&c.AppRoleMount, "approle")
	fill(&c.Mount, "transit")
	fill(&c.Prefix, "safeconduct")
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = 64
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	errs = append(errs, checkAddress(c.Address))
	problem(c.RoleIDFile == "", "a file with the role id is required")
	problem(c.SecretIDFile == "", "a file with the secret id is required")
	problem(!mountName.MatchString(c.AppRoleMount), "the mount of AppRole is no path")
	problem(!mountName.MatchString(c.Mount), "the mount of transit is no path")
	problem(!name.MatchString(c.Prefix), "the prefix must be letters, digits, - and _")
	problem(c.Origin == "" || strings.ContainsAny(c.Origin, " +\n\t"), "the log's name must be without spaces and plus signs")
	problem(c.Timeout < 0, "the timeout must be positive")
	problem(c.MaxInFlight < 0, "the number of calls in flight must be positive")
	return c, errors.Join(errs...)
}

// mountName allows a path of several segments, as Vault does.
var mountName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_][A-Za-z0-9_-]*)*$`)

// checkAddress refuses what would send a token in the clear.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return errors.New("hcvault: the address must be https://host:port")
	}
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	default:
		return errors.New("hcvault: the address must begin with https:// unless it is a loopback address")
	}
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Vault is an open keystore. It is safe for use by many goroutines.
type Vault struct {
	keystore.Blind

	cfg     Config
	link    *link
	session *session

	mu   sync.RWMutex
	keys map[string]*key // by name in Vault, as last read
}

// Open logs in and looks at the network's keys. It refuses a keystore that
// lacks one, and keys that could be read out. It starts nothing: Run renews
// the login, and without it a call that finds the login ended makes a new one.
func Open(ctx context.Context, cfg Config) (*Vault, error) {
	v, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	for _, k := range networkKeys {
		if _, err := v.key(ctx, v.keyName(k.name), k.kind); err != nil {
			return nil, fmt.Errorf("look at the %s key: %w", k.name, err)
		}
	}
	return v, v.checkBinding(ctx)
}

// Create makes the network's keys and opens the keystore. The AppRole needs
// the policies "keys" and, for what comes after, those of a service. A
// creation that was cut off can be repeated; after a complete one it is
// ErrExists.
func Create(ctx context.Context, cfg Config) (*Vault, error) {
	v, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	for _, k := range networkKeys {
		switch _, err := v.key(ctx, v.keyName(k.name), k.kind); {
		case err == nil && k.name == lastKey:
			return nil, ErrExists
		case err == nil:
			continue
		case !errors.Is(err, ErrNoKey):
			return nil, fmt.Errorf("look at the %s key: %w", k.name, err)
		}
		if err := v.makeKey(ctx, v.keyName(k.name), k.kind); err != nil {
			return nil, fmt.Errorf("make the %s key: %w", k.name, err)
		}
	}
	return Open(ctx, cfg)
}

func dial(ctx context.Context, cfg Config) (*Vault, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	l, err := newLink(cfg)
	if err != nil {
		return nil, err
	}
	v := &Vault{cfg: cfg, link: l, keys: map[string]*key{}}
	v.session = newSession(cfg, l)
	l.session = v.session
	if err := v.session.start(ctx); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	return v, nil
}

// Run renews the login until ctx ends, and then gives it back. It returns nil.
func (v *Vault) Run(ctx context.Context) error {
	v.session.run(ctx)
	return v.Close(context.WithoutCancel(ctx))
}

// Close gives the login back, as far as Vault can be reached, and closes idle
// connections. A closed keystore would log in again when it is used.
func (v *Vault) Close(ctx context.Context) error {
	v.session.end(ctx)
	v.link.http.CloseIdleConnections()
	return nil
}

// Ready asks for one key that is always there, and says why the keystore
// cannot work now.
func (v *Vault) Ready(ctx context.Context) error {
	_, err := v.readKey(ctx, v.keyName(generationKey), kindAEAD)
	return err
}

// dialer connects within the time of a call and keeps no dead peer.
var dialer = net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}
