package main

import (
	"strconv"
	"strings"

	"github.com/safeconduct/safeconduct/verifier"
	"github.com/safeconduct/safeconduct/web"
)

// words is what a person reads about a verdict. No heading calls a person
// anything: only a card or a record has a state.
type words struct{ sign, heading, next string }

// english is a message of the English catalogue, which the pages show as well,
// so that the same card gets the same words everywhere. It is empty for a
// message that does not exist.
func english(id string, pairs ...string) string {
	m, _ := web.Words.Lookup(web.English, id)
	return web.Fill(m.Text, pairs...)
}

// wordsOf is what is said about a state before anything is known of the card.
func wordsOf(s verifier.State) words {
	return words{signs[s], english("state." + string(s) + ".heading"), english("state." + string(s) + ".next")}
}

func wordsFor(v verifier.Verdict) words {
	w := wordsOf(v.State)
	w.heading = headingFor(v)
	switch v.State {
	case verifier.WrongCode:
		if v.Reason == verifier.ReasonCodeFormat {
			w.next = english("reason.code_format") + " " + w.next
		}
		w.next += " " + english("code.tries", "tries", strconv.Itoa(v.TriesLeft))
	case verifier.CodeLocked:
		w.next += " " + english("code.locked", "time", v.LockedUntil.Format("15:04")+" UTC")
	case verifier.NotOurs:
		if v.Kind != verifier.KindUnknown {
			w.heading += " " + english("kind."+string(v.Kind))
		}
	case verifier.Unreadable:
		if why := english("reason." + string(v.Reason)); why != "" {
			w.next = why + " " + w.next
		}
	case verifier.NotReady:
		if why := english("reason." + string(v.Reason)); why != "" {
			w.next = why + " " + english("result.hand_back")
		}
	}
	if v.SaysNothing {
		w.next = english("result.says_nothing") + " " + w.next
	}
	return w
}

// headingFor takes the heading that says most: a credential is no card, and the
// mission of the stated nationality is more than any authority.
func headingFor(v verifier.Verdict) string {
	id := "state." + string(v.State) + ".heading"
	if v.Credential != nil && english(id+".credential") != "" {
		id += ".credential"
	}
	if v.Reason == verifier.ReasonMission && english(id+".mission") != "" {
		id += ".mission"
	}
	return english(id)
}

// procedureWords says what an officer without an opened record may know.
func procedureWords(status, level int) string {
	if status == 0 {
		return ""
	}
	return english("record.procedure." + strconv.Itoa(level))
}

// label names a line of a record.
func label(id string) string { return strings.ToLower(english("record." + id)) }

// signs is the shape beside the words, the same on every face of ours.
var signs = map[verifier.State]string{
	verifier.Confirmed: "✔", verifier.Unconfirmed: "ⓘ", verifier.StatusOld: "◷", verifier.NotYetInUse: "◌",
	verifier.Expired: "⌛", verifier.Paused: "⏸", verifier.Replaced: "⇄", verifier.OutOfUse: "⊘",
	verifier.IssuerUnknown: "?", verifier.DoesNotMatch: "✕",
	verifier.CodeNotGiven: "#", verifier.WrongCode: "#", verifier.CodeLocked: "#",
	verifier.NotOurs: "◇", verifier.Unreadable: "▦", verifier.NewerVersion: "↑", verifier.NotReady: "⚙",
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
