package service

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/safeconduct/safeconduct/credentials/jws"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/passkey"
	"github.com/safeconduct/safeconduct/internal/signin"
	"github.com/safeconduct/safeconduct/internal/sqlstore"
	"github.com/safeconduct/safeconduct/network"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
)

// openPeople opens the roster, and what people sign in with. A network's name and
// address say which site their passkeys are for.
func openPeople(db *sqlstore.DB, r network.Record, now func() time.Time) (*people.Roster, *passkey.RelyingParty, error) {
	return openPeopleIn(db.People(), r, now)
}

func openPeopleIn(store people.Store, r network.Record, now func() time.Time) (*people.Roster, *passkey.RelyingParty, error) {
	site, err := passkey.At(r.BaseURL, r.Name, r.Demo)
	if err != nil {
		return nil, nil, fmt.Errorf("the address of the network, %s, is none that people can sign in at: %w", r.BaseURL, err)
	}
	passkeys, err := passkey.New(site)
	if err != nil {
		return nil, nil, err
	}
	all, err := people.New(people.Config{Store: store, Checker: passkey.Checker{RelyingParty: passkeys}, Now: now})
	return all, passkeys, err
}

// openSessions remembers who is signed in.
func (s *Service) openSessions(demo bool) (err error) {
	s.Sessions, err = signin.New(signin.Config{
		Store: keepsSessions{s.DB.Sessions(), s.keepNow}, Keys: s.Keys, Loopback: demo, Now: s.cfg.Now,
		Person: StandingIn(s.People),
	})
	return err
}

// StandingIn says of people what sessions ask. That the roster cannot be read now says
// nothing of anybody.
func StandingIn(all *people.Roster) func(ctx context.Context, id string) (signin.Standing, error) {
	return func(ctx context.Context, id string) (signin.Standing, error) {
		st, err := all.Standing(ctx, id)
		if errors.Is(err, people.ErrUnauthenticated) || errors.Is(err, roster.ErrLocked) {
			err = signin.ErrNoSession
		}
		return signin.Standing{Roster: st.Newest, Change: st.Change, From: st.From}, err
	}
}

// foundRoster begins the roster with its first operator, who joins by a link, and a
// program that acts as operator.
func foundRoster(ctx context.Context, all *people.Roster, keys keystore.Keys, r network.Record, now time.Time) (Access, error) {
	root, err := rootKey(ctx, keys)
	if err != nil {
		return Access{}, err
	}
	link, secret := all.NewLink()
	program, token := all.NewProgram("", people.Operator, "set-up", founderProgram)
	return Access{Token: token, Join: secret}, all.Found(ctx, r.ID, roster.Found{
		Root: root, Demo: r.Demo, First: people.NewPerson("", "operator-1", people.Operator), Link: link,
		Until: now.Add(roster.FoundingLife).Unix(), Programs: []roster.Program{program}, Format: roster.Format,
	}, RootSigner(ctx, keys))
}

// founderProgram is how long the token of a founding is good.
const founderProgram = 365 * 24 * time.Hour

func rootKey(ctx context.Context, keys keystore.Keys) (json.RawMessage, error) {
	p, err := keys.Public(ctx, keystore.Root)
	if err != nil {
		return nil, fmt.Errorf("find the root key: %w", err)
	}
	key, err := p.Key()
	if err != nil {
		return nil, err
	}
	return jws.MarshalKey(key)
}

// RootSigner signs an act of the roster with the network's root key.
func RootSigner(ctx context.Context, keys keystore.Keys) func(message []byte) ([]byte, error) {
	return func(message []byte) ([]byte, error) {
		root, err := keys.Root(ctx)
		if err != nil {
			return nil, err
		}
		return crypto.SignMessage(root.Key, rand.Reader, message, crypto.SHA256)
	}
}
