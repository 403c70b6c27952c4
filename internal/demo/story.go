package demo

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/claims"
	sealed "github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/caller"
	"github.com/safeconduct/safeconduct/verifier"
)

// Config is what the story needs of the program that plays it.
type Config struct {
	URL      string // where the service answers, as a browser writes it
	Operator string // the bearer token of a program that acts as operator
	Join     string // the link with which the first operator joins, or its secret
	Dir      string // where cards, packs and demo.json go
	Out      io.Writer
	// SetClock tells the service how far in the past it lives. The story begins
	// at Began, and it has to live there before.
	SetClock func(ago time.Duration)
	// Verify runs the verify command as a process of its own that is given
	// nothing but these arguments, without a network where the system allows
	// it. It returns what it printed and its exit status.
	Verify func(ctx context.Context, args ...string) (stdout []byte, status int, err error)
	// KeyLeft tells whether the keyring still holds a key to a record.
	KeyLeft func(ctx context.Context, record string) (bool, error)
}

// Began is how long ago the story begins.
const Began = 4 * 24 * time.Hour

// Step is one thing that happened.
type Step struct {
	Text string
	Took time.Duration
}

// Story is the journey after it was played.
type Story struct {
	Network string
	Steps   []Step
	Cards   []Card
	Staff   []Staff
}

// Card is a card of the story as its folder lists it. Code and number are
// here because everybody in it is made up; no service keeps them.
type Card struct {
	Person string `json:"person"`
	Number string `json:"number"`
	Code   string `json:"code"`
	PNG    string `json:"png"` // relative to the folder, as are the next two
	SVG    string `json:"svg"`
	Digits string `json:"digits"` // the 667 digits themselves
	Expect string `json:"expect"` // the state under the folder's pack

	// Reason belongs to that state. For the page only.
	Reason verifier.Reason `json:"-"`

	// Native is the name in the person's own script, and Language its BCP 47
	// tag; both are empty where that is Latin. For the page only.
	Native   string `json:"-"`
	Language string `json:"-"`
}

// player is the story while it is being played.
type player struct {
	cfg      Config
	operator caller.Client // a program of the network's
	second   caller.Client // another one
	staff    map[string]*caller.Person
	hired    []string // the keys of staff, in the order in which they joined
	agencies map[string]*agency
	devices  map[string]*device
	cards    map[string]*card
	order    []string // cards in the order in which they were made
	papers   []paper
	passport string // the record of his passport
	story    *Story
}

type agency struct {
	caller.Client                // a program that acts as its caseworker, officer or mission
	supervisor     caller.Client // of an NGO: one that answers for what it signed
	id, name, role string
}

// device is an enrolled device: its token, its key, and where its pack lies.
type device struct {
	caller.Client
	key  verifier.Device
	pack string
}

type card struct {
	ID     string `json:"id"`
	Number string `json:"number"`
	Code   string `json:"code"`
	Digits string `json:"digits"`
	SVG    string `json:"svg"`
	PNG    []byte `json:"png"`

	person           person
	owner, caseID    string
	screening        string
	pngPath, svgPath string
	expect           verifier.State
	fileName         string
	by               *caller.Person // who makes it with a touch; nil is her agency's program
}

type paper struct {
	Person    string `json:"person"`
	Number    string `json:"number"`
	BirthDate string `json:"birth_date"`
}

// Play plays the whole journey. It stops at the first thing that does not
// hold, and says which.
func Play(ctx context.Context, cfg Config) (*Story, error) {
	p := &player{
		cfg: cfg, operator: caller.New(cfg.URL, cfg.Operator), staff: map[string]*caller.Person{},
		agencies: map[string]*agency{}, devices: map[string]*device{}, cards: map[string]*card{},
		story: &Story{},
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "cards"), 0o700); err != nil {
		return nil, err
	}
	for _, act := range []func(context.Context) error{
		p.found, p.gather, p.fourDaysAgo, p.today, p.screenFelix, p.checkpoint, p.apart, p.rely,
		p.share, p.others, p.embassy, p.secondCheckpoint, p.change, p.back, p.oldPack, p.alike, p.withoutDevice,
		p.history, p.takeAway, p.refuseNonsense, p.erase, p.finish,
	} {
		if err := act(ctx); err != nil {
			return nil, err
		}
	}
	return p.story, nil
}

// step does one thing, prints it in one plain line with the time it took, and
// says which one it was when it did not hold.
func (p *player) step(text string, do func() error) error {
	start := time.Now()
	err := do()
	took := time.Since(start).Round(time.Millisecond)
	if err != nil {
		_, _ = fmt.Fprintf(p.cfg.Out, "  ✕ %7s  %s\n", took, text)
		return fmt.Errorf("%s: %w", text, err)
	}
	p.story.Steps = append(p.story.Steps, Step{Text: text, Took: took})
	_, err = fmt.Fprintf(p.cfg.Out, "  ✔ %7s  %s\n", took, text)
	return err
}

// publish closes the window, as the service does every hour.
func (p *player) publish(ctx context.Context) error {
	return p.operator.Post(ctx, "/api/v1/publications", nil, nil)
}

// fetch brings a device its pack, and writes it down with its key under name.
func (p *player) fetch(ctx context.Context, deviceKey, name string) error {
	d := p.devices[deviceKey]
	var file verifier.File
	if err := d.Get(ctx, "/pack", &file.Lists); err != nil {
		return err
	}
	var sealed struct{ Envelope string }
	if err := d.Get(ctx, "/api/v1/devices/self/envelope", &sealed); err != nil {
		return err
	}
	file.Envelope = sealed.Envelope
	data, err := verifier.MarshalFile(file)
	if err != nil {
		return err
	}
	key, err := json.Marshal(d.key)
	if err != nil {
		return err
	}
	d.pack = filepath.Join(p.cfg.Dir, name)
	return errors.Join(os.WriteFile(d.pack, data, 0o600), os.WriteFile(d.pack+".key", key, 0o600))
}

// open begins a case at an NGO.
func (p *player) open(ctx context.Context, owner string) (string, error) {
	var made struct{ ID string }
	err := p.agencies[owner].Post(ctx, "/api/v1/cases", map[string]any{}, &made)
	return made.ID, err
}

// state has somebody of an NGO sign claims about a case with a touch.
func (p *player) state(ctx context.Context, one *caller.Person, caseID string, c claims.Claims) (string, error) {
	body, err := order(c)
	if err != nil {
		return "", err
	}
	q, err := one.Touch(ctx, "/api/v1/cases/"+caseID+"/attestations", body)
	return q.Attestation, err
}

// attest has an NGO's program sign claims about a case.
func (p *player) attest(ctx context.Context, owner, caseID string, c claims.Claims) (string, error) {
	body, err := order(c)
	if err != nil {
		return "", err
	}
	var made struct{ ID string }
	err = p.agencies[owner].Post(ctx, "/api/v1/cases/"+caseID+"/attestations", body, &made)
	return made.ID, err
}

func order(c claims.Claims) (map[string]any, error) {
	encoded, err := claims.Encode(c)
	if err != nil {
		return nil, err
	}
	return map[string]any{"kind": c.Kind(), "claims": json.RawMessage(encoded)}, nil
}

// intake takes one person in: a case, a screening unless only papers are lost,
// and a card.
func (p *player) intake(ctx context.Context, name string, who person, owner string, lostPapersOnly bool) error {
	caseID, err := p.open(ctx, owner)
	if err != nil {
		return err
	}
	c := &card{person: who, owner: owner, caseID: caseID, expect: verifier.Unconfirmed}
	if !lostPapersOnly {
		if c.screening, err = p.attest(ctx, owner, caseID, screening(who, p.now())); err != nil {
			return err
		}
		if _, err = p.attest(ctx, owner, caseID, identity(who)); err != nil {
			return err
		}
	}
	return p.print(ctx, name, c, "")
}

// now is the time that the service lives in at the beginning of the story:
// dates on papers must not be later than it.
func (p *player) now() time.Time { return time.Now().AddDate(0, 0, -4) }

// print makes the card and puts its pictures into the folder.
func (p *player) print(ctx context.Context, name string, c *card, replaces string) error {
	body := map[string]any{
		"name": c.person.latin, "birth_date": c.person.birth, "sex": c.person.sex, "nationality": c.person.nationality,
	}
	if c.screening != "" {
		body["attestation"] = c.screening
		body["mission_may_be_contacted"] = true
	}
	if replaces != "" {
		body["replaces"] = replaces
	}
	if err := p.make(ctx, c, body); err != nil {
		return err
	}
	// File names are numbers: a folder's listing tells nobody whose card is
	// whose.
	c.fileName = fmt.Sprintf("card-%02d", len(p.order)+1)
	c.pngPath = filepath.Join("cards", c.fileName+".png")
	c.svgPath = filepath.Join("cards", c.fileName+".svg")
	p.cards[name] = c
	p.order = append(p.order, name)
	return errors.Join(
		os.WriteFile(filepath.Join(p.cfg.Dir, c.pngPath), c.PNG, 0o600),
		os.WriteFile(filepath.Join(p.cfg.Dir, c.svgPath), []byte(c.SVG), 0o600),
	)
}

// make makes a card: by the touch of somebody, or by the NGO's program.
func (p *player) make(ctx context.Context, c *card, body any) error {
	path := "/api/v1/cases/" + c.caseID + "/cards"
	if c.by == nil {
		return p.agencies[c.owner].Post(ctx, path, body, c)
	}
	q, err := c.by.Touch(ctx, path, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(q.Card, c)
}

// fourDaysAgo leaves a pack behind whose lists have run out today.
func (p *player) fourDaysAgo(ctx context.Context) error {
	return p.step("Four days ago: an NGO takes in a person with one name and a year of birth; a pack goes out", func() error {
		if err := p.intake(ctx, "siti", siti, "bridge", false); err != nil {
			return err
		}
		if err := p.publish(ctx); err != nil {
			return err
		}
		return p.fetch(ctx, "gate-1", "pack-old.json")
	})
}

// today has the sessions of four days ago end, and everybody sign in again.
func (p *player) today(ctx context.Context) error {
	return p.step("Today: everybody who joined signs in again, each with a passkey", func() error {
		p.cfg.SetClock(0)
		return p.signIn(ctx)
	})
}

// screenFelix is the first agency's work, from the talk to the card.
func (p *player) screenFelix(ctx context.Context) error {
	one := p.who("lotus", "caseworker-1")
	c := &card{person: felix, owner: "lotus", expect: verifier.Unconfirmed, by: one}
	if err := p.step("caseworker-1 of an NGO screens a man, and signs what she found with a touch of her passkey", func() (err error) {
		if c.caseID, err = p.open(ctx, "lotus"); err != nil {
			return err
		}
		// The agency's own system began it, and gives it to her: till then it is not hers.
		if err := one.Get(ctx, "/api/v1/cases/"+c.caseID, nil); caller.Refused(err) != "not_found" {
			return fmt.Errorf("a case that is not hers: %w", err)
		}
		if err := p.agencies["lotus"].Post(ctx, "/api/v1/cases/"+c.caseID+"/people", map[string]string{"person": one.Me.ID}, nil); err != nil {
			return err
		}
		if c.screening, err = p.state(ctx, one, c.caseID, screening(felix, p.now())); err != nil {
			return err
		}
		_, err = p.state(ctx, one, c.caseID, identity(felix))
		return err
	}); err != nil {
		return err
	}
	if err := p.step("It records his confiscated passport, with a scanned page, encrypted", func() (err error) {
		p.passport, err = p.recordPassport(ctx, c, "X0000002", "trafficker", map[string]any{
			"event": "confiscated_by_trafficker", "taken_by_role": "Exploiter", "place_country": "KHM",
			"embassy_notified": "no",
		})
		return err
	}); err != nil {
		return err
	}
	return p.step("With another touch she has his card, and the code on a separate slip", func() error {
		return p.print(ctx, "felix", c, "")
	})
}

// recordPassport records a person's passport and what became of it, with a
// scanned page, and returns the id of the record.
func (p *player) recordPassport(ctx context.Context, c *card, number, custody string, loss map[string]any) (string, error) {
	ngo := p.agencies[c.owner]
	lines, err := zone(c.person, number)
	if err != nil {
		return "", err
	}
	var kept struct{ ID string }
	if err := ngo.Post(ctx, "/api/v1/cases/"+c.caseID+"/documents", map[string]any{
		"kind": "PASSPORT", "issuing_state": "UTO", "document_number": number,
		"mrz":        lines[0].Reveal() + "\n" + lines[1].Reveal(),
		"birth_date": birthDate(c.person), "holder_names": c.person.latin,
		"custody": custody, "loss_report": loss,
	}, &kept); err != nil {
		return "", err
	}
	scan, err := scannedPage(lines)
	if err != nil {
		return "", err
	}
	if _, err := ngo.Send(ctx, "POST", "/api/v1/documents/"+kept.ID+"/pages?role=data", "image/png", scan); err != nil {
		return "", err
	}
	p.papers = append(p.papers, paper{Person: c.person.latin, Number: number, BirthDate: c.person.birth[2:]})
	return kept.ID, nil
}

// verify runs the offline command on a card, compares its state, and returns why it has it.
func (p *player) verify(ctx context.Context, pack, input, code string, want verifier.State) (verifier.Reason, error) {
	args := []string{"--json", "--pack", pack, "--device-key", pack + ".key"}
	if code != noCode {
		args = append(args, "--code", code)
	}
	stdout, status, err := p.cfg.Verify(ctx, append(args, input)...)
	if err != nil {
		return "", err
	}
	var verdict struct {
		State  verifier.State
		Reason verifier.Reason
	}
	if err := json.Unmarshal(stdout, &verdict); err != nil {
		return "", fmt.Errorf("verify printed no verdict (status %d): %w", status, err)
	}
	if want := ExitStatus(verdict.State); status != want {
		return "", fmt.Errorf("verify ended with %d for %s, want %d", status, verdict.State, want)
	}
	if verdict.State != want {
		return "", fmt.Errorf("got %s, want %s", verdict.State, want)
	}
	return verdict.Reason, nil
}

// noCode stands for a code that is not given.
const noCode = "-none-"

// expect verifies, where it does not matter why.
func (p *player) expect(ctx context.Context, pack, input, code string, want verifier.State) error {
	_, err := p.verify(ctx, pack, input, code, want)
	return err
}

func (p *player) path(c *card) string { return filepath.Join(p.cfg.Dir, c.pngPath) }

// checkpoint is the reader who decides: another agency, with no network.
func (p *player) checkpoint(ctx context.Context) error {
	if err := p.step("The next pack goes out; a checkpoint fetches it", func() error {
		return errors.Join(p.publish(ctx), p.fetch(ctx, "gate-1", "pack-gate-1.json"))
	}); err != nil {
		return err
	}
	return p.step("The checkpoint opens his card offline, from the picture and the code alone: unconfirmed", func() error {
		c := p.cards["felix"]
		return p.expect(ctx, p.devices["gate-1"].pack, p.path(c), c.Code, verifier.Unconfirmed)
	})
}

// apart tells a wrong code, no code and a stranger's QR from one another.
func (p *player) apart(ctx context.Context) error {
	return p.step("A wrong code, no code and a stranger's QR are told apart", func() error {
		c, pack := p.cards["felix"], p.devices["gate-1"].pack
		stranger, err := strangersQR()
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(stranger) }()
		return errors.Join(
			p.expect(ctx, pack, p.path(c), otherCode(c.Code), verifier.WrongCode),
			p.expect(ctx, pack, p.path(c), noCode, verifier.CodeNotGiven),
			p.expect(ctx, pack, stranger, c.Code, verifier.NotOurs),
		)
	})
}

// rely is how a status carries: the next agency signs that it relied on it. Nobody writes
// into his case unasked, so that he agrees to it before.
func (p *player) rely(ctx context.Context) error {
	if err := p.step("He agrees that its agency may know how far his case has come; the NGO shares that", func() error {
		return p.agree(ctx, "felix", "/api/v1/cases/"+p.cards["felix"].caseID, "checkpoint", "protection")
	}); err != nil {
		return err
	}
	return p.step("Its agency signs that it relied on the finding and did not ask him again", func() error {
		v, err := p.openCard("gate-1", p.cards["felix"])
		if err != nil {
			return err
		}
		body, err := order(&claims.Reliance{
			Reliance: "relied_no_reinterview", OfficerDecision: "relied",
			AuthorityClass: "NonPoliceGovernmentalOrganization", Date: claims.NewDay(time.Now()),
		})
		if err != nil {
			return err
		}
		body["card_handle"] = fmt.Sprintf("%x", v.Card.Handle)
		return p.agencies["checkpoint"].Post(ctx, "/api/v1/attestations", body, nil)
	})
}

// openCard opens a card on a device, in this process: an agency's program goes
// on from the claims.
func (p *player) openCard(deviceKey string, c *card) (verifier.Verdict, error) {
	d := p.devices[deviceKey]
	file, err := os.ReadFile(d.pack)
	if err != nil {
		return verifier.Verdict{}, err
	}
	pack, err := verifier.OpenPack(file, d.key, time.Now())
	if err != nil {
		return verifier.Verdict{}, err
	}
	v := pack.Verify(verifier.Presentation{Text: c.Digits, Code: &c.Code}, time.Now())
	if v.Card == nil {
		return v, fmt.Errorf("the card does not open: %s", v.State)
	}
	return v, nil
}

// share gives one embassy the passport record, for a purpose and until a day,
// because he agreed.
func (p *player) share(ctx context.Context) error {
	return p.step("He agrees with his code that his embassy may see the passport record, for a purpose and a month; because it is his own state, two of the NGO agree as well", func() error {
		return p.agree(ctx, "felix", "/api/v1/documents/"+p.passport, "ethiopia", "confirm_identity")
	})
}

// agree has the NGO that keeps somebody's case share a record with an agency: its holder is
// read what that means, and gives number and code of her card. Where it is her own state,
// two of the NGO agree as well.
func (p *player) agree(ctx context.Context, who, record, with, purpose string) error {
	c := p.cards[who]
	ngo := p.agencies[c.owner]
	order := map[string]any{
		"record": record[strings.LastIndexByte(record, '/')+1:], "agency": p.agencies[with].id, "purpose": purpose,
		"parts": []string{"identity", "portrait", "document", "pages", "attestations"},
		"until": time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly), "language": cmp.Or(c.person.tag, "en"), "circumstance": "free",
	}
	var asked struct {
		Nonce string `json:"nonce"`
		Text  string `json:"text_sha256"`
	}
	if err := ngo.Post(ctx, "/api/v1/cases/"+c.caseID+"/consents/challenges", order, &asked); err != nil {
		return err
	}
	delete(order, "record")
	maps.Copy(order, map[string]any{
		"nonce": asked.Nonce, "text_sha256": asked.Text, "proof": map[string]string{"number": c.Number, "code": c.Code},
		"mission": true, "safe_if_state_knows": "yes", "method": "signature",
	})
	var waits caller.Asked
	if err := ngo.Post(ctx, record+"/grants", order, &waits); err != nil || waits.Request.ID == "" {
		return err
	}
	return caller.Agreed(ctx, waits.Request, p.who(c.owner, "caseworker-1"), p.who(c.owner, "supervisor-1"))
}

// embassy opens the scan with the holder's code for that record, and answers.
func (p *player) embassy(ctx context.Context) error {
	c, mission := p.cards["felix"], p.agencies["ethiopia"]
	var v verifier.Verdict
	if err := p.step("The embassy opens the scan, with his code for that record", func() (err error) {
		if err := p.fetch(ctx, "consular-desk", "pack-consular-desk.json"); err != nil {
			return err
		}
		if v, err = p.openCard("consular-desk", c); err != nil {
			return err
		}
		pages := "/api/v1/documents/" + p.passport + "/pages/1"
		if err := mission.Get(ctx, pages, nil); caller.Refused(err) == "" {
			return errors.New("the page was readable before the code was given")
		}
		if err := p.openRecord(ctx, "consular-desk", v, p.passport); err != nil {
			return err
		}
		var page []byte
		if err := mission.Get(ctx, pages, &page); err != nil {
			return err
		}
		return readableScan(page)
	}); err != nil {
		return err
	}
	if err := p.step("It signs its answer, matched: its program asks, and mission-1 agrees with a touch of a passkey", func() error {
		return p.reply(ctx, "ethiopia", "ETH", v)
	}); err != nil {
		return err
	}
	return p.step("A second embassy confirms another person, who agreed to it, as its officer agrees", func() error {
		if err := p.agree(ctx, "sokha", "/api/v1/cases/"+p.cards["sokha"].caseID, "cambodia", "confirm_identity"); err != nil {
			return err
		}
		if err := p.fetch(ctx, "consular-desk-2", "pack-consular-desk-2.json"); err != nil {
			return err
		}
		v, err := p.openCard("consular-desk-2", p.cards["sokha"])
		if err != nil {
			return err
		}
		return p.reply(ctx, "cambodia", "KHM", v)
	})
}

func (p *player) reply(ctx context.Context, mission, state string, v verifier.Verdict) error {
	body, err := order(&claims.Reply{
		Answer: "matched", Mission: private.New(p.agencies[mission].name), MissionState: state,
		Date: claims.NewDay(time.Now()), Channel: "account",
	})
	if err != nil {
		return err
	}
	body["card_handle"] = fmt.Sprintf("%x", v.Card.Handle)
	var asked caller.Asked
	if err := p.agencies[mission].Post(ctx, "/api/v1/attestations", body, &asked); err != nil {
		return err
	}
	return caller.Agreed(ctx, asked.Request, p.who(mission, "mission-1"))
}

// openRecord proves the holder's consent with the key that only card and code
// together give: docs/card.md, Opening a record online.
func (p *player) openRecord(ctx context.Context, deviceKey string, v verifier.Verdict, record string) error {
	handle := fmt.Sprintf("%x", v.Card.Handle)
	mission := p.agencies["ethiopia"]
	var challenge struct {
		Nonce   string
		Records []string
	}
	if err := mission.Post(ctx, "/api/v1/openings/challenges", map[string]string{"card_handle": handle}, &challenge); err != nil {
		return err
	}
	if len(challenge.Records) != 1 || challenge.Records[0] != record {
		return errors.New("the record is not the one that was shared")
	}
	o := sealed.Opening{
		Nonce: challenge.Nonce, Device: p.devices[deviceKey].key.ID, Agency: mission.id, Record: record,
		Purpose: "confirm_identity", Parts: []string{"document", "pages"}, Minute: time.Now().Unix() / 60,
	}
	return mission.Post(ctx, "/api/v1/openings", map[string]any{
		"nonce": o.Nonce, "device": o.Device, "record": o.Record, "card_handle": handle,
		"purpose": o.Purpose, "parts": o.Parts, "minute": o.Minute,
		"signature": base64.RawURLEncoding.EncodeToString(v.SignOpening(o)),
	}, nil)
}
