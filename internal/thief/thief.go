// Package thief judges the stores by stealing them: its test plays two populations
// through the real service, of which one was screened, shared, opened and answered and
// the other only lost papers, takes a copy of everything but the keys, and asks five
// classifiers who is who (docs/decisions/0068-the-thief.md). What the stores are made of
// it does not know; that a room keeps its own promises is for that room's own tests.
package thief
