package safeconduct_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hostileCases are the numbers of docs/hostile-cases.md. One that is not there any more
// was lost.
var hostileCases = []int{
	39, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96, 97, 99, 100,
}

var (
	hostileRow  = regexp.MustCompile(`(?m)^\| ([0-9]+) \|.*\| ([^|]+) \|$`)
	hostileTest = regexp.MustCompile("`([a-z0-9/]+)\\.(Test\\w+)`")
	hostileSays = regexp.MustCompile(`[Hh]ostile cases? ([0-9]+(?:(?:, | and |, and )[0-9]+)*)`)
)

// TestDocsHostileCases holds the table of hostile cases to the tests: each case has a
// test, which says so, and each test that says so stands in the table. A row may name
// tests of a wider subject beside that one.
func TestDocsHostileCases(t *testing.T) {
	said := map[string][]int{}
	for test, doc := range testFuncs(t) {
		for _, m := range hostileSays.FindAllStringSubmatch(strings.Join(strings.Fields(doc), " "), -1) {
			for _, n := range regexp.MustCompile(`[0-9]+`).FindAllString(m[1], -1) {
				number, _ := strconv.Atoi(n)
				said[test] = append(said[test], number)
			}
		}
	}
	listed := map[int][]string{}
	for _, row := range hostileRow.FindAllStringSubmatch(read(t, "docs/hostile-cases.md"), -1) {
		number, _ := strconv.Atoi(row[1])
		if listed[number] != nil {
			t.Errorf("case %d has two rows", number)
		}
		for _, m := range hostileTest.FindAllStringSubmatch(row[2], -1) {
			listed[number] = append(listed[number], m[1]+"."+m[2])
		}
	}
	for _, number := range hostileCases {
		says := func(test string) bool { return slices.Contains(said[test], number) }
		if !slices.ContainsFunc(listed[number], says) {
			t.Errorf("case %d: none of %q says that it is this case", number, listed[number])
		}
	}
	for _, number := range slices.Sorted(maps.Keys(listed)) {
		if !slices.Contains(hostileCases, number) {
			t.Errorf("case %d has a row, and no number in hostileCases", number)
		}
	}
	for test, numbers := range said {
		for _, number := range numbers {
			if slices.Contains(hostileCases, number) && !slices.Contains(listed[number], test) {
				t.Errorf("%s says that it is case %d, and stands in no row of it", test, number)
			}
		}
	}
	if len(said) < 30 {
		t.Errorf("found %d tests of hostile cases: the search is broken", len(said))
	}
}

// testNamed is a test that a document names, with its package where it says that.
var testNamed = regexp.MustCompile(`(?:([a-z0-9/]+)\.)?\b((?:Test|Fuzz|Benchmark)[A-Z]\w*)`)

// TestDocsTests: a test that a document names is there.
func TestDocsTests(t *testing.T) {
	there := map[string]bool{}
	for test := range testFuncs(t) {
		there[test], there[strings.TrimPrefix(path.Ext(test), ".")] = true, true
	}
	named := 0
	for _, name := range files(t, ".md") {
		for _, m := range testNamed.FindAllStringSubmatch(read(t, name), -1) {
			named++
			if !there[m[0]] {
				t.Errorf("%s names %s, which is not there", name, m[0])
			}
		}
	}
	if named < 100 {
		t.Errorf("found %d names of tests: the search is broken", named)
	}
}

// testFuncs are all tests, fuzzers and benchmarks, as package.Name, and what stands above
// each.
func testFuncs(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, name := range goFiles(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && testNamed.MatchString(f.Name.Name) {
				docs[path.Dir(name)+"."+f.Name.Name] = f.Doc.Text()
			}
		}
	}
	return docs
}
