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

// The bounds of a picture. They stand in the contract too
// (docs/api/openapi.yaml, addPage), and in the answer to a picture that is
// beyond them.
const (
	// MaxUpload is the longest upload, in bytes.
	MaxUpload = 16 << 20
	// MaxSide is the longest side of a picture, in pixels.
	MaxSide = 20_000
	// MaxPixels is the largest area of a picture that is read.
	MaxPixels = 110_000_000
	// MaxKept is the largest area that is kept. What has more is kept at half
	// its width and height, or at a third, and so on.
	MaxKept = 40_000_000

	maxDecoded = 256 << 20 // bytes that reading and drawing may need, for all pictures at a time
	maxScans   = 64        // of a progressive JPEG, each of which costs a pass over all of it
	maxCleaned = 32 << 20  // bytes of the picture that is drawn anew
	maxShrink  = 8         // the smallest that a picture is kept is an eighth of its width and height
	quality    = 90        // of a JPEG: what a stamp needs to stay legible
)

// PictureError says which bound a picture is beyond. It wraps ErrImageTooLarge
// and repeats nothing of the picture.
type PictureError struct {
	Code string // bytes, side, pixels, memory, scans or animation
	Rule string // the bound, with its figure
}

// Error names the bound.
func (e *PictureError) Error() string { return ErrImageTooLarge.Error() + ": " + e.Code }

// Unwrap is ErrImageTooLarge.
func (e *PictureError) Unwrap() error { return ErrImageTooLarge }

func beyond(code, rule string, figures ...any) error {
	return &PictureError{code, fmt.Sprintf(rule, figures...)}
}

// clean reads an upload and draws it anew, when it is the asker's turn. It
// returns the media type of what is kept, too.
func (v *Vault) clean(ctx context.Context, asker, claimed string, r io.Reader) (picture []byte, mediaType string, err error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxUpload+1))
	if err != nil {
		return nil, "", fmt.Errorf("read the upload: %w", err)
	}
	if len(data) > MaxUpload {
		return nil, "", beyond("bytes", "at most %d MiB", MaxUpload>>20)
	}
	p, err := examine(claimed, data)
	if err != nil {
		return nil, "", err
	}
	giveBack, err := v.pixels.take(ctx, asker, p.memory(p.shrink))
	if err != nil {
		return nil, "", err
	}
	defer giveBack()
	picture, err = p.redraw()
	return picture, p.mediaType, err
}

// picture is an upload that has been measured and not decoded yet.
type picture struct {
	data          []byte
	mediaType     string
	width, height int
	facts         pictureFacts
	model         color.Model
	shrink        int // by how much its sides are divided; 1 keeps them
}

// examine finds out what an upload is and whether it is within all bounds.
// Everything is measured before the decoder sees the whole.
func examine(claimed string, data []byte) (picture, error) {
	p := picture{data: data}
	var err error
	if p.mediaType, err = sniff(claimed, data); err != nil {
		return picture{}, err
	}
	if p.mediaType == mediaJPEG {
		p.facts, err = jpegFacts(data)
	} else {
		p.facts, err = pngFacts(data)
	}
	if err != nil {
		return picture{}, err
	}
	cfg, format, err := image.DecodeConfig(p.reader())
	if err != nil || "image/"+format != p.mediaType || cfg.Width < 1 || cfg.Height < 1 {
		return picture{}, ErrUnreadable
	}
	p.width, p.height, p.model = cfg.Width, cfg.Height, cfg.ColorModel
	pixels := int64(p.width) * int64(p.height)
	switch {
	case p.width > MaxSide || p.height > MaxSide:
		return picture{}, beyond("side", "at most %d pixels wide and high", MaxSide)
	case pixels > MaxPixels:
		return picture{}, beyond("pixels", "at most %d million pixels", MaxPixels/1_000_000)
	}
	for p.shrink = 1; p.shrink <= maxShrink; p.shrink++ {
		if p.area(p.shrink) <= MaxKept && p.memory(p.shrink) <= maxDecoded {
			return p, nil
		}
	}
	return picture{}, beyond("memory", "to read it, at most %d MiB of memory; a JPEG that is not progressive needs least", maxDecoded>>20)
}

// sniff holds what an upload is called against how it begins.
func sniff(claimed string, data []byte) (string, error) {
	is := ""
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xd8")):
		is = mediaJPEG
	case bytes.HasPrefix(data, []byte(pngSignature)):
		is = mediaPNG
	}
	called, ok := calledType(claimed)
	if is == "" || !ok || called != "" && called != is {
		return "", ErrMediaType
	}
	return is, nil
}

// Pictures reports whether an upload of this media type may be a picture that
// AddPage takes.
func Pictures(mediaType string) bool {
	_, ok := calledType(mediaType)
	return ok && mediaType != ""
}

// calledType is what a media type stands for; empty leaves it to the bytes.
// Scanners and telephones call a JPEG image/jpg, or do not say what they send.
func calledType(claimed string) (mediaType string, ok bool) {
	switch claimed {
	case mediaJPEG, "image/jpg", "image/pjpeg":
		return mediaJPEG, true
	case mediaPNG:
		return mediaPNG, true
	case "", "application/octet-stream":
		return "", true
	default:
		return "", false
	}
}

// reader reads the picture. Some telephones and programs leave a JPEG without
// its end marker (ITU-T T.81 §B.2.1), with nothing else missing: a marker
// behind the data ends it, and is not looked at where there is one. A JPEG
// that was cut off inside its pixels still cannot be read.
func (p picture) reader() io.Reader {
	if p.mediaType == mediaJPEG {
		return io.MultiReader(bytes.NewReader(p.data), bytes.NewReader([]byte{0xff, 0xd9}))
	}
	return bytes.NewReader(p.data)
}

// redraw decodes the picture and encodes its pixels: turned as its metadata
// ask, and smaller where it is larger than what is kept.
func (p picture) redraw() ([]byte, error) {
	decoded, _, err := image.Decode(p.reader())
	if err != nil {
		return nil, ErrUnreadable
	}
	for shrink := p.shrink; shrink <= maxShrink; shrink++ {
		img := decoded
		if p.drawn(shrink) {
			img = drawn(decoded, p.facts.orientation, shrink)
		}
		out := limitedBuffer{max: maxCleaned}
		if p.mediaType == mediaJPEG {
			err = jpeg.Encode(&out, img, &jpeg.Options{Quality: quality})
		} else {
			err = png.Encode(&out, img)
		}
		switch {
		case err == nil:
			return out.Bytes(), nil
		case !errors.Is(err, errLimit):
			return nil, fmt.Errorf("encode the picture: %w", err)
		}
		// Noise does not compress: the next size will.
	}
	return nil, beyond("bytes", "at most %d MiB when it is drawn anew", maxCleaned>>20)
}

// area is the number of pixels of the picture when it is shrunk.
func (p picture) area(shrink int) int64 {
	return int64(shrunk(p.width, shrink)) * int64(shrunk(p.height, shrink))
}

func shrunk(side, by int) int { return (side + by - 1) / by }

// drawn reports whether the pixels are drawn into a new picture before they
// are encoded. Inks are: the encoder would ask for them one by one.
func (p picture) drawn(shrink int) bool {
	return shrink > 1 || p.facts.orientation > 1 || p.model == color.CMYKModel
}

// memory bounds the bytes that decoding and drawing need.
func (p picture) memory(shrink int) int64 {
	need := int64(p.width) * int64(p.height) * p.facts.sixteenths(p.model) / 16
	if p.drawn(shrink) {
		need += 4 * p.area(shrink)
	}
	return need
}

// pictureFacts is what has to be known before decoding.
type pictureFacts struct {
	progressive bool  // a JPEG: the decoder keeps all coefficients
	interlaced  bool  // a PNG: the decoder keeps a pass besides the picture
	samples     int64 // a JPEG: sixteenths of samples for one pixel, all components
	mixed       bool  // a JPEG: the decoder joins the components into one picture at the end
	orientation int   // EXIF, 1 to 8; 0 if there is none
}

// sixteenths bounds the bytes that decoding needs for sixteen pixels.
func (f pictureFacts) sixteenths(m color.Model) int64 {
	if f.samples > 0 {
		n := f.samples
		if f.progressive {
			n += 4 * f.samples // a coefficient has four bytes
		}
		if f.mixed {
			n += 4 * 16
		}
		return n
	}
	n := int64(4 * 16)
	switch m {
	case color.Gray16Model, color.RGBA64Model, color.NRGBA64Model:
		n = 8 * 16
	}
	if f.interlaced {
		n *= 2
	}
	return n
}

const pngSignature = "\x89PNG\r\n\x1a\n"

// pngFacts walks over the chunks of a PNG. An animation is a stack of
// pictures, of which one would survive without anybody having looked at the
// others: it is refused as too much.
func pngFacts(data []byte) (pictureFacts, error) {
	var f pictureFacts
	for at := len(pngSignature); len(data)-at >= 8; {
		n := int64(binary.BigEndian.Uint32(data[at:]))
		kind := string(data[at+4 : at+8])
		if n > int64(len(data)-at-8) {
			break // the decoder says what is missing
		}
		body := data[at+8 : at+8+int(n)]
		switch kind {
		case "IHDR":
			f.interlaced = n == 13 && body[12] != 0
		case "acTL":
			return pictureFacts{}, beyond("animation", "one picture, not an animation")
		case "eXIf":
			// W3C PNG, third edition, §11.3.4.5: before or behind the pixels.
			if f.orientation == 0 {
				f.orientation = tiffOrientation(body)
			}
		case "IEND":
			return f, nil
		}
		at += 8 + int(n) + 4
	}
	return f, nil
}

// jpegFacts walks over the segments of a JPEG up to its end.
func jpegFacts(data []byte) (pictureFacts, error) {
	var f pictureFacts
	jfif, adobe, scans := false, -1, 0
	var frame []byte
	for at := 2; at+4 <= len(data); {
		// Between segments and inside a scan's data, a marker is 0xff and
		// something that is neither a stuffed zero nor a restart.
		if data[at] != 0xff || data[at+1] == 0 || data[at+1] == 0xff || data[at+1] >= 0xd0 && data[at+1] <= 0xd7 {
			at++
			continue
		}
		marker := data[at+1]
		if marker == 0xd9 { // end of image: what follows is not looked at, nor kept
			break
		}
		n := int(binary.BigEndian.Uint16(data[at+2:]))
		if n < 2 || at+2+n > len(data) {
			break // the decoder says what is missing
		}
		body := data[at+4 : at+2+n]
		switch {
		case marker >= 0xc0 && marker <= 0xc2 && frame == nil:
			f.progressive, frame = marker == 0xc2, body
		case marker == 0xda:
			if scans++; scans > maxScans {
				return pictureFacts{}, beyond("scans", "at most %d scans; a JPEG that is not progressive has few", maxScans)
			}
		case marker == 0xe0:
			jfif = jfif || bytes.HasPrefix(body, []byte("JFIF\x00"))
		case marker == 0xee && len(body) >= 12 && bytes.HasPrefix(body, []byte("Adobe")):
			adobe = int(body[11])
		case marker == 0xe1 && f.orientation == 0:
			if tiff, ok := bytes.CutPrefix(body, []byte("Exif\x00\x00")); ok {
				f.orientation = tiffOrientation(tiff)
			}
		}
		at += 2 + n
	}
	f.measure(frame, !jfif && adobe == 0)
	return f, nil
}

// measure reads how many samples a pixel has from the frame header (ITU-T T.81
// §B.2.2). Colours that are no brightness with two differences are joined into
// a picture of four bytes for each pixel at the end: inks, and red, green, blue.
func (f *pictureFacts) measure(frame []byte, plain bool) {
	f.samples = 4 * 16 // what no decoder of ours reads
	if len(frame) < 6 || len(frame) < 6+3*int(frame[5]) || frame[5] == 0 {
		return
	}
	components := int(frame[5])
	most := int64(frame[7]>>4) * int64(frame[7]&15) // the first component has the most samples
	sum := int64(0)
	for i := range components {
		c := frame[6+3*i:]
		sum += int64(c[1]>>4) * int64(c[1]&15)
	}
	if most == 0 || sum == 0 {
		return
	}
	f.samples = (16*sum + most - 1) / most
	if components == 1 {
		f.samples = 16
	}
	named := components == 3 && frame[6] == 'R' && frame[9] == 'G' && frame[12] == 'B'
	f.mixed = components > 3 || plain || named
}

// tiffOrientation reads tag 0x0112 of the first directory of an EXIF block
// (EXIF 2.3 §4.6.4). Dropping the metadata without obeying it would lay half
// of all photographs of passports on their side. 0 if there is none.
func tiffOrientation(tiff []byte) int {
	if len(tiff) < 8 {
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
		if order.Uint16(tiff[e:]) != 0x0112 {
			continue
		}
		o := int64(order.Uint16(tiff[e+8:]))
		if order.Uint16(tiff[e+2:]) == tiffLong {
			o = int64(order.Uint32(tiff[e+8:]))
		}
		if o >= 1 && o <= 8 {
			return int(o)
		}
		return 0
	}
	return 0
}

// tiffLong is the type of a number of four bytes (TIFF 6.0 §2). The standard
// asks for two here, and some programs write four.
const tiffLong = 4

// drawn is a picture in its final size and turned. It takes as many rows at a
// time as become one, so that no second whole picture is needed.
func drawn(img image.Image, orientation, shrink int) *image.RGBA {
	b := img.Bounds()
	w, h := shrunk(b.Dx(), shrink), shrunk(b.Dy(), shrink)
	ow, oh := w, h
	if orientation >= 5 {
		ow, oh = h, w
	}
	dst := image.NewRGBA(image.Rect(0, 0, ow, oh))
	for y := range h {
		rows := image.NewRGBA(image.Rect(0, 0, b.Dx(), min(shrink, b.Dy()-y*shrink)))
		draw.Draw(rows, rows.Rect, img, b.Min.Add(image.Pt(0, y*shrink)), draw.Src)
		for x := range w {
			tx, ty := turnedTo(orientation, x, y, w, h)
			copy(dst.Pix[dst.PixOffset(tx, ty):][:4], mean(rows, x*shrink, min((x+1)*shrink, b.Dx())))
		}
	}
	return dst
}

// mean is the mean colour of the columns from..to of some rows.
func mean(rows *image.RGBA, from, to int) []byte {
	if to-from == 1 && rows.Rect.Dy() == 1 {
		return rows.Pix[4*from:][:4]
	}
	var sum [4]int
	for y := range rows.Rect.Dy() {
		line := rows.Pix[y*rows.Stride:]
		for x := 4 * from; x < 4*to; x += 4 {
			sum[0] += int(line[x])
			sum[1] += int(line[x+1])
			sum[2] += int(line[x+2])
			sum[3] += int(line[x+3])
		}
	}
	n := (to - from) * rows.Rect.Dy()
	return []byte{byte(sum[0] / n), byte(sum[1] / n), byte(sum[2] / n), byte(sum[3] / n)} //nolint:gosec // a mean of bytes is one
}

// turnedTo is where the pixel at x, y of a w×h picture stands after turning as an
// EXIF orientation asks.
func turnedTo(orientation, x, y, w, h int) (tx, ty int) {
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
		return h - 1 - y, x
	case 7: // transposed the other way
		return h - 1 - y, w - 1 - x
	case 8: // a quarter to the left
		return y, w - 1 - x
	default:
		return x, y
	}
}

var errLimit = errors.New("vault: longer than its limit")

// limitedBuffer is a buffer that takes no more than max bytes.
type limitedBuffer struct {
	bytes.Buffer
	max int
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.max {
		return 0, errLimit
	}
	return l.Buffer.Write(p)
}
