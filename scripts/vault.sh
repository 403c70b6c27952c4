#!/usr/bin/env bash
# Builds the HashiCorp Vault server that the tests of internal/hcvault run
# against, once, into a cache outside the tree, and prints where it is. The
# first time takes minutes; after that it only prints.
#
#   SAFECONDUCT_VAULT_SERVER=$(scripts/vault.sh) go test ./internal/hcvault/
#   scripts/vault.sh --cached     prints it if it was built, else fails at once
#
# HashiCorp's own build tag "minimal" leaves out the plugins and stores of other
# companies' clouds, which nothing here talks to: 670 of 2,575 packages, and the
# largest ones. What is left has transit, AppRole, policies, audit devices and
# both of the stores that the tests use.
#
# A test tool only (BUSL 1.1): the product neither links nor ships it.
set -euo pipefail
cd "$(dirname "$0")/../tools/vaultserver"

# Read from the file: asking go would fetch hundreds of modules first.
version=$(sed -nE 's|^(require)?[[:space:]]*github.com/hashicorp/vault v([0-9.]+)$|\2|p' go.mod)
[ -n "$version" ] || { echo "tools/vaultserver/go.mod names no version of github.com/hashicorp/vault" >&2; exit 1; }

cache=${XDG_CACHE_HOME:-$HOME/.cache}/safeconduct
binary=$cache/vault-$version

if [ ! -x "$binary" ]; then
  [ "${1:-}" != --cached ] || { echo "the Vault server was not built yet: run scripts/vault.sh" >&2; exit 1; }
  mkdir -p "$cache"
  # Two callers at once must not build twice, and nobody may run half a file.
  exec 9>"$cache/vault.lock"
  if command -v flock >/dev/null; then flock 9; fi
  if [ ! -x "$binary" ]; then
    echo "building the Vault server $version into $cache: minutes the first time" >&2
    # Niced, and one package at a time unless told otherwise: it is a big build
    # beside other work.
    GOFLAGS="-buildvcs=false ${GOFLAGS:-}" nice -n 15 go build -p "${SAFECONDUCT_VAULT_JOBS:-1}" \
      -tags minimal -trimpath -ldflags '-s -w' -o "$binary.new" . >&2
    mv "$binary.new" "$binary"
  fi
fi
echo "$binary"
