#!/usr/bin/env bash
# Runs every FuzzXxx in the tree for DURATION, several at a time with one worker
# each: a fuzzer waits for its worker and its own coverage often enough that
# fewer leave two cores idle. Says for each how many inputs it executed and how
# many were new. A fuzzer that executed fewer than FLOOR proves nothing, and
# fails: it needs a cheaper inner face (CONTRIBUTING.md, Fuzzers).
#
# Our own packages are instrumented, and those of others that read our inputs. What
# guides a fuzzer is the code that reads, and instrumenting every dependency took
# twenty minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

duration=${1:?usage: scripts/fuzz.sh DURATION, for example 15s}
export DURATION=$duration
export FLOOR=${FUZZ_FLOOR:-5000}
[[ $duration =~ ^[0-9]+[smh]$ ]] || { echo "a duration is like 15s, 10m or 8h, not $duration" >&2; exit 1; }
jobs=${FUZZ_JOBS:-6}
export BIN=$PWD/build/fuzz
# What a fuzzer found interesting, from run to run.
export FUZZ_CACHE=${FUZZ_CACHE:-$(go env GOCACHE)/fuzz-safeconduct}

module=$(go list -m)
targets=$(grep -rnoE --include='*_test.go' --exclude-dir=build --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]*\(' . |
  sed -E 's|^(.*)/[^/]+_test\.go:[0-9]+:func (Fuzz[A-Za-z0-9_]*)\($|\1 \2|' | sort -u)
[ -n "$targets" ] || { echo "no fuzzer found: the scan in scripts/fuzz.sh is broken" >&2; exit 1; }

mkdir -p "$BIN"
# binary PACKAGE: where its instrumented test program lies. go names it so, and refuses
# two packages whose names end alike.
binary() { echo "$BIN/${1##*/}.test"; }
export -f binary

instrument=()
for p in "$module/..." archive/tar image/... github.com/go-jose/go-jose/... github.com/fxamacker/cbor/... \
  github.com/go-webauthn/webauthn/protocol/... github.com/veraison/go-cose/... golang.org/x/mod/sumdb/... filippo.io/age/...; do
  instrument+=("-gcflags=$p=-d=libfuzzer")
done

echo "-- building"
# All of them at once: one after the other, go read the tree as many times, and linked on
# one core.
mapfile -t packages < <(cut -d' ' -f1 <<<"$targets" | sort -u)
go test -c "${instrument[@]}" -o "$BIN/" "${packages[@]}"

# patience LENGTH: after how many seconds a fuzzer is taken to hang: five minutes, and
# the time that it was given (15s, 10m, 8h).
patience() {
  case $1 in
    *x) echo 300 ;;
    *s) echo $((${1%s} + 300)) ;;
    *m) echo $((${1%m} * 60 + 300)) ;;
    *h) echo $((${1%h} * 3600 + 300)) ;;
  esac
}

# fuzz PACKAGE NAME LENGTH: runs one fuzzer for a time or a number of inputs. Making
# an input smaller takes up to a minute for each new one if it is let, and the
# fuzzer tries nothing else meanwhile: it was why some executed nine inputs.
fuzz() {
  (cd "$1" && timeout "$(patience "$3")" "$(binary "$1")" -test.run='^$' -test.fuzz="^$2\$" -test.fuzztime="$3" \
    -test.parallel=1 -test.fuzzminimizetime=10x -test.fuzzcachedir="$FUZZ_CACHE/${1#./}" 2>&1)
}

# timeIsOver OUTPUT: nothing went wrong but that the time ended in the middle of an
# input, which Go before 1.27 may report as a failure (golang/go#75804). Whatever
# a fuzzer finds is written down, and then this says no.
timeIsOver() {
  grep -qxE ' +context deadline exceeded' <<<"$1" && [ "$(grep -cE '^ +' <<<"$1")" = 1 ] &&
    ! grep -qE 'Failing input|panic|fuzzing process' <<<"$1"
}

# one PACKAGE NAME: its output is shown only when it fails, since two fuzzers
# would interleave theirs. On a busy machine a fuzzer may need longer than
# DURATION to reach the floor, and gets up to five minutes.
one() {
  local out execs new
  if ! out=$(fuzz "$1" "$2" "$DURATION") && ! timeIsOver "$out"; then
    printf 'FAIL  %-20s %s\n%s\n' "$2" "$1" "$out"
    return 1
  fi
  execs=$(grep -oE 'execs: [0-9]+' <<<"$out" | tail -1 | grep -oE '[0-9]+' || echo 0)
  if [ "$execs" -lt "$FLOOR" ]; then
    if ! out=$(fuzz "$1" "$2" "${FLOOR}x"); then
      printf 'FAIL  %-20s %s  %d executions in %s, and not %d in five minutes\n%s\n' \
        "$2" "$1" "$execs" "$DURATION" "$FLOOR" "$(tail -5 <<<"$out")"
      return 1
    fi
    execs=$(grep -oE 'execs: [0-9]+' <<<"$out" | tail -1 | grep -oE '[0-9]+' || echo 0)
  fi
  new=$(grep -oE 'new interesting: [0-9]+ \(total: [0-9]+\)' <<<"$out" | tail -1)
  printf 'ok    %-20s %-24s %8d executions, %s\n' "$2" "$1" "$execs" "${new:-nothing said of coverage}"
  [ -n "$new" ] || { echo "FAIL  $2: not guided by coverage" >&2; return 1; }
}
export -f one fuzz patience timeIsOver

echo "-- $(wc -l <<<"$targets") fuzzers, $duration each, $jobs at a time, at least $FLOOR executions"
# xargs exits non-zero when any of them failed, after all of them ran.
xargs -P "$jobs" -L 1 bash -euo pipefail -c 'one "$0" "$1"' <<<"$targets"
