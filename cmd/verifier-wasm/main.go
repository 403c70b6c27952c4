//go:build js && wasm

// Command verifier-wasm is for checking cards and credentials in a browser: it
// puts package verifier behind eight JavaScript functions and adds nothing of
// its own. Like the verifier it makes no request and reads no clock. Fetching
// and keeping packs, device keys and tries, running Argon2id off the page's own
// thread, and showing a verdict are left to the page.
//
// The functions are members of globalThis.safeconduct. Once they are there,
// globalThis.safeconductReady is called, if the page has such a function. Each
// of them returns an object; an object with the member error means that the
// page called it wrongly, and is never an answer about a card. now is in
// seconds since 1970 UTC.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"syscall/js"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/verifier"
)

func main() {
	b := &browser{packs: map[int]*verifier.Pack{}}
	js.Global().Set("safeconduct", map[string]any{
		"openPack":  function(b.openPack),
		"closePack": function(b.closePack),
		"recognise": function(b.recognise),
		"verify":    function(b.verify),
		"opening":   function(b.opening),

		// For the enrolment of this browser as a device.
		"newDevice":  function(newDevice),
		"deviceFile": function(deviceFile),
		"symbols":    function(symbols),
	})
	if ready := js.Global().Get("safeconductReady"); ready.Type() == js.TypeFunction {
		ready.Invoke()
	}
	select {} // from now on the page calls
}

// browser holds the packs that the page opened. JavaScript calls one function
// at a time.
type browser struct {
	packs map[int]*verifier.Pack
	last  int
}

// problem is the answer to a page that called a function wrongly.
type problem struct {
	Error string `json:"error"`
}

// function makes a JavaScript function of one whose answer is encoded as JSON.
func function(f func(*arguments) any) js.Func {
	return js.FuncOf(func(_ js.Value, values []js.Value) (result any) {
		defer func() {
			// What a panic says may repeat input, so it goes no further.
			if recover() != nil {
				result = map[string]any{"error": "internal"}
			}
		}()
		args := &arguments{values: values}
		answer := f(args)
		if args.wrong != "" {
			answer = problem{args.wrong}
		}
		// The page shows the claims of a card that it opened: here they are
		// asked for by name.
		text, err := private.RevealJSON(answer)
		if err != nil {
			return map[string]any{"error": "internal"}
		}
		return js.Global().Get("JSON").Call("parse", string(text))
	})
}

// opened is the answer of openPack: a handle and what a page shows about the
// pack, or the verdict on everything that is shown to this device.
type opened struct {
	Verdict     *verifier.Verdict    `json:"verdict,omitempty"`
	Handle      int                  `json:"handle,omitempty"`
	Network     string               `json:"network,omitempty"`
	Name        string               `json:"name,omitempty"`
	Demo        bool                 `json:"demo"`
	Reopened    string               `json:"reopened,omitempty"` // the day on which founding was opened again
	Desk        string               `json:"desk,omitempty"`
	Issued      time.Time            `json:"issued,omitzero"`
	LeaseUntil  time.Time            `json:"lease_until,omitzero"`
	StatusLists map[uint16]time.Time `json:"status_lists,omitempty"`
	// Sequence, Seen and TrustKey are what the page writes into the device key before
	// it keeps it: older packs, an earlier clock and an older key for trust lists are
	// refused from then on. They stand beside a refusal, too, for the root may have named
	// another key: then numbers begin anew.
	Sequence uint64 `json:"sequence,omitempty"`
	Seen     int64  `json:"seen,omitempty"`
	TrustKey int64  `json:"trust_key_iat,omitempty"`
}

// openPack(file, deviceKey, now): both files as text.
func (b *browser) openPack(args *arguments) any {
	file, key, now := args.text("file"), args.text("deviceKey"), args.time("now")
	if args.wrong != "" {
		return nil
	}
	device, err := verifier.ParseDevice([]byte(key))
	if err != nil {
		return problem{"deviceKey"}
	}
	pack, err := verifier.OpenPack([]byte(file), device, now)
	if err != nil {
		v := verifier.NotReadyVerdict(err)
		if not, ok := errors.AsType[*verifier.NotReadyError](err); ok {
			device = not.Kept(device)
		}
		return opened{Verdict: &v, Sequence: device.Sequence, Seen: device.Seen, TrustKey: device.TrustKeyIssued}
	}
	b.last++
	b.packs[b.last] = pack
	trust, kept := pack.Trust(), pack.Accepted(device)
	return opened{
		Handle: b.last, Network: trust.Network, Name: trust.Name, Demo: trust.Demo, Reopened: pack.Reopened(), Desk: trust.Desk,
		Issued: pack.Issued(), LeaseUntil: pack.LeaseUntil(), StatusLists: pack.ListDates(),
		Sequence: kept.Sequence, Seen: kept.Seen, TrustKey: kept.TrustKeyIssued,
	}
}

// closePack(handle) forgets a pack and its keys.
func (b *browser) closePack(args *arguments) any {
	delete(b.packs, args.whole("handle"))
	return struct{}{}
}

// checked is the answer of recognise and verify.
type checked struct {
	// Verdict is null while the code has to be stretched.
	Verdict *verifier.Shown `json:"verdict"`
	// Stretch says what to run Argon2id (version 0x13) over. Then comes verify.
	Stretch *stretch `json:"stretch,omitempty"`
	// Tries is to be kept and given to the next check.
	Tries string `json:"tries"`
}

type stretch struct {
	Password string `json:"password"`
	Salt     string `json:"salt"` // hex
	Passes   int    `json:"passes"`
	KiB      int    `json:"kib"`
	Lanes    int    `json:"lanes"`
	Size     int    `json:"size"`
}

// recognise(handle, text, code, tries, now) answers as far as that goes without
// Argon2id. text is what was scanned, null if nothing could be read; code is as
// it was typed, null if none was given; tries is what the last check answered,
// null at first. Without a pack the handle is 0.
func (b *browser) recognise(args *arguments) any {
	pack, text, in := b.shown(args)
	now := args.time("now")
	switch {
	case args.wrong != "":
		return nil
	case text == nil:
		return answer(pack.UnreadableVerdict(verifier.ReasonNoCode, now), in.Tries)
	}
	v, s := pack.Ask(in, now)
	if s == nil {
		return answer(v, in.Tries)
	}
	return checked{Tries: triesText(in.Tries), Stretch: &stretch{
		Password: s.Password, Salt: hex.EncodeToString(s.Salt), Passes: s.Passes, KiB: s.KiB, Lanes: s.Lanes, Size: s.Size,
	}}
}

// verify(handle, text, code, tries, now, stretched) is the whole check.
// stretched is a Uint8Array with what Argon2id gave; with null it runs here,
// slowly, and the page stands still meanwhile.
func (b *browser) verify(args *arguments) any {
	pack, text, in := b.shown(args)
	now, stretched := args.time("now"), args.bytes("stretched")
	switch {
	case args.wrong != "":
		return nil
	case text == nil:
		return answer(pack.UnreadableVerdict(verifier.ReasonNoCode, now), in.Tries)
	case stretched == nil:
		return answer(pack.Verify(in, now), in.Tries)
	}
	return answer(pack.VerifyStretched(in, stretched, now), in.Tries)
}

// signed is the answer of opening: a signature for one opening, or why there is none.
type signed struct {
	checked

	Signature string `json:"signature,omitempty"` // base64url
}

// opening(handle, text, code, tries, now, stretched, {nonce, device, agency, record,
// purpose, parts, minute}) is verify once more, and one signature with the key that card
// and code give: it opens a record online, once (docs/card.md, Opening a record online).
// The key itself leaves no answer. Where the card does not open, the verdict says why.
func (b *browser) opening(args *arguments) any {
	pack, text, in := b.shown(args)
	now, stretched, asked := args.time("now"), args.bytes("stretched"), args.object("opening")
	var o struct {
		Nonce   string   `json:"nonce"`
		Device  string   `json:"device"`
		Agency  string   `json:"agency"`
		Record  string   `json:"record"`
		Purpose string   `json:"purpose"`
		Parts   []string `json:"parts"`
		Minute  int64    `json:"minute"`
	}
	switch {
	case args.wrong != "":
		return nil
	case text == nil:
		args.refuse("text")
		return nil
	case stretched == nil:
		args.refuse("stretched")
		return nil
	case json.Unmarshal(asked, &o) != nil:
		args.refuse("opening")
		return nil
	}
	v := pack.VerifyStretched(in, stretched, now)
	signature := v.SignOpening(card.Opening{
		Nonce: o.Nonce, Device: o.Device, Agency: o.Agency, Record: o.Record, Purpose: o.Purpose, Parts: o.Parts, Minute: o.Minute,
	})
	return signed{answer(v, in.Tries), base64.RawURLEncoding.EncodeToString(signature)}
}

// shown reads the arguments that recognise and verify have in common. The pack
// is nil, which is a device that is not ready, when there is none with this
// handle; the text is nil when nothing could be read.
func (b *browser) shown(args *arguments) (*verifier.Pack, *string, verifier.Presentation) {
	pack := b.packs[args.whole("handle")]
	text, code, kept := args.maybe("text"), args.maybe("code"), args.maybe("tries")
	in := verifier.Presentation{Code: code, Tries: &verifier.Tries{}}
	if text != nil {
		in.Text = *text
	}
	if kept != nil && json.Unmarshal([]byte(*kept), in.Tries) != nil {
		args.refuse("tries")
	}
	return pack, text, in
}

func answer(v verifier.Verdict, tries *verifier.Tries) checked {
	shown := v.Show()
	return checked{Verdict: &shown, Tries: triesText(tries)}
}

func triesText(tries *verifier.Tries) string {
	text, err := json.Marshal(tries)
	if err != nil {
		panic(err) // numbers under texts always encode
	}
	return string(text)
}
