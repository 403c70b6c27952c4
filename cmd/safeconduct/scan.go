package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/internal/files"
	"github.com/safeconduct/safeconduct/internal/picture"
	"github.com/safeconduct/safeconduct/verifier"
)

// readInput turns INPUT into text. The reason is set, and the error nil, when
// there was something to look at in which no code could be read.
func readInput(ctx context.Context, stdin io.Reader, input string) (string, verifier.Reason, error) {
	if input == "-" {
		data, err := io.ReadAll(io.LimitReader(stdin, picture.MaxBytes+1))
		if err != nil {
			return "", "", fmt.Errorf("read standard input: %w", err)
		}
		switch {
		case len(data) > picture.MaxBytes:
			return "", verifier.ReasonTooLarge, nil
		case picture.Is(data):
			return lookAt(ctx, data)
		case !utf8.Valid(data): // a picture of another kind, or noise
			return "", verifier.ReasonNoPicture, nil
		}
		// A shell adds one line end to what it pipes; nothing else is trimmed.
		return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), "", nil
	}
	if looksLikeText(input) {
		return input, "", nil
	}
	data, err := files.Read(input, picture.MaxBytes)
	if errors.Is(err, files.ErrTooLarge) {
		return "", verifier.ReasonTooLarge, nil
	}
	if err != nil {
		return "", "", err
	}
	return lookAt(ctx, data)
}

// lookAt finds the symbol in a file.
func lookAt(ctx context.Context, data []byte) (string, verifier.Reason, error) {
	r, err := picture.New(ctx, programs())
	if err != nil {
		return "", "", err
	}
	text, reason, err := r.Read(ctx, data)
	return text, reason, errors.Join(err, r.Close(context.WithoutCancel(ctx)))
}

// programs is the folder in which the compiled reader of symbols is kept for the next
// picture; "" if this user has none. Nothing of a picture is in it.
func programs() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "safeconduct", "programs")
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
