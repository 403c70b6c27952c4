package vault

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"testing"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"
)

// benchSize is the size of a page in benchmarks: two mebibytes.
const benchSize = 2 << 20

// BenchmarkRawChaCha is what no encryption of a page can do without: ChaCha20-Poly1305
// over its chunks, into memory that is there.
func BenchmarkRawChaCha(b *testing.B) {
	const chunk = 64 << 10 // of age
	aead, err := chacha20poly1305.New(make([]byte, chacha20poly1305.KeySize))
	if err != nil {
		b.Fatal(err)
	}
	plain := make([]byte, benchSize)
	_, _ = rand.Read(plain)
	out := make([]byte, 0, chunk+aead.Overhead())
	nonce := make([]byte, aead.NonceSize())
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		for at := 0; at < len(plain); at += chunk {
			out = aead.Seal(out[:0], nonce, plain[at:at+chunk], nil)
		}
	}
}

// BenchmarkEncrypt is a page as it is encrypted for a record, over the memory that it is
// in; that it is put there first is counted.
func BenchmarkEncrypt(b *testing.B) {
	id, plain := benchPage(b)
	recipient := id.Recipient().String()
	at := room(benchSize)
	memory := make([]byte, at+benchSize)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		copy(memory[at:], plain)
		if _, err := encryptHere(recipient, memory, at); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecrypt is a page as it is read, over the memory that it was read into; that it
// is put there first is counted.
func BenchmarkDecrypt(b *testing.B) {
	id, plain := benchPage(b)
	sealed, err := encrypt(id.Recipient().String(), plain)
	if err != nil {
		b.Fatal(err)
	}
	memory := make([]byte, len(sealed))
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		copy(memory, sealed)
		if _, err := decryptHere(id, memory, maxCiphertext); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAgeEncrypt is age alone, which writes to nowhere: nothing of ours costs less.
func BenchmarkAgeEncrypt(b *testing.B) {
	id, plain := benchPage(b)
	to := id.Recipient()
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		w, err := age.Encrypt(io.Discard, to)
		if err == nil {
			_, err = w.Write(plain)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAgeDecrypt is age alone, which reads into memory that is there.
func BenchmarkAgeDecrypt(b *testing.B) {
	id, plain := benchPage(b)
	sealed, err := encrypt(id.Recipient().String(), plain)
	if err != nil {
		b.Fatal(err)
	}
	into := make([]byte, 64<<10)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		r, err := age.Decrypt(bytes.NewReader(sealed), id)
		for err == nil {
			_, err = r.Read(into)
		}
		if !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
	}
}

func benchPage(b *testing.B) (*age.HybridIdentity, []byte) {
	b.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		b.Fatal(err)
	}
	plain := make([]byte, benchSize)
	_, _ = rand.Read(plain)
	return id, plain
}
