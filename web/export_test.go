package web

// What the lint knows, for tests that stand outside of the package.
var (
	Says         = says
	Avoided      = avoided
	CarriedWords = carriedWords
)
