#!/usr/bin/env bash
# Builds versitygw, the S3 server over a folder that the tests of internal/blobs
# and vault run against, once, into a cache outside the tree, and prints where
# it is. The first time takes minutes; after that it only prints.
#
#   scripts/versitygw.sh --cached     prints it if it was built, else fails at once
#
# A test tool only: the product neither links nor ships it.
set -euo pipefail

version=v1.8.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/safeconduct
binary=$cache/versitygw-$version

if [ ! -x "$binary" ]; then
  [ "${1:-}" != --cached ] || { echo "versitygw was not built yet: run scripts/versitygw.sh" >&2; exit 1; }
  mkdir -p "$cache"
  # Two callers at once must not build twice, and nobody may run half a file.
  exec 9>"$cache/versitygw.lock"
  if command -v flock >/dev/null; then flock 9; fi
  if [ ! -x "$binary" ]; then
    echo "building versitygw $version into $cache: minutes the first time" >&2
    work=$(mktemp -d "$cache/versitygw.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    # From outside the tree, so that its modules never become ours; niced, for
    # it is a big build beside other work.
    (cd "$work" && GOBIN=$work GOFLAGS=-trimpath nice -n 15 go install -ldflags '-s -w' \
      "github.com/versity/versitygw/cmd/versitygw@$version") >&2
    mv "$work/versitygw" "$binary"
  fi
fi
echo "$binary"
