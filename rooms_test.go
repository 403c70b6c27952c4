// Package safeconduct_test holds the tests about the tree as a whole: who may
// import whom, and whether documents and code point at things that exist. It
// leaves the behaviour of every room to that room's own tests.
package safeconduct_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path that all our rooms share.
const module = "github.com/safeconduct/safeconduct"

// A room is one row of the table that docs/overview.md, Rooms, explains.
type room struct {
	// ours lists the rooms it may import.
	ours []string
	// foreign lists the import path prefixes, outside the standard library and
	// this module, that it may import.
	foreign []string
	// adapter rooms touch the world: files, clocks, networks, logs. The others
	// must not.
	adapter bool
	// std lists worldly packages that a room that is no adapter may import all
	// the same; each needs a reason beside it.
	std []string
}

// leaves are the format rooms: they know bytes and nothing about agencies.
var leaves = []string{
	"credentials/private",
	"credentials/strictjson",
	"credentials/jws",
	"credentials/sdjwt",
	"credentials/statuslist",
	"credentials/mask",
	"credentials/card",
}

// domain rooms hold the rules of the trade; adapters may import all of them.
var domain = slices.Concat(leaves, []string{
	"invalid", "claims",
	"credentials", "verifier", "network", "approval", "people", "people/roster", "people/token", "vault", "vault/mrz", "audit",
})

// stores are the adapters that keep bytes and keys.
var stores = []string{"internal/blobs", "internal/hcvault", "internal/keyfile", "internal/sqlstore"}

// rooms is the whole tree. A directory with Go code and no row here fails the
// test: opening a room is a decision, and this is where it is taken.
var rooms = map[string]room{
	// The leaves.
	"credentials/private":    {},
	"invalid":                {ours: []string{"credentials/private"}},
	"credentials/strictjson": {},
	"credentials/jws":        {ours: []string{"credentials/strictjson"}, foreign: []string{"github.com/go-jose/go-jose/v4", "golang.org/x/crypto/cryptobyte"}},
	"credentials/sdjwt":      {ours: []string{"credentials/jws", "credentials/strictjson", "credentials/private"}, foreign: []string{"github.com/go-jose/go-jose/v4"}},
	"credentials/statuslist": {ours: []string{"credentials/jws", "credentials/strictjson"}},
	// Which places of a list are nobody's, for who issues, publishes and signs.
	"credentials/mask":        {ours: []string{"credentials/statuslist"}, foreign: []string{"golang.org/x/crypto/chacha20"}},
	"credentials/card":        {ours: []string{"credentials/private"}, foreign: []string{"github.com/cloudflare/circl", "github.com/fxamacker/cbor/v2", "github.com/veraison/go-cose", "golang.org/x/crypto", "golang.org/x/text"}},
	"credentials/card/symbol": {foreign: []string{"github.com/skip2/go-qrcode"}},
	"vault/mrz":               {ours: []string{"credentials/private"}, foreign: []string{"golang.org/x/text"}},
	"audit": {
		ours: []string{"credentials/private"}, // a note may say something about a person
		// How often a file has its turn is limited, where very many append.
		foreign: []string{"golang.org/x/mod/sumdb", "golang.org/x/time/rate"},
		std:     []string{"os"}, // the published log is a folder, for strangers as for us
	},

	// Which names of agencies can be told apart: a leaf, so that whoever admits an
	// agency asks the same question. It has the table of look-alikes from a kept
	// library, and folding and composed forms from the Go project.
	"network/naming": {ours: []string{"invalid"}, foreign: []string{"go.mau.fi/util/confusable", "golang.org/x/text"}},

	// What can be stated, for whoever states, keeps or asks for it.
	"claims": {ours: []string{"credentials/private", "credentials/strictjson", "invalid"}},

	// What a member, a device or an invitation carries. network makes the tokens
	// of devices, and so shares this leaf with people.
	"people/token": {},

	// Acts that people agree to, and the one document of who belongs to a network.
	// people and network both read from it; a signer replays it by itself. network
	// shows with a pack which trust list it names, as an authority.
	"approval":      {ours: []string{"credentials/private", "credentials/strictjson"}},
	"people/roster": {ours: []string{"credentials/strictjson", "invalid", "claims", "approval"}},

	// The rules. credentials, vault, network and people never see each other, and
	// credentials and verifier agree through the leaves alone. verifier has
	// argon2 for what a device shows at its enrolment; the card's own stretch is
	// for codes, and is exported to nobody.
	"verifier":    {ours: leaves, foreign: []string{"golang.org/x/crypto/argon2"}},
	"credentials": {ours: slices.Concat(leaves, []string{"approval", "invalid", "claims", "audit"})},
	// vault has of the card what its key signs when a record is opened.
	"vault":   {ours: []string{"credentials/private", "credentials/card", "invalid", "claims", "vault/mrz", "audit"}, foreign: []string{"filippo.io/age", "golang.org/x/crypto"}},
	"network": {ours: slices.Concat(leaves, []string{"approval", "people/roster", "invalid", "verifier", "audit", "network/naming", "people/token"})},
	"people":  {ours: []string{"invalid", "audit", "approval", "people/roster", "people/token"}},

	"internal/vaulttest": {adapter: true, ours: []string{"internal/hcvault"}, foreign: []string{"github.com/hashicorp/vault/api"}},

	// The pages and their words, embedded. Its tests ask how letters compose.
	"web": {ours: []string{"credentials/strictjson"}, foreign: []string{"golang.org/x/text"}},
	// For whoever reads a catalogue; it edits that file.
	"web/review": {adapter: true, ours: []string{"web"}},
	// Chromium in front of the pages, and what its camera is shown.
	"web/browsertest":        {adapter: true},
	"web/browsertest/camera": {ours: []string{"credentials/card/symbol"}},

	// The contract, embedded, so that the server reads the file that people read.
	"docs/api": {},
	// It writes into the contract what follows from the types of claims and of
	// records.
	"internal/contract": {adapter: true, ours: []string{"claims", "credentials/private", "invalid", "vault"}},

	// What adapters say of that which they stand on. It reads what the system says
	// of a full disk.
	"internal/trouble": {adapter: true},

	// The adapters.
	"internal/sqlstore":   {adapter: true, ours: slices.Concat(domain, []string{"internal/signin", "internal/trouble"}), foreign: []string{"modernc.org/sqlite", "github.com/fxamacker/cbor/v2", "golang.org/x/crypto/chacha20poly1305", "github.com/jackc/pgx/v5", "github.com/pressly/goose/v3"}},
	"internal/pgtest":     {adapter: true},
	"internal/vectortest": {adapter: true},
	// It is below every adapter that keeps keys, and beside none of them.
	"internal/keystore": {adapter: true, ours: []string{"approval", "audit", "credentials/jws", "verifier", "internal/trouble"}, foreign: []string{"golang.org/x/mod/sumdb"}},
	"internal/keyfile":  {adapter: true, ours: slices.Concat(domain, []string{"internal/keystore", "internal/trouble"}), foreign: []string{"filippo.io/age", "golang.org/x/mod/sumdb/note", "golang.org/x/crypto"}},
	"internal/hcvault":  {adapter: true, ours: slices.Concat(domain, []string{"internal/keystore", "internal/trouble"}), foreign: []string{"github.com/hashicorp/vault/api", "golang.org/x/mod/sumdb/note", "golang.org/x/crypto/cryptobyte"}},
	// Keys in a process of their own: it knows no keystore but as one, of the vault
	// only the word for what does not open, and of the formats how to read what it
	// is to sign. It judges by itself who has agreed: it replays the roster, checks
	// passkeys, and knows the one table of rights, what agencies of a class sign and
	// how much.
	"internal/signer":     {adapter: true, ours: slices.Concat(domain, []string{"internal/files", "internal/keystore", "internal/passkey", "internal/trouble"}), foreign: []string{"github.com/fxamacker/cbor/v2", "golang.org/x/crypto/chacha20poly1305", "golang.org/x/mod/sumdb"}},
	"internal/blobs":      {adapter: true, ours: slices.Concat(domain, []string{"internal/trouble"}), foreign: []string{"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"}},
	"internal/backup":     {adapter: true, ours: []string{"credentials/strictjson"}, foreign: []string{"filippo.io/age"}},
	"internal/sqlitetest": {adapter: true, foreign: []string{"modernc.org/sqlite"}},
	"internal/storetest":  {adapter: true, ours: slices.Concat(domain, []string{"internal/blobs", "internal/keystore", "internal/signin", "internal/trouble"}), foreign: []string{"github.com/google/go-cmp/cmp", "golang.org/x/mod/sumdb/note"}},
	"internal/s3test":     {adapter: true, ours: []string{"internal/blobs", "credentials/private"}, foreign: []string{"github.com/aws/aws-sdk-go-v2"}},
	// The holder's own copy: what the rooms keep of her, as one file. It is beside HTTP,
	// because a command writes one, too. The page in it is in the words of web.
	"internal/copies": {adapter: true, ours: []string{"audit", "credentials", "credentials/jws", "credentials/private", "credentials/strictjson", "invalid", "network", "vault", "verifier", "web"}, foreign: []string{"filippo.io/age"}},
	// It serves pages with the policy that each brings.
	"internal/httpapi": {adapter: true, ours: slices.Concat(domain, []string{"credentials/card/symbol", "docs/api", "internal/copies", "internal/httpapi/api", "internal/passkey", "internal/signin", "internal/trouble", "web"}), foreign: []string{"github.com/gin-gonic/gin", "github.com/getkin/kin-openapi", "golang.org/x/sync", "golang.org/x/time", "golang.org/x/text"}},
	// The contract as Go types: it knows no rule, and of our rooms only the text
	// that cannot be printed by accident.
	"internal/httpapi/api": {adapter: true, ours: []string{"credentials/private"}, foreign: []string{"github.com/gin-gonic/gin", "github.com/oapi-codegen/runtime"}},

	// What passkeys show and agree to, read and judged: it keeps nothing. The
	// software authenticators answer as a browser with a chip does.
	"internal/passkey": {ours: []string{"approval", "credentials/jws", "credentials/strictjson", "people/roster"}, foreign: []string{"github.com/go-webauthn/webauthn"}},
	// Consents as a holder gives them, for tests.
	"internal/consenttest": {ours: []string{"audit", "claims", "vault"}},
	// Made-up people who join and agree, for tests.
	"internal/peopletest":       {adapter: true, ours: []string{"approval", "audit", "credentials/jws", "internal/passkey", "internal/passkey/software", "people", "people/roster"}},
	"internal/passkey/software": {ours: []string{"internal/passkey"}, foreign: []string{"github.com/descope/virtualwebauthn", "github.com/fxamacker/cbor/v2"}},

	// Who is signed in. It knows cookies, and no route.
	"internal/signin": {adapter: true},

	// They read what people photographed; files are opened by whoever asks.
	"internal/picture":       {ours: []string{"internal/picture/zxing", "verifier"}, foreign: []string{"golang.org/x/image"}},
	"internal/picture/zxing": {ours: []string{"internal/files"}, foreign: []string{"github.com/tetratelabs/wazero"}},
	"internal/picturetest":   {ours: []string{"credentials/card/symbol"}, foreign: []string{"github.com/skip2/go-qrcode"}},

	// Who asks a service over HTTP: it knows no rule, and of a body only the text that
	// cannot be printed by accident.
	"internal/caller": {adapter: true, ours: []string{"credentials/private", "internal/passkey/software"}},

	// The story speaks to the service as strangers do, over HTTP; of the domain
	// it takes what a client needs: claims to write, a pack to open, a message
	// to sign.
	"internal/demo": {adapter: true, ours: slices.Concat(domain, []string{"internal/caller", "internal/passkey/software"}), foreign: []string{"filippo.io/age", "github.com/skip2/go-qrcode", "golang.org/x/image"}},

	// What runs, examines and restores a network. The arrows go one way: recovery
	// examines what it brought back, doctor opens what service opens, and nobody
	// below knows the commands. files and config know no engine.
	"internal/files":   {adapter: true},
	"internal/config":  {adapter: true, ours: []string{"credentials/strictjson", "internal/files"}},
	"internal/offsite": {adapter: true, ours: []string{"credentials/strictjson", "vault", "verifier", "internal/files", "internal/keystore"}, foreign: []string{"golang.org/x/crypto/chacha20poly1305"}},
	// It wires the domain to the adapters, so it may import them all. Its tests
	// drive every route of the contract.
	"internal/service": {
		adapter: true,
		ours:    slices.Concat(domain, stores, []string{"docs/api", "internal/config", "internal/copies", "internal/files", "internal/httpapi", "internal/keystore", "internal/offsite", "internal/passkey", "internal/signer", "internal/signin", "internal/trouble", "web"}),
		foreign: []string{"golang.org/x/mod/sumdb/note", "golang.org/x/time/rate", "github.com/prometheus/client_golang"},
	},
	// It asks the engines themselves when the service cannot be opened.
	"internal/doctor": {
		adapter: true,
		// web for whether the pages are there; its tests change a roster
		ours: slices.Concat(stores, []string{"audit", "credentials", "network", "people/roster", "internal/config", "internal/files", "internal/service", "web"}),
	},
	"internal/recovery": {
		adapter: true,
		ours: []string{
			// network for the word that an agency is not there
			"audit", "credentials/jws", "network", "vault", "verifier", "internal/backup", "internal/config", "internal/doctor",
			"internal/files", "internal/keystore", "internal/offsite", "internal/service", "internal/signer", "internal/sqlstore",
		},
	},
	// It holds tests alone.
	"internal/enginetest": {adapter: true},

	// The commands: flags, words and what is asked of the rooms above.
	"cmd/safeconduct": {
		adapter: true,
		ours: []string{
			"credentials/card", "credentials/private", "credentials/strictjson", "network", "people", "vault", "verifier", "web",
			"people/roster", // its tests have people change one
			"internal/backup", "internal/caller", "internal/config", "internal/copies", "internal/demo", "internal/doctor", "internal/files", "internal/hcvault",
			"internal/passkey/software", "internal/picture", "internal/recovery", "internal/service",
		},
		foreign: []string{"github.com/spf13/cobra", "golang.org/x/term", "github.com/skip2/go-qrcode"},
	},
	// The browser build knows the verifier and what a verdict carries.
	"cmd/verifier-wasm": {adapter: true, ours: []string{"verifier", "credentials/private", "credentials/card"}},

	// One test holds three of the four faces against each other: it needs the
	// parts that a server is made of, and seals what our own sealer refuses to.
	"internal/threeways": {adapter: true, ours: slices.Concat(domain, []string{"internal/httpapi", "internal/keyfile", "internal/sqlstore"}), foreign: []string{"github.com/cloudflare/circl"}},

	// A second reader of packs and cards, made from their documents; it shares no
	// line with the verifier, and its tests hold the two against each other.
	"internal/secondreader": {foreign: []string{"golang.org/x/crypto"}},

	// What the holder was promised, as rules that know nothing of ours: what is wrong
	// elsewhere is not wrong here in the same way. Its test speaks HTTP to a service.
	"internal/promise": {adapter: true},

	// Who steals everything but the keys, and asks what it tells. It holds tests alone, and
	// reads the databases past our stores.
	"internal/thief": {adapter: true, foreign: []string{"modernc.org/sqlite"}},

	// The root holds tests only.
	".": {adapter: true},
}

// worldly are the parts of the standard library that reach outside the
// process. A room that cannot import them cannot tell anybody whom a check was
// about. log/slog is not among them: types about people import it to mask
// themselves, and no room has a logger.
var worldly = []string{
	"log/syslog", "net/http", "net/mail", "net/rpc", "net/smtp", "os", "plugin", "syscall",
}

// testOnly may be imported by tests of every room. cbor is there because a test
// shows that a private value refuses to be encoded with it. argon2 is
// there because the test of the browser build stretches codes as a page does.
var testOnly = []string{"github.com/fxamacker/cbor/v2", "github.com/google/go-cmp/cmp", "github.com/rogpeppe/go-internal/testscript", "github.com/skip2/go-qrcode", "golang.org/x/mod/sumdb/note", "golang.org/x/crypto/argon2", "golang.org/x/sys/unix", "filippo.io/age"}

// testRooms hold what tests share and nothing else imports.
var testRooms = []string{"internal/storetest", "internal/sqlitetest", "internal/s3test", "internal/pgtest", "internal/vaulttest", "internal/vectortest", "internal/picturetest", "internal/peopletest", "internal/consenttest"}

func TestRooms(t *testing.T) {
	files := goFiles(t)
	seen := map[string]bool{}
	for _, name := range files {
		dir := path.Dir(name)
		r, ok := rooms[dir]
		if !ok {
			if !seen[dir] {
				t.Errorf("%s holds Go code and has no row in rooms_test.go", dir)
			}
			seen[dir] = true
			continue
		}
		seen[dir] = true
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		if dir == "." && !strings.HasSuffix(name, "_test.go") {
			t.Errorf("%s: the root holds tests only", name)
		}
		for _, problem := range check(r, name, f) {
			t.Error(problem)
		}
	}
	for dir := range rooms {
		if !seen[dir] {
			t.Errorf("rooms_test.go has a row for %s, which holds no Go code", dir)
		}
	}
	t.Logf("%d files in %d rooms", len(files), len(seen))
}

// TestRoomsRefuse keeps TestRooms honest: it shows that the table says no.
func TestRoomsRefuse(t *testing.T) {
	cases := []struct {
		dir, file, src string
		refused        bool
	}{
		{"verifier", "v.go", `package verifier; import "net/http"`, true},
		{"verifier", "v.go", `package verifier; import "net/http/httptrace"`, true},
		{"verifier", "v.go", `package verifier; import "os"`, true},
		{"verifier", "v.go", `package verifier; import "unsafe"`, true},
		{"verifier", "v.go", `package verifier; import "testing"`, true},
		{"verifier", "v.go", `package verifier; import "` + module + `/credentials"`, true},
		{"verifier", "v.go", `package verifier; import "` + module + `/credentials/card"`, false},
		{"verifier", "v_test.go", `package verifier; import "net/http"`, true},
		{"verifier", "v_test.go", `package verifier; import "os"`, false},
		{"vault", "v.go", `package vault; import "` + module + `/internal/sqlstore"`, true},
		{"vault", "v_test.go", `package vault; import "` + module + `/internal/sqlstore"`, true},
		{"vault", "v_test.go", `package vault_test; import "` + module + `/internal/sqlstore"`, false},
		{"vault", "v_test.go", `package vault_test; import "` + module + `/internal/httpapi"`, true},
		{"vault", "v.go", `package vault; import "github.com/gin-gonic/gin"`, true},
		{"network", "n.go", `package network; import "` + module + `/vault"`, true},
		{"network", "n.go", `package network; import "` + module + `/verifier"`, false},
		{"network", "n.go", `package network; import "` + module + `/people"`, true},
		{"network", "n.go", `package network; import "` + module + `/people/token"`, false},
		{"people", "p.go", `package people; import "` + module + `/network"`, true},
		{"people", "p_test.go", `package people_test; import "` + module + `/network"`, false},
		{"internal/sqlstore", "s.go", `package sqlstore; import "database/sql"`, false},
		{"internal/sqlstore", "s.go", `package sqlstore; import "` + module + `/internal/pgtest"`, true},
		{"internal/sqlstore", "s_test.go", `package sqlstore; import "` + module + `/internal/pgtest"`, false},
		{"internal/httpapi", "h.go", `package httpapi; import "database/sql"`, true},
		{"internal/httpapi", "h.go", `package httpapi; import "` + module + `/internal/sqlstore"`, true},
		{"internal/service", "s.go", `package service; import "` + module + `/internal/sqlstore"`, false},
		{"internal/service", "s.go", `package service; import "` + module + `/internal/doctor"`, true},
		{"internal/service", "s.go", `package service; import "` + module + `/internal/recovery"`, true},
		{"internal/service", "s.go", `package service; import "github.com/spf13/cobra"`, true},
		{"internal/doctor", "d.go", `package doctor; import "` + module + `/internal/recovery"`, true},
		{"internal/doctor", "d.go", `package doctor; import "` + module + `/internal/service"`, false},
		{"internal/recovery", "r.go", `package recovery; import "` + module + `/internal/doctor"`, false},
		{"internal/recovery", "r.go", `package recovery; import "` + module + `/cmd/safeconduct"`, true},
		{"cmd/safeconduct", "m.go", `package main; import "` + module + `/internal/service"`, false},
		{"cmd/safeconduct", "m.go", `package main; import "` + module + `/internal/sqlstore"`, true},
	}
	for _, c := range cases {
		f, err := parser.ParseFile(token.NewFileSet(), c.file, c.src, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(check(rooms[c.dir], c.dir+"/"+c.file, f)) > 0; got != c.refused {
			t.Errorf("%s in %s: refused is %v, want %v", c.src, c.dir, got, c.refused)
		}
	}
}

// TestPackageComments holds every package to its first sentence.
func TestPackageComments(t *testing.T) {
	said := map[string]bool{}
	for _, name := range goFiles(t) {
		dir := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") && dir != "." {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		said[dir] = said[dir] || introduces(f, path.Base(dir))
	}
	for dir, ok := range said {
		if !ok {
			t.Errorf("%s: no file has a doc comment that begins with \"Package …\" (or \"Command …\" for a command)", dir)
		}
	}
}

// mostNames is how many exported names a room at the top may have. Whoever comes
// new to it reads them all; a room that needs more says why in its comment, in a
// sentence with the words "exported names because".
const mostNames = 120

// TestExportedNames counts what each room at the top exports: types, functions,
// constants and variables. Methods and fields are read with their type.
func TestExportedNames(t *testing.T) {
	names, reasons := map[string]int{}, map[string]bool{}
	for _, name := range goFiles(t) {
		dir := path.Dir(name)
		if strings.Contains(dir, "/") || dir == "." || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		names[dir] += len(exported(f))
		reasons[dir] = reasons[dir] || strings.Contains(strings.Join(strings.Fields(f.Doc.Text()), " "), "exported names because")
	}
	for dir, n := range names {
		if n > mostNames && !reasons[dir] {
			t.Errorf("%s has %d exported names, and its comment does not say why there are more than %d", dir, n, mostNames)
		}
	}
	if len(names) < 8 || names["credentials"] == 0 {
		t.Errorf("counted in %v: the reading of files is broken", names)
	}
	t.Logf("exported names: %v", names)
}

// exported lists the exported names at the top of a file.
func exported(f *ast.File) (names []string) {
	add := func(id *ast.Ident) {
		if id.IsExported() {
			names = append(names, id.Name)
		}
	}
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				add(d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					add(s.Name)
				case *ast.ValueSpec:
					for _, id := range s.Names {
						add(id)
					}
				}
			}
		}
	}
	return names
}

// introduces reports whether f carries the doc comment of its package, which
// lies in a directory called base.
func introduces(f *ast.File, base string) bool {
	want := "Package " + f.Name.Name + " "
	if f.Name.Name == "main" {
		want = "Command " + base + " "
	}
	return strings.HasPrefix(f.Doc.Text(), want)
}

// check returns what the file called name, parsed as f, imports against r.
func check(r room, name string, f *ast.File) []string {
	// Files under the tag failpoints exist in test builds alone.
	test := strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "/failpoint_on.go")
	outside := test && strings.HasSuffix(f.Name.Name, "_test")
	var problems []string
	refuse := func(p, why string) {
		problems = append(problems, fmt.Sprintf("%s imports %s: %s", name, p, why))
	}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // the parser has read it as a string literal
		}
		mine, ours := strings.CutPrefix(p, module+"/")
		switch {
		case ours:
			ok := slices.Contains(r.ours, mine) || slices.Contains(r.ours, "*")
			// A test that stands outside its package may use the real parts,
			// which live in internal/; it still may not reach for the faces.
			if outside && !strings.HasPrefix(mine, "cmd/") && mine != "internal/httpapi" {
				ok = true
			}
			// Every store passes the same suite, on a real server where it needs one.
			if test && r.adapter && slices.Contains(testRooms, mine) {
				ok = true
			}
			// Vectors and pictures are data alone, so that a test inside its package
			// may use them too.
			if test && (mine == "internal/vectortest" || mine == "internal/picturetest") {
				ok = true
			}
			// A test outside its package imports that package.
			if outside && mine == path.Dir(name) {
				ok = true
			}
			if !ok {
				refuse(p, "not among the rooms it may import")
			}
		case strings.Contains(strings.SplitN(p, "/", 2)[0], "."):
			if !within(p, r.foreign) && (!test || !within(p, testOnly)) {
				refuse(p, "not among the modules it may import")
			}
		case p == "unsafe":
			refuse(p, "no room needs it")
		case within(p, []string{"database/sql"}):
			if dir := path.Dir(name); !slices.Contains([]string{"internal/sqlstore", "internal/sqlitetest", "internal/thief"}, dir) {
				refuse(p, "SQL stays in internal/sqlstore")
			}
		case p == "net" || p == "log" || within(p, worldly):
			files := test && within(p, []string{"os"})
			if !r.adapter && !files && !slices.Contains(r.std, p) {
				refuse(p, "this room does not touch the world")
			}
		case within(p, []string{"testing"}):
			if !test && !slices.Contains(testRooms, path.Dir(name)) {
				refuse(p, "only tests test")
			}
		}
	}
	return problems
}

// within reports whether p is one of the prefixes or lies below one.
func within(p string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return p == prefix || strings.HasPrefix(p, prefix+"/")
	})
}

// goFiles lists every .go file of this module, whatever its build tags.
//
// It walks and reads the files itself: a test that asks `go list` is answered
// from the test cache after an import has changed (golang/go#30313).
func goFiles(t *testing.T) []string {
	t.Helper()
	return files(t, ".go")
}

// files lists every file of the tree whose name ends in ext, with forward
// slashes and relative to the root. Nested modules, test data and what builds
// leave behind are not part of the tree.
func files(t *testing.T, ext string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch {
			case name == ".":
				return nil
			case strings.HasPrefix(d.Name(), "."), d.Name() == "testdata", d.Name() == "node_modules",
				name == "build", name == "demo-data":
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ext) {
			found = append(found, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("found no %s file: the walk is broken", ext)
	}
	return found
}
