package vault

import (
	"bytes"
	"errors"
	"image"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/credentials/private"
	"github.com/safeconduct/safeconduct/invalid"
)

// FuzzPicture: whatever an upload holds, it is refused for a reason that has a
// name, or what is kept is a picture of the size that was measured, without
// anything of the file but its pixels.
func FuzzPicture(f *testing.F) {
	pictures, err := filepath.Glob(filepath.Join("testdata", "pictures", "*"))
	if err != nil || len(pictures) == 0 {
		f.Fatalf("no pictures: %v", err)
	}
	for _, name := range pictures {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("image/jpeg", data)
		f.Add("", turnedBy(6, data))
	}
	for _, size := range [][2]uint16{{8064, 6048}, {40, 30}, {65500, 65500}} {
		f.Add("application/octet-stream", frame(0xc2, size[0], size[1], 0x22, 0x11, 0x11))
	}
	f.Add("image/png", []byte(pngSignature+"\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55"+
		"\x00\x00\x00\x1aeXIfMM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"+
		"\x00\x00\x00\x0aIDAT\x78\x9c\x63\x60\x00\x00\x00\x02\x00\x01\x48\xaf\xa4\x71\x00\x00\x00\x00IEND\xae\x42\x60\x82"))
	f.Fuzz(func(t *testing.T, claimed string, data []byte) {
		p, err := examine(claimed, data)
		switch {
		case errors.Is(err, ErrMediaType), errors.Is(err, ErrUnreadable), errors.Is(err, ErrImageTooLarge):
			return
		case err != nil:
			t.Fatalf("refused without a reason: %v", err)
		case p.memory(p.shrink) > maxDecoded || p.area(p.shrink) > MaxKept || p.facts.orientation < 0 || p.facts.orientation > 8:
			t.Fatalf("measured as %d×%d, divided by %d, turned by %d", p.width, p.height, p.shrink, p.facts.orientation)
		case p.area(1) > 64*64:
			return // the decoder is other people's, and dear
		}
		out, err := p.redraw()
		if errors.Is(err, ErrUnreadable) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		w, h := shrunk(p.width, p.shrink), shrunk(p.height, p.shrink)
		if p.facts.orientation >= 5 {
			w, h = h, w
		}
		again, err := examine(p.mediaType, out)
		if err != nil || again.width != w || again.height != h || again.facts.orientation != 0 {
			t.Fatalf("kept as %d×%d, turned by %d, want %d×%d: %v", again.width, again.height, again.facts.orientation, w, h, err)
		}
		if _, _, err := image.Decode(bytes.NewReader(out)); err != nil {
			t.Fatalf("what is kept cannot be read: %v", err)
		}
	})
}

// FuzzKeyFile: a key file opens for the agencies that it was written for, and
// one that was touched opens for nobody.
func FuzzKeyFile(f *testing.F) {
	key, err := age.GenerateHybridIdentity()
	if err != nil {
		f.Fatal(err)
	}
	v := &Vault{keys: turned{}}
	r := Record{ID: "00112233445566778899aabbccddeeff", Recipient: key.Recipient().String()}
	agencies := []string{"agency-a", "agency-b"}
	file, err := v.newKeyFile(f.Context(), r.ID, key, agencies)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, []byte(nil)) // as it was written
	f.Add(40, []byte("agency-c"))
	f.Add(len(file)-1, []byte{0})
	f.Add(len(file), []byte("behind"))
	f.Fuzz(func(t *testing.T, at int, edit []byte) {
		// The file is a new one in each process, so that the edit is what is fuzzed.
		at = max(0, min(at, len(file)))
		edited := slices.Concat(file[:at], edit, file[min(len(file), at+len(edit)):])
		for _, agency := range append(agencies, "agency-c") {
			id, err := v.openKeyFile(t.Context(), r, agency, edited)
			opens := bytes.Equal(edited, file) && agency != "agency-c"
			if opens != (err == nil) || opens && id.String() != key.String() {
				t.Fatalf("%s, edited is %v: %v", agency, !bytes.Equal(edited, file), err)
			}
		}
		listed, err := Readers(edited)
		if err != nil && !errors.Is(err, ErrIntegrity) {
			t.Fatal(err)
		}
		if bytes.Equal(edited, file) && !slices.Equal(listed, agencies) {
			t.Fatalf("it is for %v", listed)
		}
	})
}

// FuzzDocument: a document is refused with pointers and codes, or what is kept
// of it says the same when it is kept again, and its doubts are about members
// that it has.
func FuzzDocument(f *testing.F) {
	const zone = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
	f.Add("PASSPORT", "UTO", "L898902C3", "1974-08-12", "2012-04-15", "Eriksson, Anna Maria", "F", zone, "stolen")
	f.Add("VISA", "XKX", "l898-902 c3<", "1974", "2012-04", "សុខ\u200bសំណាង", "X",
		"V<UTO<<RAVINDRA<<<<<<<<<<<<<<<<<<<<<\r\nL8988901C4XXX4009078F9612109<<<<<<<<\r\n", "")
	f.Add("NATIONAL_ID_CARD", "D", "", "1974-08", "", "", "",
		"I<UTOD23145890<7349<<<<<<<<<<<\r7408122F1204159UTO<<<<<<<<<<<4\rERIKSSON<<ANNA<<MARIA<<<<<<<<<", "lost")
	f.Add("OTHER", "uto", "?", "2540-05-01", "1899", "\u202e", "W", "P<", "sold")
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, kind, state, number, birth, expiry, names, sex, zone, event string) {
		d := Document{
			Kind: kind, IssuingState: state, Number: private.New(number), BirthDate: private.New(birth), ExpiryDate: private.New(expiry),
			HolderNames: private.New(names), Sex: private.New(sex), MRZ: private.New(zone),
		}
		if event != "" {
			d.Loss = &Loss{Event: event}
		}
		err := d.Validate(now)
		if refused, ok := errors.AsType[*invalid.Error](err); ok {
			for _, p := range refused.Problems {
				if p.Code == "" || p.Pointer == "" {
					t.Fatalf("refused without a place or a reason: %+v", p)
				}
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		kept := d.complete()
		if err := kept.Validate(now); err != nil {
			t.Fatalf("what is kept is not valid: %v", err)
		}
		text, err := private.RevealJSON(kept)
		if err != nil {
			t.Fatal(err)
		}
		read, err := ParseDocument(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := private.RevealJSON(read.complete())
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("kept again it is another: %v", err)
		}
		if !slices.Equal(d.Doubts(), kept.Doubts()) {
			t.Fatalf("doubts %v before and %v after", d.Doubts(), kept.Doubts())
		}
		_ = kept.nationalities()
	})
}
