#!/usr/bin/env bash
# Runs make targets, stops when one of them fails, and says how long each took: the
# budget for all of them, once the build cache is warm, is 15 minutes on two cores
# (CONTRIBUTING.md, Time).
#
#   scripts/stages.sh FIRST... -- LANE... -- LANE...
#
# What stands before the first -- runs one after the other. The lanes then run beside
# each other, each of them one target after the other: tests wait half of their time. What
# a target says is kept, and shown whole when it ends, so that two never mix.
set -euo pipefail

kept=build/stages
rm -rf build/tests "$kept" # what tests took, and what was said, in an earlier run
mkdir -p "$kept"

# lane STAGE...: runs them, and says of each that it ended, after how many seconds and
# how. When a stage fails, what runs beside it still ends, and nothing else begins.
lane() {
  local stage began status
  for stage in "$@"; do
    [ ! -e "$kept/stop" ] || return 0
    began=$SECONDS status=0
    printf -- '-- %s begins\n' "$stage" >&2
    "${MAKE:-make}" --no-print-directory "$stage" >"$kept/$stage.log" 2>&1 </dev/null || status=$?
    [ "$status" = 0 ] || touch "$kept/stop"
    echo "$stage $((SECONDS - began)) $status"
  done
}

# ended reads what lanes say, and shows what their stages said.
times=()
ended() {
  local stage took status
  while read -r stage took status; do
    printf '\n== %s (%d s)\n' "$stage" "$took"
    cat "$kept/$stage.log"
    [ "$status" = 0 ] || printf '\n== %s did not hold (after %d s)\n' "$stage" "$took" | tee -a "$kept/stop" >&2
    times+=("$(printf '%-10s %4d s' "$stage" "$took")")
  done
  [ ! -e "$kept/stop" ] || { cat "$kept/stop" >&2; exit 1; }
}

# lanes STAGE... -- STAGE...: all of them beside each other.
lanes() {
  local one=()
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    one+=("$1")
    shift
  done
  lane "${one[@]}" &
  [ $# -eq 0 ] || { shift; lanes "$@"; }
  wait
}

wanted=0
for word in "$@"; do [ "$word" = -- ] || wanted=$((wanted + 1)); done
first=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  first+=("$1")
  shift
done
ended < <(lane "${first[@]}")
[ $# -eq 0 ] || { shift; ended < <(lanes "$@"); }
[ "${#times[@]}" = "$wanted" ] || { echo "not every stage was run" >&2; exit 1; }

printf '\n== every stage held\n'
printf '%s\n' "${times[@]}" "$(printf '%-10s %4d s' all "$SECONDS")"

printf '\n== the ten slowest tests\n'
cat build/tests/*.json | ${SUM:?the command that sums test runs up} tool slowest --num 10 --threshold 1s
