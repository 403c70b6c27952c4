package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"

	"github.com/skip2/go-qrcode"

	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/verifier"
)

// others takes in everybody else: some screened, two whose papers are lost and
// nothing else.
func (p *player) others(ctx context.Context) error {
	return p.step("Six more cards are made; two of them are plain lost-document records, one with the passport that was lost", func() error {
		for _, one := range []struct {
			name, owner string
			who         person
			lost        bool
		}{
			{"sokha", "lotus", sokha, false},
			{"aung", "bridge", aung, true},
			{"amara", "lotus", amara, true},
			{"wei", "bridge", wei, false},
			{"tigist", "lotus", tigist, false},
			{"rahman", "bridge", rahman, false},
		} {
			if err := p.intake(ctx, one.name, one.who, one.owner, one.lost); err != nil {
				return fmt.Errorf("card %d: %w", len(p.order)+1, err)
			}
		}
		if _, err := p.recordPassport(ctx, p.cards["amara"], "X0000005", "unknown", map[string]any{
			"event": "lost", "place_country": "THA", "embassy_notified": "no",
		}); err != nil {
			return err
		}
		return errors.Join(p.publish(ctx), p.fetch(ctx, "gate-1", "pack-gate-1.json"))
	})
}

// secondCheckpoint sees on paper printed before the embassy answered that it
// has answered since. It has a scanner at hand, which types the digits; pictures
// are read before and after.
func (p *player) secondCheckpoint(ctx context.Context) error {
	return p.step("After the next pack a second checkpoint opens his card offline: confirmed", func() error {
		if err := errors.Join(p.publish(ctx), p.fetch(ctx, "gate-2", packName)); err != nil {
			return err
		}
		p.cards["felix"].expect, p.cards["sokha"].expect = verifier.Confirmed, verifier.Confirmed
		for _, name := range []string{"felix", "sokha", "siti"} {
			c := p.cards[name]
			if err := p.expect(ctx, p.devices["gate-2"].pack, c.Digits, c.Code, c.expect); err != nil {
				return err
			}
		}
		return nil
	})
}

// packName is the pack that the folder's cards are listed under.
const packName = "pack.json"

// change pauses a card, replaces a lost one and withdraws another.
func (p *player) change(ctx context.Context) error {
	if err := p.step("The NGOs pause one card, replace a lost one, and withdraw another", func() error {
		if err := p.status(ctx, "wei", "pause", "safety"); err != nil {
			return err
		}
		lost := p.cards["tigist"]
		fresh := &card{person: tigist, owner: lost.owner, caseID: lost.caseID, screening: lost.screening, expect: verifier.Unconfirmed}
		if err := p.print(ctx, "tigist's second", fresh, lost.ID); err != nil {
			return err
		}
		return p.status(ctx, "rahman", "withdraw", "mistake")
	}); err != nil {
		return err
	}
	p.cards["wei"].expect = verifier.Paused
	p.cards["tigist"].expect = verifier.Replaced
	p.cards["rahman"].expect = verifier.OutOfUse
	return p.step("The old cards say so after the next pack", func() error {
		if err := errors.Join(p.publish(ctx), p.fetch(ctx, "gate-2", packName)); err != nil {
			return err
		}
		for _, name := range []string{"wei", "tigist", "tigist's second", "rahman"} {
			c := p.cards[name]
			if err := p.expect(ctx, p.devices["gate-2"].pack, c.Digits, c.Code, c.expect); err != nil {
				return err
			}
		}
		return nil
	})
}

// back ends a pause: nobody alone can.
func (p *player) back(ctx context.Context) error {
	return p.step("A card is paused, and says so; it is in use again when supervisor-1 and caseworker-1 agree", func() error {
		c := p.cards["sokha"]
		was := c.expect
		look := func(want verifier.State) error {
			if err := errors.Join(p.publish(ctx), p.fetch(ctx, "gate-2", packName)); err != nil {
				return err
			}
			return p.expect(ctx, p.devices["gate-2"].pack, c.Digits, c.Code, want)
		}
		if err := p.status(ctx, "sokha", "pause", "safety"); err != nil {
			return err
		}
		if err := look(verifier.Paused); err != nil {
			return err
		}
		one, other := p.who(c.owner, "supervisor-1"), p.who(c.owner, "caseworker-1")
		_, err := ask(ctx, one, "POST", "/api/v1/cards/"+c.ID+"/status", map[string]string{"action": "resume", "reason": "safety"}, one, other)
		if err != nil {
			return err
		}
		return look(was)
	})
}

func (p *player) status(ctx context.Context, name, action, reason string) error {
	c := p.cards[name]
	return p.agencies[c.owner].supervisor.Post(ctx, "/api/v1/cards/"+c.ID+"/status", map[string]string{"action": action, "reason": reason}, nil)
}

// oldPack shows that an old list is said to be old.
func (p *player) oldPack(ctx context.Context) error {
	return p.step("A device with the pack of four days ago: genuine, and its status is old", func() error {
		c := p.cards["siti"]
		return p.expect(ctx, filepath.Join(p.cfg.Dir, "pack-old.json"), c.Digits, c.Code, verifier.StatusOld)
	})
}

// alike compares what can be seen of the cards without opening them.
func (p *player) alike(ctx context.Context) error {
	return p.step("Nothing but opening them tells a lost-document record from any other card", func() error {
		pack := p.devices["gate-2"].pack
		for _, name := range p.order {
			c := p.cards[name]
			if len(c.Digits) != 667 {
				return errors.New("a card has another length")
			}
			if err := sameSymbol(c.PNG, p.cards["aung"].PNG); err != nil {
				return err
			}
			if err := p.expect(ctx, pack, c.Digits, noCode, verifier.CodeNotGiven); err != nil {
				return err
			}
		}
		plain, err := p.openCard("gate-2", p.cards["aung"])
		if err != nil {
			return err
		}
		other, err := p.openCard("gate-2", p.cards["siti"])
		if err != nil {
			return err
		}
		if plain.Card.Status != 0 || other.Card.Status == 0 {
			return errors.New("opening them does not tell them apart")
		}
		return nil
	})
}

// withoutDevice asks about papers as somebody does who has nothing but a card and
// its slip.
func (p *player) withoutDevice(ctx context.Context) error {
	return p.step("Without a device, number and code together say whether a paper is in use; everything else is one answer", func() error {
		stranger := caller.New(p.cfg.URL, "")
		ask := func(number, code string) (answer []byte, err error) {
			err = stranger.Post(ctx, "/api/v1/papers", map[string]string{"number": number, "code": code}, &answer)
			return answer, err
		}
		want := map[string]string{} // a card by its answer
		for _, name := range p.order {
			switch p.cards[name].expect {
			case verifier.Confirmed, verifier.Unconfirmed:
				want["in_use"] = name
			case verifier.Paused, verifier.Replaced, verifier.OutOfUse:
				want["not_in_use"] = name
			default: // asked about by none
			}
		}
		for answer, name := range want {
			got, err := ask(p.cards[name].Number, p.cards[name].Code)
			if err != nil {
				return err
			}
			if !bytes.Contains(got, []byte(`"answer":"`+answer+`"`)) {
				return fmt.Errorf("a card is not said to be %s", answer)
			}
		}
		c := p.cards[want["in_use"]]
		wrong, err := ask(c.Number, otherCode(c.Code))
		if err != nil {
			return err
		}
		nobodys, err := ask(otherCode(c.Number), c.Code)
		if err != nil {
			return err
		}
		if len(want) != 2 || !bytes.Contains(wrong, []byte(`"answer":"unknown"`)) || !bytes.Equal(wrong, nobodys) {
			return errors.New("another code and another number get two answers")
		}
		return nil
	})
}

// history is what the holder can read: who opened what, and why.
func (p *player) history(ctx context.Context) error {
	return p.step("He can read who opened his record", func() error {
		var answer struct{ Entries []struct{ Kind string } }
		if err := p.agencies["lotus"].Get(ctx, "/api/v1/cases/"+p.cards["felix"].caseID+"/history", &answer); err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, e := range answer.Entries {
			seen[e.Kind] = true
		}
		for _, kind := range []string{"screening.issued", "card.issued", "reliance.issued", "reply.issued", "record.opened"} {
			if !seen[kind] {
				return fmt.Errorf("the history does not hold %s", kind)
			}
		}
		return nil
	})
}

// refuseNonsense sends bad input and sees that it changes nothing.
func (p *player) refuseNonsense(ctx context.Context) error {
	return p.step("Bad input is refused with a code, and changes nothing", func() error {
		ngo, c := p.agencies["lotus"].supervisor, p.cards["sokha"]
		path := "/api/v1/cards/" + c.ID + "/status"
		for _, bad := range []struct{ body, code string }{
			{`{"action":"withdraw","reason":"mistake","because":"x"}`, ""},
			{`{"action":"withdraw","Action":"pause","reason":"mistake"}`, "json_duplicate_key"},
			{`{"action":"withdraw","reason":"mistake"} {}`, "json_invalid"},
		} {
			_, err := ngo.Send(ctx, "POST", path, "application/json", []byte(bad.body))
			if code := caller.Refused(err); code == "" || (bad.code != "" && code != bad.code) {
				return fmt.Errorf("got %q, want a refusal %q", code, bad.code)
			}
		}
		if code := caller.Refused(p.agencies["bridge"].Get(ctx, "/api/v1/cases/"+c.caseID, nil)); code != "not_found" {
			return errors.New("another agency's case is not as unknown as no case")
		}
		return p.expect(ctx, p.devices["gate-2"].pack, c.Digits, c.Code, c.expect)
	})
}

// erase forgets the first person of the story.
func (p *player) erase(ctx context.Context) error {
	c := p.cards["felix"]
	return p.step("He asks to be forgotten: supervisor-1 and caseworker-1 agree, all of his data is erased, and nothing opens it any more", func() error {
		one, other := p.who("lotus", "supervisor-1"), p.who("lotus", "caseworker-1")
		if _, err := ask(ctx, one, "DELETE", "/api/v1/cases/"+c.caseID, nil, one, other); err != nil {
			return err
		}
		for _, try := range []struct{ who, path string }{
			{"lotus", "/api/v1/cases/" + c.caseID},
			{"lotus", "/api/v1/cases/" + c.caseID + "/history"},
			{"lotus", "/api/v1/attestations/" + c.screening},
			{"lotus", "/api/v1/documents/" + p.passport},
			{"ethiopia", "/api/v1/documents/" + p.passport + "/pages/1"},
		} {
			if code := caller.Refused(p.agencies[try.who].Get(ctx, try.path, nil)); code != "not_found" {
				return fmt.Errorf("%s: %s answers %q", try.who, try.path, code)
			}
		}
		for _, record := range []string{c.caseID, p.passport} {
			left, err := p.cfg.KeyLeft(ctx, record)
			if err != nil {
				return err
			}
			if left {
				return errors.New("a key to his record is left")
			}
		}
		if err := errors.Join(p.publish(ctx), p.fetch(ctx, "gate-2", packName)); err != nil {
			return err
		}
		c.expect = verifier.OutOfUse
		return p.expect(ctx, p.devices["gate-2"].pack, c.Digits, c.Code, c.expect)
	})
}

// finish checks every card as demo.json lists it, and writes that file.
func (p *player) finish(ctx context.Context) error {
	return p.step("Every card is read once more, as its list says", func() error {
		for _, name := range p.order {
			c := p.cards[name]
			reason, err := p.verify(ctx, p.devices["gate-2"].pack, p.path(c), c.Code, c.expect)
			if err != nil {
				return fmt.Errorf("%s: %w", c.fileName, err)
			}
			p.story.Cards = append(p.story.Cards, Card{
				Person: c.person.latin, Number: c.Number, Code: c.Code, Digits: c.Digits,
				PNG: c.pngPath, SVG: c.svgPath, Expect: string(c.expect), Reason: reason,
				Native: c.person.native, Language: c.person.tag,
			})
		}
		return p.write()
	})
}

// manifest is demo.json: what a script or another program goes on from.
type manifest struct {
	URL       string  `json:"url"`
	Network   string  `json:"network"`
	Pack      string  `json:"pack"`
	Actors    []actor `json:"actors"`
	Persons   []Staff `json:"persons"`
	Cards     []Card  `json:"cards"`
	Documents []paper `json:"documents"`
}

// actor is a program.
type actor struct {
	Role   string `json:"role"`
	Agency string `json:"agency"`
	Token  string `json:"token"`
}

func (p *player) write() error {
	m := manifest{
		URL: p.cfg.URL, Network: p.story.Network, Pack: packName, Cards: p.story.Cards, Documents: p.papers, Persons: p.story.Staff,
		Actors: []actor{{Role: "operator", Token: p.operator.Token}, {Role: "operator", Token: p.second.Token}},
	}
	for _, a := range agencies {
		one := p.agencies[a.key]
		m.Actors = append(m.Actors, actor{Role: one.role, Agency: one.id, Token: one.Token})
		if one.supervisor.Token != "" {
			m.Actors = append(m.Actors, actor{Role: "supervisor", Agency: one.id, Token: one.supervisor.Token})
		}
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.cfg.Dir, "demo.json"), append(data, '\n'), 0o600)
}

// ExitStatus is what the verify command promises for a state.
func ExitStatus(s verifier.State) int {
	switch s {
	case verifier.Confirmed, verifier.Unconfirmed:
		return 0
	case verifier.StatusOld, verifier.IssuerUnknown, verifier.NotReady, verifier.CodeNotGiven:
		return 3
	case verifier.NotOurs, verifier.Unreadable:
		return 4
	default:
		return 2
	}
}

// otherCode is the code with one digit changed.
func otherCode(code string) string {
	b := []byte(code)
	b[len(b)-1] = '0' + (b[len(b)-1]-'0'+1)%10
	return string(b)
}

// strangersQR is a code that somebody might hold out instead. It is no card,
// and does not lie in the folder with them. The caller removes it.
func strangersQR() (path string, err error) {
	picture, err := qrcode.Encode("https://example.org/not-a-card", qrcode.Medium, 256)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "stranger-*.png")
	if err != nil {
		return "", err
	}
	_, err = f.Write(picture)
	return f.Name(), errors.Join(err, f.Close())
}

func readableScan(page []byte) error {
	picture, err := png.Decode(bytes.NewReader(page))
	if err != nil {
		return fmt.Errorf("the page is no picture: %w", err)
	}
	if picture.Bounds().Size() != (image.Point{X: 480, Y: 320}) {
		return errors.New("the page is another picture")
	}
	return nil
}

// sameSymbol compares what a camera sees of two cards besides their modules.
func sameSymbol(a, b []byte) error {
	one, err := png.DecodeConfig(bytes.NewReader(a))
	if err != nil {
		return err
	}
	other, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return err
	}
	if one.Width != other.Width || one.Height != other.Height {
		return errors.New("two cards differ in size")
	}
	return nil
}
