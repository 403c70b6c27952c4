// Package picture finds the one QR symbol in a file: what somebody photographed,
// scanned or was sent. It gives the answer that the officers' page gives, because
// the same program reads for both (package zxing) and gets the same to see. It
// knows nothing of what a symbol says; that is left to the verifier.
package picture

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/safeconduct/safeconduct/internal/picture/zxing"
	"github.com/safeconduct/safeconduct/verifier"
)

// Bounds of a file, of one picture in it, and of the time for all of it. A
// picture is refused by its header, before any pixel is allocated.
const (
	// MaxBytes is the size of the largest file that is looked at.
	MaxBytes = 30 << 20

	maxPixels = 64_000_000
	maxTime   = time.Minute
)

// A Reader reads one file after the other.
type Reader struct{ symbols *zxing.Reader }

// New starts the program that reads symbols, which takes half a second, and less where
// the folder cache has it from the time before (zxing.New).
func New(ctx context.Context, cache string) (*Reader, error) {
	symbols, err := zxing.New(ctx, cache)
	if err != nil {
		return nil, err
	}
	return &Reader{symbols}, nil
}

// Close ends the program.
func (r *Reader) Close(ctx context.Context) error { return r.symbols.Close(ctx) }

// Read finds the one symbol of a picture, or of the photographs in a PDF. The
// reason is set where there is none that could be read. An error means that
// nobody has looked: the context ended, or the program went wrong.
func (r *Reader) Read(ctx context.Context, file []byte) (string, verifier.Reason, error) {
	if len(file) > MaxBytes {
		return "", verifier.ReasonTooLarge, nil
	}
	if isPDF(file) {
		return r.readPDF(ctx, file)
	}
	return r.readOne(ctx, file)
}

// readPDF looks into every photograph of a PDF. What was drawn with letters and
// lines is not looked at, and whoever sent it is told so.
func (r *Reader) readPDF(ctx context.Context, file []byte) (string, verifier.Reason, error) {
	var found []string
	for _, one := range photographs(file) {
		text, reason, err := r.readOne(ctx, one)
		if err != nil || reason == verifier.ReasonMoreThanOneCode {
			return "", reason, err
		}
		if reason == verifier.ReasonNone {
			found = append(found, text)
		}
	}
	text, reason := onlyOne(found)
	if reason == verifier.ReasonNoCode {
		reason = verifier.ReasonDrawnPage
	}
	return text, reason, nil
}

// readOne reads one picture. Its own time is a bound against pictures that were
// made to take long.
func (r *Reader) readOne(ctx context.Context, file []byte) (string, verifier.Reason, error) {
	seen, err := decode(file)
	switch {
	case errors.Is(err, errTooLarge):
		return "", verifier.ReasonTooLarge, nil
	case err != nil:
		return "", verifier.ReasonNoPicture, nil
	}
	within, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	for _, look := range looks(seen) {
		texts, err := r.symbols.Read(within, look())
		switch {
		case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
			return "", verifier.ReasonNoCode, nil
		case err != nil:
			return "", verifier.ReasonNone, err
		}
		if text, reason := onlyOne(texts); reason != verifier.ReasonNoCode {
			return text, reason, nil
		}
	}
	return "", verifier.ReasonNoCode, nil
}

var likeACard = regexp.MustCompile(`^[0-9]{667}$`)

// onlyOne is the symbol that was meant among those in view: ours, if there is
// one. Of two of ours neither was, for a code would be tried on the wrong one.
// web/src/check/scanned.ts has this rule for the page.
func onlyOne(texts []string) (string, verifier.Reason) {
	meant := ""
	for _, text := range texts {
		switch ours := likeACard.MatchString(text); {
		case ours && likeACard.MatchString(meant) && text != meant:
			return "", verifier.ReasonMoreThanOneCode
		case ours || meant == "":
			meant = text
		}
	}
	if meant == "" {
		return "", verifier.ReasonNoCode
	}
	return meant, verifier.ReasonNone
}
