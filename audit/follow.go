package audit

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Follower is a Signer that believes nobody who asks: it remembers the longest
// checkpoint that it has signed, or was shown with a signature, and signs what a proof
// shows to go on behind that.
type Follower interface {
	note.Signer

	// Last is how long the log was then, 0 if there was none. follows is false for one
	// that remembers nothing.
	Last() (size int64, follows bool, err error)
	// Follow is the Signer for a checkpoint that a proof (RFC 6962 §2.1.2) shows to
	// go on behind Last.
	Follow(proof tlog.TreeProof) note.Signer
	// Show has it remember a checkpoint that somebody else with its key has signed.
	Show(signed []byte, proof tlog.TreeProof) error
}

// signWith adds a signature to a note that says a head, whose tiles are there.
func (l *Log) signWith(s note.Signer, n *note.Note, head Checkpoint) (signed []byte, err error) {
	f, ok := s.(Follower)
	if !ok {
		return note.Sign(n, s)
	}
	for before := int64(-1); ; {
		last, follows, lastErr := f.Last()
		switch {
		case lastErr != nil:
			return nil, lastErr
		case !follows:
			return note.Sign(n, s)
		case last == before:
			return nil, err
		}
		var proof tlog.TreeProof
		if last <= head.Size { // else it says so itself
			if proof, err = proveTree(l.cfg.Dir, head, last); err != nil {
				return nil, err
			}
		}
		if signed, err = note.Sign(n, f.Follow(proof)); err == nil {
			return signed, nil
		}
		before = last // unless it has signed for somebody else meanwhile
	}
}

// Show has the one that signs remember the newest head, where somebody else published it:
// whoever asks it later cannot begin behind that.
func (l *Log) Show(ctx context.Context) error {
	head, err := l.head(ctx)
	if err != nil || head.Signed == nil {
		return err
	}
	l.mu.Lock()
	known := bytes.Equal(head.Signed, l.shown)
	l.mu.Unlock()
	if known {
		return nil
	}
	if err := l.show(ctx, head); err != nil {
		return fmt.Errorf("show the checkpoint to whoever signs: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown = head.Signed
	return nil
}

func (l *Log) show(ctx context.Context, head Checkpoint) error {
	keys, err := l.verifiers(ctx)
	if err != nil {
		return err
	}
	if _, err := parseCheckpoint(head.Signed, keys[0]); err != nil {
		return nil // by a key that was replaced: the next one shows it
	}
	signers, err := l.cfg.Keys.Signers(ctx)
	if err != nil || len(signers) == 0 {
		return err
	}
	f, ok := signers[0].(Follower)
	if !ok {
		return nil
	}
	last, follows, err := f.Last()
	if err != nil || !follows || last >= head.Size {
		return err
	}
	proof, err := proveTree(l.cfg.Dir, head, last)
	if err != nil {
		return err
	}
	return f.Show(head.Signed, proof)
}
