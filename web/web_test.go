package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// maxDownload is what a device fetches once, in bytes as they travel: some
// minutes on the network of a border post.
const maxDownload = 3_000_000

type part struct {
	Path   string `json:"path"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
}

type parts struct {
	Bytes int               `json:"bytes"`
	Shell []part            `json:"shell"`
	Items []part            `json:"items"`
	Files map[string][]part `json:"files"`
}

// maxFirst is what the first screen of a page takes that needs a network anyway,
// with its style and its English words, in bytes as they travel.
const maxFirst = 60_000

// readParts reads what scripts/web.sh built of a page. A tree in which it did not run
// has no pages, which is a failure in CI alone.
func readParts(t *testing.T, page string) parts {
	t.Helper()
	data, err := fs.ReadFile(dist, "dist/"+page+"/parts.json")
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") != "true" {
		t.Skip("the pages are not built: scripts/web.sh")
	}
	if err != nil {
		t.Fatal(err)
	}
	var p parts
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// file reads a file under the path that it is served under.
func file(t *testing.T, path string) []byte {
	t.Helper()
	name := strings.TrimPrefix(path, "/")
	if !strings.Contains(name, "/") {
		name += ".html"
	}
	data, err := fs.ReadFile(dist, "dist/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDownload: everything that the page asks for is there, is what its name
// and its digest say, and all of it together is small enough.
func TestDownload(t *testing.T) {
	p := readParts(t, "check")
	total := 0
	for _, f := range append(p.Shell, p.Items...) {
		data := file(t, f.Path)
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("%s has another content than it is listed with", f.Path)
		}
		travels := len(data)
		if packed, err := fs.ReadFile(dist, "dist/"+strings.TrimPrefix(f.Path, "/")+".gz"); err == nil {
			travels = len(packed)
			if !bytes.Equal(unpack(t, packed), data) {
				t.Errorf("%s.gz holds something else", f.Path)
			}
		} else if f.Path == "/check" {
			travels = f.Bytes // the desk is written into it when it is served
		}
		if travels != f.Bytes {
			t.Errorf("%s: %d bytes travel, %d are listed", f.Path, travels, f.Bytes)
		}
		total += travels
	}
	if total != p.Bytes {
		t.Errorf("%d bytes travel, %d are listed", total, p.Bytes)
	}
	if total > maxDownload || total < maxDownload/4 {
		t.Errorf("%d bytes are fetched once, want at most %d and a verifier among them", total, maxDownload)
	}
	t.Logf("%d bytes in %d files", total, len(p.Shell)+len(p.Items))
}

// TestFirstScreen: a page that is no installed application comes quickly on a slow
// line.
func TestFirstScreen(t *testing.T) {
	for _, page := range Pages {
		if page.Offline {
			continue
		}
		total := 0
		for _, f := range readParts(t, page.Name).Shell {
			total += f.Bytes
		}
		if total > maxFirst || total < maxFirst/10 {
			t.Errorf("%s: the first screen has %d bytes, want %d at most", page.Name, total, maxFirst)
		}
	}
}

// TestParts: the parts of a large file, joined, are that file.
func TestParts(t *testing.T) {
	p := readParts(t, "check")
	listed := map[string]bool{}
	for _, f := range p.Items {
		listed[f.Path] = true
	}
	for _, name := range []string{"verifier.wasm", "zxing.wasm"} {
		var packed []byte
		for _, f := range p.Files[name] {
			if f.Bytes > 128<<10 || !listed[f.Path] {
				t.Errorf("%s: part %s of %d bytes, listed: %v", name, f.Path, f.Bytes, listed[f.Path])
			}
			packed = append(packed, file(t, f.Path)...)
		}
		if wasm := unpack(t, packed); !bytes.HasPrefix(wasm, []byte("\x00asm")) {
			t.Errorf("%s is no WebAssembly", name)
		}
	}
}

// TestPageIsAlone: nothing in a page comes from another address, and nothing in it
// would need a weaker policy.
func TestPageIsAlone(t *testing.T) {
	for _, page := range Pages {
		t.Run(page.Name, func(t *testing.T) { holdAlone(t, "/"+page.Name, readParts(t, page.Name)) })
	}
}

// excepted lists what a library can do and our programs do not, as a test of the
// sources says; the page's policy would stop it.
var excepted = map[string]string{
	"cdn.jsdelivr.net": "/check/scan-", // the reader of symbols would fetch its program there if it were not given one
	"innerHTML":        "/admin/app-",  // Preact sets markup for whoever asks it to
}

func holdAlone(t *testing.T, page string, p parts) {
	t.Helper()
	for _, f := range append(p.Shell, p.Items...) {
		if strings.Contains(f.Path, "/parts/") {
			continue
		}
		data := string(file(t, f.Path))
		for _, no := range []string{"cdn.jsdelivr.net", "unpkg.com", "innerHTML", "document.write", "new Function(", "eval("} {
			library, known := excepted[no]
			if strings.Contains(data, no) && (!known || !strings.HasPrefix(f.Path, library)) {
				t.Errorf("%s contains %s", f.Path, no)
			}
		}
	}
	text := string(file(t, page))
	if strings.Contains(text, "http:") || strings.Contains(text, "https:") || strings.Contains(text, "style=") {
		t.Error("the page names an address or a style of its own")
	}
	if n := strings.Count(text, `<meta name="desk" content="">`); n != 1 {
		t.Errorf("the page has %d places for the desk", n)
	}
}

// TestScripts runs the tests of the page's own scripts on node.
func TestScripts(t *testing.T) {
	node, err := exec.LookPath("node")
	if _, missing := os.Stat("node_modules"); err != nil || missing != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("node or what the pages are built with is missing: %v, %v", err, missing)
		}
		t.Skip("no node, or the pages were never built: scripts/web.sh")
	}
	// What node reads is no part of this test as far as the test cache can see
	// (golang/go#30313), unless it is read here.
	for _, root := range []string{"src", "test", "test.mjs", "package-lock.json", "catalogues/en.json", "../docs/api/openapi.yaml", "../people/roster/changes.go", "../people/roster/roles.go"} {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				_, err = os.ReadFile(name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(node, "test.mjs").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("# fail 0")) || bytes.Contains(out, []byte("# pass 0")) {
		t.Errorf("no test ran:\n%s", out)
	}
}

// TestPageDescriptions: no page may run what is not ours, be framed, or send a
// form away unless it has to.
func TestPageDescriptions(t *testing.T) {
	folders, err := os.ReadDir("src")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range folders {
		if f.Name() != "shared" {
			names = append(names, f.Name())
		}
	}
	described := make([]string, 0, len(Pages))
	for _, p := range Pages {
		described = append(described, p.Name)
		t.Run(p.Name, func(t *testing.T) { holdPage(t, p) })
	}
	if !slices.Equal(names, described) {
		t.Errorf("folders %q, described %q", names, described)
	}
	for _, wrong := range []string{`{`, `{"may": ["camera", "everything"]}`, `{"polcy": []}`} {
		if _, err := describe("wrong", []byte(wrong)); err == nil {
			t.Errorf("%s is taken for a page", wrong)
		}
	}
}

func holdPage(t *testing.T, p Page) {
	t.Helper()
	for _, rule := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
		if !slices.Contains(strings.Split(p.Policy, "; "), rule) {
			t.Errorf("the policy lacks %s", rule)
		}
	}
	for directive := range strings.SplitSeq(p.Policy, "; ") {
		name, sources, _ := strings.Cut(directive, " ")
		for source := range strings.FieldsSeq(sources) {
			switch {
			case slices.Contains([]string{"'none'", "'self'"}, source):
			case name == "script-src" && source == "'wasm-unsafe-eval'":
			case slices.Contains([]string{"img-src", "media-src"}, name) && slices.Contains([]string{"blob:", "data:"}, source):
			case slices.Contains([]string{"require-trusted-types-for", "trusted-types"}, name):
			default:
				t.Errorf("the policy allows %s", directive)
			}
		}
	}
	if strings.Count(p.Permissions, "=") != len(features) || strings.Contains(p.Permissions, "*") {
		t.Errorf("permissions %q", p.Permissions)
	}
}

// TestBuilt: a binary without its pages knows it.
func TestBuilt(t *testing.T) {
	page := Page{Name: "check", Files: fstest.MapFS{}}
	if err := page.Built(); !errors.Is(err, ErrNotBuilt) {
		t.Errorf("got %v", err)
	}
	page.Files = fstest.MapFS{"check.html": {}}
	if err := page.Built(); err != nil {
		t.Errorf("got %v", err)
	}
}

func unpack(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
