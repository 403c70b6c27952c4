package vault

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
)

// The bounds of a picture.
const (
	// MaxUpload is the longest upload, in bytes.
	MaxUpload = 20 << 20
	// MaxSide is the longest side of a picture, in pixels.
	MaxSide = 12_000
	// MaxPixels is the largest area of a picture.
	MaxPixels = 40_000_000

	maxDecoded = 256 << 20 // bytes that the decoder may need
	maxScans   = 64        // of a progressive JPEG, each of which costs a pass over all of it
	maxCleaned = 32 << 20  // bytes of the picture that is drawn anew
	quality    = 90        // of a JPEG: what a stamp needs to stay legible
)

// clean reads an upload and draws it anew.
func (v *Vault) clean(ctx context.Context, mediaType string, r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxUpload+1))
	if err != nil {
		return nil, fmt.Errorf("read the upload: %w", err)
	}
	if len(data) > MaxUpload {
		return nil, ErrImageTooLarge
	}
	select {
	case v.pixels <- struct{}{}:
		defer func() { <-v.pixels }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return redraw(mediaType, data)
}

// redraw decodes a picture and encodes its pixels, turned as its metadata ask.
// Everything is measured before the decoder sees the whole.
func redraw(mediaType string, data []byte) ([]byte, error) {
	var facts pictureFacts
	var err error
	switch mediaType {
	case mediaJPEG:
		facts, err = jpegFacts(data)
	case mediaPNG:
		facts, err = pngFacts(data)
	default:
		return nil, ErrMediaType
	}
	if err != nil {
		return nil, err
	}
	cfg, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil || "image/"+format != mediaType {
		return nil, ErrMediaType
	}
	if cfg.Width < 1 || cfg.Height < 1 {
		return nil, ErrMediaType
	}
	pixels := int64(cfg.Width) * int64(cfg.Height)
	if cfg.Width > MaxSide || cfg.Height > MaxSide || pixels > MaxPixels || pixels*facts.perPixel(cfg.ColorModel) > maxDecoded {
		return nil, ErrImageTooLarge
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, ErrMediaType
	}
	img = turn(img, facts.orientation)

	out := limited{max: maxCleaned}
	if mediaType == mediaJPEG {
		err = jpeg.Encode(&out, img, &jpeg.Options{Quality: quality})
	} else {
		err = png.Encode(&out, img)
	}
	switch {
	case errors.Is(err, errLimit):
		return nil, ErrImageTooLarge
	case err != nil:
		return nil, fmt.Errorf("encode the picture: %w", err)
	}
	return out.Bytes(), nil
}

// pictureFacts is what has to be known before decoding.
type pictureFacts struct {
	progressive bool // the decoder keeps all coefficients
	interlaced  bool // the decoder keeps a pass besides the picture
	orientation int  // EXIF, 1 to 8; 0 if there is none
}

// perPixel bounds the bytes that decoding and turning need for one pixel.
func (f pictureFacts) perPixel(m color.Model) int64 {
	n := int64(4)
	switch m {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		n = 8
	}
	if f.interlaced {
		n *= 2
	}
	if f.progressive {
		n += 3 * 4 // int32 coefficients of three components
	}
	return n
}

// pngFacts walks over the chunks of a PNG. An animation is a stack of
// pictures, of which one would survive without anybody having looked at the
// others: it is refused as too much.
func pngFacts(data []byte) (pictureFacts, error) {
	const signature = "\x89PNG\r\n\x1a\n"
	if !bytes.HasPrefix(data, []byte(signature)) {
		return pictureFacts{}, ErrMediaType
	}
	var f pictureFacts
	for at := len(signature); len(data)-at >= 8; {
		n := int64(binary.BigEndian.Uint32(data[at:]))
		kind := string(data[at+4 : at+8])
		if n > int64(len(data)-at-8) {
			break // the decoder says what is missing
		}
		switch kind {
		case "IHDR":
			f.interlaced = n == 13 && data[at+8+12] != 0
		case "acTL":
			return pictureFacts{}, ErrImageTooLarge
		case "IEND":
			return f, nil
		}
		at += 8 + int(n) + 4
	}
	return f, nil
}

// jpegFacts walks over the segments of a JPEG up to its end.
func jpegFacts(data []byte) (pictureFacts, error) {
	if len(data) < 4 || data[0] != 0xff || data[1] != 0xd8 {
		return pictureFacts{}, ErrMediaType
	}
	var f pictureFacts
	scans := 0
	for at := 2; at+4 <= len(data); {
		// Between segments and inside a scan's data, a marker is 0xff and
		// something that is neither a stuffed zero nor a restart.
		if data[at] != 0xff || data[at+1] == 0 || data[at+1] == 0xff || data[at+1] >= 0xd0 && data[at+1] <= 0xd7 {
			at++
			continue
		}
		marker := data[at+1]
		if marker == 0xd9 { // end of image: what follows is not looked at, nor kept
			return f, nil
		}
		n := int(binary.BigEndian.Uint16(data[at+2:]))
		if n < 2 || at+2+n > len(data) {
			break // the decoder says what is missing
		}
		body := data[at+4 : at+2+n]
		switch {
		case marker == 0xc2:
			f.progressive = true
		case marker == 0xda:
			if scans++; scans > maxScans {
				return pictureFacts{}, ErrImageTooLarge
			}
		case marker == 0xe1 && f.orientation == 0:
			f.orientation = exifOrientation(body)
		}
		at += 2 + n
	}
	return f, nil
}

// exifOrientation reads tag 0x0112 of the first directory (EXIF 2.3 §4.6.4).
// Dropping the metadata without obeying it would lay half of all photographs
// of passports on their side. 0 if there is none.
func exifOrientation(app1 []byte) int {
	tiff, ok := bytes.CutPrefix(app1, []byte("Exif\x00\x00"))
	if !ok || len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.BigEndian
	switch string(tiff[:2]) {
	case "II":
		order = binary.LittleEndian
	case "MM":
	default:
		return 0
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return 0
	}
	for i := range int64(order.Uint16(tiff[at:])) {
		e := at + 2 + 12*i
		if e+12 > int64(len(tiff)) {
			return 0
		}
		if order.Uint16(tiff[e:]) == 0x0112 {
			if o := int(order.Uint16(tiff[e+8:])); o >= 1 && o <= 8 {
				return o
			}
			return 0
		}
	}
	return 0
}

// turn applies an EXIF orientation to the pixels.
func turn(img image.Image, orientation int) image.Image {
	if orientation < 2 || orientation > 8 {
		return img
	}
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	src := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(src, src.Bounds(), img, b.Min, draw.Src)
	ow, oh := w, h
	if orientation >= 5 {
		ow, oh = h, w
	}
	dst := image.NewRGBA(image.Rect(0, 0, ow, oh))
	for y := range oh {
		for x := range ow {
			sx, sy := source(orientation, x, y, w, h)
			copy(dst.Pix[y*dst.Stride+4*x:][:4], src.Pix[sy*src.Stride+4*sx:][:4])
		}
	}
	return dst
}

// source is the pixel of a w×h picture that stands at x, y after turning.
func source(orientation, x, y, w, h int) (sx, sy int) {
	switch orientation {
	case 2: // mirrored
		return w - 1 - x, y
	case 3: // upside down
		return w - 1 - x, h - 1 - y
	case 4: // upside down, mirrored
		return x, h - 1 - y
	case 5: // transposed
		return y, x
	case 6: // a quarter to the right
		return y, h - 1 - x
	case 7: // transposed the other way
		return w - 1 - y, h - 1 - x
	case 8: // a quarter to the left
		return w - 1 - y, x
	default:
		return x, y
	}
}

var errLimit = errors.New("vault: longer than its limit")

// limited is a buffer that takes no more than max bytes.
type limited struct {
	bytes.Buffer
	max int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.max {
		return 0, errLimit
	}
	return l.Buffer.Write(p)
}
