// Package symbol draws the digits of a sealed card as a QR symbol: numeric mode,
// version 12, level M, always (docs/card.md, Digits and symbol). It knows nothing
// of what the digits hold; making and opening cards is left to package card, and
// the paper around the symbol to whoever prints it.
package symbol

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"

	qrcode "github.com/skip2/go-qrcode"
)

const (
	// Digits is how many digits a symbol holds.
	Digits = 667
	// Modules is the side of the symbol in modules: version 12.
	Modules = 65
	// QuietZone is the white margin on every side, in modules.
	QuietZone = 4

	version = 12
	side    = Modules + 2*QuietZone

	// sideMM makes the 65 modules 40.07 mm wide, and the whole with its margin
	// this many millimetres.
	sideMM = 45

	maxScale = 40
)

// ErrDigits says that the input is not 667 ASCII digits.
var ErrDigits = errors.New("symbol: not 667 digits")

// A Symbol is the drawn matrix, with its quiet zone.
type Symbol struct {
	dark [side][side]bool // by row, then column
}

// New draws the symbol of a card's 667 digits. It takes about as long as 25
// signatures, so it stands outside of every transaction.
func New(digits string) (*Symbol, error) {
	if len(digits) != Digits {
		return nil, ErrDigits
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return nil, ErrDigits
		}
	}
	// Level M in version 12 is decided by the paper: level Q at the same print
	// size reads worse, and larger versions fail on a 720p camera.
	q, err := qrcode.NewWithForcedVersion(digits, version, qrcode.Medium)
	if err != nil {
		return nil, fmt.Errorf("symbol: encode: %w", err)
	}
	var s Symbol
	rows := q.Bitmap()
	if len(rows) != side {
		return nil, fmt.Errorf("symbol: drawn with %d modules, want %d", len(rows), side)
	}
	for y, row := range rows {
		if copy(s.dark[y][:], row) != side || len(row) != side {
			return nil, fmt.Errorf("symbol: row of %d modules, want %d", len(row), side)
		}
	}
	return &s, nil
}

// SVG returns the symbol as an image of 45 mm, of which the modules take 40: one
// path on white, and no text, title or metadata that could say what it is.
func (s *Symbol) SVG() []byte {
	b := make([]byte, 0, 16<<10)
	b = fmt.Appendf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%dmm" height="%dmm" viewBox="0 0 %d %d" shape-rendering="crispEdges">`,
		sideMM, sideMM, side, side)
	b = fmt.Appendf(b, `<rect width="%d" height="%d" fill="#fff"/><path d="`, side, side)
	for y := range side {
		for x := 0; x < side; x++ {
			if !s.dark[y][x] {
				continue
			}
			run := 1
			for x+run < side && s.dark[y][x+run] {
				run++
			}
			b = append(b, 'M')
			b = strconv.AppendInt(b, int64(x), 10)
			b = append(b, ' ')
			b = strconv.AppendInt(b, int64(y), 10)
			b = append(b, 'h')
			b = strconv.AppendInt(b, int64(run), 10)
			b = append(b, "v1h-"...)
			b = strconv.AppendInt(b, int64(run), 10)
			b = append(b, 'z')
			x += run
		}
	}
	return append(b, `"/></svg>`...)
}

// PNG returns the symbol as a black and white image of one bit per pixel, scale
// pixels to a module: 73 × scale pixels on each side. A scale below 1 or above
// 40 is taken as 1 or 40.
//
// The rows are packed here: image/png looks at every pixel by itself and takes
// three times as long.
func (s *Symbol) PNG(scale int) []byte {
	scale = min(max(scale, 1), maxScale)
	size := side * scale

	var data bytes.Buffer
	z, err := zlib.NewWriterLevel(&data, zlib.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	// PNG §9: each row begins with its filter. A module's first row is written as
	// it is (0), the others as the difference to the row above (2), which is zero.
	first := make([]byte, 1+(size+7)/8)
	same := make([]byte, len(first))
	same[0] = 2
	for y := range side {
		packRow(first[1:], s.dark[y][:], scale)
		_, _ = z.Write(first) // a bytes.Buffer takes everything
		for range scale - 1 {
			_, _ = z.Write(same)
		}
	}
	_ = z.Close()

	header := binary.BigEndian.AppendUint32(nil, uint32(size))
	header = binary.BigEndian.AppendUint32(header, uint32(size))
	header = append(header, 1, 0, 0, 0, 0) // one bit, greyscale, deflate, adaptive filter, not interlaced
	b := append(make([]byte, 0, data.Len()+64), "\x89PNG\r\n\x1a\n"...)
	b = appendChunk(b, "IHDR", header)
	b = appendChunk(b, "IDAT", data.Bytes())
	return appendChunk(b, "IEND", nil)
}

// packRow writes one row of modules as bits, most significant first, white is 1.
func packRow(bits []byte, dark []bool, scale int) {
	for i := range bits {
		bits[i] = 0xff
	}
	for x, d := range dark {
		if !d {
			continue
		}
		for i := x * scale; i < (x+1)*scale; i++ {
			bits[i/8] &^= 0x80 >> (i % 8)
		}
	}
}

// appendChunk appends a PNG chunk: length, type, data, CRC-32 of type and data.
func appendChunk(b []byte, kind string, data []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(data))) //nolint:gosec // a chunk of a symbol has a few kilobytes
	start := len(b)
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
}
