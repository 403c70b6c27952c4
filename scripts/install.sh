#!/usr/bin/env bash
# Installs what the build (`run`) or the tests (`test`) need and is not there.
# Go modules come by themselves, and what the pages are built with comes with
# scripts/web.sh; this is for the rest.
set -euo pipefail

want=${1:?usage: scripts/install.sh run|test}

if ! command -v go >/dev/null; then
  echo "Go is missing. Install Go 1.26 or newer from your distribution or https://go.dev/dl/ and run this again." >&2
  exit 1
fi
# go.mod names the version; an older go would fetch or refuse it with a less helpful text.
if ! go list -m >/dev/null 2>&1; then
  echo "This needs Go 1.26 or newer; here is $(go env GOVERSION)." >&2
  exit 1
fi

missing=()
# The pages are built with node. The tests run the browser build on it, too,
# with the cards of an independent program.
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if [ "$want" = test ]; then
  # Two QR readers that nobody here wrote check the printed symbol; the race
  # detector needs a C compiler.
  command -v zbarimg >/dev/null || missing+=(zbar-tools)
  command -v ZXingReader >/dev/null || missing+=(zxing-cpp-tools)
  command -v "$(go env CC)" >/dev/null || missing+=(gcc libc6-dev)
  # A PostgreSQL server, of which the tests start their own; Debian keeps its
  # programs off the path.
  command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
  # What lets system calls of the service fail.
  [ "$(uname -s)" != Linux ] || command -v strace >/dev/null || missing+=(strace)
  # A browser for the pages, and letters for their languages.
  command -v chromium >/dev/null || missing+=(chromium)
  [ -e /usr/share/fonts/truetype/noto/NotoSansKhmer-Regular.ttf ] || missing+=(fonts-noto-core)
  [ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || missing+=(fonts-noto-cjk)
fi
# servers builds the two real servers that no package manager brings, once,
# into a cache outside of the tree: a HashiCorp Vault and an S3 server. The
# first time takes ten minutes and more.
servers() {
  [ "$want" = test ] || return 0
  local here
  here=$(dirname "$0")
  driver "$here/../web/browsertest"
  # A reader of SD-JWTs that nobody here wrote.
  driver "$here/../internal/httpapi/testdata/sdjwt"
  # What opens age files in a browser.
  driver "$here/../internal/enginetest/testdata/npm"
  SAFECONDUCT_VAULT_JOBS=2 "$here/vault.sh" >/dev/null
  "$here/versitygw.sh" >/dev/null
}

# driver installs what a folder needs of npm, by version and digest, such as what drives
# the browser; nothing of it runs when it is installed, and it downloads no browser.
driver() {
  [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] && return
  (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json)
}
if [ ${#missing[@]} -eq 0 ]; then
  servers
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "This needs ${missing[*]} (Debian's names). There is no apt-get here: please install them and run this again." >&2
  exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
  as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n)
else
  echo "This needs ${missing[*]}, and installing takes root. Please run:" >&2
  echo "  sudo apt-get update && sudo apt-get install -y ${missing[*]}" >&2
  exit 1
fi

echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
servers
