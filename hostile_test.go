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
	44, 45, 46, 47, 48, 49, 50, 51, 52, 55, 56, 57, 58, 59, 60, 61, 62, 72, 73, 74, 75, 76, 77, 78, 80, 82, 86, 91, 92, 93, 94, 95, 99, 100,
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
	said, there := map[string][]int{}, map[string]bool{}
	for _, name := range goFiles(t) {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			test := path.Dir(name) + "." + f.Name.Name
			there[test] = true
			for _, m := range hostileSays.FindAllStringSubmatch(strings.Join(strings.Fields(f.Doc.Text()), " "), -1) {
				for _, n := range regexp.MustCompile(`[0-9]+`).FindAllString(m[1], -1) {
					number, _ := strconv.Atoi(n)
					said[test] = append(said[test], number)
				}
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
		for _, test := range listed[number] {
			if !there[test] {
				t.Errorf("case %d: there is no %s", number, test)
			}
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
