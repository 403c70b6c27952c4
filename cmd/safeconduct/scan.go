package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/safeconduct/safeconduct/internal/picture"
	"github.com/safeconduct/safeconduct/verifier"
)

// readInput turns INPUT into text. The reason is set, and the error nil, when
// there was something to look at in which no code could be read.
func readInput(stdin io.Reader, input string) (string, verifier.Reason, error) {
	if input == "-" {
		data, err := io.ReadAll(io.LimitReader(stdin, picture.MaxBytes+1))
		if err != nil {
			return "", "", fmt.Errorf("read standard input: %w", err)
		}
		switch {
		case len(data) > picture.MaxBytes:
			return "", verifier.ReasonTooLarge, nil
		case picture.Is(data):
			text, reason := picture.Read(data)
			return text, reason, nil
		case !utf8.Valid(data): // a picture of another kind, or noise
			return "", verifier.ReasonNoPicture, nil
		}
		// A shell adds one line end to what it pipes; nothing else is trimmed.
		return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), "", nil
	}
	if looksLikeText(input) {
		return input, "", nil
	}
	data, err := readBounded(input, picture.MaxBytes)
	if errors.Is(err, errTooLarge) {
		return "", verifier.ReasonTooLarge, nil
	}
	if err != nil {
		return "", "", err
	}
	text, reason := picture.Read(data)
	return text, reason, nil
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
