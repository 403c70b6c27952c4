package naming_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/network/naming"
)

// names are made up, in the scripts of those who may have to join a network.
var names = []string{
	"Lotus House", "Made-up House (Phnom Penh)", "Drill NGO (made up)", "Embassy of Utopia", "Casa de Acogida Ñandú", "Nhà Bình Minh",
	"A", "Bureau d’aide aux migrants", "Mission 21", "O'Neill & Partner, Ltd.", "Ẹgbẹ́ Ìrànwọ́",
	"บ้านดอกบัว", "สำนักงานตรวจคนเข้าเมือง", "ផ្ទះផ្កាឈូក", "ကြာပန်းအိမ်", "ເຮືອນດອກບົວ", "دار اللوتس", "Дом Лотоса", "कमल गृह", "পদ্ম ভবন",
	"莲花之家", "ロータスハウス", "ハスの家 NGO", "연꽃의 집", "Đại sứ quán", "የሎተስ ቤት", "தாமரை இல்லம்",
	"Фонд Hope", "LotusハウスA",
}

func problems(name string) []invalid.Problem {
	var c invalid.Checker
	naming.Check(&c, "/name", name)
	return c.Problems()
}

func TestNamesPass(t *testing.T) {
	for i, name := range names {
		if got := problems(name); len(got) != 0 {
			t.Errorf("%q: %v", name, got)
		}
		for _, other := range names[:i] {
			if naming.Alike(name, other) {
				t.Errorf("%q is taken for %q", name, other)
			}
		}
	}
}

// TestNamesAreRefused holds one problem to each: what is wrong is told once.
func TestNamesAreRefused(t *testing.T) {
	for what, name := range map[string]string{
		"nothing":                     "",
		"a space before":              " Lotus",
		"a space behind":              "Lotus ",
		"two spaces":                  "Lotus  House",
		"another space":               "Lotus\u00a0House",
		"a wide space":                "Lotus\u3000House",
		"two lines":                   "Lotus\nHouse",
		"a control":                   "Lotus\x00House",
		"a joiner":                    "Lotus\u200dHouse",
		"what cannot be seen":         "Lotus\u200bHouse",
		"another direction":           "Lotus \u202eesuoH",
		"a mark of direction":         "Lotus\u200fHouse",
		"markup":                      "<b>Lotus House</b>",
		"an entity":                   "Lotus&#32;House",
		"emphasis":                    "*Lotus House*",
		"a link":                      "[Lotus House]",
		"a template":                  "{{Lotus House}}",
		"a code":                      "`Lotus House`",
		"a quotation":                 `"Lotus House"`,
		"a tick":                      "Lotus House ✓",
		"a picture":                   "Lotus House 🪷",
		"other digits":                "Lotus House ٢",
		"a number in a ring":          "Lotus House ①",
		"no letter":                   "2026",
		"an apostrophe":               "\u02bb",
		"a stroke":                    "ノ",
		"wide letters":                "Ｌｏｔｕｓ",
		"mathematical letters":        "𝐋𝐨𝐭𝐮𝐬",
		"a ligature":                  "Oﬃce",
		"letters taken apart":         "Mu\u0308hle",
		"a mark on nothing":           "Lotus (\u0323) House",
		"a mark twice":                "Lo\u0323\u0323tus",
		"five marks":                  "Lo\u0316\u0317\u0318\u0319\u031atus",
		"a Cyrillic o":                "Lоtus",
		"a Greek o":                   "Lοtus",
		"Armenian in a Latin word":    "Hօuse",
		"Cherokee":                    "ᎪᏞᎬ",
		"Coptic":                      "ⲖⲞⲦ",
		"a variation selector":        "Lotus\ufe0f House",
		"a Hangul filler":             "Lotus\u3164House",
		"a combining grapheme joiner": "Lo\u034ftus",
		"bytes that are no text":      "Lotus\xff",
		"eighty-one letters":          strings.Repeat("a", 81),
	} {
		if got := problems(name); len(got) != 1 || got[0].Pointer != "/name" {
			t.Errorf("%s: %v, want one problem", what, got)
		} else if strings.Contains(got[0].Rule, "Lotus") {
			t.Errorf("%s: the rule holds what was sent", what)
		}
	}
}

func TestAlike(t *testing.T) {
	for _, pair := range [][2]string{
		{"Lotus House", "Lotus House"},
		{"Lotus House", "LOTUS HOUSE"},
		{"Lotus House", "LotusHouse"},
		{"Lotus House", "Lotus-House."},
		{"Lotus House", "Lоtus Hоuse"}, // Cyrillic o
		{"Сор", "Cop"},                 // a whole word of Cyrillic letters
		{"Help", "HeIp"},               // a capital i
		{"HELP", "heIp"},
		{"Mill", "Mi11"},
		{"Office", "0ffice"},
		{"Modern House", "Modem House"},
		{"Lotus House", "Lótus Høuse"},
		{"Lotus House", "Ｌｏｔｕｓ Ｈｏｕｓｅ"},
		{"Straße", "STRASSE"},
		{"カタ", "力夕"}, // Katakana, and two signs of Han
		{"Lotus House", "Lotus\u200bHouse"},
	} {
		if !naming.Alike(pair[0], pair[1]) || !naming.Alike(pair[1], pair[0]) {
			t.Errorf("%q and %q are told apart", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{
		{"Lotus House", "Lotus House 2"},
		{"Lotus House", "House Lotus"},
		{"Lotus House", "Lotus Home"},
		{"บ้านดอกบัว", "บานดอกบัว"}, // a tone mark is as good as a letter
		{"...", "---"}, // no names, and nothing alike in them
	} {
		if naming.Alike(pair[0], pair[1]) {
			t.Errorf("%q is taken for %q", pair[0], pair[1])
		}
	}
}

// FuzzName holds every name that passes to what the rules are for.
func FuzzName(f *testing.F) {
	for i, name := range names {
		f.Add(name, names[(i+1)%len(names)])
	}
	f.Add("Lotus  House", "<b>Lotus</b>")
	f.Add("Lоtus", "Mi11")
	f.Fuzz(func(t *testing.T, a, b string) {
		if naming.Alike(a, b) != naming.Alike(b, a) {
			t.Fatal("who is like whom depends on who is asked first")
		}
		if len(problems(a)) > 0 {
			return
		}
		switch {
		case !utf8.ValidString(a), utf8.RuneCountInString(a) > naming.MaxLength:
			t.Fatal("not a short text")
		case strings.ContainsFunc(a, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
			t.Fatal("what cannot be seen passes")
		case strings.ContainsAny(a, "<>[]{}*_`#|\\~^\"=$%;:@!?"):
			t.Fatal("markup passes")
		case strings.TrimSpace(a) != a || strings.Contains(a, "  "):
			t.Fatal("spaces pass that nobody can count")
		case !naming.Alike(a, a), !naming.Alike(a, strings.ToUpper(a)) && strings.ToLower(strings.ToUpper(a)) == a:
			t.Fatal("a name is not like itself")
		case !naming.Alike(a, strings.ReplaceAll(a, " ", "")):
			t.Fatal("a space tells two names apart")
		}
	})
}
