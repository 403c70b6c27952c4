package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/credentials/strictjson"
	"github.com/safeconduct/safeconduct/internal/config"
	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/verifier"
)

// verifyFlags are the flags of verify.
type verifyFlags struct {
	pack, deviceKey, code, dir string
	json                       bool
}

// Exit statuses of verify. A script can go on from them without reading words.
const (
	exitInUse     = 0 // confirmed, unconfirmed
	exitNo        = 2 // every state that is not named here
	exitUnchecked = 3 // status_old, issuer_unknown, not_ready, code_not_given
	exitNotOurs   = 4 // not_ours, unreadable
)

func verifyCommand() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use:   "verify [flags] INPUT",
		Short: "Check a card or a credential, without a network",
		Long: `Check a card or a credential, without a network.

INPUT is a picture of a card, a PDF with a photograph of one, the digits of a
card, a credential, or - for standard input.

With --code - the holder's code is asked for, and not shown while it is typed; or
it is read from standard input, where that is no terminal. Without --code a card
is looked at as a finder would.

The exit status is 0 for confirmed and unconfirmed; 3 for status_old,
issuer_unknown, not_ready and code_not_given; 4 for not_ours and unreadable; 2
for every other state; and 1 when the command itself could not be carried out.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c.Context(), c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr(), args[0], time.Now)
		},
	}
	c.Flags().StringVar(&f.pack, "pack", "", "the pack file; without it, the pack under --dir")
	c.Flags().StringVar(&f.deviceKey, "device-key", "", "the device key file (default: the pack file with .key added)")
	c.Flags().StringVar(&f.code, "code", "", "- to be asked for the holder's code, or to read it from standard input; digits given here can be seen in ps and in the shell's history")
	c.Flags().StringVar(&f.dir, "dir", "", "a folder with pack.json; wrong codes are counted there")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object and nothing else")
	c.PreRun = func(c *cobra.Command, _ []string) {
		if !c.Flags().Changed("code") {
			f.code = noCode
		}
	}
	return c
}

// noCode stands for a code that was not given, which is not the same as an
// empty one.
const noCode = "\x00"

func (f verifyFlags) run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, input string, clock func() time.Time) error {
	if input == "-" && f.code == "-" {
		return errors.New("only one of INPUT and --code can come from standard input")
	}
	text, seen, err := readInput(ctx, stdin, input)
	if err != nil {
		return err
	}
	code, err := f.readCode(stdin, stderr)
	if err != nil {
		return err
	}
	pack, notReady, err := f.openPack(clock)
	if err != nil {
		return err
	}
	verdict, err := f.judge(pack, notReady, text, seen, code, clock())
	if err != nil {
		return err
	}
	if f.json {
		err = printVerdictJSON(stdout, verdict)
	} else {
		err = printVerdict(stdout, verdict)
	}
	if err != nil {
		return err
	}
	if status := exitStatus(verdict.State); status != exitInUse {
		return exitError(status)
	}
	return nil
}

// judge asks the verifier, and counts tries when there is a folder to keep
// them in.
func (f verifyFlags) judge(pack *verifier.Pack, notReady error, text string, seen verifier.Reason, code *string, now time.Time) (verifier.Verdict, error) {
	switch {
	case pack == nil:
		return verifier.NotReadyVerdict(notReady), nil
	case seen != verifier.ReasonNone:
		return pack.UnreadableVerdict(seen, now), nil
	case f.dir == "":
		return pack.Verify(verifier.Presentation{Text: text, Code: code}, now), nil
	}
	tries, err := loadTries(f.dir)
	if err != nil {
		return verifier.Verdict{}, err
	}
	before, err := json.Marshal(tries)
	if err != nil {
		return verifier.Verdict{}, err
	}
	v := pack.Verify(verifier.Presentation{Text: text, Code: code, Tries: tries}, now)
	after, err := json.Marshal(tries)
	if err != nil || bytes.Equal(before, after) {
		return v, err // nothing was counted, and nothing forgotten
	}
	return v, saveTries(f.dir, after, now)
}

// readCode returns nil when no code was given. Marks that nobody sees and that
// came along with what was pasted are no part of a code.
func (f verifyFlags) readCode(stdin io.Reader, prompt io.Writer) (*string, error) {
	code := f.code
	switch code {
	case noCode:
		return nil, nil
	case "-":
		line, err := readLine(stdin, prompt)
		if err != nil {
			return nil, fmt.Errorf("read the code: %w", err)
		}
		code = line
	}
	code = card.WithoutMarks(code)
	return &code, nil
}

// readLine asks for the code where somebody sits at a terminal, which then shows
// nothing of what is typed, and reads all of standard input where nobody does.
func readLine(stdin io.Reader, prompt io.Writer) (string, error) {
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		_, _ = io.WriteString(prompt, english("code.ask")+" ")
		line, err := term.ReadPassword(int(f.Fd()))
		_, _ = io.WriteString(prompt, "\n")
		return string(line), err
	}
	data, err := io.ReadAll(io.LimitReader(stdin, maxCode))
	return string(data), err
}

// maxCode is how much is read of a code. It has ten digits.
const maxCode = 1 << 10

// openPack opens the pack that the flags name. A pack that cannot be used is a
// verdict; a file that is not there is a mistake in the command. The clock is
// asked after the file was read, so that a pack which was published while
// somebody typed the code is not from the future.
func (f verifyFlags) openPack(clock func() time.Time) (*verifier.Pack, error, error) {
	path := f.pack
	if path == "" {
		if f.dir == "" {
			return nil, nil, nil
		}
		path = filepath.Join(f.dir, config.PackName)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, nil, nil
		}
	}
	keyPath := f.deviceKey
	if keyPath == "" {
		keyPath = path + ".key"
	}
	file, err := files.Read(path, verifier.MaxPack)
	if errors.Is(err, files.ErrTooLarge) {
		return nil, &verifier.NotReadyError{Reason: verifier.ReasonPackBroken, Detail: "the pack file is too large"}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := files.Read(keyPath, verifier.MaxDevice)
	if err != nil {
		return nil, nil, err
	}
	device, err := verifier.ParseDevice(key)
	if err != nil {
		return nil, nil, err
	}
	pack, err := verifier.OpenPack(file, device, clock())
	if _, ok := errors.AsType[*verifier.NotReadyError](err); ok {
		return nil, err, nil
	}
	return pack, nil, err
}

// triesName holds in which hours wrong codes were tried, by card under a key of the device.
const triesName = "tries.json"

func loadTries(dir string) (*verifier.Tries, error) {
	data, err := files.Read(filepath.Join(dir, triesName), 4<<20)
	if errors.Is(err, os.ErrNotExist) {
		return &verifier.Tries{}, nil
	}
	if err != nil {
		return nil, err
	}
	var t verifier.Tries
	if err := strictjson.Unmarshal(data, strictjson.Limits{Size: 4 << 20}, &t); err != nil {
		return nil, fmt.Errorf("read %s: %w", triesName, err)
	}
	return &t, nil
}

// saveTries writes what was counted. The file's own date is that of the hour too, and its
// folder's where that is ours: of the minute they would tell what the file does not.
func saveTries(dir string, tries []byte, now time.Time) error {
	path, hour := filepath.Join(dir, triesName), now.Truncate(time.Hour)
	if err := files.Replace(path, tries); err != nil {
		return err
	}
	_ = os.Chtimes(dir, hour, hour)
	return os.Chtimes(path, hour, hour)
}

func exitStatus(s verifier.State) int {
	switch s {
	case verifier.Confirmed, verifier.Unconfirmed:
		return exitInUse
	case verifier.StatusOld, verifier.IssuerUnknown, verifier.NotReady, verifier.CodeNotGiven:
		return exitUnchecked
	case verifier.NotOurs, verifier.Unreadable:
		return exitNotOurs
	default:
		return exitNo
	}
}

// printVerdictJSON prints the verdict as every face of ours gives it. The open
// key is not among what it prints: it would outlive the check wherever output
// is kept.
func printVerdictJSON(w io.Writer, v verifier.Verdict) error {
	out := struct {
		verifier.Shown
		// Always there, null when no status list was used.
		StatusAsOf *time.Time `json:"status_as_of"`
	}{Shown: v.Show()}
	if !v.StatusAsOf.IsZero() {
		out.StatusAsOf = &v.StatusAsOf
	}
	data, err := private.RevealJSON(out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", data)
	return err
}

// printVerdict prints a verdict in words: what holds, what was checked, and
// what to do next.
func printVerdict(w io.Writer, v verifier.Verdict) error {
	var b strings.Builder
	words := wordsFor(v)
	fmt.Fprintf(&b, "%s  %s\n", words.sign, words.heading)
	if v.Demo {
		fmt.Fprintf(&b, "   %s\n", english("page.demo"))
	}
	if v.Reopened != "" {
		fmt.Fprintf(&b, "   %s\n", english("page.reopened", "date", v.Reopened))
	}
	fmt.Fprintf(&b, "   %s\n", words.next)
	if c := v.Show().Card; c != nil {
		b.WriteString("\n")
		line := func(id, value string) {
			if value != "" {
				fmt.Fprintf(&b, "   %-13s %s\n", label(id), value)
			}
		}
		line("name", c.Name.Reveal())
		line("born", c.BirthDate.Reveal())
		line("nationality", c.Nationality.Reveal())
		line("procedure", procedureWords(c.Status, c.DecisionLevel))
		line("last_day", c.LastDay)
	}
	b.WriteString("\n")
	fmt.Fprintf(&b, "   signature %s · issuer %s · status %s\n", v.Checks.Signature, v.Checks.Issuer, v.Checks.Status)
	if v.Issuer != nil {
		fmt.Fprintf(&b, "   issued by %s, desk %s\n", v.Issuer.Name, v.Issuer.Desk)
		fmt.Fprintf(&b, "   %s\n", english("result.agency", "country", v.Issuer.Country, "date", v.Issuer.Since, "symbols", v.Issuer.Symbols))
	} else if v.Desk != "" {
		fmt.Fprintf(&b, "   desk %s\n", v.Desk)
	}
	if !v.StatusAsOf.IsZero() {
		fmt.Fprintf(&b, "   status as of %s UTC\n", v.StatusAsOf.Format("2006-01-02 15:04"))
	}
	if v.Card != nil {
		fmt.Fprintf(&b, "   %s\n", english("record.code_binds"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
