package vault_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/safeconduct/safeconduct/audit"
	"github.com/safeconduct/safeconduct/invalid"
	"github.com/safeconduct/safeconduct/vault"
)

// picture is w×h, with a red corner at the top left.
func picture(w, h int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{uint8(x), uint8(y), 200, 255}
			if x < w/2 && y < h/2 {
				c = color.RGBA{250, 10, 10, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func pngOf(w, h int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, picture(w, h)); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func jpegOf(w, h int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(w, h), nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// chunk writes a PNG chunk.
func chunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngHeader is the start of a PNG that says it is w×h.
func pngHeader(w, h uint32, interlace byte) []byte {
	ihdr := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	return append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(ihdr, 8, 6, 0, 0, interlace))...)
}

// behindHeader puts chunks between a PNG's IHDR and the rest.
func behindHeader(data []byte, chunks ...[]byte) []byte {
	return slices.Concat(data[:33], slices.Concat(chunks...), data[33:])
}

// segment writes a JPEG segment.
func segment(marker byte, data string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(data)+2)), data...)
}

// behindStart puts segments behind a JPEG's start.
func behindStart(data []byte, segments ...[]byte) []byte {
	return slices.Concat(data[:2], slices.Concat(segments...), data[2:])
}

// exif is a minimal little-endian EXIF block with an orientation and a canary.
func exif(orientation uint16) string {
	b := []byte("Exif\x00\x00II\x2a\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00")
	b = binary.LittleEndian.AppendUint16(b, orientation)
	return string(append(b, "\x00\x00\x00\x00\x00\x00GPS-CANARY"...))
}

func (w *world) page(document, media string, data []byte) (vault.PageInfo, error) {
	return w.AddPage(w.Context(), w.worker, document, vault.PageMeta{Role: vault.RoleData, MediaType: media, SeenOriginal: true}, bytes.NewReader(data))
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	for i, one := range []struct {
		media string
		data  []byte
	}{{"image/jpeg", jpegOf(80, 60)}, {"image/png", pngOf(80, 60)}} {
		info, err := w.page(d.ID, one.media, one.data)
		w.ok(err)
		if info.Page != i+1 || info.Version != 1 || !info.SeenOriginal || info.MediaType != one.media {
			t.Errorf("info %+v", info)
		}
		p, err := w.ReadPage(ctx, w.worker, d.ID, i+1)
		w.ok(err)
		img, format, err := image.Decode(bytes.NewReader(p.Bytes()))
		w.ok(err)
		if "image/"+format != one.media || img.Bounds().Dx() != 80 || int64(len(p.Bytes())) != p.Length || p.PageInfo != info {
			t.Errorf("%s %v %+v", format, img.Bounds(), p.PageInfo)
		}
		if s := fmt.Sprintf("%v %+v %#v", p, p, p); strings.Contains(s, string(p.Bytes()[:8])) || strings.Contains(s, fmt.Sprint(p.Bytes()[:8])[1:10]) { //nolint:staticcheck // as bytes and as text
			t.Error("a page prints its picture")
		}
	}
	info, err := w.AddPage(ctx, w.worker, d.ID, vault.PageMeta{Page: 1, Role: vault.RoleVisa, MediaType: "image/png"}, bytes.NewReader(pngOf(20, 10)))
	w.ok(err)
	if info.Page != 1 || info.Version != 2 {
		t.Errorf("replacing: %+v", info)
	}
	kept, err := w.ReadDocument(ctx, w.worker, d.ID)
	w.ok(err)
	if len(kept.Pages) != 2 || kept.Pages[0] != info {
		t.Errorf("pages %+v", kept.Pages)
	}

	for name, target := range map[string]string{"case": c.ID, "random": id()} {
		_, err := w.page(target, "image/png", pngOf(4, 4))
		w.is("page of a "+name, err, vault.ErrNotFound)
	}
	_, err = w.AddPage(ctx, w.embassy, d.ID, vault.PageMeta{Role: vault.RoleData, MediaType: "image/png"}, bytes.NewReader(pngOf(4, 4)))
	w.is("another agency's page", err, vault.ErrNotFound)
	_, err = w.AddPage(ctx, w.worker, d.ID, vault.PageMeta{Page: 9, Role: vault.RoleData, MediaType: "image/png"}, bytes.NewReader(pngOf(4, 4)))
	w.is("replacing nothing", err, vault.ErrNotFound)
	_, err = w.AddPage(ctx, w.worker, d.ID, vault.PageMeta{Role: "front", MediaType: "image/png"}, bytes.NewReader(pngOf(4, 4)))
	w.is("role", err, invalid.ErrInput)
	for _, page := range []int{-1, 0, 3, 1 << 40} {
		_, err = w.ReadPage(ctx, w.worker, d.ID, page)
		w.is("page that is not there", err, vault.ErrNotFound)
	}

	// The embassy sees pages only with a grant and an opening of the pages.
	w.share(d.ID, w.embassy)
	w.open(w.embassy, d.ID, vault.PartDocument)
	_, err = w.ReadPage(ctx, w.embassy, d.ID, 2)
	w.is("pages not opened", err, vault.ErrNotOpened)
	w.open(w.embassy, d.ID, vault.PartPortrait)
	_, err = w.ReadPage(ctx, w.embassy, d.ID, 2)
	w.is("a page is no portrait", err, vault.ErrNotOpened)
	w.open(w.embassy, d.ID, vault.PartPages)
	_, err = w.ReadPage(ctx, w.embassy, d.ID, 2)
	w.ok(err)
	w.has(c.ID, "page.added", 3)
	w.has(c.ID, "page.read", 3)
}

// TestMetadata is hostile case 66: nothing but pixels survives.
func TestMetadata(t *testing.T) {
	w := newWorld(t)
	d := w.newDocument(w.newCase().ID)
	canary := strings.Repeat("CANARY", 3)
	for name, one := range map[string]struct {
		media string
		data  []byte
	}{
		"jpeg": {"image/jpeg", append(behindStart(jpegOf(64, 48), segment(0xe1, exif(1)), segment(0xe1, "http://ns.adobe.com/xap/1.0/\x00"+canary),
			segment(0xe2, "ICC_PROFILE\x00\x01\x01"+canary), segment(0xfe, "<script>"+canary)), "PK\x03\x04"+canary...)},
		"png": {"image/png", append(behindHeader(pngOf(64, 48), chunk("tEXt", []byte("Author\x00"+canary)), chunk("eXIf", []byte(canary)),
			chunk("iCCP", []byte(canary+"\x00\x00"))), canary...)},
	} {
		t.Run(name, func(t *testing.T) {
			if !bytes.Contains(one.data, []byte("CANARY")) {
				t.Fatal("no canary: this test proves nothing")
			}
			info, err := w.page(d.ID, one.media, one.data)
			w.ok(err)
			p, err := w.ReadPage(t.Context(), w.worker, d.ID, info.Page)
			w.ok(err)
			if bytes.Contains(p.Bytes(), []byte("CANARY")) || bytes.Contains(p.Bytes(), []byte("Exif")) {
				t.Error("metadata survived")
			}
		})
	}
}

// corner tells where the red corner of a picture is.
func corner(img image.Image) string {
	b := img.Bounds()
	found := ""
	for name, at := range map[string]image.Point{"left top": {b.Dx() / 4, b.Dy() / 4}, "right top": {3 * b.Dx() / 4, b.Dy() / 4},
		"left bottom": {b.Dx() / 4, 3 * b.Dy() / 4}, "right bottom": {3 * b.Dx() / 4, 3 * b.Dy() / 4}} {
		if r, _, blue, _ := img.At(at.X, at.Y).RGBA(); r > 0xc000 && blue < 0x4000 {
			found += name
		}
	}
	return found
}

// keptPicture adds a page and reads it back.
func (w *world) keptPicture(document, media string, data []byte) image.Image {
	w.Helper()
	info, err := w.page(document, media, data)
	w.ok(err)
	p, err := w.ReadPage(w.Context(), w.worker, document, info.Page)
	w.ok(err)
	img, format, err := image.Decode(bytes.NewReader(p.Bytes()))
	w.ok(err)
	if "image/"+format != info.MediaType || info.MediaType != p.MediaType {
		w.Errorf("kept as %s, called %s", format, info.MediaType)
	}
	return img
}

// in is the same world in a test of its own.
func (w *world) in(t *testing.T) *world {
	inner := *w
	inner.TB = t
	return &inner
}

// TestOrientation: the pixels are turned as the metadata that goes away asked,
// in a JPEG and in a PNG, wherever the hint stands.
func TestOrientation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newCase()
	// Where the red corner is, for each orientation of a picture that is 64×32.
	corners := [...]string{0: "left top", 1: "left top", 2: "right top", 3: "right bottom", 4: "left bottom",
		5: "left top", 6: "right top", 7: "right bottom", 8: "left bottom", 9: "left top"}
	tiff := func(o int) []byte { return []byte(strings.TrimPrefix(exif(uint16(o)), "Exif\x00\x00")) }
	whole := pngOf(64, 32)
	end := len(whole) - 12 // IEND
	for media, turned := range map[string]func(o int) []byte{
		"image/jpeg": func(o int) []byte {
			return behindStart(jpegOf(64, 32), segment(0xe1, "http://ns.adobe.com/xap/1.0/\x00"), segment(0xe1, exif(uint16(o))))
		},
		"image/png":                func(o int) []byte { return behindHeader(whole, chunk("eXIf", tiff(o))) },
		"application/octet-stream": func(o int) []byte { return slices.Concat(whole[:end], chunk("eXIf", tiff(o)), whole[end:]) },
	} {
		d := w.newDocument(c.ID)
		for o, want := range corners {
			img := w.keptPicture(d.ID, media, turned(o))
			if upright := img.Bounds().Dx() == 32; upright != (o >= 5 && o <= 8) {
				t.Errorf("%s: orientation %d gives %v", media, o, img.Bounds())
			}
			if got := corner(img); got != want {
				t.Errorf("%s: orientation %d: the corner is %s, want %s", media, o, got, want)
			}
		}
	}
	// A number of four bytes where two are asked for.
	wide := "Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x04\x00\x00\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00"
	d := w.newDocument(c.ID)
	if got := corner(w.keptPicture(d.ID, "image/jpeg", behindStart(jpegOf(64, 32), segment(0xe1, wide)))); got != "right top" {
		t.Errorf("an orientation of four bytes: the corner is %s", got)
	}
}

// TestUnusualPictures: whatever begins as a JPEG or PNG is kept, or told why it
// cannot be read. It is never called another kind of file.
func TestUnusualPictures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newCase()
	d := w.newDocument(c.ID)
	made := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", "pictures", name))
		w.ok(err)
		return data
	}
	plain := jpegOf(64, 32)
	first := behindStart(plain, segment(0xe2, "MPF\x00II\x2a\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	for _, one := range []struct {
		name, media string
		data        []byte
		want        error
	}{
		{"progressive", "image/jpeg", made("progressive.jpg"), nil},
		{"restart markers", "image/jpeg", made("restarts.jpg"), nil},
		{"inks", "image/jpeg", made("cmyk.jpg"), nil},
		{"red, green and blue", "image/jpeg", made("rgb.jpg"), nil},
		{"colours at a quarter", "image/jpeg", made("yuv411.jpg"), nil},
		{"no end marker", "image/jpeg", plain[:len(plain)-2], nil},
		{"half an end marker", "image/jpeg", plain[:len(plain)-1], nil},
		{"zeros for the end marker", "image/jpeg", append(slices.Clone(plain[:len(plain)-2]), make([]byte, 4096)...), nil},
		{"bytes behind the end", "image/jpeg", append(slices.Clone(plain), "SEFH and more"...), nil},
		{"several pictures in one", "image/jpeg", append(first, jpegOf(160, 80)...), nil},
		{"fill bytes", "image/jpeg", slices.Concat(plain[:2], []byte{0xff, 0xff, 0xff}, plain[2:]), nil},
		{"image/jpg", "image/jpg", plain, nil},
		{"octets that are a JPEG", "application/octet-stream", plain, nil},
		{"octets that are a PNG", "application/octet-stream", pngOf(64, 32), nil},
		{"not said what", "", plain, nil},

		{"arithmetic coding", "image/jpeg", made("arithmetic.jpg"), vault.ErrUnreadable},
		{"cut in its pixels", "image/jpeg", plain[:len(plain)-40], vault.ErrUnreadable},
		{"cut in its tables", "image/jpeg", plain[:200], vault.ErrUnreadable},
		{"start only", "image/jpeg", plain[:2], vault.ErrUnreadable},
		{"without a scan", "image/jpeg", slices.Concat(plain[:2], plain[len(plain)-2:]), vault.ErrUnreadable},
		{"PNG cut", "image/png", pngOf(64, 32)[:120], vault.ErrUnreadable},
		{"PNG of one chunk", "image/png", pngHeader(10, 10, 0), vault.ErrUnreadable},
		{"octets that are something else", "application/octet-stream", []byte("GIF89a"), vault.ErrMediaType},
	} {
		t.Run(one.name, func(t *testing.T) {
			w := w.in(t)
			if one.want != nil {
				_, err := w.page(d.ID, one.media, one.data)
				w.is("kept", err, one.want)
				return
			}
			img := w.keptPicture(d.ID, one.media, one.data)
			if img.Bounds().Dx() != 64 || img.Bounds().Dy() != 32 || corner(img) != "left top" {
				t.Errorf("%v, the corner is %s", img.Bounds(), corner(img))
			}
		})
	}
	if grey := w.keptPicture(d.ID, "image/jpeg", made("grey.jpg")); grey.Bounds().Dx() != 64 {
		t.Errorf("grey: %v", grey.Bounds())
	}
}

// TestHostilePictures is hostile cases 39, 63, 64 and 65: bombs, polyglots and everything that is no picture.
func TestHostilePictures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.newCase()
	d := w.newDocument(c.ID)
	small := pngOf(8, 8)
	sof := func(marker byte, height, width uint16) []byte {
		b := []byte{0xff, 0xd8}
		data := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16([]byte{8}, height), width)
		return append(b, segment(marker, string(append(data, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1)))...)
	}
	scans := func(n int) []byte {
		b := sof(0xc2, 100, 100)
		for range n {
			b = append(b, segment(0xda, "\x01\x01\x00\x00\x00\x00")...)
		}
		return append(b, 0xff, 0xd9)
	}
	for _, one := range []struct {
		name, media string
		data        []byte
		want        error
	}{
		{"100,000 square", "image/png", pngHeader(100_000, 100_000, 0), vault.ErrImageTooLarge},
		{"30,000 square", "image/png", pngHeader(30_000, 30_000, 0), vault.ErrImageTooLarge},
		{"one long side", "image/png", pngHeader(20_001, 1, 0), vault.ErrImageTooLarge},
		{"111 megapixels", "image/jpeg", append(sof(0xc0, 10_000, 11_100), segment(0xda, "\x01\x01\x00\x00\x00\x00")...), vault.ErrImageTooLarge},
		{"70 megapixels of four bytes", "image/png", pngHeader(10_000, 7_000, 0), vault.ErrImageTooLarge},
		{"interlaced, 40 megapixels", "image/png", pngHeader(10_000, 4_000, 1), vault.ErrImageTooLarge},
		{"65,500 square", "image/jpeg", append(sof(0xc0, 65_500, 65_500), segment(0xda, "\x01\x01\x00\x00\x00\x00")...), vault.ErrImageTooLarge},
		{"progressive, 40 megapixels", "image/jpeg", append(sof(0xc2, 4_000, 10_000), segment(0xda, "\x01\x01\x00\x00\x00\x00")...), vault.ErrImageTooLarge},
		{"a thousand scans", "image/jpeg", scans(1000), vault.ErrImageTooLarge},
		{"animation", "image/png", behindHeader(small, chunk("acTL", make([]byte, 8))), vault.ErrImageTooLarge},
		{"16 MiB and a byte", "image/png", append(slices.Clone(small), make([]byte, vault.MaxUpload)...), vault.ErrImageTooLarge},
		{"nothing", "image/png", nil, vault.ErrMediaType},
		{"called otherwise", "image/jpeg", small, vault.ErrMediaType},
		{"GIF", "image/png", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), vault.ErrMediaType},
		{"SVG", "image/png", []byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), vault.ErrMediaType},
		{"HTML", "image/jpeg", []byte("<html><script>"), vault.ErrMediaType},
		{"PDF", "application/pdf", []byte("%PDF-1.7"), vault.ErrMediaType},
		{"PDF whose table leads to itself", "image/png", []byte("%PDF-1.7\nxref\n0 1\ntrailer<</Prev 9/Root 1 0 R>>\nstartxref\n9\n%%EOF"), vault.ErrMediaType},
		{"PDF of two gigabytes", "application/pdf", []byte("%PDF-1.7\n1 0 obj<</Type/ObjStm/Length 2147483648/Filter/FlateDecode>>stream\n"), vault.ErrMediaType},
		{"PDF that runs something, with a file in it", "image/jpeg", []byte("%PDF-1.7\n1 0 obj<</S/JavaScript/JS(app.alert)>>\n2 0 obj<</Type/EmbeddedFile>>"), vault.ErrMediaType},
		{"an archive behind a GIF", "image/jpeg", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;PK\x03\x04"), vault.ErrMediaType},
		{"SVG by name", "image/svg+xml", small, vault.ErrMediaType},
	} {
		t.Run(one.name, func(t *testing.T) {
			_, err := w.page(d.ID, one.media, one.data)
			if !errors.Is(err, one.want) {
				t.Errorf("%v, want %v", err, one.want)
			}
			// Whoever is told that it is too large is told what would not be.
			beyond, ok := errors.AsType[*vault.PictureError](err)
			if ok != errors.Is(err, vault.ErrImageTooLarge) || ok && (beyond.Code == "" || beyond.Rule == "") {
				t.Errorf("without a figure: %v", err)
			}
		})
	}
	w.blobsAre(0)
	w.has(c.ID, "page.added", 0)
}

// bytesOfZeros counts those at the end.
func bytesOfZeros(b []byte) int { return len(b) - len(bytes.TrimRight(b, "\x00")) }

// blobsAre counts the ciphertexts, and looks that nothing in their keys says whose they are.
func (w *world) blobsAre(want int) {
	w.Helper()
	got := 0
	for key, err := range w.blobs.List(w.Context(), "") {
		w.ok(err)
		if got++; len(key) != 32 {
			w.Errorf("%s is no random key", key)
		}
	}
	if got != want {
		w.Errorf("%d ciphertexts are there, want %d", got, want)
	}
}

// TestUploadsThatEnd is hostile case 68: an upload that breaks off leaves nothing to be seen.
func TestUploadsThatEnd(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	d := w.newDocument(c.ID)
	whole := pngOf(200, 200)
	gone := errors.New("client is gone")
	for _, n := range []int{0, len(whole) / 100, len(whole) / 2, len(whole) - 1} {
		r := io.MultiReader(bytes.NewReader(whole[:n]), failing{gone})
		_, err := w.AddPage(ctx, w.worker, d.ID, vault.PageMeta{Role: vault.RoleData, MediaType: "image/png"}, r)
		w.is("upload that ends", err, gone)
	}
	w.blobsAre(0)

	full := errors.New("the disk is full")
	w.store.addObject = full
	_, err := w.page(d.ID, "image/png", whole)
	w.is("row that cannot be written", err, full)
	w.blobsAre(0)
	w.store.addObject = nil
	kept, err := w.ReadDocument(ctx, w.worker, d.ID)
	w.ok(err)
	if len(kept.Pages) != 0 {
		t.Errorf("pages %+v", kept.Pages)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestTampering: whatever somebody with the
// disk and the database does, no byte is released.
func TestTampering(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	c := w.newCase()
	a, b := w.newDocument(c.ID), w.newDocument(c.ID)
	big := func(document string) {
		// Noise, so that the ciphertext has several of age's 64 KiB chunks.
		img := image.NewRGBA(image.Rect(0, 0, 220, 220))
		_, _ = rand.Read(img.Pix)
		var buf bytes.Buffer
		w.ok(png.Encode(&buf, img))
		_, err := w.page(document, "image/png", buf.Bytes())
		w.ok(err)
	}
	big(a.ID)
	big(a.ID)
	big(b.ID)
	row := func(record string, page int) vault.Object {
		o, err := w.store.Store.Object(ctx, record, page)
		w.ok(err)
		return o
	}
	first := row(a.ID, 1)
	_, err := w.AddPage(ctx, w.worker, a.ID, vault.PageMeta{Page: 1, Role: vault.RoleData, MediaType: "image/png"}, bytes.NewReader(pngOf(30, 30)))
	w.ok(err)
	second, other, foreign := row(a.ID, 1), row(a.ID, 2), row(b.ID, 1)
	file := func(o vault.Object) string { return filepath.Join(w.dir, "blobs", filepath.FromSlash(o.Blob)) }
	read := func(o vault.Object) []byte {
		data, err := os.ReadFile(file(o))
		w.ok(err)
		return data
	}
	refused := func(name string) {
		t.Helper()
		p, err := w.ReadPage(ctx, w.worker, a.ID, 1)
		w.is(name, err, vault.ErrIntegrity)
		if p.Bytes() != nil {
			t.Errorf("%s: %d bytes were released", name, len(p.Bytes()))
		}
	}

	// The file.
	good := read(second)
	long := read(other)
	if len(long) < 2*65552+2000 {
		t.Fatalf("a ciphertext of %d bytes has too few chunks for this test", len(long))
	}
	swap := func(data []byte) []byte { // the last two whole chunks
		data = slices.Clone(data)
		const n = 64<<10 + 16
		end := len(data) - len(data)%n
		x, y := data[end-2*n:end-n], data[end-n:end]
		tmp := slices.Clone(x)
		copy(x, y)
		copy(y, tmp)
		return data
	}
	for name, data := range map[string][]byte{
		"empty":                  {},
		"truncated":              good[:len(good)-1],
		"header only":            good[:1800],
		"longer":                 append(slices.Clone(good), 0),
		"another page's":         read(other),
		"another record's":       read(foreign),
		"old version in place":   read(first),
		"chunks in other order":  swap(long),
		"plaintext":              pngOf(30, 30),
		"sealed by somebody new": sealedBySomebody(t, w, a.ID, pngOf(30, 30)),
		"sealed anew, with the right header": sealedBySomebody(t, w, a.ID,
			append(headerBytes(t, a.ID, 1, 2, 2, int(second.Length)), make([]byte, second.Length)...)),
	} {
		w.ok(os.WriteFile(file(second), data, 0o600))
		refused("file: " + name)
	}
	for i := range 50 {
		flipped := slices.Clone(good)
		flipped[i*len(good)/50] ^= 1 << (i % 8)
		w.ok(os.WriteFile(file(second), flipped, 0o600))
		refused(fmt.Sprintf("file: bit %d", i))
	}
	w.ok(os.Remove(file(second)))
	refused("file: gone")
	w.ok(os.WriteFile(file(second), good, 0o600))
	_, err = w.ReadPage(ctx, w.worker, a.ID, 1)
	w.ok(err)

	// The row, with the file that fits it.
	for name, edit := range map[string]func(vault.Object) vault.Object{
		"another page":           func(vault.Object) vault.Object { o := other; o.Page = 1; return o },
		"another page, whole":    func(vault.Object) vault.Object { return relabel(other, second) },
		"another record":         func(vault.Object) vault.Object { o := foreign; o.Record = a.ID; return o },
		"another record, whole":  func(vault.Object) vault.Object { return relabel(foreign, second) },
		"old version":            func(vault.Object) vault.Object { o := first; o.Version = 2; return o },
		"old version, whole":     func(vault.Object) vault.Object { return relabel(first, second) },
		"media type":             func(o vault.Object) vault.Object { o.MediaType = "image/jpeg"; return o },
		"length":                 func(o vault.Object) vault.Object { o.Length--; return o },
		"length below nothing":   func(o vault.Object) vault.Object { o.Length = -1; return o },
		"role":                   func(o vault.Object) vault.Object { o.Role = vault.RolePortrait; return o },
		"seen original":          func(o vault.Object) vault.Object { o.SeenOriginal = !o.SeenOriginal; return o },
		"salt":                   func(o vault.Object) vault.Object { o.Salt[0] ^= 1; return o },
		"log entry of another":   func(o vault.Object) vault.Object { o.Entry, o.Logged = other.Entry, other.Logged; return o },
		"digest without the log": func(o vault.Object) vault.Object { o.SHA256 = other.SHA256; o.Blob = other.Blob; return o },
	} {
		w.store.object = edit
		refused("row: " + name)
	}
	w.store.object = nil

	// Sealed anew with the public key, header and all: only the log objects.
	forged := pngOf(31, 31)
	inPage := append(headerBytes(t, a.ID, 1, 2, 2, len(forged)), forged...)
	inPage = append(inPage, make([]byte, 64<<10-len(inPage))...)
	sealed := sealedBySomebody(t, w, a.ID, inPage)
	w.store.object = func(o vault.Object) vault.Object {
		o.Blob, o.Sealed, o.SHA256, o.Length = "", sealed, sha256.Sum256(sealed), int64(len(forged))
		return o
	}
	refused("row: sealed anew")
	// With an entry in the log as well, as an insider could: then it is the
	// truth, and the log shows when it was written.
	log := func(o vault.Object) vault.Object {
		note, err := audit.NewNote("object.committed", map[string]any{})
		w.ok(err)
		note.Body = fmt.Appendf(nil, `{"record":%q,"page":%d,"version":%d,"media_type":%q,"length":%d,"sha256":"%x","role":%q,"seen_original":%t}`,
			o.Record, o.Page, o.Version, o.MediaType, o.Length, o.SHA256, o.Role, o.SeenOriginal)
		o.Salt, o.Logged = note.Salt, note.Hash()
		return o
	}
	w.store.object = func(o vault.Object) vault.Object {
		o.Blob, o.Sealed, o.SHA256, o.Length = "", sealed, sha256.Sum256(sealed), int64(len(forged))
		return log(o)
	}
	p, err := w.ReadPage(ctx, w.worker, a.ID, 1)
	w.ok(err)
	if !bytes.Equal(p.Bytes(), forged) {
		t.Error("the forgery with everything right was not read: the cases around it prove nothing")
	}
	// A ciphertext of the same record in another place, logged there: only
	// the header objects.
	for name, o := range map[string]vault.Object{"another page": other, "old version": first} {
		w.store.object = func(at vault.Object) vault.Object { return log(relabel(o, at)) }
		refused("row and log: " + name)
	}
	// Bytes behind the picture, and pages of another size than pages have.
	behind := slices.Clone(inPage)
	behind[len(behind)-1] = 1
	for name, plain := range map[string][]byte{
		"a byte behind": behind, "a page of one byte more": append(inPage, 0), "of one less": inPage[:len(inPage)-1],
		"of no zeros": inPage[:len(inPage)-bytesOfZeros(inPage)], "of the next size": append(inPage, make([]byte, 192<<10)...),
	} {
		tail := sealedBySomebody(t, w, a.ID, plain)
		w.store.object = func(o vault.Object) vault.Object {
			o.Blob, o.Sealed, o.SHA256, o.Length = "", tail, sha256.Sum256(tail), int64(len(forged))
			return log(o)
		}
		refused("row and log: " + name)
	}
	w.store.object = nil

	// A document's fields under another document.
	fields := row(b.ID, 0)
	w.store.object = func(o vault.Object) vault.Object { return relabel(fields, o) }
	_, err = w.ReadDocument(ctx, w.worker, a.ID)
	w.is("fields of another document", err, vault.ErrIntegrity)
	w.store.object = nil

	// The public key of another record, to read what will be written.
	rb, err := w.store.Store.Record(ctx, b.ID)
	w.ok(err)
	w.store.record = func(r vault.Record) vault.Record { r.Recipient = rb.Recipient; return r }
	_, err = w.ReadDocument(ctx, w.worker, a.ID)
	w.is("recipient of another record", err, vault.ErrIntegrity)
	w.store.record = nil

	// The key file of another record.
	ka, err := w.keyring.Get(ctx, a.ID)
	w.ok(err)
	kb, err := w.keyring.Get(ctx, b.ID)
	w.ok(err)
	w.ok(w.keyring.Swap(ctx, a.ID, ka, kb))
	if _, err = w.ReadDocument(ctx, w.worker, a.ID); err == nil {
		t.Error("opened with another record's key file")
	}
	w.ok(w.keyring.Swap(ctx, a.ID, kb, ka))
	_, err = w.ReadDocument(ctx, w.worker, a.ID)
	w.ok(err)
}

// relabel is a row as forged as can be: everything of from, the log's hash
// included, under the names of to.
func relabel(from, to vault.Object) vault.Object {
	from.Record, from.Page, from.Version = to.Record, to.Page, to.Version
	return from
}

// headerBytes is the header as docs describe it: label, record, page, version,
// media type, length.
func headerBytes(t *testing.T, record string, page, version uint32, media byte, length int) []byte {
	t.Helper()
	id, err := hex.DecodeString(record)
	if err != nil {
		t.Fatal(err)
	}
	b := append([]byte("safeconduct/object/1"), id...)
	b = binary.BigEndian.AppendUint32(b, page)
	b = binary.BigEndian.AppendUint32(b, version)
	return binary.BigEndian.AppendUint64(append(b, media), uint64(length))
}

// sealedBySomebody encrypts with nothing but the public key, as everybody with
// the database can.
func sealedBySomebody(t *testing.T, w *world, record string, plain []byte) []byte {
	t.Helper()
	r, err := w.store.Store.Record(t.Context(), record)
	w.ok(err)
	to, err := age.ParseHybridRecipient(r.Recipient)
	w.ok(err)
	var b bytes.Buffer
	e, err := age.Encrypt(&b, to)
	w.ok(err)
	_, err = e.Write(plain)
	w.ok(errors.Join(err, e.Close()))
	return b.Bytes()
}
