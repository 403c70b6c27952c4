#!/usr/bin/env bash
# Checks a holder's own copy (docs/copy.md) with nothing of ours but the text beside
# this one: age opens it, and node's standard library does the rest. What is inside goes
# from one to the other and is written nowhere.
#
#   scripts/check-copy.sh COPY.age                 age asks for the passphrase
#   scripts/check-copy.sh COPY.age -i KEY.txt      with the key that she brought
#   ROOT=THUMBPRINT scripts/check-copy.sh …        and it is of this network
set -euo pipefail

copy=${1:?usage: scripts/check-copy.sh COPY.age [what age -d takes]}
shift
"${AGE:-age}" --decrypt "$@" -- "$copy" | node "$(dirname "$0")/check-copy.mjs" "${ROOT:-}"
