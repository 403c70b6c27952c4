package audit

import (
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// follower signs what goes on behind what it has signed, or was shown.
type follower struct {
	note.Signer
	*memory
	proof tlog.TreeProof
}

type memory struct {
	verifier  note.Verifier
	last      Checkpoint
	proofs    int    // that it was given, of some length
	lose      int    // of its answers get lost, of what it remembers all the same
	meanwhile func() // is signed for somebody else before the next
}

func (f follower) Last() (int64, bool, error) { return f.last.Size, true, nil }

func (f follower) Follow(proof tlog.TreeProof) note.Signer { f.proof = proof; return f }

func (f follower) Sign(text []byte) ([]byte, error) {
	if do := f.meanwhile; do != nil {
		f.meanwhile = nil
		do()
	}
	c, err := ParseText(string(text))
	if err != nil {
		return nil, err
	}
	if err := f.takes(c, f.proof); err != nil {
		return nil, err
	}
	if f.lose > 0 {
		f.lose--
		return nil, errors.New("a lost answer")
	}
	return f.Signer.Sign(text)
}

func (f follower) Show(signed []byte, proof tlog.TreeProof) error {
	c, err := parseCheckpoint(signed, f.verifier)
	if err != nil {
		return err
	}
	return f.takes(c, proof)
}

func (m *memory) takes(c Checkpoint, proof tlog.TreeProof) error {
	if m.last.Size > 0 {
		if err := CheckConsistency(m.last, c, proof); err != nil {
			return err
		}
	}
	m.last = c
	m.proofs += min(1, len(proof))
	return nil
}

// TestFollowers: a Signer that believes nobody is shown with each checkpoint that the log
// goes on, whatever it has signed that was lost, or signed for somebody else.
func TestFollowers(t *testing.T) {
	s, d, k := newStore(), newDir(), newKey(t, "log")
	here := follower{Signer: k.signer, memory: &memory{verifier: k.verifier}}
	l := newLog(t, s, d, key{here, k.verifier, k.vkey})
	grow := func(n int) Checkpoint {
		t.Helper()
		s.append(n)
		return publish(t, l)
	}
	grow(300)
	grow(1)
	grow(700)
	if here.last.Size != 1001 || here.proofs != 2 {
		t.Errorf("%d leaves, %d proofs", here.last.Size, here.proofs)
	}

	// Answers are lost: it is asked once more, and then the next one goes on behind what
	// was signed.
	here.lose = 1
	grow(50)
	s.append(50)
	here.lose = 2
	if _, err := l.Publish(t.Context()); err == nil {
		t.Error("published what nobody has signed")
	}
	publish(t, l) // what was cut off
	if head := grow(50); head.Size != 1151 || here.proofs != 5 {
		t.Errorf("%d leaves, %d proofs", head.Size, here.proofs)
	}

	// Another process has one of its own, and publishes meanwhile.
	there := follower{Signer: k.signer, memory: &memory{verifier: k.verifier}}
	other := newLog(t, s, d, key{there, k.verifier, k.vkey})
	s.append(3)
	publish(t, other)
	if err := l.Show(t.Context()); err != nil || here.last.Size != 1154 {
		t.Errorf("shown %d leaves, %v", here.last.Size, err)
	}
	here.last = there.last // both ask one and the same
	s.append(4)
	here.meanwhile = func() {
		publish(t, newLog(t, s, d.clone(), key{follower{k.signer, here.memory, nil}, k.verifier, k.vkey}))
	}
	if head := publish(t, l); head.Size != 1158 {
		t.Errorf("%d leaves", head.Size)
	}

	// It does not sign another tree.
	here.last.Root[0] ^= 1
	s.append(1)
	if _, err := l.Publish(t.Context()); !errors.Is(err, ErrProof) {
		t.Errorf("behind another tree: %v, want ErrProof", err)
	}
}
