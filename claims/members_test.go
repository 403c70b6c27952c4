package claims_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/claims"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// form has a member of every form.
type form struct {
	Line     private.String   `json:"line,omitzero" is:"required"`
	Name     private.String   `json:"name,omitzero" is:"name"`
	Text     private.String   `json:"text,omitzero" is:"text"`
	Digest   private.String   `json:"digest,omitzero" is:"digest"`
	Date     private.String   `json:"date,omitzero" is:"date,past"`
	Sex      private.String   `json:"sex,omitzero" list:"sex"`
	Country  string           `json:"country,omitempty" is:"country"`
	Language string           `json:"language,omitempty" is:"language"`
	Script   string           `json:"script,omitempty" is:"script"`
	ID       string           `json:"id,omitempty" is:"id"`
	Agency   string           `json:"agency,omitempty" is:"agency"`
	Code     string           `json:"code,omitempty" list:"alone"`
	Day      claims.Day       `json:"day,omitempty"`
	Came     claims.Day       `json:"came,omitempty" is:"past"`
	Comes    claims.Day       `json:"comes,omitempty" is:"coming"`
	Number   int              `json:"number" is:"min=2,max=3"`
	Codes    []string         `json:"codes,omitempty" list:"alone"`
	Lines    []private.String `json:"lines,omitempty" is:"max=2"`
	Inner    *inner           `json:"inner,omitempty"`
	Many     []inner          `json:"many,omitempty" is:"max=1"`
}

type inner struct {
	Known *claims.PartialDate `json:"known,omitempty" is:"required"`
}

func TestCheckMembers(t *testing.T) {
	p := private.New
	for _, c := range []struct {
		name string
		form form
		want string
	}{
		{"nothing", form{Number: 2}, "/line required"},
		{
			"all right",
			form{
				Line: p("a line"), Name: p("Ann"), Text: p("two\nlines"), Digest: p(strings.Repeat("0a", 32)), Date: p("1999-07"), Sex: p("X"),
				Country: "UTO", Language: "khm", Script: "Khmr", ID: strings.Repeat("a", 32), Agency: "open-door", Code: "unsure", Day: "2030-01-01",
				Came: "2026-03-10", Comes: "2026-03-10", Number: 3, Codes: []string{"yes", "no"}, Lines: texts("a", "b"),
				Inner: &inner{&claims.PartialDate{Value: p("1999"), Precision: "year"}}, Many: []inner{{&claims.PartialDate{Value: p("1999"), Precision: "estimated"}}},
			},
			"",
		},
		{
			"all wrong",
			form{
				Line: p("two\nlines"), Name: p("..."), Text: p("\x00"), Digest: p("0A"), Date: p("2540-05-01"), Sex: p("W"),
				Country: "Utopia", Language: "Khmer", Script: "khmr", ID: "1", Agency: "../", Code: "not_sure", Day: "soon",
				Came: "2030-01-01", Comes: "2026-03-01", Number: 4, Codes: []string{"yes", "yes"}, Lines: texts("a", "b", "c"),
				Inner: &inner{}, Many: []inner{{}, {}},
			},
			"/line format, /name format, /text format, /digest format, /date range, /sex not_in_list, /country format, /language format, " +
				"/script format, /id format, /agency format, /code not_in_list, /day format, /came range, /comes range, /number range, /codes/1 duplicate, " +
				"/lines too_many, /inner/known required, /many too_many",
		},
		{"inside", form{Line: p("a"), Number: 2, Codes: []string{"x"}, Lines: texts("a", "\x00"), Many: []inner{{}}}, "/codes/0 not_in_list, /lines/1 format, /many/0/known required"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := invalid.New(claimsNow)
			claims.CheckMembers(k, "", &c.form)
			if got := strings.Join(said(k.Problems()), ", "); got != c.want {
				t.Errorf("got\n%s, want\n%s", got, c.want)
			}
		})
	}
}

// What nobody can check must not look as if it were checked.
func TestTagsThatCannotBeRead(t *testing.T) {
	for name, typ := range map[string]reflect.Type{
		"no name": reflect.TypeFor[struct{ A bool }](),
		"a text without a form": reflect.TypeFor[struct {
			A string `json:"a"`
		}](),
		"a word that is none": reflect.TypeFor[struct {
			A private.String `json:"a" is:"nonsense"`
		}](),
		"a name for a bool": reflect.TypeFor[struct {
			A bool `json:"a" is:"name"`
		}](),
		"a name that can be read": reflect.TypeFor[struct {
			A string `json:"a" is:"name"`
		}](),
		"a list without an end": reflect.TypeFor[struct {
			A []private.String `json:"a"`
		}](),
		"no such list": reflect.TypeFor[struct {
			A string `json:"a" list:"nowhere"`
		}](),
		"a fraction": reflect.TypeFor[struct {
			A float64 `json:"a"`
		}](),
		"no number": reflect.TypeFor[struct {
			A int `json:"a" is:"max=many"`
		}](),
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was read")
				}
			}()
			m := claims.Members(typ)
			claims.CheckMembers(invalid.New(claimsNow), "", reflect.New(typ).Interface())
			t.Logf("read as %+v", m)
		})
	}
}

// Every precision has its ways of being written.
func TestPrecisions(t *testing.T) {
	for _, precision := range claims.Values("date_precision") {
		ok := slices.ContainsFunc([]string{"1999", "1999-07", "1999-07-31"}, func(value string) bool {
			k := invalid.New(claimsNow)
			(&claims.PartialDate{Value: private.New(value), Precision: precision}).Check(k, "/d", invalid.Required)
			return k.Err() == nil
		})
		if !ok {
			t.Errorf("no date has the precision %s", precision)
		}
	}
}
