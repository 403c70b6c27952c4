package picture

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/image/bmp"

	"github.com/safeconduct/safeconduct/internal/picture/zxing"
	"github.com/safeconduct/safeconduct/internal/picturetest"
	"github.com/safeconduct/safeconduct/verifier"
)

// shared is one reader for all tests: to compile the program takes longer than
// most pictures.
var shared = sync.OnceValues(func() (*Reader, error) { return New(context.Background(), "") })

func reader(t testing.TB) *Reader {
	t.Helper()
	r, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func encoded(t testing.TB, p image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(t *testing.T, file []byte) (string, verifier.Reason) {
	t.Helper()
	text, reason, err := reader(t).Read(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	return text, reason
}

// TestPictures: every picture of the kinds that people bring is read, and the
// page's own program, run as the page runs it, sees in each what ours sees.
func TestPictures(t *testing.T) {
	page := openPage(t)
	count, wrong := 0, 0
	for p := range picturetest.All() {
		count++
		drawn := p.Draw()
		look := looks(drawn)[0]()
		ours, err := reader(t).symbols.Read(t.Context(), look)
		if err != nil {
			t.Fatal(err)
		}
		if theirs := page.read(t, look); page != nil && !slices.Equal(ours, theirs) {
			t.Errorf("%s: %d symbols here, %d in the page", p.Name, len(ours), len(theirs))
		}
		want := verifier.ReasonNone
		if p.Several {
			want = verifier.ReasonMoreThanOneCode
		}
		// Where the first look has shown nothing, all of them are taken.
		text, reason := onlyOne(ours)
		if reason == verifier.ReasonNoCode {
			text, reason = read(t, encoded(t, drawn))
		}
		if text != p.Text || reason != want {
			wrong++
			t.Errorf("%s: %d characters, %q", p.Name, len(text), reason)
		}
	}
	t.Logf("%d of %d pictures read", count-wrong, count)
	if count < 171 {
		t.Errorf("there are %d pictures, want 171 or more", count)
	}
}

// page is the page's program, in node.
type page struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// openPage starts it; nil where node or the page's packages are not installed.
func openPage(t *testing.T) *page {
	t.Helper()
	web, err := filepath.Abs("../../web")
	if err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if _, there := os.Stat(filepath.Join(web, "node_modules", "zxing-wasm")); err != nil || there != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node or the page's packages are missing: make web")
		}
		t.Log("not compared with the page: node or its packages are not here (make web)")
		return nil
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join("testdata", "page.mjs"), web)
	cmd.Stderr = os.Stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = in.Close(), cmd.Wait() })
	return &page{in, bufio.NewReader(out)}
}

func (p *page) read(t *testing.T, look zxing.Luminance) (texts []string) {
	t.Helper()
	if p == nil {
		return nil
	}
	asked := map[string]any{"width": look.Width, "height": look.Height, "grey": look.Pix}
	if err := json.NewEncoder(p.in).Encode(asked); err != nil {
		t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

func plainCard(t *testing.T) (image.Image, string) {
	t.Helper()
	for p := range picturetest.All() {
		return p.Draw(), p.Text
	}
	t.Fatal("there is no picture")
	return nil, ""
}

// TestFiles: the forms in which a picture comes, and what is none.
func TestFiles(t *testing.T) {
	card, digits := plainCard(t)
	asPNG := encoded(t, card)
	var asJPEG, asGIF, asBMP bytes.Buffer
	for _, err := range []error{
		jpeg.Encode(&asJPEG, card, &jpeg.Options{Quality: 60}), gif.Encode(&asGIF, card, nil), bmp.Encode(&asBMP, card),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	photograph := asJPEG.Bytes()
	blank := encoded(t, image.NewPaletted(image.Rect(0, 0, 200, 100), color.Palette{color.White}))
	for _, c := range []struct {
		name   string
		file   []byte
		reason verifier.Reason // none: the card is read
	}{
		{"PNG", asPNG, ""},
		{"JPEG", photograph, ""},
		{"JPEG without its end", bytes.TrimSuffix(photograph, []byte("\xff\xd9")), ""},
		{"JPEG with something after it", append(slices.Clone(photograph), "and a word"...), ""},
		{"GIF", asGIF.Bytes(), ""},
		{"BMP", asBMP.Bytes(), ""},
		{"blank", blank, verifier.ReasonNoCode},
		{"half a PNG", asPNG[:len(asPNG)/2], verifier.ReasonNoPicture},
		{"text", []byte("not a picture"), verifier.ReasonNoPicture},
		{"nothing", nil, verifier.ReasonNoPicture},
		{"a header that promises too much", hugePNG(60_000, 60_000), verifier.ReasonTooLarge},
		{"one column too much", hugePNG(8001, 8000), verifier.ReasonTooLarge},
		{"a file that is too long", append(slices.Clone(asPNG), make([]byte, MaxBytes)...), verifier.ReasonTooLarge},

		{"PDF with a photograph", pdf(t, object{"/Filter /DCTDecode", photograph}), ""},
		{"PDF with a packed photograph", pdf(t, object{"/Filter [/FlateDecode /DCTDecode]", packed(t, photograph)}), ""},
		{"PDF with words and a photograph", pdf(t, object{"/Filter /FlateDecode", packed(t, []byte("BT (words) Tj ET"))}, object{"/Filter /DCTDecode", photograph}), ""},
		{"PDF with the photograph twice", pdf(t, object{"/Filter /DCTDecode", photograph}, object{"/Filter /DCTDecode", photograph}), ""},
		{"PDF that was drawn", pdf(t, object{"/Filter /FlateDecode", packed(t, []byte("0 0 m 1 1 l S"))}), verifier.ReasonDrawnPage},
		{"PDF with a picture without loss", pdf(t, object{"/Subtype /Image /Filter /FlateDecode", packed(t, card.(*image.Gray).Pix)}), verifier.ReasonDrawnPage},
		{"PDF that grows beyond all measure", pdf(t, object{"/Filter [/FlateDecode /DCTDecode]", packed(t, append([]byte("\xff\xd8"), make([]byte, MaxBytes)...))}), verifier.ReasonDrawnPage},
		{"PDF that ends", []byte("%PDF-1.7\n1 0 obj << /Filter /DCTDecode >>\nstream\n\xff\xd8"), verifier.ReasonDrawnPage},
		{"PDF with two cards", pdf(t, object{"/Filter /DCTDecode", photograph}, object{"/Filter /DCTDecode", anotherPhotograph(t)}), verifier.ReasonMoreThanOneCode},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, reason := read(t, c.file)
			if reason != c.reason || c.reason == "" && text != digits || c.reason != "" && text != "" {
				t.Errorf("got %d characters, %q, want %q", len(text), reason, c.reason)
			}
		})
	}
}

// TestStops: whoever asked goes away.
func TestStops(t *testing.T) {
	card, _ := plainCard(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := reader(t).Read(ctx, encoded(t, card)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestIs(t *testing.T) {
	card, _ := plainCard(t)
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"PNG": {encoded(t, card), true}, "PDF": {pdf(t), true}, "a promise": {hugePNG(60_000, 60_000), true},
		"digits": {[]byte("1234567890"), false}, "a credential": {[]byte("eyJ0eXAiOiJ"), false}, "nothing": {nil, false}, "noise": {[]byte("\xff\xfe\x00"), false},
	} {
		if got := Is(c.data); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// TestOnlyOne has the cases of web/test/check/scanned.test.ts.
func TestOnlyOne(t *testing.T) {
	ours, other := strings.Repeat("1", 667), strings.Repeat("2", 667)
	for _, c := range []struct {
		found  []string
		text   string
		reason verifier.Reason
	}{
		{nil, "", verifier.ReasonNoCode},
		{[]string{"https://example.org", ours}, ours, ""},
		{[]string{ours, "https://example.org"}, ours, ""},
		{[]string{ours, ours}, ours, ""},
		{[]string{ours, other}, "", verifier.ReasonMoreThanOneCode},
		{[]string{"WIFI:", ours, "https://example.org", other}, "", verifier.ReasonMoreThanOneCode},
		{[]string{"WIFI:", "https://example.org"}, "WIFI:", ""},
		{[]string{ours[1:]}, ours[1:], ""},
	} {
		if text, reason := onlyOne(c.found); text != c.text || reason != c.reason {
			t.Errorf("of %d: got %d characters, %q", len(c.found), len(text), reason)
		}
	}
}

// FuzzPhotographs: of any bytes at most twenty photographs come out, each of
// which begins as one and is no larger than a file may be; and what is in a PDF
// is found whatever stands around it.
func FuzzPhotographs(f *testing.F) {
	photograph := []byte("\xff\xd8\xff\xe0 photograph \xff\xd9")
	f.Add(pdf(f, object{"/Filter /DCTDecode", photograph}))
	f.Add(pdf(f, object{"/Filter [/FlateDecode /DCTDecode]", packed(f, photograph)}, object{"", []byte("words")}))
	f.Add([]byte("%PDF-1.7\n1 0 obj << /Filter /DCTDecode >> stream\r\n\xff\xd8endstream"))
	f.Add([]byte(">>stream\n>>stream\r\nendstream stream endobj"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		found := photographs(file)
		if len(found) > maxPhotographs {
			t.Errorf("found %d", len(found))
		}
		for _, p := range found {
			if len(p) > MaxBytes || !bytes.HasPrefix(p, []byte("\xff\xd8")) {
				t.Errorf("%d bytes are no photograph", len(p))
			}
		}
		if bytes.Contains(file, []byte("stream")) {
			return
		}
		whole := append(append(slices.Clone(file), pdf(t, object{"/Filter /DCTDecode", photograph})...), file...)
		if again := photographs(whole); len(again) != 1 || !bytes.HasPrefix(again[0], photograph) {
			t.Errorf("found %d in a PDF with one", len(again))
		}
	})
}

// What follows makes files.

type object struct {
	dictionary string
	stream     []byte
}

func pdf(_ testing.TB, objects ...object) []byte {
	b := []byte("%PDF-1.7\n")
	for i, o := range objects {
		b = fmt.Appendf(b, "%d 0 obj\n<< %s /Length %d >>\nstream\n", i+1, o.dictionary, len(o.stream))
		b = append(append(b, o.stream...), "\nendstream\nendobj\n"...)
	}
	return append(b, "trailer << >>\n%%EOF\n"...)
}

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// anotherPhotograph shows another card than the first one.
func anotherPhotograph(t *testing.T) []byte {
	t.Helper()
	_, first := plainCard(t)
	var b bytes.Buffer
	for p := range picturetest.All() {
		if p.Text != first && p.Text != picturetest.Address && !p.Several {
			if err := jpeg.Encode(&b, p.Draw(), nil); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	return b.Bytes()
}

// hugePNG is the beginning of a PNG: a header alone.
func hugePNG(width, height uint32) []byte {
	ihdr := binary.BigEndian.AppendUint32([]byte("IHDR"), width)
	ihdr = append(binary.BigEndian.AppendUint32(ihdr, height), 8, 6, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), ihdr...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(ihdr))
}
