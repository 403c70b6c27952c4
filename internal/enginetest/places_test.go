package enginetest_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/approval"
	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/keystore"
	"github.com/safeconduct/safeconduct/internal/offsite"
	"github.com/safeconduct/safeconduct/internal/service"
	"github.com/safeconduct/safeconduct/internal/signer"
	"github.com/safeconduct/safeconduct/people"
	changes "github.com/safeconduct/safeconduct/people/roster"
)

// guardedBy opens the keys of a folder behind a socket and a guard with a folder of its
// own, as one replica has it. Who has agreed to what is looked at by the service alone.
func guardedBy(state string) func(service.Config) service.KeyOpener {
	return func(c service.Config) service.KeyOpener {
		return func(ctx context.Context, network string) (keystore.Store, func() error, error) {
			keys, done, err := service.OpenKeys(ctx, c, network)
			if err != nil {
				return nil, nil, err
			}
			guard, err := signer.NewGuard(ctx, signer.GuardConfig{Keys: keys, Dir: state, Now: rowsNow, Derived: []string{offsite.LabelBackup, offsite.LabelRows}})
			if err != nil {
				return nil, nil, err
			}
			socket := filepath.Join(state, "s.sock")
			l, err := signer.Listen(socket, false)
			if err != nil {
				return nil, nil, err
			}
			working, stop := context.WithCancel(context.WithoutCancel(ctx))
			ended := make(chan error, 1)
			go func() { ended <- signer.Serve(working, l, signer.Config{Keys: guard}) }()
			client, err := signer.Dial(ctx, socket)
			return client, func() error {
				stop()
				return errors.Join(client.Close(), <-ended, done())
			}, err
		}
	}
}

// reopen ends the service and opens it with other keys before it, nil for those of the
// folder.
func (a *attacked) reopen(keys func(service.Config) service.KeyOpener) {
	a.t.Helper()
	a.ok(a.s.Close())
	a.cfg.Keys = nil
	if keys != nil {
		a.cfg.Keys = keys(a.cfg)
	}
	var err error
	a.s, err = service.Open(a.t.Context(), a.cfg)
	a.ok(err)
	a.house = a.house.At(a.t, a.s.People, a.s.Passkeys)
}

// public is what is public of a list: everything that is not 0.
func (a *attacked) public(token string) map[int]uint8 {
	a.t.Helper()
	_, t, err := statuslist.ReadInput([]byte(token[:strings.LastIndexByte(token, '.')]), statuslist.Entries)
	a.ok(err)
	found := map[int]uint8{}
	for i := range t.List.Len() {
		if v, err := t.List.Get(i); err == nil && v != 0 {
			found[i] = v
		}
	}
	return found
}

// shows fails unless the lists show something of what was issued.
func (a *attacked) shows(what string, id credentials.ID, status, answer uint8) {
	a.t.Helper()
	d := a.get(id)
	s, l, err := a.s.Board.Tokens(a.t.Context(), d.List)
	a.ok(err)
	if is, said := a.public(s)[int(d.Index)], a.public(l)[int(d.Index)]; is != status || said != answer {
		a.t.Errorf("%s: status %d and answer %d, want %d and %d", what, is, said, status, answer)
	}
}

func (a *attacked) get(id credentials.ID) credentials.Issued {
	a.t.Helper()
	d, err := a.s.DB.Credentials().Get(a.t.Context(), id)
	a.ok(err)
	return d
}

func (a *attacked) change(by audit.Actor, id credentials.ID, action credentials.Action) {
	a.t.Helper()
	do := a.s.Issuer.ChangeAttestation
	if a.get(id).Kind == credentials.KindCard {
		do = a.s.Issuer.ChangeCard
	}
	_, err := do(a.t.Context(), by, id, action, credentials.ReasonOther, randomHex(16))
	a.ok(err)
}

// resume ends the pause of a card, as two people of the agency agree.
func (a *attacked) resume(id credentials.ID) credentials.Approval {
	a.t.Helper()
	ctx := a.t.Context()
	first, second := a.house.Person(a.ngo.Agency, people.Caseworker, a.house.First), a.house.Person(a.ngo.Agency, people.Supervisor, a.house.First)
	by := a.house.Actor(second) // to whom every case of the agency is open
	r, sealed, err := a.s.Issuer.ProposeReturn(ctx, by, id, true, credentials.ReasonOther)
	a.ok(err)
	what := &changes.Resume{Case: r.Case, Of: r.Of, Kind: r.Kind, Order: r.Order}
	for _, p := range r.Places {
		what.Places = append(what.Places, changes.Place(p))
	}
	q := a.house.Sealed(changes.DoResume, by.Agency, what, sealed, first, second)
	agreed := credentials.Approval{Act: q.Act, Proofs: q.Proofs}
	_, err = a.s.Issuer.DecideReturn(ctx, by, agreed, sealed)
	a.ok(err)
	return agreed
}

// otherCase is a case of another person, with a card and, if anything is said, a reply.
func (a *attacked) otherCase(nationality string, by audit.Actor, reply *claims.Reply) (card, answer credentials.ID) {
	a.t.Helper()
	made, err := a.s.Vault.CreateCase(a.t.Context(), a.ngo)
	a.ok(err)
	identity := &claims.IdentityClaim{Names: []claims.Name{{Script: "Latn", Full: private.New("MADE UP TOO"), Type: "used"}}, Assurance: "self_asserted", ClaimStatus: "open"}
	about := a.issue(a.ngo, credentials.Order{Case: made.ID, Claims: identity})
	printed, err := a.s.Issuer.IssueCard(a.t.Context(), a.ngo, credentials.CardOrder{
		Case: made.ID, Name: private.New("MADE UP TOO"), BirthDate: private.New("1991"), Nationality: private.New(nationality), RequestKey: randomHex(16),
	})
	a.ok(err)
	if reply == nil {
		return printed.ID, ""
	}
	a.share(made.ID, by, printed.ID)
	reply.Mission, reply.Date = private.New("Embassy"), claims.NewDay(rowsNow())
	mission := a.mission
	a.mission = by
	defer func() { a.mission = mission }()
	return printed.ID, a.answer(credentials.Order{About: about, Claims: reply})
}

// TestPlaces: the lists of a whole service show what happened where the signer sees why,
// with one signer and with two in turns; and whoever has everything that the process
// which publishes has, rows and receipts, gets no list with anything else.
func TestPlaces(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	a := newAttackedWith(t, guardedBy(first))
	ctx := t.Context()
	a.shows("confirmed", a.card, statuslist.Valid, credentials.AnswerMission)
	made, err := a.s.Issuer.IssueCard(ctx, a.ngo, credentials.CardOrder{
		Case: a.case_, Name: private.New("MADE UP"), BirthDate: private.New("1990"), Nationality: private.New("ETH"), Replaces: a.card, RequestKey: randomHex(16), Supervised: true,
	})
	a.ok(err)
	a.publish()
	a.shows("replaced", a.card, statuslist.Replaced, credentials.AnswerMission)
	a.shows("in its place", made.ID, statuslist.Valid, credentials.AnswerMission)

	a.house.Do(changes.DoSuspendAgency, "", &changes.SuspendAgency{ID: a.mission.Agency}, a.house.First)
	a.publish()
	a.shows("its mission is suspended", made.ID, statuslist.Valid, credentials.AnswerNone)
	a.house.Do(changes.DoResumeAgency, "", &changes.ResumeAgency{ID: a.mission.Agency}, a.house.First)
	a.publish()
	a.shows("its mission is there again", made.ID, statuslist.Valid, credentials.AnswerMission)

	a.change(a.ngo, made.ID, credentials.Pause)
	a.publish()
	a.shows("paused", made.ID, statuslist.Suspended, credentials.AnswerMission)
	used := a.resume(made.ID)
	a.publish()
	a.shows("in use again", made.ID, statuslist.Valid, credentials.AnswerMission)
	a.change(a.ngo, made.ID, credentials.Pause)
	a.publish()

	// The other replica, whose signer knows nothing yet.
	a.reopen(guardedBy(second))
	a.publish()
	a.shows("published by the other", made.ID, statuslist.Suspended, credentials.AnswerMission)
	a.change(a.ngo, a.cardOfTomorrow, credentials.Withdraw)
	unrelated, _ := a.otherCase("ETH", a.mission, nil)
	a.publish()
	a.shows("withdrawn with the other", a.cardOfTomorrow, statuslist.Invalid, credentials.AnswerMission)
	a.reopen(guardedBy(first))
	a.publish()
	a.shows("withdrawn with the other, published by the first", a.cardOfTomorrow, statuslist.Invalid, credentials.AnswerMission)

	// A card whose receipt there is none of is not confirmed, and holds up nobody.
	a.reopen(nil)
	bare, err := a.s.Issuer.IssueCard(ctx, a.ngo, credentials.CardOrder{
		Case: a.case_, Name: private.New("MADE UP"), BirthDate: private.New("1990"), Nationality: private.New("ETH"), RequestKey: randomHex(16), Supervised: true,
	})
	a.ok(err)
	a.reopen(guardedBy(first))
	a.change(a.ngo, unrelated, credentials.Withdraw)
	done, err := a.s.Board.Publish(ctx, service.Console, false)
	a.ok(err)
	if done.Waiting != 1 {
		t.Errorf("%d places wait, want the one that nothing is shown for", done.Waiting)
	}
	a.shows("without a receipt", bare.ID, statuslist.Valid, credentials.AnswerNone)
	a.shows("withdrawn beside it", unrelated, statuslist.Invalid, credentials.AnswerNone)

	a.hostile(made.ID, bare.ID, used)
}

// hostile has every wrong list signed that the receipts of a network make, and wants
// none of them.
func (a *attacked) hostile(paused, bare credentials.ID, used credentials.Approval) {
	t, ctx := a.t, a.t.Context()
	kenya := a.agency("Embassy of Kenya", claims.ClassMission, "KEN")
	kenyan, fromKenya := a.otherCase("ETH", kenya, &claims.Reply{Answer: "matched", MissionState: "KEN", Channel: "account"})
	unknown, noMatch := a.otherCase("ETH", a.mission, &claims.Reply{Answer: "not_found", MissionState: "ETH", Channel: "account"})
	gone, takenBack := a.otherCase("ETH", a.mission, &claims.Reply{Answer: "matched", MissionState: "ETH", Channel: "account"})
	a.change(a.mission, takenBack, credentials.Withdraw)
	a.publish()
	before, _, err := a.s.Board.Tokens(ctx, 0)
	a.ok(err)
	status := a.public(before)
	_, before, err = a.s.Board.Tokens(ctx, 0)
	a.ok(err)
	answers := a.public(before)
	a.shows("answered by another state", kenyan, statuslist.Valid, credentials.AnswerNone)
	a.shows("no match", unknown, statuslist.Valid, credentials.AnswerNone)
	a.shows("taken back", gone, statuslist.Valid, credentials.AnswerNone)

	sign := func(base string, values map[int]uint8, reason approval.Change) error {
		l, err := statuslist.New(2, statuslist.Entries)
		a.ok(err)
		for i, v := range values {
			a.ok(l.Set(i, v))
		}
		key, err := a.s.Keys.Status(approval.With(ctx, approval.Authority{Changes: []approval.Change{reason}}))
		a.ok(err)
		now := rowsNow()
		_, err = statuslist.Token{Subject: base + "0", IssuedAt: now, Expires: now.Add(48 * time.Hour), TTL: time.Hour, List: l}.Sign(key.KeyID, key.Key)
		if err != nil && !errors.Is(err, keystore.ErrRefused) {
			t.Fatal(err)
		}
		return err
	}
	if err := sign(a.s.Network.StatusLists(), status, approval.Change{}); err != nil {
		t.Fatal("what stands:", err)
	}
	if err := sign(a.s.Network.AnswersLists(), answers, approval.Change{}); err != nil {
		t.Fatal("what stands:", err)
	}
	signed, tried := 0, 0
	try := func(what, base string, values map[int]uint8, at credentials.Issued, to uint8, reason approval.Change) {
		changed := maps.Clone(values)
		changed[int(at.Index)] = to
		reason.List, reason.Index = at.List, at.Index
		tried++
		if sign(base, changed, reason) == nil {
			signed++
			t.Errorf("%s is signed", what)
		}
	}
	cards := map[string]credentials.Issued{
		"a paused card": a.get(paused), "a card without a receipt": a.get(bare), "a card that another state's mission answers": a.get(kenyan),
		"a card of somebody unknown": a.get(unknown), "a card whose reply was taken back": a.get(gone), "a finding": a.get(a.identity),
	}
	replies := map[string]credentials.Issued{
		"the reply": a.get(a.reply), "another state's reply": a.get(fromKenya), "no match": a.get(noMatch), "a reply taken back": a.get(takenBack), "a finding": a.get(a.identity), "nothing": {},
	}
	for name, c := range cards {
		for what, r := range replies {
			for _, value := range []uint8{credentials.AnswerMission, credentials.AnswerBound, credentials.AnswerOther} {
				// As what a mission answers is the judge's to know, and there is none here.
				asOther := c.ID == paused && r.ID == a.reply && value == credentials.AnswerOther
				if answers[int(c.Index)] != value && !asOther {
					try(name+" by "+what, a.s.Network.AnswersLists(), answers, c, value, approval.Change{Card: c.Receipt, Reply: r.Receipt})
				}
			}
		}
		// The receipt of a card that is confirmed, for another one.
		if c.ID != paused && answers[int(c.Index)] == 0 {
			try(name+" as the confirmed one", a.s.Network.AnswersLists(), answers, c, credentials.AnswerMission, approval.Change{Card: a.get(paused).Receipt, Reply: a.get(a.reply).Receipt})
		}
	}
	// A place of nobody that is said to be a decoy's, and a real one that is said to be.
	decoys, err := a.s.DecoysOf(ctx, 0)
	a.ok(err)
	free := uint32(0)
	for decoys.Has(free) || status[int(free)] != 0 || answers[int(free)] != 0 {
		free++
	}
	try("a decoy that is none", a.s.Network.AnswersLists(), answers, credentials.Issued{Index: free}, credentials.AnswerMission, approval.Change{})
	// A pause that ends by the act of an earlier one, and what is out of use.
	act, err := used.Act.Bytes()
	a.ok(err)
	p := a.get(paused)
	for what, reason := range map[string]approval.Change{
		"a pause, for nothing": {}, "a pause, by no act": {Card: p.Receipt}, "a pause, by the act of an earlier one": {Card: p.Receipt, Act: act, Proofs: used.Proofs},
		"a pause, with the reply": {Card: p.Receipt, Reply: a.get(a.reply).Receipt},
	} {
		try(what, a.s.Network.StatusLists(), status, p, statuslist.Valid, reason)
	}
	for _, id := range []credentials.ID{a.card, a.cardOfTomorrow, takenBack} {
		d := a.get(id)
		for _, to := range []uint8{statuslist.Valid, statuslist.Suspended} {
			try("what is out of use", a.s.Network.StatusLists(), status, d, to, approval.Change{Card: d.Receipt, Act: act, Proofs: used.Proofs})
		}
	}
	if signed > 0 || tried < 100 {
		t.Errorf("%d of %d such lists are signed, want 0 of more", signed, tried)
	}
	if !slices.Contains(slices.Collect(maps.Values(answers)), credentials.AnswerOther) {
		t.Error("nothing was confirmed by another authority")
	}
}
