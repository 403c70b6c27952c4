package vault

import (
	"crypto/rand"
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

// BenchmarkEncrypt is a page as it is encrypted for a record.
func BenchmarkEncrypt(b *testing.B) {
	id, plain := benchPage(b)
	recipient := id.Recipient().String()
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encrypt(recipient, plain); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecrypt is a page as it is read.
func BenchmarkDecrypt(b *testing.B) {
	id, plain := benchPage(b)
	sealed, err := encrypt(id.Recipient().String(), plain)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decrypt(id, sealed, maxCiphertext); err != nil {
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
