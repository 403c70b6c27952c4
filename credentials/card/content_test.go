package card

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/veraison/go-cose"
)

type m = map[any]any

// raw is a payload as plain maps, so that a test can break it.
func raw() m {
	return m{
		4: 1810857600, 6: 1795305600,
		169: m{4: "TESFAYE, FELIX", 8: "19950314", 9: 1, 13: "ETH"},
		-65537: m{1: 1, 2: 2, 3: []byte("12345678"), 4: []any{3, 917302},
			5: bytes.Repeat([]byte{1}, 16), 6: true, 8: true},
	}
}

func rawBlank() m {
	return m{4: 1810857600, 6: 1795305600, -65537: m{3: []byte("12345678"), 4: []any{3, 917302}, 7: true}}
}

func id(p m) m { return p[169].(m) }
func st(p m) m { return p[-65537].(m) }

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := encoding.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// envelope wraps a payload in the COSE_Sign1 of a card, with a signature that no
// key made: reading comes before verifying.
func envelope(data []byte) []byte {
	head := "84" + "4d" + "a2012604" + "48" + hex.EncodeToString(testKID[:]) + "a0"
	b, err := hex.DecodeString(head)
	if err != nil {
		panic(err)
	}
	if len(data) < 24 {
		b = append(b, 0x40|byte(len(data)))
	} else {
		b = append(b, 0x58, byte(len(data)))
	}
	b = append(b, data...)
	b = append(b, 0x58, 0x40)
	return append(b, bytes.Repeat([]byte{9}, signatureSize)...)
}

func TestReadClaims(t *testing.T) {
	if _, ok := readClaims(marshal(t, raw())); !ok {
		t.Fatal("the payload that the cases break is refused itself")
	}
	if _, ok := readClaims(marshal(t, rawBlank())); !ok {
		t.Fatal("the blank that the cases break is refused itself")
	}
	for _, c := range []struct {
		name string
		edit func(m)
		ok   bool
	}{
		{"lost document", func(p m) { p[169] = m{4: "SITI"}; delete(st(p), 1); delete(st(p), 2); delete(st(p), 5) }, true},
		{"least", func(p m) { p[169] = m{4: "A"}; p[-65537] = m{3: []byte("12345678"), 4: []any{0, 0}} }, true},
		{"Khmer name", func(p m) { id(p)[4] = "អ៊ុក សុភា" }, true},
		{"name of a space", func(p m) { id(p)[4] = " " }, true},
		{"joiners", func(p m) { id(p)[4] = "\u0646\u200c\u200d" }, true},
		{"iat 0", func(p m) { p[6] = 0; p[4] = 86400 }, true},
		{"180 days", func(p m) { p[4] = 1795305600 + 15552000 }, true},
		{"last exp", func(p m) { p[4] = 4294944000; p[6] = 4294944000 - 86400 }, true},

		{"no exp", func(p m) { delete(p, 4) }, false},
		{"no iat", func(p m) { delete(p, 6) }, false},
		{"no status map", func(p m) { delete(p, -65537) }, false},
		{"no identity", func(p m) { delete(p, 169) }, false},
		{"empty identity", func(p m) { p[169] = m{} }, false},
		{"no name", func(p m) { delete(id(p), 4) }, false},
		{"no handle", func(p m) { delete(st(p), 3) }, false},
		{"no list", func(p m) { delete(st(p), 4) }, false},
		{"null status map", func(p m) { p[-65537] = nil }, false},
		{"null identity", func(p m) { p[169] = nil }, false},
		{"null handle", func(p m) { st(p)[3] = nil }, false},
		{"null portrait", func(p m) { st(p)[5] = nil }, false},
		{"null list", func(p m) { st(p)[4] = nil }, false},
		{"unknown key", func(p m) { p[1] = 1 }, false},
		{"unknown text key", func(p m) { p["4"] = 1 }, false},
		{"unknown identity key", func(p m) { id(p)[5] = "X" }, false},
		{"unknown status key", func(p m) { st(p)[9] = true }, false},
		{"exp before iat", func(p m) { p[4] = 1795305600 - 86400 }, false},
		{"exp = iat", func(p m) { p[4] = 1795305600 }, false},
		{"181 days", func(p m) { p[4] = 1795305600 + 15552000 + 86400 }, false},
		{"not midnight", func(p m) { p[4] = 1810857601 }, false},
		{"negative iat", func(p m) { p[6] = -86400; p[4] = 86400 }, false},
		{"exp 2^32", func(p m) { p[4] = uint64(1) << 32; p[6] = 1<<32 - 86400 }, false},
		{"huge exp", func(p m) { p[4] = uint64(1)<<63 + 86400 }, false},
		{"exp as float", func(p m) { p[4] = 1810857600.0 }, false},
		{"exp as text", func(p m) { p[4] = "1810857600" }, false},
		{"exp as bytes", func(p m) { p[4] = []byte{1} }, false},
		{"exp with a tag", func(p m) { p[4] = cbor.Tag{Number: 1, Content: 1810857600} }, false},
		{"name as bytes", func(p m) { id(p)[4] = []byte("SITI") }, false},
		{"empty name", func(p m) { id(p)[4] = "" }, false},
		{"line end in the name", func(p m) { id(p)[4] = "A\nB" }, false},
		{"markup in the name", func(p m) { id(p)[4] = "<b>" }, false},
		{"direction in the name", func(p m) { id(p)[4] = "A\u202eB" }, false},
		{"letter of Unicode 16", func(p m) { id(p)[4] = "A\u1c89" }, false},
		{"private use in the name", func(p m) { id(p)[4] = "A\ue000" }, false},
		{"no-break space in the name", func(p m) { id(p)[4] = "A\u00a0B" }, false},
		{"emoji in the name", func(p m) { id(p)[4] = "A😀" }, false},
		{"full-width apostrophe", func(p m) { id(p)[4] = "O’NEIL" }, false},
		{"empty birth date", func(p m) { id(p)[8] = "" }, false},
		{"birth date as number", func(p m) { id(p)[8] = 19950314 }, false},
		{"month 13", func(p m) { id(p)[8] = "199513" }, false},
		{"Arabic digits", func(p m) { id(p)[8] = "١٩٩٥" }, false},
		{"sex 0", func(p m) { id(p)[9] = 0 }, false},
		{"sex 4", func(p m) { id(p)[9] = 4 }, false},
		{"sex huge", func(p m) { id(p)[9] = uint64(1)<<63 + 1 }, false},
		{"sex -1", func(p m) { id(p)[9] = -1 }, false},
		{"nationality D", func(p m) { id(p)[13] = "D" }, false},
		{"nationality small", func(p m) { id(p)[13] = "eth" }, false},
		{"empty nationality", func(p m) { id(p)[13] = "" }, false},
		{"status 0", func(p m) { st(p)[1] = 0 }, false},
		{"status 3", func(p m) { st(p)[1] = 3 }, false},
		{"status huge", func(p m) { st(p)[1] = uint64(1)<<63 + 1 }, false},
		{"status alone", func(p m) { delete(st(p), 2) }, false},
		{"decision level alone", func(p m) { delete(st(p), 1) }, false},
		{"decision level 5", func(p m) { st(p)[2] = 5 }, false},
		{"short handle", func(p m) { st(p)[3] = []byte("1234567") }, false},
		{"handle as text", func(p m) { st(p)[3] = "12345678" }, false},
		{"handle as numbers", func(p m) { st(p)[3] = []any{1, 2, 3, 4, 5, 6, 7, 8} }, false},
		{"list 65536", func(p m) { st(p)[4] = []any{65536, 0} }, false},
		{"index 2^20", func(p m) { st(p)[4] = []any{0, 1 << 20} }, false},
		{"index -1", func(p m) { st(p)[4] = []any{0, -1} }, false},
		{"one number", func(p m) { st(p)[4] = []any{3} }, false},
		{"three numbers", func(p m) { st(p)[4] = []any{3, 4, 5} }, false},
		{"list as a map", func(p m) { st(p)[4] = m{0: 3, 1: 4} }, false},
		{"nested too deep", func(p m) { st(p)[4] = []any{[]any{[]any{3}}, 4} }, false},
		{"portrait of 15", func(p m) { st(p)[5] = make([]byte, 15) }, false},
		{"empty portrait", func(p m) { st(p)[5] = []byte{} }, false},
		{"shortened false", func(p m) { st(p)[6] = false }, false},
		{"shortened 1", func(p m) { st(p)[6] = 1 }, false},
		{"shortened null", func(p m) { st(p)[6] = nil }, false},
		{"mission false", func(p m) { st(p)[8] = false }, false},
		{"blank false", func(p m) { st(p)[7] = false }, false},
		{"blank and all else", func(p m) { st(p)[7] = true }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := raw()
			c.edit(p)
			if _, ok := readClaims(marshal(t, p)); ok != c.ok {
				t.Errorf("got %t, want %t", ok, c.ok)
			}
		})
	}
	for name, edit := range map[string]func(m){
		"identity":        func(p m) { p[169] = m{4: "SITI"} },
		"empty identity":  func(p m) { p[169] = m{} },
		"status":          func(p m) { st(p)[1] = 1 },
		"status and more": func(p m) { st(p)[1], st(p)[2] = 1, 1 },
		"decision level":  func(p m) { st(p)[2] = 1 },
		"portrait":        func(p m) { st(p)[5] = make([]byte, 16) },
		"shortened":       func(p m) { st(p)[6] = true },
		"mission":         func(p m) { st(p)[8] = true },
	} {
		p := rawBlank()
		edit(p)
		if _, ok := readClaims(marshal(t, p)); ok {
			t.Errorf("a blank with %s is read", name)
		}
	}
}

// TestReadContent breaks the encoding around and inside good claims.
func TestReadContent(t *testing.T) {
	data := marshal(t, raw())
	good := envelope(data)
	if _, ok := readContent(pad(good)); !ok {
		t.Fatal("the content that the cases break is refused itself")
	}
	sameAsLibrary(t, good)
	// with replaces one piece, in hex, that the good content holds exactly once.
	with := func(old, now string) []byte {
		h := hex.EncodeToString(good)
		if strings.Count(h, old) != 1 {
			t.Fatalf("%s stands %d times in the content", old, strings.Count(h, old))
		}
		b, err := hex.DecodeString(strings.Replace(h, old, now, 1))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	kid := hex.EncodeToString(testKID[:])
	head := "844da201260448" + kid + "a0"
	inner := func(old, now string) []byte {
		h := hex.EncodeToString(data)
		if strings.Count(h, old) != 1 {
			t.Fatalf("%s stands %d times in the payload", old, strings.Count(h, old))
		}
		b, err := hex.DecodeString(strings.Replace(h, old, now, 1))
		if err != nil {
			t.Fatal(err)
		}
		return envelope(b)
	}
	for name, b := range map[string][]byte{
		"tagged":                      append([]byte{0xd2}, good...),
		"empty":                       {},
		"array of three":              with(head, "83"+head[2:]),
		"array of five":               append(with(head, "85"+head[2:]), 0),
		"indefinite array":            append(with(head, "9f"+head[2:]), 0xff),
		"long array head":             with(head, "9804"+head[2:]),
		"trailing byte":               append(bytes.Clone(good), 0),
		"trailing map":                append(bytes.Clone(good), 0xa0),
		"short":                       good[:len(good)-1],
		"no kid":                      with(head, "8443a10126a0"),
		"no alg":                      with(head, "844ba10448"+kid+"a0"),
		"no protected header":         with(head, "8440a0"),
		"empty protected map":         with(head, "8441a0a0"),
		"kid and alg the other way":   with(head, "844da20448"+kid+"0126a0"),
		"long map head":               with(head, "844eb802"+"01260448"+kid+"a0"),
		"long header string":          with(head, "84580d"+"a201260448"+kid+"a0"),
		"ES384":                       with(head, "844ea20138220448"+kid+"a0"),
		"EdDSA":                       with(head, "844da201270448"+kid+"a0"),
		"alg as text":                 with(head, "8452a20165455332353604"+"48"+kid+"a0"),
		"long alg":                    with(head, "844ea20138060448"+kid+"a0"),
		"kid of seven":                with(head, "844ca201260447"+kid[2:]+"a0"),
		"kid of nine":                 with(head, "844ea201260449"+kid+"00a0"),
		"kid as text":                 with(head, "844da20126046861616161616161"+"61a0"),
		"crit":                        with(head, "8450a30126028104"+"0448"+kid+"a0"),
		"content type":                with(head, "844fa301260300"+"0448"+kid+"a0"),
		"alg twice":                   with(head, "844fa3012601260448"+kid+"a0"),
		"kid in the unprotected":      with(head, "844da201260448"+kid+"a10448"+kid),
		"unprotected as null":         with(head, "844da201260448"+kid+"f6"),
		"unprotected indefinite":      with(head, "844da201260448"+kid+"bfff"),
		"payload null":                append(append(mustHex(head), 0xf6), good[len(good)-66:]...),
		"payload empty":               envelope(nil),
		"payload is text":             with(head+"58", head+"78"),
		"payload with long head":      append(append(append(mustHex(head), 0x59, 0, byte(len(data))), data...), good[len(good)-66:]...),
		"signature of 63":             append(append(bytes.Clone(good[:len(good)-66]), 0x58, 63), bytes.Repeat([]byte{9}, 63)...),
		"signature of 65":             append(append(bytes.Clone(good[:len(good)-66]), 0x58, 65), bytes.Repeat([]byte{9}, 65)...),
		"signature empty":             append(bytes.Clone(good[:len(good)-66]), 0x40),
		"signature null":              append(bytes.Clone(good[:len(good)-66]), 0xf6),
		"claims: keys out of order":   inner("a4041a6bef7e80061a6b023080", "a4061a6b023080041a6bef7e80"),
		"claims: key twice":           inner("a4041a6bef7e80", "a5041a6bef7e80041a6bef7e80"),
		"claims: long integer":        inner("041a6bef7e80", "041b000000006bef7e80"),
		"claims: long key":            inner("041a6bef7e80", "18041a6bef7e80"),
		"claims: long map":            inner("a4041a", "b804041a"),
		"claims: indefinite map":      append(inner("a4041a", "bf041a"), 0xff),
		"claims: tagged":              inner("a4041a", "d83da4041a"),
		"claims: something after it":  inner("08f5", "08f500"),
		"claims: indefinite name":     inner("046e", "047f6e"),
		"claims: name not UTF-8":      inner("0d63455448", "0d63ff5448"),
		"claims: true as a long bool": inner("08f5", "08f815"),
		"claims: undefined":           inner("08f5", "08f7"),
		"claims: an array":            envelope([]byte{0x80}),
		"claims: two maps":            envelope(append(bytes.Clone(rawBlankBytes(t)), 0xa0)),
	} {
		t.Run(name, func(t *testing.T) {
			if len(b) > maxSigned {
				t.Fatalf("%d bytes do not fit", len(b))
			}
			if _, ok := readContent(pad(b)); ok {
				t.Error("it is read")
			}
			sameAsLibrary(t, b)
		})
	}
	for name, plain := range map[string][]byte{
		"nothing":              nil,
		"zeros":                make([]byte, plainSize),
		"no 0x80":              append(bytes.Clone(good), make([]byte, plainSize-len(good))...),
		"0x81":                 append(append(bytes.Clone(good), 0x81), make([]byte, plainSize-len(good)-1)...),
		"0x80 twice":           append(append(bytes.Clone(good), 0x80, 0x80), make([]byte, plainSize-len(good)-2)...),
		"a byte after 0x80":    append(append(bytes.Clone(good), 0x80, 1), make([]byte, plainSize-len(good)-2)...),
		"one byte short":       pad(good)[:plainSize-1],
		"one byte more":        append(pad(good), 0),
		"padding without text": pad(nil),
	} {
		t.Run("padding: "+name, func(t *testing.T) {
			if _, ok := readContent(plain); ok {
				t.Error("it is read")
			}
		})
	}
}

func rawBlankBytes(t testing.TB) []byte { return marshal(t, rawBlank()) }

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// readByLibrary is a general reading of the COSE_Sign1 with go-cose: parse,
// encode again from what was understood, compare. readSigned must agree.
func readByLibrary(signed []byte) (payload []byte, kid [kidSize]byte, ok bool) {
	var m cose.UntaggedSign1Message
	if m.UnmarshalCBOR(signed) != nil {
		return nil, kid, false
	}
	again := cose.UntaggedSign1Message{
		Headers:   cose.Headers{Protected: m.Headers.Protected, Unprotected: m.Headers.Unprotected},
		Payload:   m.Payload,
		Signature: m.Signature,
	}
	if b, err := again.MarshalCBOR(); err != nil || !bytes.Equal(b, signed) {
		return nil, kid, false
	}
	alg, err := m.Headers.Protected.Algorithm()
	id, isBytes := m.Headers.Protected[cose.HeaderLabelKeyID].([]byte)
	if len(m.Headers.Protected) != 2 || len(m.Headers.Unprotected) != 0 || err != nil || alg != cose.AlgorithmES256 ||
		!isBytes || len(id) != kidSize || len(m.Signature) != signatureSize || len(m.Payload) < 24 {
		return nil, kid, false
	}
	return m.Payload, [kidSize]byte(id), true
}

// sameAsLibrary fails the test if the two readings differ.
func sameAsLibrary(t testing.TB, signed []byte) {
	t.Helper()
	c, ok := readSigned(signed)
	payload, kid, libraryOK := readByLibrary(signed)
	switch {
	case ok != libraryOK:
		t.Errorf("readSigned says %t, go-cose %t", ok, libraryOK)
	case ok && (!bytes.Equal(payload, c.message.Payload) || kid != c.kid):
		t.Error("readSigned and go-cose read different things")
	}
}
