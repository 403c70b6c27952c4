//go:build stretched

package threeways_test

import (
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/verifier"
)

// pack is a pack file as a device keeps it, with what is true of it.
type pack struct {
	number int
	file   string // "" for a device that has no pack at all
	device string
	opened time.Time // when the device opened it
	// refused says why it does not open; empty if it does.
	refused verifier.Reason
	// changed tells that somebody changed bytes of a pack that does open.
	changed bool

	issued, lease, trustEnd time.Time
	opinions                []opinion
	status, answers         map[uint16]list
	said                    map[place]values
	demo                    bool
}

// opinion is what a trust list says of an agency's key.
type opinion string

const (
	known          opinion = "known"
	knownTwice     opinion = "beside another key of the same id"
	loggedBefore   opinion = "stolen, everything was logged before"
	notListed      opinion = "not listed"
	suspended      opinion = "suspended"
	revoked        opinion = "revoked"
	impostor       opinion = "another key of the same id"
	windowToCome   opinion = "not yet"
	windowOver     opinion = "no longer"
	stolenUnlogged opinion = "stolen, nothing was logged before"
)

var opinions = []opinion{
	known, known, known, known, known, known, knownTwice, loggedBefore,
	notListed, suspended, revoked, impostor, windowToCome, windowOver, stolenUnlogged,
}

// list is a status or answers list of a pack.
type list struct {
	kind     listKind
	from, to time.Time
}

type listKind string

const (
	whole       listKind = "whole"
	missing     listKind = "missing"
	notSigned   listKind = "not signed"
	otherKey    listKind = "signed by the wrong key"
	otherBits   listKind = "of 1 bit"
	otherPlace  listKind = "of another address"
	short       listKind = "short"
	shortLength          = 1024
)

// holds tells whether the list has an entry for an index, and whether there is
// a list at all.
func (l list) holds(index int64) (there, has bool) {
	switch l.kind {
	case whole:
		return true, index >= 0 && index < statuslist.Entries
	case short:
		return true, index >= 0 && index < shortLength
	default:
		return false, false
	}
}

func (l list) current(now time.Time) bool { return !now.Before(l.from) && now.Before(l.to) }

// place is an entry of both lists, and values are what stands there.
type (
	place struct {
		list  uint16
		index int64
	}
	values struct{ status, answer uint8 }
)

// parts is a pack before it is signed.
type parts struct {
	trust                           verifier.TrustList
	statement                       verifier.PackStatement
	envelope                        verifier.Envelope
	keys                            verifier.EpochKeys
	device                          verifier.Device
	recipient                       []byte
	signTrust, signPack, signSealed verifier.Signer
	edit                            func(*verifier.File)
	bytes                           func([]byte) []byte
}

// publish makes a pack in which chance says what is thought of agencies, lists
// and cards. With plain, nothing is wrong with any of them.
func (w *world) publish(chance *mathrand.Rand, plain bool, edit func(*pack, *parts)) *pack {
	w.t.Helper()
	p := &pack{
		issued: day, opened: day.Add(time.Hour), lease: day.AddDate(0, 0, 7), trustEnd: day.AddDate(0, 0, 30),
		status: map[uint16]list{}, answers: map[uint16]list{}, said: map[place]values{},
		demo: chance.IntN(2) == 0,
	}
	if !plain && chance.IntN(8) == 0 {
		p.trustEnd = day.AddDate(0, 0, 5)
	}
	for range w.agencies {
		o := known
		if !plain {
			o = opinions[chance.IntN(len(opinions))]
		}
		p.opinions = append(p.opinions, o)
	}
	for _, t := range w.things {
		// Half of everything is in use, so that the steps after the list are met.
		p.said[place{t.list, t.index}] = values{status: uint8(max(0, chance.IntN(8)-4)), answer: uint8(chance.IntN(4))}
	}
	for number := range uint16(3) {
		p.status[number+1], p.answers[number+1] = w.chooseList(chance, plain), w.chooseList(chance, plain)
	}
	if !slices.ContainsFunc([]uint16{1, 2, 3}, func(n uint16) bool { there, _ := p.status[n].holds(0); return there }) {
		p.status[1] = list{whole, day, day.AddDate(0, 0, 3)}
	}

	parts := w.assemble(p)
	if edit != nil {
		edit(p, parts)
	}
	file := verifier.File{Envelope: w.must(parts.envelope.Seal(parts.keys, parts.recipient, parts.signSealed))}
	file.Lists.TrustList = w.must(parts.trust.Sign(parts.signTrust))
	if parts.statement.TrustSHA256 == "" {
		parts.statement.TrustSHA256 = verifier.TrustDigest(file.Lists.TrustList)
	}
	file.Lists.Pack = w.must(parts.statement.Sign(parts.signPack))
	if parts.edit != nil {
		parts.edit(&file)
	}
	b, err := verifier.MarshalFile(file)
	must(w.t, err)
	if p.demo { // what a later writer adds, whoever reads it
		b = append([]byte(`{"later":{"crit":["x"]},`), b[1:]...)
	}
	if parts.bytes != nil {
		b = parts.bytes(b)
	}
	device, err := json.Marshal(parts.device)
	must(w.t, err)
	p.file, p.device = string(b), string(device)
	return p
}

func (w *world) must(s string, err error) string {
	w.t.Helper()
	must(w.t, err)
	return s
}

func (w *world) chooseList(chance *mathrand.Rand, plain bool) list {
	l := list{whole, day, day.AddDate(0, 0, 3)}
	if plain {
		return l
	}
	switch chance.IntN(14) {
	case 0:
		l.to = day.Add(12 * time.Hour)
	case 1:
		l.from = day.Add(36 * time.Hour)
	case 2:
		l.kind = missing
	case 3:
		l.kind = []listKind{notSigned, otherKey, otherBits, otherPlace}[chance.IntN(4)]
	case 4:
		l.kind = short
	default:
		l.to = day.AddDate(0, 0, 3+chance.IntN(6))
	}
	return l
}

// assemble turns what is true of a pack into its parts.
func (w *world) assemble(p *pack) *parts {
	w.t.Helper()
	x := &parts{
		trust: verifier.TrustList{
			Network: networkID, Name: "Made-up network", Demo: p.demo, Sequence: 3,
			IssuedAt: p.issued.Unix(), Expires: p.trustEnd.Unix(), Desk: "+10000000000",
			StatusLists: statusLists, AnswersLists: answersLists,
			Keys: []verifier.NetworkKey{
				{Use: verifier.UseStatus, KeyID: signer(w.statusKey).KeyID, JWK: jwk(w.t, w.statusKey)},
				{Use: verifier.UsePack, KeyID: signer(w.key).KeyID, JWK: jwk(w.t, w.key)},
				{Use: verifier.UseLog, Note: "lists.example/log+00000000+AA"},
			},
			Agencies: []verifier.Agency{},
		},
		statement: verifier.PackStatement{Network: networkID, Sequence: 10, IssuedAt: p.issued.Unix(), Burned: []uint32{}},
		envelope:  verifier.Envelope{Network: networkID, Device: deviceID, Sequence: 10, IssuedAt: p.issued.Unix(), LeaseUntil: p.lease.Unix()},
		device:    w.device, recipient: w.recipient,
		signTrust: signer(w.root), signPack: signer(w.key), signSealed: signer(w.key),
	}
	for i, o := range p.opinions {
		x.trust.Agencies = append(x.trust.Agencies, w.opine(i, o)...)
	}
	// A burned epoch is named by the public pack, by the envelope, or by both;
	// one that is only named by the pack still has its keys in the envelope.
	x.keys = verifier.EpochKeys{
		Live:   []verifier.Epoch{w.live.open, w.next.open},
		Closed: []verifier.ClosedEpoch{{ID: w.ended.open.ID, TagKey: w.ended.open.TagKey}},
	}
	if p.demo {
		x.statement.Burned = []uint32{w.burned.open.ID}
		x.keys.Live = append(x.keys.Live, w.burned.open)
	} else {
		x.keys.Closed = append(x.keys.Closed, verifier.ClosedEpoch{ID: w.burned.open.ID, TagKey: w.burned.open.TagKey, Burned: true})
	}
	x.statement.Status = w.tokens(p, p.status, statusLists, func(v values) uint8 { return v.status })
	x.statement.Answers = w.tokens(p, p.answers, answersLists, func(v values) uint8 { return v.answer })
	return x
}

// opine writes an opinion of an agency as a trust list does.
func (w *world) opine(i int, o opinion) []verifier.Agency {
	a := w.agencies[i]
	made := func(id string, kid string, key json.RawMessage) verifier.Agency {
		return verifier.Agency{
			ID: id, Name: "Agency <" + id + ">", Class: "ngo", Country: "THA", Issuer: a.iss, Desk: "+10000000001",
			Keys: []verifier.AgencyKey{{KeyID: kid, JWK: key, From: day.AddDate(-5, 0, 0).Unix(), To: day.AddDate(5, 0, 0).Unix()}},
		}
	}
	one := made(a.id, a.kid, jwk(w.t, a.key))
	other := made(a.id+"-other", a.kid, jwk(w.t, w.stranger))
	key := &one.Keys[0]
	switch o {
	case known:
	case knownTwice:
		return []verifier.Agency{other, one}
	case loggedBefore:
		key.Compromised = &verifier.Compromise{At: day.Unix(), Logged: []string{}}
		for _, t := range w.things {
			if t.agency == i && t.digest != "" {
				key.Compromised.Logged = append(key.Compromised.Logged, t.digest)
			}
		}
		slices.Sort(key.Compromised.Logged)
	case notListed:
		return nil
	case suspended:
		one.Suspended = true
	case revoked:
		key.Revoked = true
	case impostor:
		return []verifier.Agency{other}
	case windowToCome:
		key.From = day.AddDate(1, 0, 0).Unix()
	case windowOver:
		key.To = day.AddDate(-1, 0, 0).Unix()
	case stolenUnlogged:
		key.Compromised = &verifier.Compromise{At: day.Unix(), Logged: []string{"0000000000000000"}}
	default:
		w.t.Fatalf("making the cases: no such opinion: %s", o)
	}
	return []verifier.Agency{one}
}

func (w *world) tokens(p *pack, lists map[uint16]list, prefix string, value func(values) uint8) []verifier.ListToken {
	w.t.Helper()
	tokens := []verifier.ListToken{}
	for number := range uint16(3) {
		number++
		l := lists[number]
		bits, entries, key, subject := 2, statuslist.Entries, w.statusKey, prefix+strconv.Itoa(int(number))
		switch l.kind {
		case whole, notSigned:
		case missing:
			continue
		case otherKey:
			key = w.key
		case otherBits:
			bits = 1
		case otherPlace:
			subject = strings.ToUpper(subject)
		case short:
			entries = shortLength
		default:
			w.t.Fatalf("making the cases: no such list: %s", l.kind)
		}
		bitmap, err := statuslist.New(bits, entries)
		must(w.t, err)
		for at, v := range p.said {
			if _, has := l.holds(at.index); at.list == number && has && bits == 2 {
				must(w.t, bitmap.Set(int(at.index), value(v)))
			}
		}
		compact, err := statuslist.Token{Subject: subject, IssuedAt: l.from, Expires: l.to, TTL: 6 * time.Hour, List: bitmap}.Sign(signer(key).KeyID, key)
		must(w.t, err)
		if l.kind == notSigned {
			compact = compact[:strings.LastIndexByte(compact, '.')+1] + strings.Repeat("A", 86)
		}
		tokens = append(tokens, verifier.ListToken{Number: number, Token: compact})
	}
	return tokens
}

// refusals are the ways in which a pack does not open, each with the reason
// that the device then gives for everything it is shown.
func (w *world) refusals() map[string]struct {
	reason verifier.Reason
	edit   func(*pack, *parts)
} {
	type edit = func(*pack, *parts)
	type refusal = struct {
		reason verifier.Reason
		edit   edit
	}
	half := w.publish(mathrand.New(mathrand.NewPCG(1, 1)), true, func(_ *pack, x *parts) { x.statement.Sequence, x.envelope.Sequence = 9, 9 })
	var older verifier.File
	must(w.t, json.Unmarshal([]byte(half.file), &older))
	file := func(f func(*verifier.File)) edit { return func(_ *pack, x *parts) { x.edit = f } }
	raw := func(f func([]byte) []byte) edit { return func(_ *pack, x *parts) { x.bytes = f } }
	swap := func(s *string) {
		b := []byte(*s)
		i := len(b) - 20
		b[i] = map[bool]byte{true: 'B', false: 'A'}[b[i] == 'A']
		*s = string(b)
	}
	return map[string]refusal{
		"none":             {verifier.ReasonNoPack, raw(func([]byte) []byte { return nil })},
		"no JSON":          {verifier.ReasonPackBroken, raw(func([]byte) []byte { return []byte("pack") })},
		"empty object":     {verifier.ReasonPackBroken, raw(func([]byte) []byte { return []byte("{}") })},
		"cut short":        {verifier.ReasonPackBroken, raw(func(b []byte) []byte { return b[:len(b)/2] })},
		"something after":  {verifier.ReasonPackBroken, raw(func(b []byte) []byte { return append(b, '0') })},
		"member twice":     {verifier.ReasonPackBroken, raw(func(b []byte) []byte { return append([]byte(`{"envelope":"",`), b[1:]...) })},
		"newer version":    {verifier.ReasonNewerVersion, raw(func(b []byte) []byte { return append([]byte(`{"version":2,`), b[1:]...) })},
		"unknown, crit":    {verifier.ReasonNewerVersion, raw(func(b []byte) []byte { return append([]byte(`{"more":1,"crit":["more"],`), b[1:]...) })},
		"trust list":       {verifier.ReasonPackBroken, file(func(f *verifier.File) { swap(&f.Lists.TrustList) })},
		"pack":             {verifier.ReasonPackBroken, file(func(f *verifier.File) { swap(&f.Lists.Pack) })},
		"envelope":         {verifier.ReasonPackBroken, file(func(f *verifier.File) { swap(&f.Envelope) })},
		"half-updated":     {verifier.ReasonPackBroken, file(func(f *verifier.File) { f.Envelope = older.Envelope })},
		"older lists":      {verifier.ReasonPackBroken, file(func(f *verifier.File) { f.Lists = older.Lists })},
		"older trust list": {verifier.ReasonPackBroken, file(func(f *verifier.File) { f.Lists.TrustList = older.Lists.TrustList })},
		"pack and trust list swapped": {verifier.ReasonPackBroken, file(func(f *verifier.File) {
			f.Lists.TrustList, f.Lists.Pack = f.Lists.Pack, f.Lists.TrustList
		})},
		"other root":             {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.device.Root = jwk(w.t, w.stranger) }},
		"other network":          {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.device.Network = strings.Repeat("ab", 16) }},
		"other device":           {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.envelope.Device = "device-2" }},
		"root by pack key":       {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.signTrust = signer(w.key) }},
		"pack by status key":     {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.signPack = signer(w.statusKey) }},
		"envelope by status key": {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.signSealed = signer(w.statusKey) }},
		"other device's key": {verifier.ReasonPackBroken, func(_ *pack, x *parts) {
			other, _, err := verifier.NewDevice(networkID, deviceID, x.device.Root)
			must(w.t, err)
			x.device.Private = other.Private
		}},
		"pack of another network": {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.statement.Network = strings.Repeat("ab", 16) }},
		"pack by key of no use":   {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.trust.Keys[1].Use = "all" }},
		"key twice":               {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.trust.Keys = append(x.trust.Keys, x.trust.Keys[0]) }},
		"addresses not apart":     {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.trust.AnswersLists = statusLists }},
		"list twice": {verifier.ReasonPackBroken, func(_ *pack, x *parts) {
			x.statement.Status = append(x.statement.Status, x.statement.Status[0])
		}},
		"nine epochs":    {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.keys.Live = make([]verifier.Epoch, 9) }},
		"epoch twice":    {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.keys.Live = append(x.keys.Live, w.live.open) }},
		"key of zeros":   {verifier.ReasonPackBroken, func(_ *pack, x *parts) { x.keys.Live[0].NetKey = make([]byte, 32) }},
		"nothing signed": {verifier.ReasonPackBroken, file(func(f *verifier.File) { f.Lists.Pack = "e30.e30." })},

		"older than seen":       {verifier.ReasonPackOlder, func(_ *pack, x *parts) { x.device.Sequence = 11 }},
		"clock before seen":     {verifier.ReasonClock, func(p *pack, x *parts) { x.device.Seen = p.opened.Unix() + 1 }},
		"clock before trust":    {verifier.ReasonClock, func(p *pack, x *parts) { x.trust.IssuedAt = p.opened.Unix() + 1 }},
		"clock before pack":     {verifier.ReasonClock, func(p *pack, x *parts) { x.statement.IssuedAt = p.opened.Unix() + 1 }},
		"clock before envelope": {verifier.ReasonClock, func(p *pack, x *parts) { x.envelope.IssuedAt = p.opened.Unix() + 1 }},
		"trust list over":       {verifier.ReasonTrustListOld, func(p *pack, x *parts) { x.trust.Expires = p.opened.Unix() }},
		"lease over":            {verifier.ReasonLeaseOver, func(p *pack, x *parts) { x.envelope.LeaseUntil = p.opened.Unix() }},
		"no lists":              {verifier.ReasonStatusMissing, func(_ *pack, x *parts) { x.statement.Status = []verifier.ListToken{} }},
		"no usable list": {verifier.ReasonStatusMissing, func(_ *pack, x *parts) {
			for i := range x.statement.Status {
				x.statement.Status[i].Token = fmt.Sprint("list ", i)
			}
		}},
	}
}
