//go:build js && wasm

package main

import (
	"github.com/safeconduct/safeconduct/verifier"
)

// deviceKey is the answer of newDevice. Both halves are base64.
type deviceKey struct {
	Private []byte `json:"private"` // the page wraps it before it keeps it
	Public  []byte `json:"public"`
}

// newDevice() makes the key of a device that is about to be enrolled.
func newDevice(*arguments) any {
	// The network is not known yet; what it says comes with the enrolment.
	device, public, err := verifier.NewDevice("", "", nil)
	if err != nil {
		return problem{"internal"}
	}
	return deviceKey{device.Private, public}
}

// deviceFile({network, device, private, root, sequence, seen, trust_key_iat}) writes
// the device key that openPack takes. private is base64 and root the JWK that the
// enrolment answered; sequence, seen and trust_key_iat are what openPack answered
// last, and may be left out before that.
func deviceFile(args *arguments) any {
	text := args.object("device")
	if args.wrong != "" {
		return nil
	}
	device, err := verifier.ParseDevice(text)
	if err != nil {
		return problem{"device"}
	}
	file, err := verifier.MarshalDevice(device)
	if err != nil {
		return problem{"device"}
	}
	return struct {
		Text string `json:"text"`
	}{string(file)}
}

// symbols(network, root, public): root as for deviceFile, public as from
// newDevice. It runs one Argon2id, so a page calls it in a worker.
func symbols(args *arguments) any {
	network, root, public := args.text("network"), args.object("root"), args.base64("public")
	if args.wrong != "" {
		return nil
	}
	text, err := verifier.Symbols(network, root, public)
	if err != nil {
		return problem{"symbols"}
	}
	return struct {
		Symbols string `json:"symbols"`
	}{text}
}
