package vault_test

import (
	"bytes"
	"image"
	"image/png"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// BenchmarkShare shares a document of 50 MB and one without a page with one more agency,
// in turn, and takes both back. Of the pages nothing is encrypted anew, so that the ratio
// is about 1.
func BenchmarkShare(b *testing.B) {
	w := newWorld(b)
	large, small := w.newDocument(w.newCase().ID), w.newDocument(w.newCase().ID)
	for range 5 {
		_, err := w.page(large.ID, "image/png", noise(b, 1850))
		w.ok(err)
	}
	share := func(record string) time.Duration {
		began := time.Now()
		w.share(record, w.second)
		took := time.Since(began)
		w.ok(w.TakeBack(b.Context(), w.worker, record, w.second.Agency))
		return took
	}
	var ratios []float64
	for b.Loop() {
		a, of, c := share(small.ID), share(large.ID), share(small.ID) // so that neither has the warmer place
		ratios = append(ratios, 2*of.Seconds()/(a+c).Seconds())
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
}

// noise is a picture of so many pixels a side, of which nothing can be packed.
func noise(b *testing.B, side int) []byte {
	b.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, side, side))
	draw := rand.New(rand.NewPCG(1, 2))
	for i := range m.Pix {
		m.Pix[i] = byte(draw.Uint32())
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	var file bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&file, m); err != nil {
		b.Fatal(err)
	}
	return file.Bytes()
}
