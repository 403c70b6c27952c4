// Command consumer is for seeing the verifier as somebody outside this
// repository does: it imports package verifier and nothing else of it, and is
// built for every platform that has to carry a check. What a verdict should
// look like to an officer is left to those who show it.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/safeconduct/safeconduct/verifier"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: consumer PACK DEVICE-KEY TEXT [CODE]")
		os.Exit(1)
	}
	verdict, err := check(os.Args[1], os.Args[2], os.Args[3], os.Args[4:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(verdict.State)
}

func check(packFile, keyFile, text string, code []string) (verifier.Verdict, error) {
	file, err := os.ReadFile(packFile)
	if err != nil {
		return verifier.Verdict{}, err
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return verifier.Verdict{}, err
	}
	device, err := verifier.ParseDevice(key)
	if err != nil {
		return verifier.Verdict{}, err
	}
	pack, err := verifier.OpenPack(file, device, time.Now())
	if err != nil {
		return verifier.NotReadyVerdict(err), nil
	}
	shown := verifier.Presentation{Text: text}
	if len(code) > 0 {
		shown.Code = &code[0]
	}
	return pack.Verify(shown, time.Now()), nil
}
