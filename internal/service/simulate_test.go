//go:build linux

package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/statuslist"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/peopletest"
	"github.com/safeconduct/safeconduct/internal/pgtest"
	"github.com/safeconduct/safeconduct/people"
	"github.com/safeconduct/safeconduct/people/roster"
	"github.com/safeconduct/safeconduct/verifier"
)

// A measure is one thing that grows, per case or per device, as it was measured
// on one engine. docs/scale.md has them in a table.
type measure struct {
	key, unit, about string
	// steady says that it is a size or a count: the same on every machine.
	steady bool
}

var measures = []measure{
	{"rows", "rows a case", "an attestation, a card, their places in the list, what the log says of them", true},
	{"data_bytes", "bytes a case", "main database, indexes with it", true},
	{"keyring_bytes", "bytes a case", "keyring", true},
	{"leaves", "leaves a case", "entries of the log", true},
	{"log_bytes", "bytes a leaf", "tiles of the public log, of which a publication adds 256", true},
	{"signatures", "signatures a case", "asked of the keystore, by an agency's key", true},
	{"issue_cpu", "ms a case", "processor time to open a case and attest once", false},
	{"card_cpu", "ms a card", "processor time to make a card, Argon2id first of all", false},
	{"trust_bytes", "bytes an agency", "trust list, in every pack", true},
	{"list_bytes_1", "bytes a list", "a status list of 2^20 entries, 1 % of them set", true},
	{"list_bytes_10", "bytes a list", "the same with 10 % set, when it takes no more", true},
	{"envelope_bytes", "bytes a device and fetch", "envelope", true},
}

// simulated is what one run on one engine gave.
type simulated map[string]float64

// processor is the processor time of this process in milliseconds.
func processor(t *testing.T) float64 {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

// simulate issues for n people on an engine and says what grew.
func simulate(t *testing.T, e config.Engines, bytes func(h *Service) (data, keyring float64), n int) simulated {
	t.Helper()
	cfg := Config{
		Dir: filepath.Join(t.TempDir(), "net"), Engines: e, WorkFactor: DemoWork, Now: time.Now,
		Passphrase: "a passphrase for a test", Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(),
	}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	access, err := Found(t.Context(), cfg, Founding{
		ID: randomHex(16), Name: "Test", BaseURL: peopletest.Address, Desk: "+00 00",
		Demo: true, // no month of probation, and a thousand cards in a day
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	one := simulated{}
	trust := func() float64 {
		lists, err := h.Board.Lists(t.Context())
		must(err)
		return float64(len(lists.TrustList))
	}
	publish := func() {
		_, err := h.Board.Publish(t.Context(), audit.Actor{ID: "service"}, false)
		must(err)
	}
	before := trust()
	const agencies = 4
	house := peopletest.Joined(t, h.People, h.Passkeys, peopletest.Origin, access.Join)
	var agency string
	for i := range agencies {
		agency = house.Agency(h.Network, roster.Agency{Name: fmt.Sprintf("Lotus House %d", i), Class: "NGO", Country: "KHM", Desk: "+855 12 345 678"})
	}
	publish()
	one["trust_bytes"] = (trust() - before) / agencies

	by := audit.Actor{ID: randomHex(16), Agency: agency, Role: "supervisor"}
	admit := func(n int) (cases []string) {
		for range n {
			c, err := h.Vault.CreateCase(t.Context(), by)
			must(err)
			_, err = h.Issuer.Issue(t.Context(), by, credentials.Order{
				Case: c.ID, RequestKey: randomHex(16), Claims: &claims.IdentityClaim{
					Names:     []claims.Name{{Script: "Latn", Full: private.New("MADE UP"), Type: "used"}},
					Assurance: "self_asserted", ClaimStatus: "open",
				},
			})
			must(err)
			cases = append(cases, c.ID)
		}
		return cases
	}
	card := func(id string) {
		_, err := h.Issuer.IssueCard(t.Context(), by, credentials.CardOrder{
			Case: id, Name: private.New("MADE UP"), BirthDate: private.New("1990"), RequestKey: randomHex(16),
		})
		must(err)
	}
	// Pages of a database fill in steps; what is there before does not count.
	for _, id := range admit(20) {
		card(id)
	}
	publish()
	data, keyring := bytes(h)
	rows, err := h.DB.Check(t.Context())
	must(err)
	signed := keystoreCalls(t, cfg.Metrics, "sign")
	began := processor(t)
	cases := admit(n)
	one["issue_cpu"] = (processor(t) - began) / float64(n)
	// A card takes Argon2id, which is the same for each: of many people a part
	// get one, and what one adds is counted for everybody.
	cards := min(n, max(20, n/20))
	afterData, afterKeyring := bytes(h)
	afterRows, err := h.DB.Check(t.Context())
	must(err)
	afterSigned := keystoreCalls(t, cfg.Metrics, "sign")
	began = processor(t)
	for _, id := range cases[:cards] {
		card(id)
	}
	one["card_cpu"] = (processor(t) - began) / float64(cards)
	cardData, _ := bytes(h)
	cardRows, err := h.DB.Check(t.Context())
	must(err)
	total := func(a, b, c float64) float64 { return (b-a)/float64(n) + (c-b)/float64(cards) }
	one["data_bytes"] = total(data, afterData, cardData)
	one["keyring_bytes"] = (afterKeyring - keyring) / float64(n)
	one["leaves"] = total(float64(rows.Logged), float64(afterRows.Logged), float64(cardRows.Logged))
	one["rows"] = one["leaves"] + 2*total(float64(rows.Issued), float64(afterRows.Issued), float64(cardRows.Issued)) + 3 // case, card, request
	one["signatures"] = total(signed, afterSigned, keystoreCalls(t, cfg.Metrics, "sign"))
	publish()
	report, err := audit.Verify(h.LogDir, logKeyOf(t, h))
	must(err)
	one["log_bytes"] = newestTiles(report.Size) / float64(report.Size)

	for percent, key := range map[int]string{1: "list_bytes_1", 10: "list_bytes_10"} {
		l, err := statuslist.New(2, statuslist.Entries)
		must(err)
		random := rand.New(rand.NewPCG(1, 2))
		for range statuslist.Entries * percent / 100 {
			must(l.Set(random.IntN(statuslist.Entries), uint8(1+random.IntN(3))))
		}
		lst, err := l.Encode()
		must(err)
		one[key] = float64(len(lst))
	}
	root, err := h.Network.RootKey(t.Context())
	must(err)
	_, public, err := verifier.NewDevice(h.Network.ID(), randomHex(16), root)
	must(err)
	inviter, _ := house.Program(agency, people.Supervisor, house.First)
	invites := audit.Actor{ID: inviter.ID, Agency: agency, Role: string(inviter.Role)}
	_, secret, err := h.Network.InviteDevice(t.Context(), invites, agency, "gate-1")
	must(err)
	enrolled, err := h.Network.EnrolDevice(t.Context(), secret, public)
	must(err)
	symbols, err := verifier.Symbols(h.Network.ID(), root, public)
	must(err)
	admission, err := h.Network.DeviceAdmission(t.Context(), house.Actor(house.First), enrolled.Device.ID, symbols)
	must(err)
	house.Do(roster.DoAdmitDevice, agency, admission, house.First)
	must(h.Network.Adopt(t.Context()))
	envelope, err := h.Board.Envelope(t.Context(), audit.Actor{ID: enrolled.Device.ID, Agency: agency, Role: string(people.DeviceRole)})
	must(err)
	one["envelope_bytes"] = float64(len(envelope))
	return one
}

func logKeyOf(t *testing.T, h *Service) string {
	t.Helper()
	key, err := h.Keys.LogKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newestTiles is how many bytes the tiles of a tree take, each level's full ones
// and the newest partial one: 32 bytes a hash, 256 hashes a tile.
func newestTiles(size int64) (bytes float64) {
	for ; size > 0; size /= 256 {
		bytes += 32 * float64(size)
	}
	return bytes
}

// keystoreCalls reads one counter from a scrape.
func keystoreCalls(t *testing.T, m *Metrics, operation string) float64 {
	t.Helper()
	found := regexp.MustCompile(`safeconduct_keystore_seconds_count\{operation="` + operation + `"\} (\S+)`).FindStringSubmatch(scrape(t, m))
	if found == nil {
		t.Fatal("no such counter")
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fileBytes sizes the two SQLite files, with nothing left in their journals.
func fileBytes(t *testing.T) func(h *Service) (data, keyring float64) {
	return func(h *Service) (data, keyring float64) {
		t.Helper()
		if err := errors.Join(h.DB.Truncate(t.Context()), h.Keyring.Truncate(t.Context())); err != nil {
			t.Fatal(err)
		}
		var sizes [2]float64
		for i, name := range []string{config.DatabaseName, config.KeyringName} {
			info, err := os.Stat(filepath.Join(h.cfg.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			sizes[i] = float64(info.Size())
		}
		return sizes[0], sizes[1]
	}
}

// serverBytes sizes the two PostgreSQL databases.
func serverBytes(t *testing.T, e config.Engines) func(h *Service) (data, keyring float64) {
	one := func(dsn string) float64 {
		t.Helper()
		n, err := strconv.ParseFloat(pgtest.Shared(t).Administer(t, dsn, "SELECT pg_database_size(current_database())"), 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return func(*Service) (data, keyring float64) { return one(e.Database), one(e.Keyring) }
}

// A size is a network as docs/scale.md costs it.
type size struct {
	name                      string
	people, agencies, devices float64
}

var sizes = []size{
	{"one shelter", 300, 1, 5},
	{"a country", 20_000, 20, 500},
	{"300,000 people", 300_000, 200, 10_000},
}

// assumptions are not measured: what people do, and what things cost. Who knows
// better puts other numbers in and runs make simulate.
var assumptions = []struct {
	key   string
	value float64
	about string
}{
	{"cards_each", 3, "cards a person gets in the two years that a record lives: one lasts 180 days, and some are lost or not renewed"},
	{"months", 24, "how long a record lives, and so over how many months its work is spread"},
	{"pages_each", 6, "scanned pages a person"},
	{"page_bytes", 400_000, "bytes a page"},
	{"fetches", 4, "packs a device fetches a day, each in full, as its lists ask to be fetched after 6 hours"},
	{"windows", 24, "publications a day"},
	{"usd_core", 12, "US$ a month for a processor core with 4 GB, rented by the month (assumed; compare two hosters)"},
	{"usd_disk", 0.10, "US$ a month and GB of replicated disk (assumed)"},
	{"usd_object", 0.025, "US$ a month and GB in a bucket (assumed)"},
	{"usd_traffic", 0.05, "US$ a GB sent out (assumed; many hosters include the first TB)"},
	{"copies", 3, "how many times data is kept: primary, standby, backup"},
}

// arithmetic is the table of what each size comes to.
func arithmetic(one simulated) string {
	a := map[string]float64{}
	for _, x := range assumptions {
		a[x.key] = x.value
	}
	type row struct {
		what string
		of   func(s size) string
	}
	number := func(f float64) string { return strconv.FormatFloat(math.Round(f), 'f', 0, 64) }
	gb := func(f float64) string { return fmt.Sprintf("%.2f GB", f/1e9) }
	cards := func(s size) float64 { return s.people * a["cards_each"] }
	lists := func(s size) float64 { return math.Ceil((s.people + cards(s)) / (statuslist.Entries / 10)) }
	pack := func(s size) float64 {
		// Lists that are full have 10 % set at the most, the open one 1 %; an
		// answers list goes with each.
		return s.agencies*one["trust_bytes"] + 2*((lists(s)-1)*one["list_bytes_10"]+one["list_bytes_1"])
	}
	database := func(s size) float64 { return s.people * (one["data_bytes"] + one["keyring_bytes"]) * a["cards_each"] }
	pages := func(s size) float64 { return s.people * a["pages_each"] * a["page_bytes"] }
	leaves := func(s size) float64 { return s.people * one["leaves"] * a["cards_each"] }
	cpuDay := func(s size) float64 {
		return (s.people*one["issue_cpu"] + cards(s)*one["card_cpu"]) / 1000 / (a["months"] * 30)
	}
	signaturesDay := func(s size) float64 {
		return s.people*one["signatures"]*a["cards_each"]/(a["months"]*30) + a["windows"]*(2*lists(s)+2) + s.devices*a["fetches"]
	}
	traffic := func(s size) float64 { return s.devices * a["fetches"] * 30 * (pack(s) + one["envelope_bytes"]) }
	cores := func(s size) float64 {
		switch {
		case s.people <= 1_000:
			return 1 // SQLite, a folder, a key file
		case s.people <= 50_000:
			return 2 + 4 + 3 // two processes, a database and its standby of 2, three Vaults of 1
		default:
			return 6 + 16 + 6 // three processes of 2, a database and its standby of 8, three Vaults of 2
		}
	}
	rows := []row{
		{"people, agencies, devices", func(s size) string {
			return number(s.people) + ", " + number(s.agencies) + ", " + number(s.devices)
		}},
		{"rows", func(s size) string { return number(s.people * one["rows"] * a["cards_each"]) }},
		{"databases", func(s size) string { return gb(database(s)) }},
		{"pages in the bucket", func(s size) string { return gb(pages(s)) }},
		{"entries of the log", func(s size) string { return number(leaves(s)) }},
		{"tiles of the public log, a year", func(size) string { return gb(a["windows"] * 365 * audit.Window * one["log_bytes"]) }},
		{"status lists", func(s size) string { return number(lists(s)) }},
		{"a pack", func(s size) string { return fmt.Sprintf("%.2f MB", pack(s)/1e6) }},
		{"packs for one device a day", func(s size) string { return fmt.Sprintf("%.2f MB", a["fetches"]*(pack(s)+one["envelope_bytes"])/1e6) }},
		{"processor time to issue a day", func(s size) string { return fmt.Sprintf("%.0f s", cpuDay(s)) }},
		{"signatures a day", func(s size) string { return number(signaturesDay(s)) }},
		{"cores", func(s size) string { return number(cores(s)) }},
		{"**US$ a month**", func(s size) string {
			return "**" + number(cores(s)*a["usd_core"]+database(s)/1e9*a["copies"]*a["usd_disk"]+
				pages(s)/1e9*a["copies"]*a["usd_object"]+traffic(s)/1e9*a["usd_traffic"]) + "**"
		}},
		{"of it for traffic", func(s size) string { return number(traffic(s) / 1e9 * a["usd_traffic"]) }},
	}
	var b strings.Builder
	b.WriteString("| |")
	for _, s := range sizes {
		b.WriteString(" " + s.name + " |")
	}
	b.WriteString("\n|---|---|---|---|\n")
	for _, r := range rows {
		b.WriteString("| " + r.what + " |")
		for _, s := range sizes {
			b.WriteString(" " + r.of(s) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

const scaleBegin, scaleEnd = "<!-- make simulate: begin -->\n", "<!-- make simulate: end -->"

// tables is what stands between the markers of docs/scale.md.
func tables(people string, sqlite, postgres simulated) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Measured\n\nWith %s people on each engine.\n\n| what | SQLite | PostgreSQL | unit | |\n|---|---|---|---|---|\n", people)
	for _, m := range measures {
		fmt.Fprintf(&b, "| `%s` | %.1f | %.1f | %s | %s |\n", m.key, sqlite[m.key], postgres[m.key], m.unit, m.about)
	}
	b.WriteString("\n### Assumed\n\n| what | value | |\n|---|---|---|\n")
	for _, a := range assumptions {
		fmt.Fprintf(&b, "| `%s` | %v | %s |\n", a.key, strconv.FormatFloat(a.value, 'f', -1, 64), a.about)
	}
	b.WriteString("\n### What it comes to\n\nFrom the PostgreSQL column.\n\n" + arithmetic(postgres))
	return b.String()
}

func scaleDocument(t *testing.T) (path, before, between, after string) {
	t.Helper()
	path = filepath.Join("..", "..", "docs", "scale.md")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), scaleBegin)
	between, after, ok2 := strings.Cut(rest, scaleEnd)
	if !ok || !ok2 {
		t.Fatal("docs/scale.md has lost its markers")
	}
	return path, before + scaleBegin, between, scaleEnd + after
}

// TestSimulate is make simulate: it measures with the numbers of people that
// SAFECONDUCT_SIMULATE lists, says how what was measured differs between them,
// and writes docs/scale.md from the last one.
func TestSimulate(t *testing.T) {
	list := os.Getenv("SAFECONDUCT_SIMULATE")
	if list == "" {
		t.Skip("make simulate runs this")
	}
	var sqlite, postgres simulated
	var last string
	for last = range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(last)
		if err != nil || n < 1 {
			t.Fatal("SAFECONDUCT_SIMULATE: numbers of people, with commas")
		}
		sqlite = simulate(t, config.Engines{}, fileBytes(t), n)
		e := config.Engines{Database: pgtest.Start(t), Keyring: pgtest.Start(t)}
		postgres = simulate(t, e, serverBytes(t, e), n)
		one, err := json.Marshal(map[string]simulated{"sqlite": sqlite, "postgres": postgres})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%d people: %s\n", n, one)
	}
	path, before, _, after := scaleDocument(t)
	if err := os.WriteFile(path, []byte(before+tables(last, sqlite, postgres)+after), 0o600); err != nil {
		t.Fatal(err)
	}
	fmt.Println(arithmetic(postgres))
}

// TestScaleDocument: what docs/scale.md says was measured is what is so, within
// a factor of three for sizes and counts; and its arithmetic is that of its own
// numbers. Times are another machine's and are only read.
func TestScaleDocument(t *testing.T) {
	_, _, between, _ := scaleDocument(t)
	documented := map[string]simulated{"SQLite": {}, "PostgreSQL": {}}
	for _, m := range measures {
		row := regexp.MustCompile("(?m)^\\| `" + m.key + "` \\| ([0-9.]+) \\| ([0-9.]+) \\| " + regexp.QuoteMeta(m.unit)).FindStringSubmatch(between)
		if row == nil {
			t.Fatalf("docs/scale.md does not say %s", m.key)
		}
		for i, engine := range []string{"SQLite", "PostgreSQL"} {
			n, err := strconv.ParseFloat(row[i+1], 64)
			if err != nil || n <= 0 {
				t.Fatalf("%s: %s", m.key, row[0])
			}
			documented[engine][m.key] = n
		}
	}
	for name, engine := range map[string]func(t *testing.T) simulated{
		"SQLite": func(t *testing.T) simulated { return simulate(t, config.Engines{}, fileBytes(t), 60) },
	} {
		fresh := engine(t)
		for _, m := range measures {
			was, is := documented[name][m.key], fresh[m.key]
			if m.steady && (is > 3*was || is < was/3) {
				t.Errorf("%s, %s: docs/scale.md says %.1f, it is %.1f", name, m.key, was, is)
			}
		}
		t.Logf("%s: %v", name, fresh)
	}
	if !strings.Contains(between, "| **US$ a month** | **") || strings.Count(between, "\n| ") < len(measures)+len(assumptions)+10 {
		t.Error("docs/scale.md lacks its tables")
	}
	for _, a := range assumptions {
		if !strings.Contains(between, fmt.Sprintf("| `%s` | %s |", a.key, strconv.FormatFloat(a.value, 'f', -1, 64))) {
			t.Errorf("docs/scale.md assumes another %s than the arithmetic", a.key)
		}
	}
}
