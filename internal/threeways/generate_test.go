//go:build stretched

package threeways_test

import (
	"fmt"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/verifier"
)

// oneCase is a device, with what it is shown.
type oneCase struct {
	number int
	family string
	pack   *pack
	// steps are checks, one after the other on one device; the last one is what
	// the case is about, those before it are wrong codes.
	steps []step
	// want is what the last step has to answer; nil where only chance knows
	// what was shown. Then the answer is neither confirmed nor unconfirmed.
	want *answer
	// whole: every code is stretched in all three, whatever was stretched before.
	whole bool
	// beyond says why the contract of the API does not take the last step.
	beyond string
}

// step is one check. Node is given the same members.
type step struct {
	Text *string `json:"text"` // null: nothing was read
	Code *string `json:"code"`
	Now  int64   `json:"now"`
	// Stretched is what Argon2id gives for this code and card, in hex; empty
	// where the code is not to be stretched, or the browser build shall do it.
	Stretched string `json:"stretched"`
	Whole     bool   `json:"whole"`
}

// codeKind is how the code stands to the card.
type codeKind int

const (
	codeRight codeKind = iota
	codeNone
	codeWrong
	codeOfAnotherForm
)

// A family is a kind of cases.
type family struct {
	name  string
	count int
	make  func(*generator, *oneCase)
}

var families = []family{
	{"situations", 6500, (*generator).situation},
	{"packs that do not open", 600, (*generator).refusedPack},
	{"other codes", 500, (*generator).otherCode},
	{"changed cards", 1100, (*generator).changedCard},
	{"changed credentials", 600, (*generator).changedCredential},
	{"changed packs", 600, (*generator).changedPack},
	{"whole stretch", 100, (*generator).wholeStretch},
	{"beyond the contract", 60, (*generator).beyondContract},
}

// generator makes the cases of one seed.
type generator struct {
	*world
	seed    uint64
	chance  *mathrand.Rand // of the case that is being made
	packs   []*pack        // that open
	refused []*pack
	plain   *pack // a pack in which all is well
}

// chanceFor makes each case and pack independent of how many there are.
func chanceFor(seed uint64, number int) *mathrand.Rand {
	return mathrand.New(mathrand.NewPCG(seed, uint64(number)))
}

const packsThatOpen = 72

func newGenerator(w *world, seed uint64) *generator {
	g := &generator{world: w, seed: seed}
	g.plain = w.publish(chanceFor(seed, 1_000_000), true, nil)
	g.packs = append(g.packs, g.plain)
	for i := range packsThatOpen {
		g.packs = append(g.packs, w.publish(chanceFor(seed, 1_000_001+i), false, nil))
	}
	refusals := w.refusals()
	for i, name := range slices.Sorted(maps.Keys(refusals)) {
		r := refusals[name]
		p := w.publish(chanceFor(seed, 2_000_000+i), true, r.edit)
		p.refused = r.reason
		g.refused = append(g.refused, p)
	}
	for i, p := range slices.Concat(g.packs, g.refused) {
		p.number = i
	}
	return g
}

// make makes the case with a number, the same whichever others are made.
func (g *generator) make(number int) *oneCase {
	c := &oneCase{number: number}
	g.chance = chanceFor(g.seed, number)
	first := 0
	for _, f := range families {
		if number < first+f.count {
			c.family = f.name
			f.make(g, c)
			return c
		}
		first += f.count
	}
	g.t.Fatalf("there is no case %d", number)
	return nil
}

func total() (n int) {
	for _, f := range families {
		n += f.count
	}
	return n
}

func pick[T any](g *generator, of []T) T { return of[g.chance.IntN(len(of))] }

// situation shows something genuine to a device with some pack at some time.
func (g *generator) situation(c *oneCase) {
	c.pack = pick(g, g.packs)
	t := pick(g, g.things)
	if g.chance.IntN(2) == 0 {
		t = g.genuine(g.chance.IntN(3) > 0)
	}
	g.show(c, t, g.time(c.pack, nil))
}

// show fills in a case about a thing.
func (g *generator) show(c *oneCase, t *thing, now time.Time) {
	if g.chance.IntN(3) == 0 {
		now = g.time(c.pack, t)
	}
	kind := codeKind(max(0, g.chance.IntN(9)-5)) // right six times of nine
	var before []time.Time
	if t.isCard && g.chance.IntN(5) == 0 {
		before = g.attempts(now)
	}
	if t.fate == moved || t.fate == wrongContent || t.fate == unknownKey {
		// Its wrong codes would be stretched for nothing that the others do not show.
		before = nil
		if kind == codeWrong {
			kind = codeRight
		}
	}
	for _, at := range before {
		c.steps = append(c.steps, step{Text: &t.text, Code: new(wrongCode), Now: at.Unix()})
	}
	c.steps = append(c.steps, step{Text: &t.text, Code: g.code(kind), Now: now.Unix()})
	want := expect(c.pack, t, kind, before, now)
	c.want = &want
}

// time is some time in the life of a pack, or one at which something about the
// pack or the thing changes.
func (g *generator) time(p *pack, t *thing) time.Time {
	if t == nil {
		return day.Add(time.Hour + time.Duration(g.chance.IntN(4*24*3600))*time.Second)
	}
	edges := []time.Time{t.from, t.to, p.status[t.list].from, p.status[t.list].to, p.answers[t.list].from, p.answers[t.list].to}
	if g.chance.IntN(8) == 0 {
		edges = []time.Time{p.issued, p.lease, p.trustEnd}
	}
	at := pick(g, edges).Add(-time.Duration(g.chance.IntN(2)) * time.Second)
	if at.Before(day.AddDate(0, 0, -1)) || at.After(day.AddDate(0, 0, 40)) {
		return day.Add(26 * time.Hour)
	}
	return at
}

// attempts are wrong codes before a time, in the patterns that limits know.
func (g *generator) attempts(now time.Time) []time.Time {
	var all []time.Time
	add := func(n int, ago time.Duration) {
		for i := range n {
			all = append(all, now.Add(-ago+time.Duration(i)*time.Minute))
		}
	}
	switch g.chance.IntN(6) {
	case 0:
		add(1+g.chance.IntN(4), 30*time.Minute)
	case 1:
		add(5, 50*time.Minute)
	case 2: // as many as an hour takes, but the first is not of this hour or the last one
		add(5, 2*time.Hour)
	case 3:
		add(5, 23*time.Hour)
		add(5, 50*time.Minute)
	case 4:
		add(5, 25*time.Hour)
		add(4, 20*time.Minute)
	case 5:
		add(5, 5*time.Hour)
	}
	return all
}

var scripts = []rune{'0', '٠', '۰', '०', '০', '๐', '០', '၀', '႐', '０', '𝟎'}

// code writes the code in one of the ways in which people type it.
func (g *generator) code(kind codeKind) *string {
	var digits string
	switch kind {
	case codeRight:
		digits = rightCode
	case codeWrong:
		digits = wrongCode
	case codeNone:
		return nil
	case codeOfAnotherForm:
		return new(pick(g, []string{"", " ", "-", "12345", "012345678", "01234567890", "012345678x", "o123456789", "0123456789.", "+123456789", "0x12345678", "0123456789\u200b", "½123456789", "一二三四五六七八九十", "\u0000", "<script>"}))
	}
	script, between := pick(g, scripts), pick(g, []string{"", "", " ", "-", "\u00a0", "\u2013", "\t"})
	var b strings.Builder
	for i, d := range digits {
		if g.chance.IntN(10) == 0 {
			script = pick(g, scripts) // one keyboard, then another
		}
		b.WriteRune(script + d - '0')
		if i%4 == 3 {
			b.WriteString(between)
		}
	}
	return new(b.String())
}

// refusedPack shows anything to a device whose pack does not open.
func (g *generator) refusedPack(c *oneCase) {
	c.pack = g.refused[c.number%len(g.refused)]
	g.show(c, pick(g, g.things), c.pack.opened)
}

// otherCode shows codes that are on other papers.
func (g *generator) otherCode(c *oneCase) {
	c.pack = pick(g, g.packs)
	noise := g.noise(40+g.chance.IntN(300), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 $%*+-./:")
	text := pick(g, []string{
		"https://example.org/" + noise, "http://example.org", "HTTPS://EXAMPLE.ORG/A", "www.example.org", "httpx://example.org",
		"HC1:6BF" + noise, "shc:/" + g.noise(400, "0123456789"), "SHC:/5676", "openid-credential-offer://?x=" + noise,
		"openid4vp://authorize", "haip://x", "haip-vci://x", "haip-vp://x", "BEGIN:VCARD\nN:Tester;Amina\nEND:VCARD", "MECARD:N:Tester;;", "WIFI:S:net;T:WPA;P:secret;;",
		`{"data":{"hdr":{"t":"icao.test"}}}`, "6BF" + g.noise(300, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"), "NCF" + noise,
		g.noise(667, "0123456789"), g.noise(666, "0123456789"), g.noise(668, "0123456789"), g.noise(12, "0123456789"),
		noise, "e", "ey", "P<KENTESTER<<AMINA<<<<<<<<<<<<<<<<<<<<<<<<<<<", "ភាសាខ្មែរ", "\u0000", "\ufeff", "\U0001F600", "null", " ", "\n", "{}", strings.Repeat("9", 667), strings.Repeat("0", 667), strings.Repeat("၀", 667),
	})
	c.want = &answer{verifier.NotOurs, verifier.ReasonUnknownContent}
	if g.chance.IntN(40) == 0 { // few characters of many bytes
		text, c.want = strings.Repeat("၀", 12_000), &answer{verifier.Unreadable, verifier.ReasonTooLarge}
	}
	now := day.Add(2 * time.Hour)
	c.steps = []step{{Text: &text, Code: g.code(codeKind(g.chance.IntN(4))), Now: now.Unix()}}
}

func (g *generator) noise(n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[g.chance.IntN(len(alphabet))]
	}
	return string(b)
}

// changedCard changes a card that all would be well with.
func (g *generator) changedCard(c *oneCase) {
	c.pack = g.plain
	t := g.genuine(true)
	kind, now := codeKind(g.chance.IntN(2)), g.plain.opened
	c.want = &answer{verifier.NotOurs, verifier.ReasonUnknownContent}
	was, err := card.Parse(t.text)
	must(g.t, err)
	text := t.text
	digits := []byte(t.text)
	at := g.chance.IntN(len(digits))
	switch g.chance.IntN(10) {
	case 0, 1: // bits
		changed := was
		for range 1 + g.chance.IntN(3) {
			i := g.chance.IntN(len(changed) * 8)
			changed[i/8] ^= 1 << (i % 8)
		}
		text = changed.Digits()
	case 2: // a digit
		digits[at] = '0' + (digits[at]-'0'+1+byte(g.chance.IntN(9)))%10
		text = string(digits)
	case 3: // two neighbours
		at = min(at, len(digits)-2)
		digits[at], digits[at+1] = digits[at+1], digits[at]
		text = string(digits)
	case 4: // a block of 29 digits that no 12 bytes have, or the same one said otherwise
		block := digits[at/29*29:][:29]
		var n big.Int
		n.SetString(string(block), 10)
		n.Add(&n, new(big.Int).Lsh(big.NewInt(1), 96))
		copy(block, fmt.Sprintf("%029d", &n))
		text = string(digits)
	case 5: // cut, or with something around it
		text = pick(g, []string{text[:at], text[at:], text + "0", "0" + text, " " + text, text + "\n", text[:at] + " " + text[at:], text[:at] + "-" + text[at:], text + text})
	case 6: // two cards
		other := g.genuine(true).text
		block := max(29, at/29*29)
		text = text[:block] + other[block:]
	case 7: // blocks in another order
		i, j := at/29*29, g.chance.IntN(23)*29
		one, other := string(digits[i:i+29]), string(digits[j:j+29])
		copy(digits[i:], other)
		copy(digits[j:], one)
		text = string(digits)
	case 8: // somebody with a device's keys changed the ciphertext and tagged it again
		changed := was
		i := (40 + g.chance.IntN(236)) * 8
		changed[i/8] ^= 1 << g.chance.IntN(8)
		text = tagged(g.live, changed[8:])
		c.want = &answer{verifier.WrongCode, verifier.ReasonCodeWrong}
		kind = codeRight
	case 9: // and here the encapsulated key; few of them, for each is stretched
		few := chanceFor(g.seed, 3_000_000+g.chance.IntN(16))
		changed, err := card.Parse(g.things[0].text)
		must(g.t, err)
		changed[8+few.IntN(32)] ^= 1 << few.IntN(7) // the last bit of an X25519 key says nothing
		text = tagged(g.live, changed[8:])
		c.want = &answer{verifier.WrongCode, verifier.ReasonCodeWrong}
		kind = codeRight
	}
	c.steps = []step{{Text: &text, Code: g.code(kind), Now: now.Unix()}}
	if text == t.text { // equal blocks change nothing
		want := expect(c.pack, t, kind, nil, now)
		c.want = &want
	}
}

// genuine is something that a pack in which all is well says yes to.
func (g *generator) genuine(isCard bool) *thing {
	for {
		t := pick(g, g.things)
		if t.isCard != isCard {
			continue
		}
		if a := expect(g.plain, t, codeRight, nil, g.plain.opened); t.list != 0 && (isCard && t.name != "card of the next epoch" && t.fate == judged || !isCard && (a.state == verifier.Confirmed || a.state == verifier.Unconfirmed)) {
			return t
		}
	}
}

// changedCredential changes a credential that all is well with.
func (g *generator) changedCredential(c *oneCase) {
	c.pack = g.plain
	t := g.genuine(false)
	text := []byte(t.text)
	at := g.chance.IntN(len(text))
	now := g.plain.opened
	parts := strings.Split(strings.TrimSuffix(t.text, "~"), "~")
	var shown string
	switch g.chance.IntN(8) {
	case 0, 1, 2: // a character
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		text[at] = alphabet[(strings.IndexByte(alphabet, text[at])+1+g.chance.IntN(63)+64)%64]
		shown = string(text)
	case 3: // cut inside the signed part
		shown = t.text[:g.chance.IntN(len(parts[0]))]
	case 4: // a disclosure of another credential
		other := g.genuine(false)
		for other == t {
			other = g.genuine(false)
		}
		theirs := strings.Split(strings.TrimSuffix(other.text, "~"), "~")
		shown = t.text + theirs[1+g.chance.IntN(len(theirs)-1)] + "~"
	case 5: // a disclosure twice
		shown = t.text + parts[len(parts)-1] + "~"
	case 6: // the signature of another
		theirs := g.genuine(false)
		for theirs == t {
			theirs = g.genuine(false)
		}
		sig := theirs.text[strings.LastIndexByte(strings.SplitN(theirs.text, "~", 2)[0], '.'):]
		shown = parts[0][:strings.LastIndexByte(parts[0], '.')] + sig
	case 7: // withheld, which a holder may do
		for _, part := range parts {
			if part == parts[0] || g.chance.IntN(2) == 0 {
				shown += part + "~"
			}
		}
		want := expect(c.pack, t, codeNone, nil, now)
		c.want = &want
	}
	c.steps = []step{{Text: &shown, Now: now.Unix()}}
}

// changedPack changes bytes of a pack in which all is well.
func (g *generator) changedPack(c *oneCase) {
	p := *g.plain
	p.changed = true
	b := []byte(p.file)
	at := g.chance.IntN(len(b))
	switch g.chance.IntN(6) {
	case 0, 1: // a bit
		b[at] ^= 1 << g.chance.IntN(7)
	case 2: // a character for another of base64url
		b[at] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[g.chance.IntN(64)]
	case 3:
		b = b[:at]
	case 4: // something left out
		b = slices.Delete(b, at, min(len(b), at+1+g.chance.IntN(40)))
	case 5: // a part of another pack
		// Not less than all but the beginning, which two packs may share.
		other := pick(g, g.packs[1:]).file
		at = max(at, len(b)/2)
		b = append(b[:at], other[min(at, len(other)):]...)
	}
	p.file, p.number = string(b), 100_000+c.number
	p.changed = p.file != g.plain.file
	c.pack = &p
	t := g.genuine(g.chance.IntN(2) == 0)
	c.steps = []step{{Text: &t.text, Code: g.code(codeRight), Now: p.opened.Unix()}}
	if !utf8.ValidString(p.file) {
		// JavaScript's texts are Unicode; such bytes never reach the browser build.
		p.file = strings.ToValidUTF8(p.file, "\ufffd")
	}
	if !p.changed {
		want := expect(g.plain, t, codeRight, nil, p.opened)
		c.want = &want
	}
}

// wholeStretch is a situation in which a code is stretched in all three.
func (g *generator) wholeStretch(c *oneCase) {
	c.whole = true
	c.pack = pick(g, g.packs)
	t := g.genuine(true)
	kind := pick(g, []codeKind{codeRight, codeRight, codeRight, codeWrong})
	now := day.Add(time.Hour + time.Duration(g.chance.IntN(4*24*3600))*time.Second)
	c.steps = []step{{Text: &t.text, Code: g.code(kind), Now: now.Unix(), Whole: true}}
	want := expect(c.pack, t, kind, nil, now)
	c.want = &want
}

// beyondContract is what Go and the browser build judge and the API refuses to
// read: its contract bounds what it takes, and it takes no picture.
func (g *generator) beyondContract(c *oneCase) {
	c.pack = pick(g, g.packs)
	now := day.Add(2 * time.Hour).Unix()
	t := g.genuine(true)
	switch g.chance.IntN(4) {
	case 0:
		c.beyond = "nothing was read"
		c.steps = []step{{Now: now}}
		c.want = &answer{verifier.Unreadable, verifier.ReasonNoCode}
	case 1:
		c.beyond = "an empty text"
		c.steps = []step{{Text: new(""), Now: now}}
		c.want = &answer{verifier.NotOurs, verifier.ReasonUnknownContent}
	case 2:
		c.beyond = "a text longer than any"
		c.steps = []step{{Text: new(strings.Repeat("9", verifier.MaxText+1)), Now: now}}
		c.want = &answer{verifier.Unreadable, verifier.ReasonTooLarge}
	case 3:
		c.beyond = "a code longer than any"
		c.steps = []step{{Text: &t.text, Code: new(strings.Repeat("0 ", 40)), Now: now}}
		c.want = &answer{verifier.WrongCode, verifier.ReasonCodeFormat}
	}
}
