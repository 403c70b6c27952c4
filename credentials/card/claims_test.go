package card

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/credentials/private"
)

func TestValidate(t *testing.T) {
	blank := func(c *Claims) {
		*c = Claims{IssuedAt: c.IssuedAt, Expires: c.Expires, Handle: c.Handle, Blank: true}
	}
	for _, c := range []struct {
		name string
		edit func(*Claims)
		want string // fields with a problem
	}{
		{"full", func(*Claims) {}, ""},
		{"blank", blank, ""},
		{"lost document", func(c *Claims) {
			*c = Claims{IssuedAt: c.IssuedAt, Expires: c.Expires, Handle: c.Handle, Name: c.Name}
		}, ""},
		{"zero", func(c *Claims) { *c = Claims{} }, "issued_at expires name handle"},
		{"no name", func(c *Claims) { c.Name = private.String{} }, "name"},
		{"Vietnamese", func(c *Claims) { c.Name = private.New("NGUYỄN, THỊ MINH ÁNH") }, ""},
		{"combining marks", func(c *Claims) { c.Name = private.New("NGUYE\u0302\u0303N") }, ""},
		{"transliterated Arabic", func(c *Claims) { c.Name = private.New("ʿABD AL-RAḤMĀN, ṢĀLIḤ") }, ""},
		{"apostrophe, hyphen, full stop", func(c *Claims) { c.Name = private.New("O'NEIL-SMITH, J. R.") }, ""},
		{"Khmer", func(c *Claims) { c.Name = private.New("អ៊ុក សុភា") }, "name"},
		{"Cyrillic lookalike", func(c *Claims) { c.Name = private.New("ABDULLА") }, "name"},
		{"Khmer digit", func(c *Claims) { c.Name = private.New("ABEBE ១") }, "name"},
		{"joiner", func(c *Claims) { c.Name = private.New("ABE\u200dBE") }, "name"},
		{"no letter", func(c *Claims) { c.Name = private.New(" -. ") }, "name"},
		{"line end", func(c *Claims) { c.Name = private.New("ABEBE\n") }, "name"},
		{"markup", func(c *Claims) { c.Name = private.New("<b>ABEBE</b>") }, "name"},
		{"right-to-left override", func(c *Claims) { c.Name = private.New("ABE\u202eBE") }, "name"},
		{"no-break space", func(c *Claims) { c.Name = private.New("ABEBE\u00a0B") }, "name"},
		{"invalid UTF-8", func(c *Claims) { c.Name = private.New("ABEBE\xff") }, "name"},
		{"very long name", func(c *Claims) { c.Name = private.New(strings.Repeat("A", 1025)) }, "name"},
		{"year", func(c *Claims) { c.BirthDate = private.New("1995") }, ""},
		{"month", func(c *Claims) { c.BirthDate = private.New("199512") }, ""},
		{"31 February", func(c *Claims) { c.BirthDate = private.New("19950231") }, ""},
		{"month 13", func(c *Claims) { c.BirthDate = private.New("199513") }, "birth_date"},
		{"month 0", func(c *Claims) { c.BirthDate = private.New("19950012") }, "birth_date"},
		{"day 0", func(c *Claims) { c.BirthDate = private.New("19951200") }, "birth_date"},
		{"day 32", func(c *Claims) { c.BirthDate = private.New("19951232") }, "birth_date"},
		{"five digits", func(c *Claims) { c.BirthDate = private.New("19951") }, "birth_date"},
		{"dashes", func(c *Claims) { c.BirthDate = private.New("1995-3-1") }, "birth_date"},
		{"small letters", func(c *Claims) { c.Nationality = private.New("eth") }, "nationality"},
		{"two letters", func(c *Claims) { c.Nationality = private.New("ET") }, "nationality"},
		{"MRZ filler", func(c *Claims) { c.Nationality = private.New("D<<") }, "nationality"},
		{"sex 4", func(c *Claims) { c.Sex = 4 }, "sex"},
		{"sex -1", func(c *Claims) { c.Sex = -1 }, "sex"},
		{"status 3", func(c *Claims) { c.Status = 3 }, "status"},
		{"decision level 5", func(c *Claims) { c.DecisionLevel = 5 }, "decision_level"},
		{"status alone", func(c *Claims) { c.DecisionLevel = 0 }, "decision_level"},
		{"decision level alone", func(c *Claims) { c.Status = 0 }, "decision_level"},
		{"whole hash", func(c *Claims) { c.Portrait = make([]byte, 32) }, "portrait"},
		{"empty hash", func(c *Claims) { c.Portrait = []byte{} }, "portrait"},
		{"last index", func(c *Claims) { c.Index = 1<<20 - 1 }, ""},
		{"index 2^20", func(c *Claims) { c.Index = 1 << 20 }, "index"},
		{"no handle", func(c *Claims) { c.Handle = [8]byte{} }, "handle"},
		{"from 1970", func(c *Claims) { c.IssuedAt = time.Unix(0, 0); c.Expires = time.Unix(86400, 0) }, ""},
		{"before 1970", func(c *Claims) { c.IssuedAt = time.Unix(-86400, 0) }, "issued_at"},
		{"after 2106", func(c *Claims) { c.Expires = time.Unix(1<<32+86400-(1<<32)%86400, 0) }, "expires"},
		{"noon", func(c *Claims) { c.IssuedAt = c.IssuedAt.Add(12 * time.Hour) }, "issued_at"},
		{"a nanosecond late", func(c *Claims) { c.Expires = c.Expires.Add(1) }, "expires"},
		{"midnight elsewhere", func(c *Claims) {
			c.IssuedAt = time.Date(2026, 11, 22, 0, 0, 0, 0, time.FixedZone("UTC+7", 7*3600))
		}, "issued_at"},
		{"no validity", func(c *Claims) { c.Expires = c.IssuedAt }, "expires"},
		{"ends before it begins", func(c *Claims) { c.Expires = c.IssuedAt.AddDate(0, 0, -1) }, "expires"},
		{"181 days", func(c *Claims) { c.Expires = c.IssuedAt.AddDate(0, 0, 181) }, "expires"},
		{"everything on a blank", func(c *Claims) { c.Blank = true; c.NamesShortened = true },
			"name birth_date nationality sex status decision_level portrait names_shortened mission_may_be_contacted"},
		{"many at once", func(c *Claims) {
			c.Name, c.BirthDate, c.Nationality = private.New("<"), private.New("?"), private.New("??")
			c.Sex, c.Status, c.Index = 9, 9, 1<<30
		}, "index name birth_date nationality sex status"},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims := someone()
			c.edit(&claims)
			var got []string
			for _, p := range claims.Validate() {
				got = append(got, p.Field)
				if p.Problem == "" {
					t.Errorf("%s has no words", p.Field)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

// TestTranscribe: what people type and paste becomes what a card can say, and the
// format takes it. What it cannot say is named by its place and its sign.
func TestTranscribe(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		place          int
		sign           rune
	}{
		{"as it is", "O'NEIL-SMITH, J. R.", "O'NEIL-SMITH, J. R.", 0, 0},
		{"Malaysian", "MUTHU A/L SAMY", "MUTHU A L SAMY", 0, 0},
		{"fraction, division and full-width strokes", "A\u2044L B\u2215C D\uff0fE", "A L B C D E", 0, 0},
		{"apostrophes", "D\u2019ARC O\u2018B P\u2032Q R\u00b4S T`U V\uff07W X\u201bY", "D'ARC O'B P'Q R'S T'U V'W X'Y", 0, 0},
		{"hyphens", "A\u2010B\u2011C\u2012D\u2013E\u2014F\u2212G\uff0dH\ufe63I", "A-B-C-D-E-F-G-H-I", 0, 0},
		{"blanks", "A\u00a0B\u202fC\u2003D\u3000E\tF", "A B C D E F", 0, 0},
		{"several blanks", "SITI  NUR \u00a0 AINI", "SITI NUR AINI", 0, 0},
		{"unseen marks", "\u202aSI\u200bTI\u202c N\u00adUR\u2060\ufeff\u200d", "SITI NUR", 0, 0},
		{"full-width comma and stop", "TRAN\uff0c J\uff0e", "TRAN, J.", 0, 0},
		{"no primary identifier", ",SITI", "SITI", 0, 0},
		{"nor a secondary one", "SITI ,", "SITI", 0, 0},
		{"letters that look like apostrophes", "ʿABD AL-RAḤMĀN", "ʿABD AL-RAḤMĀN", 0, 0},
		{"accents", "NGUYE\u0302\u0303N", "NGUYE\u0302\u0303N", 0, 0},
		// The blanks at its ends are for the rule of all names to refuse.
		{"ends", " SITI ", " SITI ", 0, 0},
		{"nothing", "", "", 0, 0},

		{"at sign", "SITI @ NUR", "SITI @ NUR", 6, '@'},
		{"bracket behind a mark", "\u202aSITI (NUR)", "SITI (NUR)", 7, '('},
		{"Khmer", "SITI សុខ", "SITI សុខ", 6, 'ស'},
		{"line end", "SI\nTI", "SI\nTI", 3, '\n'},
		{"markup", "<b>", "<b>", 1, '<'},
		{"invalid UTF-8", "SITI\xff", "SITI\ufffd", 5, '\ufffd'},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Transcribe(c.in); got != c.want {
				t.Errorf("got %+q, want %+q", got, c.want)
			}
			if place, sign := Unprintable(c.in); place != c.place || sign != c.sign {
				t.Errorf("got character %d, %U, want %d, %U", place, sign, c.place, c.sign)
			}
			claims := someone()
			claims.Name = private.New(c.want)
			if refused := len(claims.Validate()) > 0; refused != (c.place > 0 || c.want == "") {
				t.Errorf("refused is %t", refused)
			}
		})
	}
}

func TestInvalidError(t *testing.T) {
	claims := someone()
	claims.Name, claims.Sex = private.New("<SECRET>"), 7
	_, err := Seal(claims, newEpoch(t, 1).seal, code(t, "0123456789"), testKID, newSigner(t), nil)
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v", err)
	}
	want := "card: claims are not valid: name holds a character that a name cannot have; sex must be 1, 2 or 3, or left out"
	if got := err.Error(); got != want {
		t.Errorf("got %q", got)
	}
}

// fitsIn accepts names of n bytes at most.
func fitsIn(n int) func(string) bool { return func(s string) bool { return len(s) <= n } }

func TestShorten(t *testing.T) {
	for _, c := range []struct {
		name, in string
		n        int
		want     string
	}{
		// ICAO Doc 9303 part 4 §4.2.3.1: in 39 positions, where << stands for ", ".
		{"Doc 9303, to initials", "NILAVADHANANANDA, CHAYAPA DEJTHAMRONG KRASUANG", 39, "NILAVADHANANANDA, CHAYAPA DEJTHAMRONG K"},
		{"Doc 9303, truncated", "NILAVADHANANANDA, ARNPOL PETCH CHARONGUANG", 39, "NILAVADHANANANDA, ARNPOL PETCH CHARONGU"},
		{"last given name first", "AB, CDEF GHIJ", 10, "AB, CDEF G"},
		{"then the one before", "AB, CDEF GHIJ", 8, "AB, CD G"},
		{"both to initials", "AB, CDEF GHIJ", 7, "AB, C G"},
		{"then the last is dropped", "AB, CDEF GHIJ", 6, "AB, C"},
		{"the primary identifier last", "ABCD EFGH, IJKL", 11, "ABCD EFG, I"},
		{"primary to initials", "ABCD EFGH, IJKL", 6, "A E, I"},
		{"the least", "ABCD EFGH, IJKL", 4, "A, I"},
		{"only a primary identifier", "ABCD EFGH IJKL", 10, "ABCD EFG I"},
		{"hyphen does not end it", "ABCD, MARIE-CLAIRE", 12, "ABCD, MARIE"},
		{"accents stay with their letter", "ABCD, E\u0301E\u0301E\u0301", 10, "ABCD, E\u0301"},
		{"letters of several bytes", "ABCD, ÁÁÁÁ", 11, "ABCD, ÁÁ"},
		{"no primary identifier", ", ABCDEF", 4, "ABCD"},
		{"two commas", "AB, CD, EF", 7, "AB, C E"},
		{"too long still", "ABCD EFGH, IJKL", 3, ""},
		{"spaces", "  AB  ,  CD   EF  ", 8, "AB, CD E"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := shorten(c.in, fitsIn(c.n))
			if got != c.want || ok != (c.want != "") {
				t.Errorf("got %q, %t, want %q", got, ok, c.want)
			}
		})
	}
}

// TestSealShortens: a card with every field takes the names that fit, is marked,
// and never grows.
func TestSealShortens(t *testing.T) {
	long := someone()
	long.Name = private.New("ABCDEFGHIJKLMNOPQRSTUVWXYZ, ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	long.Index, long.List, long.DecisionLevel = 917302, 3, 1
	e, key := newEpoch(t, 202611), newSigner(t)
	s, err := Seal(long, e.seal, code(t, "8080808080"), testKID, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := Open(s.Card, e.open, code(t, "8080808080"))
	if err != nil || !o.Verify(&key.PublicKey) {
		t.Fatalf("does not open: %v", err)
	}
	// The vector "fullest" holds the same claims, shortened by another program.
	want := "ABCDEFGHIJKLMNOPQRSTUVWXYZ, ABCDEFGHIJKLMNOPQRSTU"
	if got := o.Claims(); got.Name.Reveal() != want || !got.NamesShortened {
		t.Errorf("got %q, shortened %t", got.Name.Reveal(), got.NamesShortened)
	}
	if !s.Shortened || s.Claims.Name.Reveal() != want || !s.Claims.NamesShortened {
		t.Error("the issuer is not told")
	}
	signed, err := o.content.message.MarshalCBOR()
	if err != nil || len(signed) != maxSigned {
		t.Errorf("%d signed bytes, want %d: %v", len(signed), maxSigned, err)
	}
	if long.NamesShortened {
		t.Error("the caller's claims were changed")
	}
}

// TestEverySize seals payloads of every length around the limit.
func TestEverySize(t *testing.T) {
	e, key := newEpoch(t, 1), newSigner(t)
	full, short := 0, 0
	for n := 1; n <= 120; n++ {
		claims := someone()
		claims.Name = private.New(strings.Repeat("A", n))
		fitted, data, err := fit(claims)
		if err != nil {
			t.Fatal(err)
		}
		if fitted.NamesShortened {
			short++
		}
		s, stretched := quickSeal(t, data, e.seal, key)
		o, err := open(s.Card, e.open, stretched)
		if err != nil {
			t.Fatalf("%d letters: %v", n, err)
		}
		name := o.Claims().Name.Reveal()
		if got := o.Claims(); (len(name) < n) != got.NamesShortened {
			t.Errorf("%d letters: %d on the card, shortened %t", n, len(name), got.NamesShortened)
		}
		if len(data) == maxPayload {
			full++
		}
	}
	if full == 0 || short == 0 {
		t.Errorf("%d cards were full and %d shortened: the limit was not met", full, short)
	}
}
