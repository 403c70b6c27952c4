package web

import (
	"fmt"
	"html/template"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// A script is what a catalogue's texts are written in.
type script struct {
	letters *unicode.RangeTable
	digits  string
	// wide says that a letter takes two columns.
	wide bool
}

var scripts = map[string]script{
	"en": {letters: unicode.Latin, digits: "0123456789"},
	"km": {letters: unicode.Khmer, digits: "០១២៣៤៥៦៧៨៩"},
	"my": {letters: unicode.Myanmar, digits: "၀၁၂၃၄၅၆၇၈၉"},
	"th": {letters: unicode.Thai, digits: "๐๑๒๓๔๕๖๗๘๙"},
	"zh": {letters: unicode.Han, digits: "0123456789", wide: true},
	"ar": {letters: unicode.Arabic, digits: "٠١٢٣٤٥٦٧٨٩"},
}

// avoided are words that no text of ours says to an officer, by language: what
// they call a person, or say about her, is not for a card to say. Languages
// that put spaces between words are matched from the beginning of a word on,
// the others anywhere.
var avoided = map[string][]string{
	"en": {"victim", "survivor", "traffick", "rescue", "illegal", "fraud", "fake", "suspect", "invalid", "valid", "denied", "fail", "claims to be", "unfortunately"},
	"km": {"ជនរងគ្រោះ", "រស់រានមានជីវិត", "ជួញដូរ", "សង្គ្រោះ", "ខុសច្បាប់", "ក្លែងបន្លំ", "ក្លែងក្លាយ", "បោកប្រាស់", "សង្ស័យ", "មោឃៈ", "សុពលភាព", "បដិសេធ", "បរាជ័យ", "អះអាងថា", "ជាអកុសល"},
	"my": {"သားကောင်", "နစ်နာသူ", "အသက်ရှင်ကျန်", "လူကုန်ကူး", "ကယ်ဆယ်", "ကယ်တင်", "တရားမဝင်", "လိမ်လည်", "အတု", "သံသယ", "မသင်္ကာ", "ပျက်ပြယ်", "ငြင်းပယ်", "ပယ်ချ", "ကျရှုံး", "မအောင်မြင်", "ဟု ဆိုသူ", "ကံမကောင်း", "ဝမ်းနည်း"},
	"th": {"เหยื่อ", "ผู้เสียหาย", "ผู้รอดชีวิต", "ค้ามนุษย์", "กู้ภัย", "ช่วยชีวิต", "ผิดกฎหมาย", "ฉ้อโกง", "หลอกลวง", "ปลอม", "ต้องสงสัย", "น่าสงสัย", "โมฆะ", "ไม่ถูกต้อง", "ปฏิเสธ", "ล้มเหลว", "อ้างว่า", "แอบอ้าง", "น่าเสียดาย", "โชคร้าย"},
	"zh": {"受害", "被害", "幸存", "贩运", "贩卖", "拐卖", "解救", "营救", "救援", "非法", "违法", "欺诈", "诈骗", "骗", "伪造", "假冒", "假的", "假卡", "嫌疑", "可疑", "有效", "无效", "失效", "被拒", "驳回", "失败", "声称", "自称", "不幸", "遗憾"},
	"ar": {"ضحية", "ضحايا", "ناجٍ", "الناجي", "ناجون", "ناجين", "اتجار", "إتجار", "الاتجار", "تهريب", "إنقاذ", "انقاذ", "غير قانوني", "غير شرعي", "مخالف", "احتيال", "تزوير", "مزور", "مزوّر", "مزيف", "مزيّف", "زائف", "مشتبه", "مشبوه", "صالح", "باطل", "مرفوض", "فشل", "يدعي", "يدّعي", "يزعم", "للأسف", "لسوء الحظ"},
}

// carriedWords, besides the avoided ones, stand on nothing that the holder carries
// or a stranger reads: they would tell what happened, or who helped.
var carriedWords = map[string][]string{
	"en": {"ngo", "shelter", "refuge", "asylum", "safe house", "charity", "scam", "compound", "forced", "crime", "offence", "police", "protection"},
	"km": {"អង្គការក្រៅរដ្ឋាភិបាល", "ទីជម្រក", "ជនភៀសខ្លួន", "បទល្មើស", "ឧក្រិដ្ឋ", "បង្ខំ", "ប៉ូលិស", "ការពារ"},
	"my": {"အန်ဂျီအို", "ခိုလှုံ", "ဒုက္ခသည်", "ပြစ်မှု", "အတင်းအကျပ်", "ရဲ", "အကာအကွယ်"},
	"th": {"องค์กรพัฒนาเอกชน", "เอ็นจีโอ", "บ้านพัก", "สถานสงเคราะห์", "ลี้ภัย", "อาชญากรรม", "ความผิด", "บังคับ", "ตำรวจ", "คุ้มครอง"},
	"zh": {"非政府组织", "收容", "庇护", "难民", "园区", "犯罪", "强迫", "被迫", "警察", "保护"},
	"ar": {"منظمة غير حكومية", "مأوى", "ملجأ", "لاجئ", "لجوء", "جريمة", "جرائم", "إجبار", "أُجبر", "شرطة", "حماية"},
}

// carried are the ids of messages that the holder, or a stranger with the card
// in his hand, reads.
func carried(id string) bool {
	for _, prefix := range []string{"page.", "start.", "neutral.", "consent.", "card.", "copy.", "action.", "state.code_not_given.", "state.not_yet_in_use."} {
		if strings.HasPrefix(id, prefix) {
			return true
		}
	}
	return false
}

// sameAsEnglish lists the messages that may read as in English; there is none
// yet. A name that is written alike everywhere would stand here, with a reason.
var sameAsEnglish = []string{}

// latinWords may stand in a text of another script: nobody writes them in any
// other way.
var latinWords = []string{"PIN"}

// lint says everything that is wrong with a catalogue's texts. What is wrong
// with its form, the parser says.
func lint(c, english Catalogue) []string {
	l := linter{c: c}
	if want := scripts[c.Language].digits; c.Digits != want {
		l.say("catalogue", "digits", "not the ten of its script")
	}
	for id := range english.Messages {
		if _, ok := c.Messages[id]; !ok {
			l.say(id, "missing", "no such message")
		}
	}
	for id, m := range c.Messages {
		source, ok := english.Messages[id]
		if !ok {
			l.say(id, "extra", "English has no such message")
			continue
		}
		l.words(id, m.Text)
		l.characters(id, m.Text)
		if m.Pictogram != "" && Pictogram(m.Pictogram) == "" {
			l.say(id, "pictogram", "no such drawing")
		}
		if c.Language != English {
			l.translation(id, m, source)
		}
	}
	slices.Sort(l.said)
	return l.said
}

type linter struct {
	c    Catalogue
	said []string
}

func (l *linter) say(id, rule, what string) {
	l.said = append(l.said, fmt.Sprintf("%s: %s: %s: %s", l.c.Language, id, rule, what))
}

// words looks for what is not said.
func (l *linter) words(id, text string) {
	if word := says(l.c.Language, text, avoided); word != "" {
		l.say(id, "avoided", word)
	}
	if carried(id) {
		if word := says(l.c.Language, text, carriedWords); word != "" {
			l.say(id, "carried", word)
		}
	}
}

// says finds the first word of a list in a text, in the spelling of the list.
func says(language, text string, list map[string][]string) string {
	text = strings.ToLower(text)
	for _, word := range list[language] {
		if language != English {
			if strings.Contains(text, word) {
				return word
			}
			continue
		}
		if regexp.MustCompile(`\b` + regexp.QuoteMeta(word)).MatchString(text) {
			return word
		}
	}
	return ""
}

// shouting are the exclamation marks of Unicode 15, of any script.
const shouting = "!¡՜߹᥄‼⁈⁉❕❗❢❣ꜝꜞꜟ︕﹗！𖺚𞥞"

func (l *linter) characters(id, text string) {
	for _, r := range text {
		switch {
		case strings.ContainsRune(shouting, r):
			l.say(id, "exclamation", "an exclamation mark")
		case strings.ContainsRune("<>&", r):
			l.say(id, "markup", "markup is not for texts")
		case unicode.Is(unicode.Bidi_Control, r):
			l.say(id, "bidi", "direction is set by the page, around what stands in a text")
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs):
			l.say(id, "control", "a character that nobody sees")
		case unicode.Is(unicode.Nd, r) && !strings.ContainsRune(scripts[l.c.Language].digits, r):
			l.say(id, "digit", "a digit of another script")
		}
	}
	if !norm.NFC.IsNormalString(text) {
		l.say(id, "nfc", "not in Unicode's composed form")
	}
	if strings.TrimSpace(text) != text || strings.Contains(text, "  ") {
		l.say(id, "space", "spaces at an end, or two together")
	}
}

// translation compares a text with its source.
func (l *linter) translation(id string, m, source Message) {
	if m.Text == source.Text && !slices.Contains(sameAsEnglish, id) {
		l.say(id, "untranslated", "the English text")
	}
	if !slices.Equal(placeholders(m.Text), placeholders(source.Text)) {
		l.say(id, "placeholders", "not those of the English text")
	}
	if m.Mark == Reviewed && m.Of != Fingerprint(source.Text) {
		l.say(id, "stale", "reviewed against an English text that has changed since: mark it machine, or review it again")
	}
	script := scripts[l.c.Language]
	plain := placeholder.ReplaceAllString(m.Text, "")
	if !slices.ContainsFunc([]rune(plain), func(r rune) bool { return unicode.Is(script.letters, r) }) {
		l.say(id, "script", "no letter of its script")
	}
	for _, word := range latin.FindAllString(plain, -1) {
		if !slices.Contains(latinWords, word) {
			l.say(id, "latin", word)
		}
	}
	// A short word may need more room in another language; a sentence that is
	// more than two and a half times as long pushes the next step off a screen
	// of 320 px.
	if limit := max(width(source.Text, scripts[English])*5/2, 24); width(m.Text, script) > limit {
		l.say(id, "length", fmt.Sprintf("%d columns, at most %d", width(m.Text, script), limit))
	}
}

var (
	placeholder = regexp.MustCompile(`\{[^{}]*\}`)
	latin       = regexp.MustCompile(`\p{Latin}+`)
)

func placeholders(text string) []string {
	found := placeholder.FindAllString(text, -1)
	slices.Sort(found)
	return found
}

// width is about how many columns a text takes: marks that stand above or
// below a letter take none.
func width(text string, s script) int {
	n := 0
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Mn, r):
		case s.wide && r > 0x2e80:
			n += 2
		default:
			n++
		}
	}
	return n
}

func TestEveryCatalogue(t *testing.T) {
	english, _ := Words.Catalogue(English)
	for _, language := range Languages {
		t.Run(language, func(t *testing.T) {
			// Words drops a review that is older than its source. So the file itself
			// is read, and such a review is told.
			data, err := catalogueFiles.ReadFile("catalogues/" + language + ".json")
			if err != nil {
				t.Fatal(err)
			}
			c, err := parseCatalogue(language, data)
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range lint(c, english) {
				t.Error(fault)
			}
			t.Logf("%d messages, %d reviewed", len(c.Messages), count(c, Reviewed))
		})
	}
}

func count(c Catalogue, mark Mark) int {
	n := 0
	for _, m := range c.Messages {
		if m.Mark == mark {
			n++
		}
	}
	return n
}

// TestEveryFault shows that the lint says no: a good catalogue with one fault
// gets exactly that one word.
func TestEveryFault(t *testing.T) {
	const id, short = "neutral.lead", "action.yes"
	english := Catalogue{Language: English, Digits: scripts[English].digits, Messages: map[string]Message{
		id:    {Text: "Call the desk: {desk}.", Mark: Source},
		short: {Text: "Yes", Mark: Source},
	}}
	good := map[string]string{
		"km": "សូមហៅផ្នែកទំនាក់ទំនង៖ {desk}។", "my": "ဌာနသို့ ဖုန်းဆက်ပါ- {desk}။", "th": "โทรหาโต๊ะ: {desk}",
		"zh": "请致电服务台：{desk}。", "ar": "اتصل بالمكتب: {desk}.",
	}
	yes := map[string]string{"km": "បាទ", "my": "ဟုတ်ကဲ့", "th": "ใช่", "zh": "是", "ar": "نعم"}
	with := func(language, text string) Catalogue {
		return Catalogue{Language: language, Digits: scripts[language].digits, Messages: map[string]Message{
			id: {Text: text, Mark: Machine}, short: {Text: yes[language], Mark: Machine},
		}}
	}
	rules := func(c Catalogue) []string {
		var found []string
		for _, fault := range lint(c, english) {
			found = append(found, strings.Split(fault, ": ")[2])
		}
		return slices.Compact(found)
	}
	for language, text := range good {
		t.Run(language, func(t *testing.T) {
			if found := rules(with(language, text)); found != nil {
				t.Errorf("a good catalogue is refused: %v", found)
			}
			for _, word := range avoided[language] {
				if found := rules(with(language, word+text)); !slices.Contains(found, "avoided") {
					t.Errorf("%q is let through: %v", word, found)
				}
			}
			for _, word := range carriedWords[language] {
				if found := rules(with(language, word+text)); !slices.Contains(found, "carried") {
					t.Errorf("%q is let through: %v", word, found)
				}
			}
		})
	}
	for _, word := range slices.Concat(avoided[English], carriedWords[English]) {
		c := Catalogue{Language: English, Digits: english.Digits, Messages: map[string]Message{id: {Text: "A " + strings.ToUpper(word), Mark: Source}}}
		if found := lint(c, c); len(found) == 0 {
			t.Errorf("en: %q is let through", word)
		}
	}
	for _, r := range shouting {
		if found := rules(with("my", good["my"]+string(r))); !slices.Equal(found, []string{"exclamation"}) {
			t.Errorf("%U is let through: %v", r, found)
		}
	}
	for rule, spoil := range map[string]func(*Catalogue){
		"digits":       func(c *Catalogue) { c.Digits = "0123456789" },
		"missing":      func(c *Catalogue) { delete(c.Messages, short) },
		"extra":        func(c *Catalogue) { c.Messages["action.maybe"] = Message{Text: "ប្រហែល", Mark: Machine} },
		"untranslated": func(c *Catalogue) { put(c, id, "Call the desk: {desk}.") },
		"placeholders": func(c *Catalogue) { put(c, id, "សូមហៅ៖ {days}។") },
		"markup":       func(c *Catalogue) { put(c, id, good["km"]+"<b>") },
		"bidi":         func(c *Catalogue) { put(c, id, good["km"]+"\u202e") },
		"control":      func(c *Catalogue) { put(c, id, good["km"]+"\u200b") },
		"digit":        func(c *Catalogue) { put(c, id, good["km"]+"24") },
		"nfc":          func(c *Catalogue) { put(c, id, good["km"]+"\u212b") },
		"space":        func(c *Catalogue) { put(c, id, good["km"]+" ") },
		"script":       func(c *Catalogue) { put(c, id, "{desk}") },
		"latin":        func(c *Catalogue) { put(c, id, good["km"]+"desk") },
		"length":       func(c *Catalogue) { put(c, id, good["km"]+strings.Repeat("ក", 60)) },
		"stale": func(c *Catalogue) {
			c.Messages[id] = Message{Text: good["km"], Mark: Reviewed, Of: Fingerprint("Call the office: {desk}.")}
		},
		"pictogram": func(c *Catalogue) { c.Messages[id] = Message{Text: good["km"], Mark: Machine, Pictogram: "dragon"} },
	} {
		t.Run(rule, func(t *testing.T) {
			c := with("km", good["km"])
			spoil(&c)
			if found := rules(c); !slices.Contains(found, rule) {
				t.Errorf("let through, the lint says %v", found)
			}
		})
	}
	fresh := with("km", good["km"])
	fresh.Messages[id] = Message{Text: good["km"], Mark: Reviewed, Of: Fingerprint(english.Messages[id].Text)}
	if found := rules(fresh); found != nil {
		t.Errorf("a review of the present text is refused: %v", found)
	}
}

func put(c *Catalogue, id, text string) { c.Messages[id] = Message{Text: text, Mark: Machine} }

// TestCataloguesAreReadStrictly: what two readers could understand differently
// is no catalogue.
func TestCataloguesAreReadStrictly(t *testing.T) {
	const en = `{"language":"en","name":"English","direction":"ltr","digits":"0123456789","messages":{"a.b":{"text":"Yes","mark":"source"}}}`
	const km = `{"language":"km","name":"ខ្មែរ","direction":"ltr","digits":"០១២៣៤៥៦៧៨៩","messages":{"a.b":{"text":"បាទ","mark":"machine"}}}`
	parse := func(en, km string) (*Catalogues, error) {
		return ParseCatalogues(fstest.MapFS{"en.json": {Data: []byte(en)}, "km.json": {Data: []byte(km)}}, []string{"en", "km"})
	}
	if _, err := parse(en, km); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"unknown member":            {`"mark":"machine"`, `"mark":"machine","note":"x"`},
		"duplicate id":              {`"messages":{`, `"messages":{"a.b":{"text":"ទេ","mark":"machine"},`},
		"another language":          {`"language":"km"`, `"language":"my"`},
		"no name":                   {`"name":"ខ្មែរ"`, `"name":""`},
		"direction":                 {`"ltr"`, `"down"`},
		"nine digits":               {`០១`, `១`},
		"no text":                   {`"text":"បាទ"`, `"text":""`},
		"unknown mark":              {`"machine"`, `"good"`},
		"source, but not English":   {`"machine"`, `"source"`},
		"reviewed, of nothing":      {`"machine"`, `"reviewed"`},
		"machine, of something":     {`"mark":"machine"`, `"mark":"machine","of":"00000000"`},
		"pictogram, but not in en":  {`"mark":"machine"`, `"mark":"machine","pictogram":"call"`},
		"an id that is none":        {`"a.b"`, `"A b"`},
		"bytes after the catalogue": {`}}}`, `}}}{}`},
	} {
		t.Run(name, func(t *testing.T) {
			broken := strings.Replace(km, change[0], change[1], 1)
			if broken == km {
				t.Fatal("nothing was changed")
			}
			if _, err := parse(en, broken); err == nil {
				t.Error("read")
			}
		})
	}
	if _, err := ParseCatalogues(fstest.MapFS{"km.json": {Data: []byte(km)}}, []string{"km"}); err == nil {
		t.Error("a build without English is read")
	}
}

func TestLookup(t *testing.T) {
	const en = `{"language":"en","name":"English","direction":"ltr","digits":"0123456789","messages":{
		"a.b":{"text":"Yes","mark":"source","pictogram":"call"},"a.c":{"text":"No","mark":"source"},"a.d":{"text":"Next","mark":"source"}}}`
	km := `{"language":"km","name":"ខ្មែរ","direction":"ltr","digits":"០១២៣៤៥៦៧៨៩","messages":{
		"a.b":{"text":"បាទ","mark":"reviewed","of":"` + Fingerprint("Yes") + `"},"a.c":{"text":"ទេ","mark":"reviewed","of":"` + Fingerprint("Never") + `"}}}`
	c, err := ParseCatalogues(fstest.MapFS{"en.json": {Data: []byte(en)}, "km.json": {Data: []byte(km)}}, []string{"en", "km"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		language, id string
		found        Found
		ok           bool
	}{
		{"km", "a.b", Found{Message{Text: "បាទ", Mark: Reviewed, Of: Fingerprint("Yes"), Pictogram: "call"}, "km"}, true},
		// The reviewer read another English text.
		{"km", "a.c", Found{Message{Text: "ទេ", Mark: Machine}, "km"}, true},
		{"km", "a.d", Found{Message{Text: "Next", Mark: Source}, "en"}, true},
		{"xx", "a.b", Found{Message{Text: "Yes", Mark: Source, Pictogram: "call"}, "en"}, true},
		{"km", "a.e", Found{}, false},
	} {
		t.Run(want.language+" "+want.id, func(t *testing.T) {
			if found, ok := c.Lookup(want.language, want.id); found != want.found || ok != want.ok {
				t.Errorf("got %+v %v, want %+v %v", found, ok, want.found, want.ok)
			}
		})
	}
	if got := Fill("{tries} left, {tries}; {other}", "tries", "3"); got != "3 left, 3; {other}" {
		t.Errorf("filled: %q", got)
	}
}

// TestPictograms: the drawings are one set, and each of them is used.
func TestPictograms(t *testing.T) {
	files, err := pictogramFiles.ReadDir("pictograms")
	if err != nil {
		t.Fatal(err)
	}
	english, _ := Words.Catalogue(English)
	used := map[string]bool{}
	for _, m := range english.Messages {
		used[m.Pictogram] = true
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), ".svg")
		drawing := Pictogram(name)
		if !strings.HasPrefix(string(drawing), `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">`) {
			t.Errorf("%s is not drawn as the others are", name)
		}
		for _, not := range []string{"<script", "<text", "<title", "style=", "href", " on"} {
			if strings.Contains(string(drawing), not) {
				t.Errorf("%s holds %s", name, not)
			}
		}
		if !used[name] {
			t.Errorf("no message names %s", name)
		}
	}
	if Pictogram("../web") != template.HTML("") {
		t.Error("a name that has no drawing has one")
	}
}

// TestGlossary: the terms of the glossary are the ones that the catalogues use.
func TestGlossary(t *testing.T) {
	data, err := os.ReadFile("catalogues/GLOSSARY.md")
	if err != nil {
		t.Fatal(err)
	}
	terms := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != len(Languages)+3 || strings.HasPrefix(line, "| English") || strings.HasPrefix(line, "|---") {
			continue
		}
		terms++
		for i, language := range Languages[1:] {
			for term := range strings.SplitSeq(cells[3+i], ";") {
				if !uses(language, strings.TrimSpace(term)) {
					t.Errorf("%s: no message says %q (%s)", language, strings.TrimSpace(term), strings.TrimSpace(cells[1]))
				}
			}
		}
	}
	if terms < 20 {
		t.Errorf("found %d terms", terms)
	}
	if uses("km", "ctrl") {
		t.Error("a term that nobody uses is found")
	}
}

func uses(language, term string) bool {
	c, _ := Words.Catalogue(language)
	for _, m := range c.Messages {
		if term != "" && strings.Contains(m.Text, term) {
			return true
		}
	}
	return false
}
