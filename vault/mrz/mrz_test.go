package mrz_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/internal/vectortest"
	"github.com/safeconduct/safeconduct/vault/mrz"
)

func lines(text ...string) []private.String {
	out := make([]private.String, len(text))
	for i, s := range text {
		out[i] = private.New(s)
	}
	return out
}

func reveal(lines []private.String) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.Reveal()
	}
	return out
}

type vector struct {
	Type   string            `json:"type"`
	Lines  []string          `json:"lines"`
	Fields map[string]string `json:"fields"`
	Why    string            `json:"why"`
}

func vectors(t *testing.T) (valid, invalid []vector) {
	t.Helper()
	var file struct{ Valid, Invalid []vector }
	vectortest.ReadJSON(t, vectortest.Path(t, "mrz", "mrz.json"), &file)
	return file.Valid, file.Invalid
}

func TestVectors(t *testing.T) {
	valid, invalid := vectors(t)
	ran := 0
	for _, v := range valid {
		t.Run(v.Type, func(t *testing.T) {
			m, err := mrz.Parse(lines(v.Lines...))
			if err != nil {
				t.Fatal(err)
			}
			if string(m.Format) != v.Type {
				t.Errorf("format %s, want %s", m.Format, v.Type)
			}
			if m.Checks.Failed() || m.Checks.Number != mrz.Pass || m.Checks.BirthDate != mrz.Pass || m.Checks.Expiry != mrz.Pass {
				t.Errorf("checks %+v", m.Checks)
			}
			got := map[string]string{
				"number": m.Number.Reveal(), "nationality": m.Nationality.Reveal(), "dob": m.BirthDate.Reveal(),
				"sex": m.Sex.Reveal(), "expiry": m.Expiry.Reveal(), "personal": m.Optional.Reveal(),
				"surname": m.Surname.Reveal(), "given": m.GivenNames.Reveal(),
			}
			for name, want := range v.Fields {
				if g, known := got[name]; !known || g != want {
					t.Errorf("%s: %q, want %q", name, g, want)
				}
			}
			again, err := mrz.Compose(m.Fields)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(reveal(again), v.Lines) {
				t.Errorf("composed\n%s\nwant\n%s", strings.Join(reveal(again), "\n"), strings.Join(v.Lines, "\n"))
			}
			ran++
		})
	}
	// What the reason in the file means for each reader: a digit that fails is
	// a result, a line that cannot be cut into fields is an error.
	expect := map[string]string{
		"document number check digit": "number,composite",
		"date of birth altered":       "birthDate,composite",
		"composite check digit":       "composite",
		"line 1 has 43 characters":    mrz.CodeLength,
		"digit in the name field: no check digit covers names; only a character rule catches it": mrz.CodeAlphabet,
	}
	for _, v := range invalid {
		t.Run(v.Why, func(t *testing.T) {
			want, known := expect[v.Why]
			if !known {
				t.Fatal("a case that this test does not know")
			}
			m, err := mrz.Parse(lines(v.Lines...))
			var got string
			var structural *mrz.Error
			switch {
			case errors.As(err, &structural):
				got = structural.Problems[0].Code
			case err != nil:
				t.Fatal(err)
			default:
				got = strings.Join(failed(m.Checks), ",")
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			ran++
		})
	}
	t.Logf("mrz/mrz.json: %d cases (%d valid, %d invalid)", ran, len(valid), len(invalid))
	if ran != len(valid)+len(invalid) || ran == 0 {
		t.Errorf("%d cases ran, the file has %d", ran, len(valid)+len(invalid))
	}
}

func failed(c mrz.Checks) []string {
	var out []string
	for _, f := range []struct {
		name   string
		result mrz.Result
	}{{"number", c.Number}, {"birthDate", c.BirthDate}, {"expiry", c.Expiry}, {"optional", c.Optional}, {"composite", c.Composite}} {
		if f.result == mrz.Fail {
			out = append(out, f.name)
		}
	}
	return out
}

const (
	td3a = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"
	td3b = "L898902C36UTO7408122F1204159ZE184226B<<<<<10"
)

func TestChecks(t *testing.T) {
	pass, fail, absent := mrz.Pass, mrz.Fail, mrz.Absent
	for _, c := range []struct {
		name  string
		lines []string
		want  mrz.Checks
	}{
		{"all five", []string{td3a, td3b}, mrz.Checks{pass, pass, pass, pass, pass}},
		{"empty personal number without a digit", []string{td3a, "L898902C36UTO7408122F1204159<<<<<<<<<<<<<<<8"}, mrz.Checks{pass, pass, pass, absent, pass}},
		{"empty personal number with 0", []string{td3a, "L898902C36UTO7408122F1204159<<<<<<<<<<<<<<08"}, mrz.Checks{pass, pass, pass, pass, pass}},
		{"filler instead of a digit is not a pass", []string{td3a, "L898902C3<UTO7408122F1204159ZE184226B<<<<<10"}, mrz.Checks{absent, pass, pass, pass, fail}},
		{"long number", []string{"I<UTOD23145890<7349<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<"}, mrz.Checks{pass, pass, pass, absent, pass}},
		{"long number altered", []string{"I<UTOD23145890<7359<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<"}, mrz.Checks{fail, pass, pass, absent, fail}},
		{"visa has no composite", []string{"V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<", "L8988901C4XXX4009078F9612109<<<<<<<<"}, mrz.Checks{pass, pass, pass, absent, absent}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := mrz.Parse(lines(c.lines...))
			if err != nil {
				t.Fatal(err)
			}
			if m.Checks != c.want {
				t.Errorf("got %+v, want %+v", m.Checks, c.want)
			}
		})
	}
}

func TestLongNumber(t *testing.T) {
	m, err := mrz.Parse(lines("I<UTOD23145890<7349<AB12<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<"))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Number.Reveal() + " " + m.Optional.Reveal(); got != "D23145890734 AB12" {
		t.Errorf("got %s", got)
	}
	again, err := mrz.Compose(m.Fields)
	if err != nil {
		t.Fatal(err)
	}
	if got := again[0].Reveal(); got != "I<UTOD23145890<7349<AB12<<<<<<" {
		t.Errorf("composed %s", got)
	}
}

func TestStructure(t *testing.T) {
	edit := func(line, at int, c byte) []string {
		l := [][]byte{[]byte(td3a), []byte(td3b)}
		l[line-1][at-1] = c
		return []string{string(l[0]), string(l[1])}
	}
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"none", nil, "mrz: line_count"},
		{"one", []string{td3a}, "mrz: line_count"},
		{"four", []string{td3a, td3b, td3a, td3b}, "mrz: line_count"},
		{"both too long", []string{td3a + "<", td3b + "<"}, "mrz: line 1: line_length; line 2: line_length"},
		{"trailing space is not trimmed", []string{td3a, td3b + " "}, "mrz: line 2: line_length"},
		{"lower case is not folded", edit(1, 6, 'e'), "mrz: line 1, characters 6 to 6: character"},
		{"letter in a date", edit(2, 14, 'O'), "mrz: line 2, characters 14 to 14: character"},
		{"letter as check digit", edit(2, 44, 'O'), "mrz: line 2, characters 44 to 44: character"},
		{"digit in a state", edit(1, 3, '0'), "mrz: line 1, characters 3 to 3: character"},
		{"filler inside a state", edit(1, 4, '<'), "mrz: line 1, characters 3 to 5: filler"},
		{"sex", edit(2, 21, 'X'), "mrz: line 2, characters 21 to 21: character"},
		{"a longer name", edit(1, 25, 'X'), ""},
		{"two at once", []string{"P<UT0ERIKSS0N<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", td3b},
			"mrz: line 1, characters 5 to 5: character; line 1, characters 12 to 12: character"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mrz.Parse(lines(c.lines...))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestOddNames: names are read as they are printed, and what is unusual about
// them is said. A name whose parts cannot be told apart is still a name.
func TestOddNames(t *testing.T) {
	const filler, names = mrz.CodeFiller, mrz.CodeNames
	for _, c := range []struct {
		printed, surname, given string
		odd                     string
		from, to                int
	}{
		{"ERIKSSON<<ANNA<MARIA", "ERIKSSON", "ANNA MARIA", "", 0, 0},
		{"SITI", "SITI", "", "", 0, 0},
		{"<<RAVINDRA", "", "RAVINDRA", filler, 6, 6},
		{"<<RAVINDRA<KUMAR", "", "RAVINDRA KUMAR", filler, 6, 6},
		{"<<<RAVINDRA", "", "RAVINDRA", filler, 6, 6},
		{"<RAVINDRA", "RAVINDRA", "", filler, 6, 6},
		{"<KUMAR<<RAVINDRA", "KUMAR", "RAVINDRA", filler, 6, 6},
		{"", "", "", filler, 6, 6},
		{"KUMAR<<<RAVINDRA", "KUMAR", "RAVINDRA", names, 11, 21},
		{"KUMAR<<RAVINDRA<<SINGH", "KUMAR", "RAVINDRA SINGH", names, 11, 27},
		{"KUMAR<<RAVINDRA<<<SINGH", "KUMAR", "RAVINDRA SINGH", names, 11, 28},
	} {
		t.Run(c.printed, func(t *testing.T) {
			line := "P<IND" + c.printed + strings.Repeat("<", 39-len(c.printed))
			m, err := mrz.Parse(lines(line, td3b))
			if err != nil {
				t.Fatal(err)
			}
			if m.Surname.Reveal() != c.surname || m.GivenNames.Reveal() != c.given {
				t.Errorf("read %q and %q", m.Surname.Reveal(), m.GivenNames.Reveal())
			}
			if m.Lines()[0].Reveal() != line {
				t.Error("the line is not as printed")
			}
			var want []mrz.Problem
			if c.odd != "" {
				want = []mrz.Problem{{Line: 1, From: c.from, To: c.to, Code: c.odd}}
			}
			if !slices.Equal(m.Oddities, want) {
				t.Errorf("oddities %v, want %v", m.Oddities, want)
			}
		})
	}
}

func TestCompose(t *testing.T) {
	base := mrz.Fields{
		Format: mrz.TD3, Code: private.New("P"), State: private.New("D"), Surname: private.New("Müller-Łukasz"),
		GivenNames: private.New("Søren d'Été"), Number: private.New("C01X00T47"), Nationality: private.New("D"),
		BirthDate: private.New("640812"), Sex: private.New("F"), Expiry: private.New("270228"),
	}
	for _, c := range []struct {
		name string
		edit func(*mrz.Fields)
		line int
		want string
	}{
		{"transcribed", func(*mrz.Fields) {}, 0, "P<D<<MUELLER<LUKASZ<<SOEREN<DETE<<<<<<<<<<<<"},
		{"one name only", func(f *mrz.Fields) { f.Surname, f.GivenNames = private.New("Siti"), private.String{} }, 0,
			"P<D<<SITI<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<"},
		{"long surname leaves a letter of the given name", func(f *mrz.Fields) { f.Surname = private.New(strings.Repeat("AB", 40)) }, 0,
			"P<D<<" + strings.Repeat("AB", 18) + "<<S"},
		{"numbers", func(*mrz.Fields) {}, 1, "C01X00T478D<<6408125F2702283<<<<<<<<<<<<<<<4"},
		{"script without a rule", func(f *mrz.Fields) { f.Surname = private.New("Сити") }, -1, mrz.CodeUnwritable},
		{"number too long for a passport", func(f *mrz.Fields) { f.Number = private.New("C01X00T4712") }, -1, mrz.CodeTooLong},
		{"value that would be read as another", func(f *mrz.Fields) { f.Number = private.New("C01X00T<") }, -1, mrz.CodeFiller},
		{"lower case number", func(f *mrz.Fields) { f.Number = private.New("c01") }, -1, mrz.CodeAlphabet},
		{"no such layout", func(f *mrz.Fields) { f.Format = "TD4" }, -1, mrz.CodeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := base
			c.edit(&f)
			out, err := mrz.Compose(f)
			var structural *mrz.Error
			switch {
			case errors.As(err, &structural):
				if c.line != -1 || structural.Problems[0].Code != c.want {
					t.Errorf("got %v, want %s", err, c.want)
				}
			case err != nil:
				t.Fatal(err)
			case c.line == -1:
				t.Error("no error")
			default:
				if got := out[c.line].Reveal(); got != c.want {
					t.Errorf("got\n%s, want\n%s", got, c.want)
				}
			}
		})
	}
}

func TestErrorsRepeatNothing(t *testing.T) {
	_, err := mrz.Parse(lines("P<UTOSECRET1<<NAME<<<<<<<<<<<<<<<<<<<<<<<<<<", td3b))
	if err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("got %v", err)
	}
	m, err := mrz.Parse(lines(td3a, td3b))
	if err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprintf("%+v %#v", m, m); strings.Contains(s, "ERIKSSON") || strings.Contains(s, "L898902C3") {
		t.Errorf("printed a value: %s", s)
	}
}

func ExampleParse() {
	m, err := mrz.Parse([]private.String{
		private.New("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"),
		private.New("L898902C35UTO7408122F1204159ZE184226B<<<<<10"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Format, m.Surname, m.Surname.Reveal())
	fmt.Println(m.Checks.Number, m.Checks.BirthDate, m.Checks.Composite)
	// Output:
	// TD3 [private] ERIKSSON
	// fail pass fail
}

// FuzzParse: never panics, says the same twice, keeps the lines, and what it
// read composes to lines that it reads as the same fields.
func FuzzParse(f *testing.F) {
	f.Add(td3a, td3b, "")
	f.Add("I<UTOD23145890<7349<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<4", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<")
	f.Add("V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<", "L8988901C4XXX4009078F9612109<<<<<<<<", "")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		in := lines(a, b)
		if c != "" {
			in = lines(a, b, c)
		}
		m, err := mrz.Parse(in)
		if err != nil {
			var structural *mrz.Error
			if !errors.As(err, &structural) || len(structural.Problems) == 0 {
				t.Fatalf("an error without a problem: %v", err)
			}
			return
		}
		if !slices.Equal(reveal(m.Lines()), reveal(in)) {
			t.Fatal("the lines changed")
		}
		again, err := mrz.Parse(m.Lines())
		if err != nil || !same(again.Fields, m.Fields) || again.Checks != m.Checks {
			t.Fatalf("second reading differs: %v", err)
		}
		composed, err := mrz.Compose(m.Fields)
		if err != nil {
			return // printed in a way that we would not print
		}
		back, err := mrz.Parse(composed)
		if err != nil || !same(back.Fields, m.Fields) || back.Checks.Failed() {
			t.Fatalf("composed %q, read back differs: %v %+v", reveal(composed), err, back.Checks)
		}
	})
}

func same(a, b mrz.Fields) bool {
	show := func(f mrz.Fields) string {
		return strings.Join(reveal([]private.String{private.New(string(f.Format)), f.Code, f.State, f.Surname, f.GivenNames,
			f.Number, f.Nationality, f.BirthDate, f.Sex, f.Expiry, f.Optional, f.More}), "|")
	}
	return show(a) == show(b)
}
