// Package api is what docs/api/openapi.yaml says, as Go: a type for each schema,
// a request and an answer for each operation, and the routes between them. All
// but this file is generated; make generate rebuilds it. What an operation does
// is left to internal/httpapi.
package api

import "encoding/json"

//go:generate go tool -modfile=../../../tools/go.mod oapi-codegen -config oapi.yaml ../../../docs/api/openapi.yaml

// Order is the body of attest and answer, which the contract describes by a
// schema for each kind. The claims are decoded by the room that has their types.
type Order struct {
	Kind       Kind            `json:"kind"`
	Claims     json.RawMessage `json:"claims"`
	About      ID              `json:"about"`
	CardHandle CardHandle      `json:"card_handle"`
	Supersedes ID              `json:"supersedes"`
	ValidUntil Day             `json:"valid_until"`
}
