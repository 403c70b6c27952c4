package verifier

import (
	"errors"
	"testing"
	"time"
)

// TestOpenLists: signatures count, dates do not, and no list is passed over.
func TestOpenLists(t *testing.T) {
	open := func(n *network, id string) (*Public, error) {
		return OpenLists(n.file().Lists, id, jwk(t, &n.root.PublicKey))
	}
	n := newNetwork(t, day)
	n.trust.Expires = day.Add(-time.Minute).Unix() // long over
	p, err := open(n, networkID)
	if err != nil {
		t.Fatal(err)
	}
	if p.Statement().Sequence != 5 || p.Status(1) == nil || p.Answers(1) == nil || p.Status(2) != nil || p.Trust().Network != networkID {
		t.Errorf("the statement: %+v", p.Statement())
	}
	n.named()
	n.trustKey.Expires = n.trustKey.IssuedAt + 1 // long over
	n.trustKey.IssuedAt -= 86400
	if _, err := open(n, networkID); err != nil {
		t.Errorf("a key that the root names: %v", err)
	}
	for what, change := range map[string]func(*network){
		"a key that nobody names": func(n *network) { n.named(); n.trustKey = nil },
		"named by another key":    func(n *network) { n.named(); n.signTrustKey = n.signTrust },
		"named for another":       func(n *network) { n.named(); n.trustKey.Network = "ffffffffffffffffffffffffffffffff" },
		"another root":            func(n *network) { n.signTrust = signerOf(newKey(t)) },
		"another pack key":        func(n *network) { n.signPack = signerOf(newKey(t)) },
		"another status key":      func(n *network) { n.signLists = signerOf(newKey(t)) },
		"the status key":          func(n *network) { n.signPack = signerOf(n.statusKey) },
		"a list is broken":        func(n *network) { n.raw[1] = "x" },
		"another network":         func(n *network) { n.statement.Network = "ffffffffffffffffffffffffffffffff" },
		"another trust list": func(n *network) {
			n.after = func(f *File) { f.Lists.TrustList = newNetwork(t, day).file().Lists.TrustList }
		},
		"no pack": func(n *network) { n.after = func(f *File) { f.Lists.Pack = "" } },
	} {
		n := newNetwork(t, day)
		change(n)
		var not *NotReadyError
		if _, err := open(n, networkID); !errors.As(err, &not) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := open(newNetwork(t, day), "ffffffffffffffffffffffffffffffff"); err == nil {
		t.Error("a pack of another network was taken")
	}
}
