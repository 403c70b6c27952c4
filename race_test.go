package safeconduct_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRoomsAlone: a room that the Makefile tests without the race detector, because it
// does one thing at a time, starts nothing beside itself and guards nothing from others.
func TestRoomsAlone(t *testing.T) {
	listed := regexp.MustCompile(`(?m)^ALONE := ((?:.*\\\n)*.*)$`).FindStringSubmatch(read(t, "Makefile"))
	if listed == nil {
		t.Fatal("the Makefile has no list ALONE")
	}
	read := map[string]int{}
	for _, room := range strings.Fields(strings.ReplaceAll(listed[1], "\\\n", " ")) {
		read[path.Clean(room)] = 0
	}
	for _, name := range goFiles(t) {
		if _, ok := read[path.Dir(name)]; !ok {
			continue
		}
		read[path.Dir(name)]++
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range beside(t, name, text) {
			t.Errorf("%s: %s. What runs side by side is tested with the race detector: take its room from ALONE in the Makefile", name, what)
		}
	}
	for room, files := range read {
		if files == 0 {
			t.Errorf("ALONE in the Makefile names %s, which holds no Go code", room)
		}
	}
}

// TestRoomsAloneRefuse keeps the test above honest.
func TestRoomsAloneRefuse(t *testing.T) {
	for text, want := range map[string]int{
		"package a\nfunc f() { f() }":                            0,
		"package a\nfunc f() { go f() }":                         1,
		"package a\nimport \"sync\"\nvar f sync.Once":            1,
		"package a\nimport \"sync/atomic\"":                      1,
		"package a\nfunc TestF(t *T) { t.Parallel() }":           1,
		"package a\nfunc f() { run(func() { go func() {}() }) }": 1,
	} {
		if got := beside(t, "a.go", []byte(text)); len(got) != want {
			t.Errorf("%q: got %q, want %d", text, got, want)
		}
	}
}

// beside says what a file has run side by side with something else.
func beside(t *testing.T, name string, text []byte) (found []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range f.Imports {
		if slices.Contains([]string{`"sync"`, `"sync/atomic"`, `"golang.org/x/sync/errgroup"`}, i.Path.Value) {
			found = append(found, "imports "+i.Path.Value)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "starts a goroutine")
		case *ast.SelectorExpr:
			if n.Sel.Name == "Parallel" {
				found = append(found, "has a test beside others")
			}
		}
		return true
	})
	return found
}
