// Package picture finds the one QR code in a file: what somebody photographed,
// scanned or was sent. It knows nothing of what a code says; that is left to the
// verifier.
package picture

import (
	"bytes"
	"image"
	_ "image/jpeg" // the two formats that phones and scanners give
	_ "image/png"

	"github.com/makiuchi-d/gozxing"
	multi "github.com/makiuchi-d/gozxing/multi/qrcode"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/safeconduct/safeconduct/verifier"
)

// MaxBytes is the size of the largest file that is looked at.
const MaxBytes = 32 << 20

// A picture is refused by its header, before any pixel is allocated.
const (
	maxSide   = 12_000
	maxPixels = 40_000_000
)

// Is reports whether data begins as a picture does that Read can read.
func Is(data []byte) bool {
	return bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")) || bytes.HasPrefix(data, []byte("\xff\xd8\xff"))
}

// Read finds the one QR code in a picture. The reason is set where there is
// none that could be read.
func Read(data []byte) (string, verifier.Reason) {
	header, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return "", verifier.ReasonNoPicture
	}
	if header.Width > maxSide || header.Height > maxSide || header.Width*header.Height > maxPixels {
		return "", verifier.ReasonTooLarge
	}
	picture, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return "", verifier.ReasonNoPicture
	}
	return find(picture)
}

// find reads the one QR code in a picture. With two of them it is not clear
// which one was meant, and a code would be tried on the wrong one.
func find(picture image.Image) (text string, reason verifier.Reason) {
	// The reader indexes by what it believes to see; a picture made to mislead
	// it is a picture that cannot be read.
	defer func() {
		if recover() != nil {
			text, reason = "", verifier.ReasonNoCode
		}
	}()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		return "", verifier.ReasonNoCode
	}
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}
	// First of all: the other readers give the first code that they come upon.
	found, err := multi.NewQRCodeMultiReader().DecodeMultiple(bitmap, hints)
	if err == nil && len(found) > 0 {
		for _, r := range found {
			if r.GetText() != found[0].GetText() {
				return "", verifier.ReasonMoreThanOneCode
			}
		}
		return found[0].GetText(), verifier.ReasonNone
	}
	for _, hints := range []map[gozxing.DecodeHintType]any{
		{gozxing.DecodeHintType_PURE_BARCODE: true}, // a file of the symbol alone
		hints, // a photograph
	} {
		if r, err := qrcode.NewQRCodeReader().Decode(bitmap, hints); err == nil {
			return r.GetText(), verifier.ReasonNone
		}
	}
	return "", verifier.ReasonNoCode
}
