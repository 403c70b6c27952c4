package main

import (
	"fmt"
	"strings"

	"github.com/safeconduct/safeconduct/verifier"
)

// words is what a person reads about a verdict. No heading calls a person
// anything: only a card or a record has a state.
type words struct{ sign, heading, next string }

// verdictWords has one row for each state.
var verdictWords = map[verifier.State]words{
	verifier.Confirmed:     {"✔", "Card is genuine. Identity confirmed by an authority.", "Go on with your procedure. Hand the card back."},
	verifier.Unconfirmed:   {"ⓘ", "Card is genuine. Identity not yet confirmed by an authority.", "Call the desk below. Contact a mission only if the holder agreed to it. Do not treat it as false."},
	verifier.StatusOld:     {"◷", "Card is genuine. Its status is from an earlier day.", "Connect and update if you can. If not, treat it as genuine and note the date."},
	verifier.NotYetInUse:   {"◌", "This paper is not yet known to be given to anyone.", "It settles nothing either way. Call the desk."},
	verifier.Expired:       {"⌛", "Card is past its date.", "The record may still be active. Ask the office for a new card."},
	verifier.Paused:        {"⏸", "Paused.", "Do not ask the holder why. Call the office."},
	verifier.Replaced:      {"⇄", "Replaced by a newer card.", "Ask for the newer card."},
	verifier.OutOfUse:      {"⊘", "Out of use.", "This says nothing about the person. Call the office."},
	verifier.IssuerUnknown: {"?", "We cannot tell who issued this.", "Update your lists. Ask your agency."},
	verifier.DoesNotMatch:  {"✕", "The content was changed or damaged.", "Damage is common. Call the desk before you decide anything."},
	verifier.CodeNotGiven:  {"#", "Looks like one of ours. It cannot be read without its code.", "Ask once. The holder may refuse. Call the desk; decide as if no paper had been shown."},
	verifier.WrongCode:     {"#", "That code does not open this card.", "Ask again, slowly."},
	verifier.CodeLocked:    {"#", "Too many tries.", "Wait, or call the desk."},
	verifier.NotOurs:       {"◇", "Not one of our cards.", "Treat it as what it is."},
	verifier.Unreadable:    {"▦", "Could not read the code.", "More light, another distance, a sharper picture; or ask for the card number."},
	verifier.NewerVersion:  {"↑", "Made for a newer version.", "Update this program."},
	verifier.NotReady:      {"⚙", "This device is not ready.", "Update it, or import a pack."},
}

func wordsFor(v verifier.Verdict) words {
	w := verdictWords[v.State]
	if v.Credential != nil {
		w.heading = strings.Replace(w.heading, "Card ", "Credential ", 1)
	}
	switch v.State {
	case verifier.Confirmed:
		if v.Reason == verifier.ReasonMission {
			w.heading = strings.Replace(w.heading, "an authority", "the mission of the stated nationality", 1)
		}
	case verifier.WrongCode:
		w.next += fmt.Sprintf(" Tries left: %d.", v.TriesLeft)
	case verifier.CodeLocked:
		w.next += " Locked until " + v.LockedUntil.Format("15:04") + " UTC."
	case verifier.NotOurs:
		if k := kindWords[v.Kind]; k != "" {
			w.heading = "Not one of our cards. It looks like " + k + "."
		}
	case verifier.NotReady:
		if r := notReadyWords[v.Reason]; r != "" {
			w.next = r
		}
	}
	return w
}

var kindWords = map[verifier.Kind]string{
	verifier.KindWebAddress:  "a web address; do not follow it",
	verifier.KindEUCert:      "an EU digital certificate",
	verifier.KindSmartHealth: "a health card",
	verifier.KindIdentityQR:  "an identity code of another system",
	verifier.KindWalletOffer: "a message for a wallet",
	verifier.KindContact:     "a contact card",
	verifier.KindWiFi:        "access to a wireless network",
	verifier.KindVisibleSeal: "a visible digital seal",
}

var notReadyWords = map[verifier.Reason]string{
	verifier.ReasonNoPack:        "There is no pack. Fetch or import one.",
	verifier.ReasonLeaseOver:     "Its lease is over. Fetch or import a newer pack.",
	verifier.ReasonClock:         "Its clock is wrong. Set it, then try again.",
	verifier.ReasonPackOlder:     "This pack is older than one it has seen. Import the newer one.",
	verifier.ReasonTrustListOld:  "The trust list is past its date. Fetch or import a newer pack.",
	verifier.ReasonPackBroken:    "The pack cannot be used. Fetch or import another.",
	verifier.ReasonStatusMissing: "The pack holds no status list. Fetch or import another.",
	verifier.ReasonEpochBurned:   "Keys for this card were taken back. Update, and call the desk.",
}

// procedureWords says what an officer without an opened record may know.
func procedureWords(status, level int) string {
	if status == 0 {
		return ""
	}
	levels := []string{"", "preliminary", "reasonable grounds", "formal", "judicial"}
	if level <= 0 || level >= len(levels) {
		return ""
	}
	return "in a recognised procedure (" + levels[level] + ")"
}

// bands is the colour beside the sign and the words; never a colour alone.
var bands = map[verifier.State]string{
	verifier.Confirmed: "green", verifier.Unconfirmed: "blue",
	verifier.StatusOld: "amber", verifier.NotYetInUse: "amber", verifier.Expired: "amber", verifier.Paused: "amber",
	verifier.WrongCode: "amber", verifier.CodeLocked: "amber",
	verifier.Replaced: "grey", verifier.OutOfUse: "grey", verifier.CodeNotGiven: "grey", verifier.NotOurs: "grey",
	verifier.Unreadable: "grey", verifier.NewerVersion: "grey", verifier.NotReady: "grey",
	verifier.IssuerUnknown: "violet", verifier.DoesNotMatch: "red",
}
