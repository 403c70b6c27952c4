package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCodeIsNotShown: a terminal shows nothing of a code that is typed at the
// prompt. It looks at a terminal that the test holds the other end of.
func TestCodeIsNotShown(t *testing.T) {
	still := endedDemo(t)
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	defer func() { _ = keyboard.Close() }()
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = screen.Close() }()

	var card listedCard
	for _, c := range still.list.Cards {
		if c.Person == "SITI" {
			card = c
		}
	}
	var out bytes.Buffer
	verify := exec.CommandContext(t.Context(), program(t), "verify", "--pack", filepath.Join(still.dir, still.list.Pack), "--code", "-", filepath.Join(still.dir, card.PNG))
	verify.Stdin, verify.Stdout, verify.Stderr = screen, &out, screen
	if err := verify.Start(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		settings, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if settings.Lflag&unix.ECHO == 0 {
			break
		}
		if time.Since(began) > time.Minute {
			_ = verify.Process.Kill()
			t.Fatal("the terminal shows what is typed")
		}
	}
	if _, err := keyboard.WriteString(card.Code + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := verify.Wait(); err != nil {
		t.Errorf("%v: %s", err, out.Bytes())
	}
	shown := make([]byte, 4096)
	count, err := keyboard.Read(shown)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(shown[:count]); !strings.Contains(s, "code") || strings.ContainsAny(s, "0123456789") {
		t.Errorf("the terminal showed %q", s)
	}
	if !strings.Contains(out.String(), "SITI") {
		t.Errorf("the code was not read: %s", out.Bytes())
	}
}
