package invalid_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

var now = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// found runs one check and writes what it found as pointers and codes.
func found(check func(*invalid.Checker)) string {
	c := invalid.New(now)
	check(c)
	var all []string
	for _, p := range c.Problems() {
		all = append(all, p.Pointer+" "+p.Code)
	}
	return strings.Join(all, ", ")
}

func TestError(t *testing.T) {
	c := invalid.New(now)
	if err := c.Err(); err != nil {
		t.Errorf("nothing was asked: %v", err)
	}
	c.Name("/name", private.New("SecretValue\n"), invalid.Required)
	c.Country("/country", "SecretValue", invalid.Required)
	err := c.Err()
	if !errors.Is(err, invalid.ErrInput) || len(c.Problems()) != 3 {
		t.Errorf("got %v, want three problems", err)
	}
	if s := err.Error(); strings.Contains(s, "SecretValue") || !strings.Contains(s, "/country is three capital letters") {
		t.Errorf("got %q", s)
	}
}

// A name is kept as people write it, in every script that they write it in.
func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"សុខ\u200bសំណាង": "", "နှင်းဆီ": "", "สมศรี": "", "क्ष\u200dमा": "", "عبد الله": "", "عبد\u200fالله": "", "王小明": "", "O'Neill-Sató Jr.": "", "X": "",
		"": "/n required", "12345": "/n format", " Ann": "/n format", "Ann ": "/n format", "Ann\u3000": "/n format",
		"An\nn": "/n format", "An\u2028n": "/n format", "An\u202en": "/n format", "An\u2066n": "/n format", "An\x00n": "/n format", "An\ufeffn": "/n format", "An\ue000n": "/n format", "\xff": "/n format",
		strings.Repeat("ស", invalid.MaxLine): "", strings.Repeat("ស", invalid.MaxLine+1): "/n too_long",
	} {
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			if got := found(func(c *invalid.Checker) { c.Name("/n", private.New(name), invalid.Required) }); got != want {
				t.Errorf("%q: got %q, want %q", name, got, want)
			}
		})
	}
}

func TestTexts(t *testing.T) {
	for text, want := range map[string]string{
		"two\nlines": "", "a\tcolumn": "", "a\rb": "/t format", strings.Repeat("x", invalid.MaxText): "", strings.Repeat("x", invalid.MaxText+1): "/t too_long", "": "",
	} {
		if got := found(func(c *invalid.Checker) { c.Text("/t", private.New(text), invalid.Optional) }); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestDates(t *testing.T) {
	all := []string{invalid.FormDay, invalid.FormMonth, invalid.FormYear}
	for _, c := range []struct {
		value, day, past string // what Day and PastDate say; the latter takes every form
	}{
		{"2026-03-10", "", ""}, {"2026-03-11", "", ""}, {"2026-03-12", "", "/d range"},
		{"2026-03", "/d format", ""}, {"2026-04", "/d format", "/d range"}, {"2026", "/d format", ""}, {"2027", "/d format", "/d range"},
		{"1900-01-01", "", ""}, {"1899-12-31", "/d range", "/d range"}, {"1899", "/d format", "/d range"},
		{"2199-12-31", "", "/d range"}, {"2200-01-01", "/d range", "/d range"},
		{"2026-02-30", "/d format", "/d format"}, {"26-03-10", "/d format", "/d format"}, {"2026-3-1", "/d format", "/d format"}, {"", "/d required", "/d required"},
	} {
		t.Run(c.value, func(t *testing.T) {
			if got := found(func(k *invalid.Checker) { k.Day("/d", c.value, invalid.Required) }); got != c.day {
				t.Errorf("day %s: got %q, want %q", c.value, got, c.day)
			}
			if got := found(func(k *invalid.Checker) { k.PastDate("/d", c.value, invalid.Required, all...) }); got != c.past {
				t.Errorf("past date %s: got %q, want %q", c.value, got, c.past)
			}
		})
	}
}

// Papers of four countries print years that are 543 ahead. Who copies one is
// told so, and no year but the example's is named.
func TestBuddhistYears(t *testing.T) {
	for value, hint := range map[string]bool{"2540-05-01": true, "2569": true, "1370-05-01": false, "2300-01-01": false} {
		c := invalid.New(now)
		c.Date("/d", value, invalid.Required, invalid.FormDay, invalid.FormYear)
		c.PastDate("/d", value, invalid.Required, invalid.FormDay, invalid.FormYear)
		for _, p := range c.Problems() {
			if p.Code != invalid.CodeRange || strings.Contains(p.Rule, "2540 there is 1997 here") != hint || strings.Contains(p.Rule, "2569") {
				t.Errorf("%s: got %+v", value, p)
			}
		}
		if len(c.Problems()) != 2 {
			t.Errorf("%s: got %d problems, want 2", value, len(c.Problems()))
		}
	}
}

func TestComingDay(t *testing.T) {
	for day, want := range map[string]string{
		"2026-03-10": "", "2026-03-09": "/d range", "2027-03-10": "", "2027-03-12": "/d range", "2569-03-10": "/d range", "soon": "/d format", "": "/d required",
	} {
		if got := found(func(c *invalid.Checker) { c.ComingDay("/d", day, invalid.Required) }); got != want {
			t.Errorf("%s: got %q, want %q", day, got, want)
		}
	}
}

// The zero Checker knows no present, and so takes no day for past.
func TestZeroChecker(t *testing.T) {
	var c invalid.Checker
	if c.PastDay("/d", "2020-01-01", invalid.Required); c.Err() == nil {
		t.Error("a day has come and nobody said what day it is")
	}
	c = invalid.Checker{}
	if c.ComingDay("/d", "2199-01-01", invalid.Required); c.Err() == nil {
		t.Error("a day is to come and nobody said what day it is")
	}
}

func TestLists(t *testing.T) {
	got := found(func(c *invalid.Checker) {
		c.OneOf("/a", "", []string{"x"}, invalid.Optional)
		c.OneOf("/b", "", []string{"x"}, invalid.Required)
		c.OneOf("/c", "y", []string{"x"}, invalid.Required)
		c.Distinct("/d", []string{"x", "", "x", ""})
		if c.Count("/e", 3, 2) {
			c.Add("/e", "counted", "")
		}
		c.Only("/f", true, false, "goes with something")
		c.Must(false, "/g", invalid.CodeRange, "is so")
		c.ID("/h", "xyz", invalid.Optional)
		c.Agency("/i", "../", invalid.Optional)
	})
	if want := "/b required, /c not_in_list, /d/2 duplicate, /e too_many, /f not_allowed, /g range, /h format, /i format"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTidy(t *testing.T) {
	type inner struct{ Name private.String }
	type form struct {
		Name, Empty private.String
		Code        string
		One         *inner
		None        *inner
		Many        []inner
		Texts       []private.String
	}
	name := func(s string) private.String { return private.New(s) }
	f := form{
		Name: name(" Ann "), Empty: name(" \t"), Code: " code ", One: &inner{name("\u202aAnn\u202c")},
		Many: []inner{{name("Ann\u3000")}, {name("Anna\r\nMaria\rX")}}, Texts: []private.String{name("\ufeffAnn\u200b\u200f"), name("ه\u200d")},
	}
	invalid.Tidy(&f)
	got := []string{f.Name.Reveal(), f.Empty.Reveal(), f.Code, f.One.Name.Reveal(), f.Many[0].Name.Reveal(), f.Many[1].Name.Reveal(), f.Texts[0].Reveal(), f.Texts[1].Reveal()}
	want := []string{"Ann", "", " code ", "Ann", "Ann", "Anna\nMaria\nX", "Ann", "ه\u200d"}
	if !slices.Equal(got, want) || !f.Empty.IsZero() {
		t.Errorf("got %q, want %q", got, want)
	}
}
