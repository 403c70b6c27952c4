//go:build stretched

package service

import "github.com/safeconduct/safeconduct/credentials/card"

// What codes cost to stretch is a test of package card, and of every stage but unit.
func init() { card.Lighten() }
