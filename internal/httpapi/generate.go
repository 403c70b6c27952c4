package httpapi

//go:generate go tool -modfile=../../tools/go.mod oapi-codegen -config oapi.yaml ../../docs/api/openapi.yaml
