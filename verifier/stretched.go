//go:build js || stretched

package verifier

import (
	"errors"
	"time"

	"github.com/safeconduct/safeconduct/credentials/card"
)

// This file is for the browser, where another library runs Argon2id, off the
// page's own thread and three times as fast as Go does there. Elsewhere Verify
// is the whole, and nobody can leave the stretch out.

// Stretch is what Argon2id has to be run over before VerifyStretched, with
// version 0x13, no secret and no associated data (docs/card.md, Bytes).
type Stretch struct {
	Password string // ten ASCII digits, however the code was typed
	Salt     []byte // 16 bytes
	Passes   int
	KiB      int
	Lanes    int
	Size     int // bytes of output
}

// Ask judges as Verify does, as far as that goes without Argon2id. A nil
// Stretch means that the verdict is the answer; otherwise there is none yet,
// and the verdict is zero.
func (p *Pack) Ask(in Presentation, now time.Time) (v Verdict, s *Stretch) {
	v = p.verify(in, func(c card.Card, _ card.OpenKeys, code card.Code) (*card.Opened, error) {
		s = &Stretch{
			Password: code.Reveal(), Salt: card.Salt(c),
			Passes: card.StretchPasses, KiB: card.StretchKiB, Lanes: card.StretchLanes, Size: card.StretchSize,
		}
		return nil, errNotStretched
	}, now)
	if s != nil {
		return Verdict{}, s
	}
	return v, nil
}

var errNotStretched = errors.New("verifier: the code is not stretched yet")

// VerifyStretched is Verify for a code that was stretched as Ask said. Output of
// another length opens nothing.
func (p *Pack) VerifyStretched(in Presentation, stretched []byte, now time.Time) Verdict {
	return p.verify(in, func(c card.Card, keys card.OpenKeys, _ card.Code) (*card.Opened, error) {
		return card.OpenStretched(c, keys, stretched)
	}, now)
}
