// A module of its own, as whoever imports the verifier has: it sees what they
// see, and nothing behind internal/.
module example.org/consumer

go 1.26.0

require github.com/safeconduct/safeconduct v0.0.0

require (
	github.com/cloudflare/circl v1.6.5 // indirect
	github.com/fxamacker/cbor/v2 v2.9.6 // indirect
	github.com/go-jose/go-jose/v4 v4.1.8 // indirect
	github.com/veraison/go-cose v1.3.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/safeconduct/safeconduct => ../..
