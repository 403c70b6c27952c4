package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // the two formats that phones and scanners give
	_ "image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/makiuchi-d/gozxing"
	multi "github.com/makiuchi-d/gozxing/multi/qrcode"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/safeconduct/safeconduct/verifier"
)

// Bounds of an input. A picture is refused by its header, before any pixel is
// allocated.
const (
	maxInput  = 32 << 20
	maxSide   = 12_000
	maxPixels = 40_000_000
)

// readInput turns INPUT into text. The reason is set, and the error nil, when
// there was something to look at in which no code could be read.
func readInput(stdin io.Reader, input string) (string, verifier.Reason, error) {
	if input == "-" {
		data, err := io.ReadAll(io.LimitReader(stdin, maxInput+1))
		if err != nil {
			return "", "", fmt.Errorf("read standard input: %w", err)
		}
		switch {
		case len(data) > maxInput:
			return "", verifier.ReasonTooLarge, nil
		case isImage(data):
			return scan(data)
		case !utf8.Valid(data): // a picture of another kind, or noise
			return "", verifier.ReasonNoPicture, nil
		}
		// A shell adds one line end to what it pipes; nothing else is trimmed.
		return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), "", nil
	}
	if looksLikeText(input) {
		return input, "", nil
	}
	data, err := readBounded(input, maxInput)
	if errors.Is(err, errTooLarge) {
		return "", verifier.ReasonTooLarge, nil
	}
	if err != nil {
		return "", "", err
	}
	return scan(data)
}

// looksLikeText tells digits and credentials from file names. A file of that
// name wins; where there is none, digits are digits, also those that have
// become too few to be a card.
func looksLikeText(input string) bool {
	if len(input) > maxName || strings.HasPrefix(input, "eyJ") {
		return true
	}
	if input == "" || strings.Trim(input, "0123456789") != "" {
		return false
	}
	_, err := os.Lstat(input)
	return errors.Is(err, os.ErrNotExist)
}

// maxName is the longest name that a file can have, in bytes, on the systems
// that this runs on.
const maxName = 255

func isImage(data []byte) bool {
	return bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")) || bytes.HasPrefix(data, []byte("\xff\xd8\xff"))
}

// scan finds the one QR code in a picture.
func scan(data []byte) (string, verifier.Reason, error) {
	header, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return "", verifier.ReasonNoPicture, nil
	}
	if header.Width > maxSide || header.Height > maxSide || header.Width*header.Height > maxPixels {
		return "", verifier.ReasonTooLarge, nil
	}
	picture, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return "", verifier.ReasonNoPicture, nil
	}
	text, reason := decode(picture)
	return text, reason, nil
}

// decode reads the one QR code in a picture. With two of them it is not clear
// which one was meant, and a code would be tried on the wrong one.
func decode(picture image.Image) (text string, reason verifier.Reason) {
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

var errTooLarge = errors.New("file is too large")

// readBounded reads a file that may be at most limit bytes long.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Clean(path)) //nolint:gosec // the file that the user of the command named
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), errTooLarge)
	}
	return data, nil
}

// writeFile replaces a file by a new one that only its owner can read, whole
// or not at all.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
