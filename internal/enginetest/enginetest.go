// Package enginetest holds tests alone: they build the program, run it on real
// engines and break everything around it, restore it, search what it keeps for
// people, and open what its versions before have written. What a room can show
// by itself is for that room's own tests.
package enginetest
