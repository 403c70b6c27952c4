package verifier

import (
	"bytes"
	"crypto/hpke"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/safeconduct/safeconduct/credentials/card"
	"github.com/safeconduct/safeconduct/credentials/jws"
)

// asMap is a statement as plain JSON values, in which a test can write what no
// writer of this version does.
type asMap = map[string]any

// rewritten is a pack file of n, each statement of which edit may change before it
// is signed or sealed. Its names are file, lists, trustKey, trust, pack, envelope and
// keys.
func (n *network) rewritten(edit func(statement string, m asMap)) []byte {
	n.t.Helper()
	decode := func(data []byte) asMap {
		n.t.Helper()
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		var m asMap
		if err := dec.Decode(&m); err != nil {
			n.t.Fatal(err)
		}
		return m
	}
	encode := func(statement string, m asMap) []byte {
		n.t.Helper()
		edit(statement, m)
		b, err := json.Marshal(m)
		if err != nil {
			n.t.Fatal(err)
		}
		// A name that ends in ! stands for itself once more.
		return bytes.ReplaceAll(b, []byte(`!":`), []byte(`":`))
	}
	sign := func(typ string, key Signer, payload []byte) string {
		n.t.Helper()
		compact, err := jws.Sign(typ, key.KeyID, key.Key, payload)
		if err != nil {
			n.t.Fatal(err)
		}
		return compact
	}
	payload := func(compact string) asMap {
		n.t.Helper()
		b, err := base64.RawURLEncoding.DecodeString(strings.Split(compact, ".")[1])
		if err != nil {
			n.t.Fatal(err)
		}
		return decode(b)
	}
	f := n.file()
	if n.trustKey != nil {
		f.Lists.TrustKey = sign(TypeTrustKey, n.signTrustKey, encode("trustKey", payload(f.Lists.TrustKey)))
	}
	f.Lists.TrustList = sign(TypeTrustList, n.signTrust, encode("trust", payload(f.Lists.TrustList)))
	pack := payload(f.Lists.Pack)
	pack["trust_list_sha256"] = TrustDigest(f.Lists.TrustList)
	f.Lists.Pack = sign(TypePack, n.signPack, encode("pack", pack))
	keys, err := json.Marshal(n.keys)
	if err != nil {
		n.t.Fatal(err)
	}
	recipient, err := hpke.MLKEM768X25519().NewPublicKey(n.recipient)
	if err != nil {
		n.t.Fatal(err)
	}
	sealed, err := hpke.Seal(recipient, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), n.envelope.info(), encode("keys", decode(keys)))
	if err != nil {
		n.t.Fatal(err)
	}
	envelope := payload(f.Envelope)
	envelope["sealed"] = base64.StdEncoding.EncodeToString(sealed)
	f.Envelope = sign(TypeEnvelope, n.signSealed, encode("envelope", envelope))
	lists := asMap{"trust_list": f.Lists.TrustList, "pack": f.Lists.Pack}
	if f.Lists.TrustKey != "" {
		lists["trust_key"] = f.Lists.TrustKey
	}
	edit("lists", lists)
	return encode("file", asMap{"lists": lists, "envelope": f.Envelope})
}

// places are the objects of a pack file in which members may stand that a reader
// does not know: docs/pack.md, Unknown members. The way leads there from the
// statement, through the first element of every array.
var places = []struct{ statement, way string }{
	{"file", ""}, {"lists", ""}, {"trustKey", ""},
	{"trust", ""}, {"trust", "keys"}, {"trust", "agencies"}, {"trust", "agencies.keys"}, {"trust", "agencies.keys.compromised"},
	{"pack", ""}, {"pack", "status_lists"}, {"pack", "answers_lists"},
	{"envelope", ""}, {"keys", ""}, {"keys", "live"}, {"keys", "closed"},
}

// at finds the object that way leads to.
func at(t *testing.T, m asMap, way string) asMap {
	t.Helper()
	if way == "" {
		return m
	}
	for name := range strings.SplitSeq(way, ".") {
		inner := m[name]
		if list, ok := inner.([]any); ok {
			inner = list[0]
		}
		next, ok := inner.(asMap)
		if !ok {
			t.Fatalf("%s leads nowhere", way)
		}
		m = next
	}
	return m
}

// withEverything is an issued network in whose pack every object occurs, and a
// card that is confirmed with it.
func withEverything(t *testing.T) *issued {
	i := newIssued(t)
	i.named()
	i.trust.Agencies[0].Keys[0].Compromised = &Compromise{At: day.Unix(), Logged: []string{cardDigest(t, i)}}
	i.keys.Closed = []ClosedEpoch{{ID: 7, TagKey: bytes.Repeat([]byte{7}, 32)}}
	i.answers = map[uint16]list{1: {entries: map[int]uint8{int(person().Index): answerMission}}}
	return i
}

// cardDigest is the beginning of what was logged of the card.
func cardDigest(t *testing.T, i *issued) string {
	t.Helper()
	c, err := card.Parse(i.digits)
	if err != nil {
		t.Fatal(err)
	}
	code, err := card.ParseCode(rightCode)
	if err != nil {
		t.Fatal(err)
	}
	live := i.keys.Live[0]
	opened, err := openOnce(c, card.OpenKeys{Epoch: live.ID, TagKey: live.TagKey, NetKey: live.NetKey, Private: live.Private}, code)
	if err != nil {
		t.Fatal(err)
	}
	digest := opened.Digest()
	return hex.EncodeToString(digest[:8])
}

// TestUnknownMembers: what a later writer adds is passed over wherever it may
// stand, and a name that stands twice, or in another case, is not.
func TestUnknownMembers(t *testing.T) {
	i := withEverything(t)
	for _, place := range places {
		t.Run(strings.TrimSuffix(place.statement+"."+place.way, "."), func(t *testing.T) {
			write := func(name string, value any) []byte {
				return i.rewritten(func(statement string, m asMap) {
					if statement == place.statement {
						at(t, m, place.way)[name] = value
					}
				})
			}
			known := slices.Sorted(func(yield func(string) bool) {
				i.rewritten(func(statement string, m asMap) {
					if statement == place.statement {
						for name := range at(t, m, place.way) {
							yield(name)
						}
					}
				})
			})[0]
			i.t = t
			p, err := OpenPack(write("later", asMap{"version": 9, "crit": []string{"later"}, "list": []int{1}}), i.device, noon)
			if err != nil {
				t.Fatal(err)
			}
			if v := p.verifyOnce(Presentation{Text: i.digits, Code: ptr(rightCode)}, noon); v.State != Confirmed {
				t.Errorf("got %v, want confirmed", v)
			}
			renamed := i.rewritten(func(statement string, m asMap) {
				if statement == place.statement {
					m = at(t, m, place.way)
					m[strings.ToUpper(known)] = m[known]
					delete(m, known)
				}
			})
			for name, file := range map[string][]byte{
				"a name twice":                 write(known+"!", nil),
				"a name in another case":       renamed,
				"an unknown name twice inside": write("later", json.RawMessage(`{"a":1,"A":2}`)),
			} {
				_, err := OpenPack(file, i.device, noon)
				if got := reasonOfPack(t, err); got != ReasonPackBroken {
					t.Errorf("%s: got %q (%v), want %q", name, got, err, ReasonPackBroken)
				}
			}
		})
	}
}

// TestVersionAndCrit: a device says that it is too old for a pack, and judges
// nothing by it.
func TestVersionAndCrit(t *testing.T) {
	i := withEverything(t)
	later := strings.Repeat("x", 20)
	tests := []struct {
		name string
		edit func(statement string, m asMap)
		want Reason
	}{
		{"version 1", func(_ string, m asMap) { m["version"] = 1 }, ReasonNone},
		{"an empty crit", func(_ string, m asMap) { m["crit"] = []string{} }, ReasonNone},
		{"crit names what is known", func(statement string, m asMap) {
			m["crit"] = map[string][]string{
				"file": {"lists.trust_list", "lists.trust_key", "envelope", "crit"}, "lists": nil, "trustKey": {"jwk", "exp", "version"},
				"trust": {"version", "agencies.keys.compromised.logged", "keys.use", "demo"}, "pack": {"burned_epochs", "status_lists.token"},
				"envelope": {"lease_until"}, "keys": {"live.net", "closed.burned"},
			}[statement]
		}, ReasonNone},
	}
	for _, statement := range []string{"file", "trustKey", "trust", "pack", "envelope", "keys"} {
		in := func(change func(m asMap)) func(string, asMap) {
			return func(s string, m asMap) {
				if s == statement {
					change(m)
				}
			}
		}
		set := func(name string, value any) func(string, asMap) { return in(func(m asMap) { m[name] = value }) }
		for _, test := range []struct {
			name string
			edit func(string, asMap)
			want Reason
		}{
			{"version 2", set("version", 2), ReasonNewerVersion},
			{"version 2^64-1", set("version", json.Number("18446744073709551615")), ReasonNewerVersion},
			{"version 2, and nothing is as it was", in(func(m asMap) {
				for name := range m {
					m[name] = []any{1}
				}
				m["version"] = 2
			}), ReasonNewerVersion},
			{"crit names a member of later", in(func(m asMap) { m[later], m["crit"] = 1, []string{later} }), ReasonNewerVersion},
			{"crit names one that is not there", set("crit", []string{later}), ReasonNewerVersion},
			{"crit names one inside", set("crit", []string{"crit", "agencies." + later}), ReasonNewerVersion},
			{"crit names one in another case", set("crit", []string{"CRIT"}), ReasonNewerVersion},
			{"crit names a part of a key", set("crit", []string{"keys.jwk.kty"}), ReasonNewerVersion},
			{"crit names a part of the key", set("crit", []string{"jwk.kty"}), ReasonNewerVersion},
			{"crit names nothing", set("crit", []string{""}), ReasonNewerVersion},
			{"version 0", set("version", 0), ReasonPackBroken},
			{"version -1", set("version", -1), ReasonPackBroken},
			{"version 1.5", set("version", json.Number("1.5")), ReasonPackBroken},
			{"version as text", set("version", "1"), ReasonPackBroken},
			{"Version", set("Version", 1), ReasonPackBroken},
			{"crit is a text", set("crit", "later"), ReasonPackBroken},
			{"CRIT", set("CRIT", []string{}), ReasonPackBroken},
		} {
			test.name = statement + ": " + test.name
			tests = append(tests, test)
		}
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i.t = t
			p, err := OpenPack(i.rewritten(test.edit), i.device, noon)
			if got := reasonOfPack(t, err); got != test.want {
				t.Fatalf("got %q (%v), want %q", got, err, test.want)
			}
			if err == nil {
				return
			}
			if p != nil {
				t.Error("a pack and an error")
			}
			v := NotReadyVerdict(err)
			if v.State != NotReady || v.Checks != (Checks{Unchecked, Unchecked, Unchecked}) || v.Issuer != nil || v.Card != nil {
				t.Errorf("got %v with checks %v, want not_ready and nothing checked", v, v.Checks)
			}
			if strings.Contains(err.Error(), later) {
				t.Error("the error repeats the pack")
			}
		})
	}
	t.Logf("versions: %d cases", len(tests))
}

// TestWritersWaitForReaders: no member is written that readers from before
// version and crit refuse, but the file's crit where those would call the trust list
// unsigned.
func TestWritersWaitForReaders(t *testing.T) {
	for _, c := range []struct{ key, want string }{
		{"", `{"lists":{"trust_list":"a","pack":"b"},"envelope":"c"}`},
		{"d", `{"crit":["lists.trust_key"],"lists":{"trust_list":"a","pack":"b","trust_key":"d"},"envelope":"c"}`},
	} {
		b, err := MarshalFile(File{Lists: Lists{TrustList: "a", Pack: "b", TrustKey: c.key}, Envelope: "c"})
		if err != nil || string(b) != c.want {
			t.Errorf("got %s (%v), want %s", b, err, c.want)
		}
	}
	withEverything(t).rewritten(func(statement string, m asMap) {
		for _, name := range []string{"version", "crit"} {
			if _, there := m[name]; there {
				t.Errorf("%s has the member %s", statement, name)
			}
		}
	})
}
