package signer

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
)

// FuzzQuestion: whatever comes over the socket, it is refused or it is a question
// that reads the same when it is written again.
func FuzzQuestion(f *testing.F) {
	for _, q := range []question{
		{Op: opReady, Within: 1000},
		{Op: opSign, Within: 20000, Use: "agency/aa01", KeyID: "00112233", Many: []message{{[]byte("a"), [][]byte{[]byte("WyJh")}}, {}}},
		{Op: opUnwrap, Agency: "aa01", Record: "rec1", Data: []byte("wrapped")},
		{Op: opSignDerived, Label: "backup", Network: "net", Data: []byte("x")},
		{Op: opUnwrapEpoch, Epoch: 7, Data: []byte("x")},
		{Op: opReceipt, List: 7, Index: 1 << 19},
		{Op: opSaid, Label: "https://net.example/status-lists/1", Data: []byte("a.b.c")},
	} {
		var frame bytes.Buffer
		if err := write(&frame, q); err != nil {
			f.Fatal(err)
		}
		f.Add(frame.Bytes())
	}
	f.Add([]byte("\x00\x00\x00\x06\xa2\x01\x01\x01\x02\x00"))
	f.Add([]byte("\x00\x10\x00\x00\xa1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var q question
		if read(bytes.NewReader(data), &q) != nil {
			return
		}
		if len(q.Many) > maxMany+15 || int64(binary.BigEndian.Uint32(data)) > maxFrame {
			t.Fatal("longer than the limits")
		}
		var frame bytes.Buffer
		if err := write(&frame, q); err != nil {
			t.Fatal(err)
		}
		var again question
		if err := read(&frame, &again); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(normal(again), normal(q)) {
			t.Fatalf("%+v, want %+v", again, q)
		}
	})
}

// normal makes nothing and empty the same.
func normal(q question) question {
	if len(q.Data) == 0 {
		q.Data = nil
	}
	if len(q.Many) == 0 {
		q.Many = nil
	}
	for i := range q.Many {
		if len(q.Many[i].Bytes) == 0 {
			q.Many[i].Bytes = nil
		}
		if len(q.Many[i].Shown) == 0 {
			q.Many[i].Shown = nil
		}
		for j := range q.Many[i].Shown {
			if len(q.Many[i].Shown[j]) == 0 {
				q.Many[i].Shown[j] = nil
			}
		}
	}
	return q
}

// FuzzAnswer: whatever a signer answers, the asker gets a value or an error.
func FuzzAnswer(f *testing.F) {
	for _, a := range []answer{{}, troubled(errOther), troubled(ErrAway), {Many: [][]byte{{1}}, Number: 7, Text: "x"}, {Trouble: 200}} {
		var frame bytes.Buffer
		if err := write(&frame, a); err != nil {
			f.Fatal(err)
		}
		f.Add(frame.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a answer
		if read(bytes.NewReader(data), &a) == nil && (a.err() == nil) != (a.Trouble == 0) {
			t.Fatalf("trouble %d: %v", a.Trouble, a.err())
		}
	})
}
