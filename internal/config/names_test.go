package config

import "testing"

// TestCheckURL: a token goes nowhere that others can read along.
func TestCheckURL(t *testing.T) {
	for address, want := range map[string]bool{
		"https://network.example":      true,
		"https://network.example:8443": true,
		"http://127.0.0.1:8080":        true,
		"http://[::1]:8080":            true,
		"http://localhost":             true,
		"http://network.example":       false,
		"http://192.0.2.1":             false,
		"http://localhost.example":     false,
		"ftp://127.0.0.1":              false,
		"network.example":              false,
		"":                             false,
	} {
		t.Run(address, func(t *testing.T) {
			if got := CheckURL(address) == nil; got != want {
				t.Errorf("%q: got %v, want %v", address, got, want)
			}
		})
	}
}
