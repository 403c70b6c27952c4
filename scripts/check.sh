#!/usr/bin/env bash
# Format, vet, lint, module files, generated files. All checks run, so that one
# round shows everything; the exit status tells whether all of them held.
set -euo pipefail

lint=${1:?usage: scripts/check.sh LINT-COMMAND}
failed=0

# holds NAME COMMAND...: runs it and remembers a failure.
holds() {
  local name=$1
  shift
  echo "-- $name"
  "$@" || { echo "$name: see above" >&2; failed=1; }
}

formatted() {
  local files
  files=$(gofmt -l .)
  [ -z "$files" ] || { echo "not formatted (run gofmt -w):"; echo "$files"; return 1; }
}

# sums lists every file that a generator could write, with its digest.
sums() {
  find . -type f \( -name '*.go' -o -name '*.yaml' -o -name '*.json' \) \
    -not -path './.git/*' -not -path './build/*' -not -path './demo-data/*' -print0 |
    sort -z | xargs -0 sha256sum
}

generated() {
  local before
  before=$(sums)
  go generate ./... || return 1
  diff <(echo "$before") <(sums) ||
    { echo "generated files were stale and have now been rebuilt: review and commit them"; return 1; }
}

holds 'gofmt' formatted
holds 'go vet' go vet ./...
# Seams that test builds alone open: stretching apart from opening, and places
# to stop at while issuing.
holds 'go vet, test tags' go vet -tags stretched,failpoints ./credentials/... ./vault ./verifier/... ./internal/threeways ./internal/service ./internal/httpapi
# shellcheck disable=SC2086 # the command is several words on purpose
holds 'golangci-lint' $lint run ./...
holds 'go mod tidy' go mod tidy -diff
holds 'go mod verify' go mod verify
holds 'generated files' generated
exit $failed
