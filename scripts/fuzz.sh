#!/usr/bin/env bash
# Runs every FuzzXxx in the tree for DURATION, nine at a time with one worker
# each: a fuzzer waits for the linker, the disk and its own coverage often enough
# that fewer leave two cores idle. Twenty-seven of them at 30 s take about two minutes.
set -euo pipefail

duration=${1:?usage: scripts/fuzz.sh DURATION, for example 30s}
jobs=${FUZZ_JOBS:-9}

# one DIR NAME: runs one fuzzer; its output is shown only when it fails, since
# two fuzzers would interleave theirs.
one() {
  local out
  if out=$(go test -run='^$' -fuzz="^$2\$" -fuzztime="$DURATION" -parallel=1 "$1" 2>&1); then
    printf 'ok    %-28s %s  %s\n' "$2" "$1" "$(grep -oE 'execs: [0-9]+' <<<"$out" | tail -1)"
  else
    printf 'FAIL  %-28s %s\n%s\n' "$2" "$1" "$out"
    return 1
  fi
}
export -f one
export DURATION=$duration

targets=$(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(' . |
  sed -E 's|^(.*)/[^/]+_test\.go:[0-9]+:func (Fuzz[A-Za-z0-9_]*)\($|\1 \2|' | sort -u)
[ -n "$targets" ] || { echo "no fuzzer found: the scan in scripts/fuzz.sh is broken" >&2; exit 1; }

echo "$(wc -l <<<"$targets") fuzzers, $duration each, $jobs at a time"
# xargs exits non-zero when any of them failed, after all of them ran.
xargs -P "$jobs" -L 1 bash -euo pipefail -c 'one "$0" "$1"' <<<"$targets"
