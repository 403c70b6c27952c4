package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/safeconduct/safeconduct/internal/sqlitetest"
	"github.com/safeconduct/safeconduct/web"
)

// TestScript runs testdata/script/*.txt: what a person at a terminal sees. The
// scripts have the demo's cards as variables, and these commands besides
// testscript's own:
//
//	exits N program args...   run it, and want this exit status
//	verdict name=value...     the output is one verdict in JSON, with these
//	                          values; name= wants it empty, !name wants it absent
//	object name=value...      the same for any one JSON object
//	flip FILE                 change one byte in the middle of a file
//	changekey FILE            change one byte of a key file in a keyring
//	credential FILE           write a credential that the served demo issued
//	picture FILE KIND         write a picture: see drawPicture
//	copytree FROM TO          copy a folder
//	by_hour FILE              the file's own date is that of a full hour
//	let VAR name              keep a value of the one JSON object
//	agree REQUEST WHO...      people of the served demo agree, each operator-1 or
//	                          AGENCY/admin-1, and it is done with the last
//
// and tokens of the served demo: operator.token and second.token are those of
// programs of its operators, officer.token that of its checkpoint's, whose id is $GATE.
// $CASE is a case of the served demo.
func TestScript(t *testing.T) {
	live, still, path := servingDemo(t), endedDemo(t), filepath.Dir(program(t))
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: false,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", path+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("LIVE", live.dir)
			e.Setenv("STILL", still.dir)
			e.Setenv("URL", live.list.URL)
			e.Setenv("TOMORROW", time.Now().UTC().Add(24*time.Hour).Format(time.DateOnly))
			e.Setenv("SAFECONDUCT_PASSPHRASE_FILE", "")
			if err := writeTokens(e, live.list); err != nil {
				return err
			}
			var cases struct{ Cases []struct{ ID string } }
			if err := live.as("caseworker", "/api/v1/cases?limit=1", &cases); err != nil {
				return err
			}
			e.Setenv("CASE", cases.Cases[0].ID)
			for _, c := range still.list.Cards {
				for name, value := range map[string]string{
					"png": filepath.Join(still.dir, c.PNG), "code": c.Code, "digits": c.Digits,
				} {
					e.Setenv(c.Expect+"_"+name, value) // of several the last one
					if c.Person == "SITI" {
						e.Setenv("siti_"+name, value)
					}
				}
			}
			e.Setenv("wrong_code", otherCode(e.Getenv("siti_code")))
			e.Setenv("khmer_code", strings.Map(func(r rune) rune { return '០' + r - '0' }, e.Getenv("siti_code")))
			e.Setenv("flipped_digits", flippedDigits(e.Getenv("siti_digits")))
			typed := e.Getenv("siti_code")
			e.Setenv("pasted_code", "\u202a"+typed+"\u202c")
			if err := os.WriteFile(filepath.Join(e.WorkDir, "pasted"), []byte("\u2066"+typed+"\u2069\n"), 0o600); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "code"), []byte(typed[:3]+" "+typed[3:6]+"-"+typed[6:]+"\n"), 0o600)
		},
		Condition: func(name string) (bool, error) {
			if name == "pages" {
				return web.Built() == nil, nil
			}
			return false, fmt.Errorf("no condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"agree": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Check(live.agree(t.Context(), args[0], args[1:]...))
			},
			"let": let, "exits": exits, "verdict": wantVerdict, "object": wantObject, "flip": flip, "changekey": changeKey, "picture": drawPicture,
			"by_hour": func(ts *testscript.TestScript, neg bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[0]))
				ts.Check(err)
				if at := info.ModTime(); !at.Equal(at.Truncate(time.Hour)) {
					ts.Fatalf("%s is of %v", args[0], at)
				}
			},
			"credential": func(ts *testscript.TestScript, neg bool, args []string) { fetchCredential(ts, live, args) },
			"copytree": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Check(copyTree(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
			},
		},
	})
}

// writeTokens writes the tokens that a script asks the service with.
func writeTokens(e *testscript.Env, m manifest) error {
	names := map[string][]string{"operator": {"operator.token", "second.token"}, "officer": {"officer.token"}}
	for _, a := range m.Actors {
		left := names[a.Role]
		if len(left) == 0 {
			continue
		}
		names[a.Role] = left[1:]
		if err := os.WriteFile(filepath.Join(e.WorkDir, left[0]), []byte(a.Token+"\n"), 0o600); err != nil {
			return err
		}
		if a.Role == "officer" {
			e.Setenv("GATE", a.Agency)
		}
	}
	return nil
}

func let(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: let VAR name")
	}
	value, there := find(object(ts), args[1])
	text, isText := value.(string)
	if !there || !isText {
		ts.Fatalf("there is no text %s", args[1])
	}
	ts.Setenv(args[0], text)
}

// otherCode is the code with one digit changed.
func otherCode(code string) string {
	return code[:len(code)-1] + string('0'+(code[len(code)-1]-'0'+1)%10)
}

// flippedDigits is a card with one digit of its ciphertext changed.
func flippedDigits(card string) string {
	const at = 300
	return card[:at] + otherCode(card[at:at+1]) + card[at+1:]
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg || len(args) < 2 {
		ts.Fatalf("usage: exits N program args...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("got status %d, want %d", got, want)
	}
}

// object reads the one JSON object that the last command printed.
func object(ts *testscript.TestScript) map[string]any {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	var o map[string]any
	ts.Check(d.Decode(&o))
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		ts.Fatalf("there is more than one object")
	}
	return o
}

func wantObject(ts *testscript.TestScript, _ bool, args []string) { compare(ts, object(ts), args) }

func wantVerdict(ts *testscript.TestScript, _ bool, args []string) {
	o := object(ts)
	for _, name := range []string{"state", "checks", "reason", "status_as_of", "demo"} {
		if _, ok := o[name]; !ok {
			ts.Fatalf("the verdict has no %s", name)
		}
	}
	if _, ok := o["open_key"]; ok {
		ts.Fatalf("the verdict holds the open key")
	}
	compare(ts, o, args)
}

// compare looks values up by name; a dot leads into an object.
func compare(ts *testscript.TestScript, o map[string]any, args []string) {
	for _, arg := range args {
		if absent, ok := strings.CutPrefix(arg, "!"); ok {
			if _, there := find(o, absent); there {
				ts.Fatalf("there is a value for %s", absent)
			}
			continue
		}
		name, want, _ := strings.Cut(arg, "=")
		value, there := find(o, name)
		if !there {
			ts.Fatalf("there is no %s", name)
		}
		var got string
		switch v := value.(type) {
		case string:
			got = v
		default:
			b, err := json.Marshal(v)
			ts.Check(err)
			got = string(b)
		}
		if got != want && want != "*" {
			ts.Fatalf("%s: got %s, want %s", name, got, want)
		}
	}
}

func find(o map[string]any, name string) (any, bool) {
	first, rest, deeper := strings.Cut(name, ".")
	v, ok := o[first]
	if !deeper || !ok {
		return v, ok
	}
	inner, _ := v.(map[string]any)
	return find(inner, rest)
}

// flip changes a byte in the middle of a file.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.WriteFile(name, data, 0o600))
}

// changeKey changes a byte of one row of a keyring.
func changeKey(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(sqlitetest.Run(context.Background(), ts.MkAbs(args[0]), `UPDATE keys SET box = CAST(substr(box, 1, 100)
		|| CASE substr(box, 101, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr(box, 102) AS BLOB)
		WHERE name = (SELECT MIN(name) FROM keys)`))
}

// fetchCredential writes the credential of the first attestation in use that a
// caseworker of the served demo can read.
func fetchCredential(ts *testscript.TestScript, d *played, args []string) {
	var cases struct{ Cases []struct{ ID string } }
	ts.Check(d.as("caseworker", "/api/v1/cases", &cases))
	for _, c := range cases.Cases {
		var all struct {
			Attestations []struct{ ID, Kind, State string }
		}
		ts.Check(d.as("caseworker", "/api/v1/cases/"+c.ID+"/attestations", &all))
		for _, a := range all.Attestations {
			if a.Kind != "identity" || a.State != "active" {
				continue
			}
			var one struct{ Credential string }
			ts.Check(d.as("caseworker", "/api/v1/attestations/"+a.ID, &one))
			ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(one.Credential+"\n"), 0o600))
			return
		}
	}
	ts.Fatalf("nothing was issued")
}
