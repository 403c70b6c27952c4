package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/safeconduct/safeconduct/verifier"
	"github.com/safeconduct/safeconduct/web"
)

// TestEveryAnswerHasWords: whatever the verifier can say has a message, so that
// no face of ours shows a code word. The source is asked, and not a list that
// somebody has to remember.
func TestEveryAnswerHasWords(t *testing.T) {
	said := constants(t, "../../verifier")
	for kind, prefix := range map[string]string{"Reason": "reason.", "Kind": "kind.", "Answer": "answer."} {
		if len(said[kind]) < 3 {
			t.Fatalf("found only %d constants of type %s", len(said[kind]), kind)
		}
		for _, value := range said[kind] {
			if value != "" && english(prefix+value) == "" {
				t.Errorf("no message %s%s", prefix, value)
			}
		}
	}
	for _, state := range verifier.States {
		for _, part := range []string{".heading", ".next"} {
			if english("state."+string(state)+part) == "" {
				t.Errorf("no message state.%s%s", state, part)
			}
		}
		if english("band."+bands[state]) == "" {
			t.Errorf("no message band.%s", bands[state])
		}
	}
	for _, check := range []string{"signature", "issuer", "status"} {
		if english("check."+check) == "" {
			t.Errorf("no message check.%s", check)
		}
	}
}

// TestEveryResultHandsBack: what a holder gave is given back, whatever the
// answer was.
func TestEveryResultHandsBack(t *testing.T) {
	for _, state := range verifier.States {
		next := wordsFor(verifier.Verdict{State: state}).next
		if !strings.Contains(next, "Hand ") || !strings.Contains(next, " back.") {
			t.Errorf("%s: %q does not hand the card back", state, next)
		}
	}
	for _, reason := range constants(t, "../../verifier")["Reason"] {
		next := wordsFor(verifier.Verdict{State: verifier.NotReady, Reason: verifier.Reason(reason)}).next
		if !strings.Contains(next, "back.") {
			t.Errorf("not_ready, %s: %q does not hand the card back", reason, next)
		}
	}
}

func TestWordsFor(t *testing.T) {
	for _, c := range []struct {
		name          string
		v             verifier.Verdict
		heading, next string
	}{
		{"mission", verifier.Verdict{State: verifier.Confirmed, Reason: verifier.ReasonMission}, "Card is genuine. Identity confirmed by the mission of the stated nationality.", ""},
		{"credential", verifier.Verdict{State: verifier.Expired, Credential: &verifier.Credential{}}, "Credential is past its date.", ""},
		{"credential and mission", verifier.Verdict{State: verifier.Confirmed, Reason: verifier.ReasonMission, Credential: &verifier.Credential{}}, "Credential is genuine. Identity confirmed by the mission of the stated nationality.", ""},
		{"a credential that says nothing", verifier.Verdict{State: verifier.Confirmed, Credential: &verifier.Credential{}, SaysNothing: true}, "", "Everything in it was left out, so it says nothing."},
		{"a state that says nothing of a card", verifier.Verdict{State: verifier.Paused, Credential: &verifier.Credential{}}, "Paused.", ""},
		{"tries", verifier.Verdict{State: verifier.WrongCode, TriesLeft: 3}, "", "Tries left: 3."},
		{"locked", verifier.Verdict{State: verifier.CodeLocked, LockedUntil: time.Date(2026, 5, 1, 9, 30, 0, 0, time.UTC)}, "", "Locked until 09:30 UTC."},
		{"kind", verifier.Verdict{State: verifier.NotOurs, Kind: verifier.KindWiFi}, "Not one of our cards. It looks like access to a wireless network.", ""},
		{"clock", verifier.Verdict{State: verifier.NotReady, Reason: verifier.ReasonClock}, "", "Its clock is wrong. Set it, then try again."},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := wordsFor(c.v)
			if c.heading != "" && w.heading != c.heading {
				t.Errorf("heading %q, want %q", w.heading, c.heading)
			}
			if !strings.Contains(w.next, c.next) {
				t.Errorf("next step %q does not say %q", w.next, c.next)
			}
			for _, text := range []string{w.heading, w.next} {
				if strings.ContainsAny(text, "{}") {
					t.Errorf("%q was not filled in", text)
				}
			}
		})
	}
}

// constants reads the texts of a package's constants, by their type.
func constants(t *testing.T, dir string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			kind, ok := spec.Type.(*ast.Ident)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			value, ok := spec.Values[0].(*ast.BasicLit)
			if !ok || value.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(value.Value)
			if err != nil {
				t.Fatal(err)
			}
			found[kind.Name] = append(found[kind.Name], text)
			return true
		})
	}
	return found
}

// TestEveryLabel: the words under a heading come from the catalogue as well.
func TestEveryLabel(t *testing.T) {
	for _, id := range []string{"name", "born", "nationality", "procedure", "last_day"} {
		if label(id) == "" {
			t.Errorf("no message record.%s", id)
		}
	}
	for level := 1; level <= 4; level++ {
		if procedureWords(1, level) == "" {
			t.Errorf("no words for decision level %d", level)
		}
	}
	if got := procedureWords(0, 4); got != "" {
		t.Errorf("a card without a status says %q", got)
	}
	for _, id := range []string{"page.demo", "record.code_binds", "result.hand_back"} {
		if _, ok := web.Words.Lookup(web.English, id); !ok {
			t.Errorf("no message %s", id)
		}
	}
}

// TestAskedAgain: the console says that a request has to be asked for again, and how.
func TestAskedAgain(t *testing.T) {
	if said := anew(request{State: "ask_again"}); !strings.Contains(said, "ask for it again") || !strings.Contains(said, "requests withdraw") {
		t.Errorf("it says %q", said)
	}
	if said := anew(request{State: "waits"}); said != "" {
		t.Errorf("of one that waits it says %q", said)
	}
}

// TestKeysAreNamed: requests that replace different keys read differently.
func TestKeysAreNamed(t *testing.T) {
	for use, want := range map[string]string{
		"trust": "Replace the key for trust lists.", "status": "Replace the key for status lists.", "pack": "Replace the key for packs.",
		"log": "Replace the log's key.", "agency": "Replace the signing key of 0a0a.",
	} {
		q := request{Do: "signing.change", Lines: []line{{"do", "signing.change"}, {"what.use", use}}}
		if use == "agency" {
			q.Lines = append(q.Lines, line{"what.agency", "0a0a"})
		}
		if got := sentence(q); got != want {
			t.Errorf("%s: %q, want %q", use, got, want)
		}
	}
}
