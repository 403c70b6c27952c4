#!/usr/bin/env bash
# Builds the pages into web/dist, which the binary embeds. Does nothing when
# nothing that goes into them has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

# inputs lists every file that goes into the pages, with its digest, and the
# tools that make them.
inputs() {
  go env GOVERSION
  node --version
  {
    find web/src web/catalogues web/pictograms -type f -print0
    find cmd/verifier-wasm verifier credentials -name '*.go' -not -name '*_test.go' -print0
    printf '%s\0' web/package.json web/package-lock.json web/build.mjs scripts/web.sh go.mod go.sum
  } | sort -z | xargs -0 sha256sum
}

stamp=web/dist/.stamp
now=$(inputs | sha256sum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$now" ]; then
  exit 0
fi

# The lock file names every package by version and digest; nothing of them runs
# when they are installed.
if [ ! -f web/node_modules/.package-lock.json ] || [ web/package-lock.json -nt web/node_modules/.package-lock.json ]; then
  (cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
fi
mkdir -p build
# Without the commit in it the same sources give the same bytes. Without
# inlining it is a tenth smaller as it travels, and no slower to notice: the slow
# part, Argon2id, runs elsewhere.
GOOS=js GOARCH=wasm go build -trimpath -buildvcs=false -gcflags=all=-l -ldflags='-s -w' -o build/verifier.wasm ./cmd/verifier-wasm
(cd web && npx --no-install tsc --noEmit && node build.mjs ../build/verifier.wasm "$(go env GOROOT)/lib/wasm/wasm_exec.js")
echo "$now" >"$stamp"
