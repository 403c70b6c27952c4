package demo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/internal/passkey/software"
	"github.com/safeconduct/safeconduct/verifier"
)

// Staff is somebody who works for the network or for one of its agencies, and who signs
// in. The passkey is here, because it is made of software and of a demonstration: no
// other network takes it.
type Staff struct {
	ID      string                  `json:"id"`
	Handle  string                  `json:"handle"`
	Agency  string                  `json:"agency"` // "" for the network's own
	Roles   []string                `json:"roles"`
	Passkey *software.Authenticator `json:"passkey"`

	AgencyName string `json:"-"` // for the page only
}

// who finds somebody by the key of an agency, "" for the network, and a handle.
func (p *player) who(agencyKey, handle string) *caller.Person { return p.staff[agencyKey+"/"+handle] }

// two are those who agree to what concerns an agency: its admin and its supervisor, or,
// where it has none, its admin and an operator.
func (p *player) two(agencyKey string) []*caller.Person {
	other := p.who(agencyKey, "supervisor-1")
	if other == nil {
		other = p.who("", "operator-2")
	}
	return []*caller.Person{p.who(agencyKey, "admin-1"), other}
}

// found begins the network with its people, for whom one operator is enough at first.
func (p *player) found(ctx context.Context) error {
	p.cfg.SetClock(Began)
	if err := p.step("A network begins: its first operator joins by a link, with a passkey, and takes in a second one", func() error {
		if err := p.join(ctx, "", "operator-1", p.cfg.Join); err != nil {
			return err
		}
		return p.takeIn(ctx, "", "operator", "operator-2", p.who("", "operator-1"))
	}); err != nil {
		return err
	}
	if err := p.step("While it is founded one person is enough: operator-1 takes in two NGOs, two embassies and a checkpoint, and those who answer for them", func() error {
		first := p.who("", "operator-1")
		for _, a := range agencies {
			made, err := ask(ctx, first, "POST", "/api/v1/agencies", map[string]string{
				"name": a.name, "class": a.class, "country": a.country, "desk": a.desk,
			}, first)
			if err != nil {
				return err
			}
			p.agencies[a.key] = &agency{id: made.ID, name: a.name, role: a.role}
			if err := p.takeIn(ctx, a.key, "admin", "admin-1", first); err != nil {
				return err
			}
			if a.role != "caseworker" {
				continue
			}
			if err := p.takeIn(ctx, a.key, "supervisor", "supervisor-1", first); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return p.step("The founding ends: operator-1 and supervisor-1 of Lotus House agree, and from now on it takes two", func() error {
		first, other := p.who("", "operator-1"), p.who("lotus", "supervisor-1")
		if _, err := ask(ctx, first, "DELETE", "/api/v1/founding", nil, first, other); err != nil {
			return err
		}
		var founding struct{ Open bool }
		if err := other.Get(ctx, "/api/v1/founding", &founding); err != nil || !founding.Open {
			return err
		}
		return errors.New("it goes on")
	})
}

// gather lets everybody else in, the programs of the agencies and their devices, each
// by two people.
func (p *player) gather(ctx context.Context) error {
	if err := p.step("Two people let in each colleague and each agency's program: its admin with its supervisor or, where there is none, with operator-2; one of them is not enough", func() (err error) {
		if p.second, err = p.program(ctx, "", "operator", p.who("", "operator-2"), p.who("", "operator-1")); err != nil {
			return err
		}
		for _, a := range agencies {
			one := p.agencies[a.key]
			if err := p.takeIn(ctx, a.key, a.role, a.role+"-1", p.two(a.key)...); err != nil {
				return err
			}
			if one.Client, err = p.program(ctx, a.key, a.role, p.two(a.key)...); err != nil {
				return err
			}
			if a.role != "caseworker" {
				continue
			}
			if one.supervisor, err = p.program(ctx, a.key, "supervisor", p.two(a.key)...); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return p.step("Four devices are invited by an admin; operator-2 reads the six symbols that each shows, and both agree to let it in", func() error {
		for _, d := range []struct{ key, agency string }{
			{"gate-1", "checkpoint"}, {"gate-2", "checkpoint"}, {"consular-desk", "ethiopia"}, {"consular-desk-2", "cambodia"},
		} {
			if err := p.enrol(ctx, d.key, d.agency); err != nil {
				return fmt.Errorf("%s: %w", d.key, err)
			}
		}
		return nil
	})
}

// ask has somebody ask for something, and others agree.
func ask(ctx context.Context, asks *caller.Person, method, path string, what any, agree ...*caller.Person) (made caller.Asked, err error) {
	if err := asks.Call(ctx, method, path, what, &made); err != nil {
		return made, err
	}
	return made, caller.Agreed(ctx, made.Request, agree...)
}

// takeIn takes somebody in as the first of by asks and all of them agree, and has them
// join by the link.
func (p *player) takeIn(ctx context.Context, agencyKey, role, handle string, by ...*caller.Person) error {
	made, err := ask(ctx, by[0], "POST", "/api/v1/people", p.about(agencyKey, map[string]any{"roles": []string{role}, "handle": handle}), by...)
	if err != nil {
		return err
	}
	return p.join(ctx, agencyKey, handle, made.Link)
}

// join makes somebody a passkey, with a link.
func (p *player) join(ctx context.Context, agencyKey, handle, link string) error {
	one := caller.NewPerson(p.cfg.URL, p.cfg.URL, software.New())
	if err := one.Join(ctx, link); err != nil {
		return fmt.Errorf("%s joins: %w", handle, err)
	}
	if one.Me.Handle != handle {
		return errors.New("somebody else joined")
	}
	key := agencyKey + "/" + handle
	p.staff[key] = one
	p.hired = append(p.hired, key)
	return nil
}

// program lets a program in. Its token is nobody's before the last has agreed.
func (p *player) program(ctx context.Context, agencyKey, role string, by ...*caller.Person) (caller.Client, error) {
	var made caller.Asked
	order := p.about(agencyKey, map[string]any{"role": role, "label": "made-up program", "days": 360})
	if err := by[0].Post(ctx, "/api/v1/programs", order, &made); err != nil {
		return caller.Client{}, err
	}
	c := caller.New(p.cfg.URL, made.Token)
	if q, err := by[0].Agree(ctx, made.Request.ID); err != nil || q.State == caller.Done {
		return c, fmt.Errorf("after one has agreed the request is %q: %w", q.State, err)
	}
	if err := c.Get(ctx, "/api/v1/agencies", nil); caller.Refused(err) != "unauthenticated" {
		return c, fmt.Errorf("its token after one has agreed: %w", err)
	}
	return c, caller.Agreed(ctx, made.Request, by[1:]...)
}

// about says which agency an order is about, unless it is the network.
func (p *player) about(agencyKey string, order map[string]any) map[string]any {
	if agencyKey != "" {
		order["agency"] = p.agencies[agencyKey].id
	}
	return order
}

// enrol takes a device in as in life: an agency's admin invites it, the device makes a
// key where it will be used and takes the invitation up, somebody else reads six symbols
// off it and asks, and both agree.
func (p *player) enrol(ctx context.Context, key, agencyKey string) error {
	admin, other := p.who(agencyKey, "admin-1"), p.who("", "operator-2")
	var invitation struct{ Secret string }
	if err := admin.Post(ctx, "/api/v1/invitations", map[string]string{"label": key}, &invitation); err != nil {
		return err
	}
	draft, public, err := verifier.NewDevice("", "", nil)
	if err != nil {
		return err
	}
	var made struct {
		Device  string
		Token   string
		Network string
		Root    json.RawMessage
	}
	if err := caller.New(p.cfg.URL, "").Post(ctx, "/api/v1/enrolments", map[string]string{
		"invitation": invitation.Secret, "public_key": base64.StdEncoding.EncodeToString(public),
	}, &made); err != nil {
		return err
	}
	draft.ID, draft.Network, draft.Root = made.Device, made.Network, made.Root
	d := &device{Client: caller.New(p.cfg.URL, made.Token), key: draft}
	p.devices[key], p.story.Network = d, made.Network

	shown, err := verifier.Symbols(draft.Network, draft.Root, public)
	if err != nil {
		return err
	}
	approval := "/api/v1/devices/" + made.Device + "/approval"
	if err := admin.Post(ctx, approval, map[string]string{"symbols": shown}, nil); caller.Refused(err) != "approval_invalid" {
		return fmt.Errorf("the admin asked for the device of her own invitation: %w", err)
	}
	if _, err := ask(ctx, other, "POST", approval, map[string]string{"symbols": shown}, other, admin); err != nil {
		return err
	}
	var self struct{ State string }
	if err := d.Get(ctx, "/api/v1/devices/self", &self); err != nil || self.State != "active" {
		return fmt.Errorf("it is %q: %w", self.State, err)
	}
	return nil
}

// signIn has everybody sign in: the sessions from the beginning of the story are over.
// What they are then is what demo.json lists.
func (p *player) signIn(ctx context.Context) error {
	for _, key := range p.hired {
		one, was := p.staff[key], p.staff[key].Me
		if err := one.Get(ctx, "/api/v1/sessions/self", nil); caller.Refused(err) != "unauthenticated" {
			return fmt.Errorf("a session of four days ago: %w", err)
		}
		if err := one.SignIn(ctx); err != nil {
			return fmt.Errorf("%s: %w", was.Handle, err)
		}
		if me := one.Me; me.ID != was.ID || me.Agency != was.Agency {
			return errors.New("somebody else is signed in")
		}
		p.story.Staff = append(p.story.Staff, Staff{
			ID: was.ID, Handle: was.Handle, Agency: was.Agency, AgencyName: was.AgencyName, Roles: was.Roles, Passkey: one.Passkey,
		})
	}
	return nil
}
