#!/usr/bin/env bash
# Runs make targets one after the other, stops at the first that fails, and
# says how long each took: the budget for all of them, once the build cache is
# warm, is 15 minutes on two cores (CONTRIBUTING.md, Time).
set -euo pipefail

rm -rf build/tests # what tests took in an earlier run
times=()
for stage in "$@"; do
  printf '\n== %s\n' "$stage"
  began=$SECONDS
  if ! "${MAKE:-make}" --no-print-directory "$stage"; then
    printf '\n== %s did not hold (after %d s)\n' "$stage" $((SECONDS - began)) >&2
    exit 1
  fi
  times+=("$(printf '%-10s %4d s' "$stage" $((SECONDS - began)))")
done

printf '\n== every stage held\n'
printf '%s\n' "${times[@]}" "$(printf '%-10s %4d s' all "$SECONDS")"

printf '\n== the ten slowest tests\n'
cat build/tests/*.json | ${SUM:?the command that sums test runs up} tool slowest --num 10 --threshold 1s
