// Package api holds the HTTP contract, so that the server and its tests read
// the very file that people read. What it means is in the file itself; obeying
// it is left to internal/httpapi.
package api

import _ "embed"

//go:generate go run ../../internal/contract -root ../..

// Contract is openapi.yaml, an OpenAPI 3.1 document.
//
//go:embed openapi.yaml
var Contract []byte
