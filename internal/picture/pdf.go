package picture

import (
	"bytes"
	"compress/zlib"
	"io"
)

// maxPhotographs is how many pages anybody would look through.
const maxPhotographs = 20

// isPDF tells a PDF by its first bytes (ISO 32000-1 §7.5.2, and what readers
// accept before it).
func isPDF(file []byte) bool {
	return bytes.Contains(file[:min(1024, len(file))], []byte("%PDF-"))
}

// photographs are the JPEG streams of a PDF, the first twenty. Scanners and
// telephones put a page into it as the JPEG that their camera made, and that can
// be taken out as it stands. An encrypted file has none that could be read.
// web/src/check/pdf.ts does the same for the page.
func photographs(file []byte) [][]byte {
	var found [][]byte
	from := 0 // where the next stream is looked for
	for len(found) < maxPhotographs {
		begin, dictionary, ok := nextStream(file, from)
		if !ok {
			break
		}
		from = begin
		if !bytes.Contains(dictionary, []byte("/DCTDecode")) { // JPEG: §7.4.8
			continue
		}
		length := bytes.Index(file[begin:], []byte("endstream"))
		if length < 0 {
			break
		}
		from = begin + length
		stream := file[begin:from]
		if bytes.Contains(dictionary, []byte("/FlateDecode")) {
			stream = inflated(stream)
		}
		if bytes.HasPrefix(stream, []byte("\xff\xd8")) {
			found = append(found, stream)
		}
	}
	return found
}

// nextStream finds where the data of the next stream begins, and the dictionary
// before it. A stream begins after the word and a line break, CR LF or LF
// (§7.3.8.1).
func nextStream(file []byte, from int) (begin int, dictionary []byte, ok bool) {
	for {
		at := bytes.Index(file[from:], []byte("stream"))
		if at < 0 {
			return 0, nil, false
		}
		word := from + at
		from = word + len("stream")
		rest := bytes.TrimPrefix(file[from:], []byte("\r"))
		before := bytes.TrimRight(file[max(0, word-maxDictionary):word], "\x00\t\n\f\r ")
		if !bytes.HasPrefix(rest, []byte("\n")) || !bytes.HasSuffix(before, []byte(">>")) {
			continue
		}
		if object := bytes.LastIndex(before, []byte(" obj")); object >= 0 {
			before = before[object:]
		}
		return len(file) - len(rest) + 1, before, true
	}
}

// maxDictionary is how far back a dictionary is looked for. It has a few hundred
// bytes where it describes a photograph.
const maxDictionary = 16 << 10

// inflated unpacks a photograph that some program packed once more. What grows
// beyond all measure is none.
func inflated(stream []byte) []byte {
	z, err := zlib.NewReader(bytes.NewReader(stream))
	if err != nil {
		return nil
	}
	data, _ := io.ReadAll(io.LimitReader(z, MaxBytes+1)) // what is cut off was something all the same
	if len(data) > MaxBytes {
		return nil
	}
	return data
}
