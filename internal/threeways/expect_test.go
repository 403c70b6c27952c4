//go:build stretched

package threeways_test

import (
	"time"

	"github.com/safeconduct/safeconduct/verifier"
)

// answer is a state and its reason.
type answer struct {
	state  verifier.State
	reason verifier.Reason
}

// anyReason stands for a reason of the formats of credentials, which have more
// than this test knows.
const anyReason verifier.Reason = "any"

// expect says what has to be answered when a thing is shown. It is
// docs/card.md, Opening in order, and docs/overview.md, Results, written down
// a second time, over what is known of packs and things and not over their
// bytes.
func expect(p *pack, t *thing, c codeKind, wrongBefore []time.Time, now time.Time) answer {
	switch {
	case p.refused != "":
		return answer{verifier.NotReady, p.refused}
	case now.Before(p.issued):
		return answer{verifier.NotReady, verifier.ReasonClock}
	case !now.Before(p.lease):
		return answer{verifier.NotReady, verifier.ReasonLeaseOver}
	case !now.Before(p.trustEnd):
		return answer{verifier.NotReady, verifier.ReasonTrustListOld}
	}
	if t.isCard {
		switch {
		case t.fate == notOurs:
			return answer{verifier.NotOurs, verifier.ReasonUnknownContent}
		case t.fate == ofEndedEpoch:
			return answer{verifier.Expired, verifier.ReasonEpochEnded}
		case t.fate == ofBurned:
			return answer{verifier.NotReady, verifier.ReasonEpochBurned}
		case c == codeNone:
			return answer{verifier.CodeNotGiven, ""}
		case c == codeOfAnotherForm:
			return answer{verifier.WrongCode, verifier.ReasonCodeFormat}
		}
		if reason := locked(p, wrongBefore, now); reason != "" {
			return answer{verifier.CodeLocked, reason}
		}
		if c == codeWrong {
			return answer{verifier.WrongCode, verifier.ReasonCodeWrong}
		}
	}
	switch t.fate {
	case unreadable:
		return answer{verifier.Unreadable, t.reason}
	case wrongContent:
		return answer{verifier.DoesNotMatch, verifier.ReasonContent}
	case unknownKey:
		return answer{verifier.IssuerUnknown, verifier.ReasonKeyUnknown}
	}
	if a, bad := expectOfIssuer(p, t); bad {
		return a
	}
	return expectOfStatus(p, t, now)
}

// locked counts the wrong codes that were tried while the device was ready, by hours of
// the clock: a try counts for an hour until the end of the hour after its own, and for a
// day until the end of the 24th after it.
func locked(p *pack, wrongBefore []time.Time, now time.Time) verifier.Reason {
	var hour, daily int
	for _, at := range wrongBefore {
		if at.Before(p.issued) || !at.Before(p.lease) || !at.Before(p.trustEnd) {
			continue
		}
		clock := at.Truncate(time.Hour)
		if now.Before(clock.Add(2 * time.Hour)) {
			hour++
		}
		if now.Before(clock.Add(25 * time.Hour)) {
			daily++
		}
	}
	switch {
	case daily >= 10:
		return verifier.ReasonTriesDay
	case hour >= 5:
		return verifier.ReasonTriesHour
	default:
		return ""
	}
}

func expectOfIssuer(p *pack, t *thing) (answer, bool) {
	uncovered := verifier.ReasonKeyWindow
	if !t.isCard {
		uncovered = verifier.ReasonIssuerKey
	}
	o := p.opinions[t.agency]
	switch o {
	case notListed, suspended, revoked:
		return answer{verifier.IssuerUnknown, verifier.ReasonKeyUnknown}, true
	}
	switch {
	case o == impostor, t.fate == moved:
		return answer{verifier.DoesNotMatch, verifier.ReasonSignature}, true
	case t.fate == refused:
		return answer{verifier.DoesNotMatch, t.reason}, true
	case o == windowToCome, o == windowOver, o == stolenUnlogged, t.wrongIss:
		return answer{verifier.IssuerUnknown, uncovered}, true
	}
	return answer{}, false
}

func expectOfStatus(p *pack, t *thing, now time.Time) answer {
	l := p.status[t.list]
	there, has := l.holds(t.index)
	said := p.said[place{t.list, t.index}]
	if has {
		switch said.status {
		case 1:
			return answer{verifier.OutOfUse, ""}
		case 3:
			return answer{verifier.Replaced, ""}
		}
	}
	switch {
	case t.blank:
		return answer{verifier.NotYetInUse, verifier.ReasonBlank}
	case has && said.status == 2:
		return answer{verifier.Paused, ""}
	case !now.Before(t.to):
		return answer{verifier.Expired, ""}
	case now.Before(t.from):
		return answer{verifier.NotYetInUse, verifier.ReasonNotBegun}
	case !there:
		return answer{verifier.StatusOld, verifier.ReasonStatusMissing}
	case !has:
		return answer{verifier.StatusOld, verifier.ReasonStatusIndex}
	case !l.current(now):
		return answer{verifier.StatusOld, verifier.ReasonStatusExpired}
	}
	answers := p.answers[t.list]
	if _, has := answers.holds(t.index); has && answers.current(now) {
		switch said.answer {
		case 1:
			return answer{verifier.Confirmed, verifier.ReasonMission}
		case 3:
			return answer{verifier.Confirmed, verifier.ReasonOtherAuthority}
		}
	}
	return answer{verifier.Unconfirmed, ""}
}
