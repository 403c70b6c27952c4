#!/usr/bin/env bash
# Prints how fast the formats are, as multiples of what cannot be avoided: the
# raw signature operations, or another library's way to the same picture. All
# of it is measured in one run, in rounds, each benchmark once a round; a ratio
# is the median over the rounds of what one round gave.
#
# What is counted is the processor time of a process that runs one benchmark
# alone, less that of a process that runs it once, which is what setting it up
# takes. Time on the clock would count what else the machine is doing. Absolute
# times are for this machine and this day alone.
#
# Nothing here fails: speed is looked at by people, and never a test.
set -euo pipefail

rounds=${1:?usage: scripts/bench.sh ROUNDS}
slice=${BENCH_SLICE:-400} # milliseconds for each benchmark and round, about
raw=build/bench.txt

# package, benchmark
wanted() {
  cat <<'END'
credentials/sdjwt RawVerify
credentials/sdjwt Verify
credentials/sdjwt VerifyKB
credentials/sdjwt RawSign
credentials/sdjwt Issue
credentials/card RawVerify
credentials/card OpenStretched
credentials/card RawSign
credentials/card SealStretched
credentials/card Match
credentials/statuslist Load
credentials/statuslist Get
vault RawChaCha
vault AgeEncrypt
vault Encrypt
vault AgeDecrypt
vault Decrypt
credentials/card/symbol New
credentials/card/symbol SVG
credentials/card/symbol PNG
credentials/card/symbol GoQRCodePNG
END
}

binary() { echo "build/bench/${1//\//-}.test"; }

# run PACKAGE NAME LENGTH: the benchmark's own lines. One core: what a second
# one does while a signature is checked is not the signature's price.
run() {
  "$(binary "$1")" -test.run '^$' -test.bench "^Benchmark$2\$" -test.benchtime "$3" -test.cpu 1 -test.benchmem
}

# cpu PACKAGE NAME COUNT: seconds of processor time; the lines go to $raw.
TIMEFORMAT='%U %S'
cpu() {
  { time run "$1" "$2" "$3x" >>"$4"; } 2>&1 | awk '{ print $1 + $2 }'
}

mkdir -p build/bench
wanted | cut -d' ' -f1 | sort -u | while read -r package; do
  go test -c -o "$(binary "$package")" "./$package"
done

: >"$raw"
declare -A count
while read -r package name; do # how often fills the slice, about
  count[$package.$name]=$(run "$package" "$name" 30ms | awk -v ms="$slice" '/^Benchmark/ { n = int(ms * 1e6 / $3); print (n > 20 ? n : 20) }')
done < <(wanted)

for round in $(seq "$rounds"); do
  echo "round $round of $rounds" >&2
  while read -r package name; do
    n=${count[$package.$name]}
    echo "cpu $round ${package##*/}.$name $n $(cpu "$package" "$name" "$n" "$raw") $(cpu "$package" "$name" 1 /dev/null)"
  done < <(wanted)
done >build/bench/cpu.txt

awk -v raw="$raw" -v slice="$slice" '
function median(list,   n, i, j, v, sorted) {
  n = split(list, sorted, " ")
  for (i = 2; i <= n; i++) {
    v = sorted[i] + 0
    for (j = i - 1; j > 0 && sorted[j] + 0 > v; j--) sorted[j + 1] = sorted[j]
    sorted[j + 1] = v
  }
  return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}
# over gives the median over the rounds of a sum of benchmarks divided by
# another sum; terms are names with spaces between them.
function over(top, bottom,   r, list) {
  for (r = 1; r <= round; r++) list = list sum(top, r) / sum(bottom, r) " "
  return median(list)
}
function sum(terms, r,   n, i, part, total) {
  n = split(terms, part, " ")
  for (i = 1; i <= n; i++) {
    if (!((r, part[i]) in ns)) { print "no result for " part[i] > "/dev/stderr"; exit 1 }
    total += ns[r, part[i]]
  }
  return total
}
# ASCII up to the last column: not every awk counts characters.
function row(what, value, goal) { printf "%-58s %9s   %s\n", what, value, goal }
function times(x) { return sprintf("%.2f", x) "x" }
$1 == "cpu" {
  round = $2; ns[round, $3] = ($5 - $6) / ($4 - 1) * 1e9
  all[$3] = all[$3] ns[round, $3] " "
}
/^pkg:/ { package = $2; sub(/.*\//, "", package) }
/^Benchmark/ {
  name = $1; sub(/^Benchmark/, "", name); sub(/-[0-9]+$/, "", name)
  for (i = 4; i < NF; i++) if ($(i + 1) == "allocs/op") allocs[package "." name] = $i
}
END {
  row("", "measured", "goal")
  print "SD-JWT VC, 12 claims, 8 of them disclosable"
  row("  verify / one raw P-256 verification", times(over("sdjwt.Verify", "sdjwt.RawVerify")), "≤ 1.30x, stretch 1.15x")
  row("  verify with key binding / two of them", times(over("sdjwt.VerifyKB", "sdjwt.RawVerify sdjwt.RawVerify")), "≤ 1.12x")
  row("  issue / one raw P-256 signature", times(over("sdjwt.Issue", "sdjwt.RawSign")), "≤ 1.20x")
  print "Sealed card, without Argon2id"
  row("  open and verify / one raw verification", times(over("card.OpenStretched", "card.RawVerify")), "≤ 1.70x")
  row("  seal / one raw signature and one verification", times(over("card.SealStretched", "card.RawSign card.RawVerify")), "-")
  row("  recognise among 8 epochs, microseconds", sprintf("%.1f", median(all["card.Match"]) / 1000), "-")
  print "age at 2 MiB, one hybrid recipient / ChaCha20-Poly1305"
  row("  encrypt a page, from memory that it is put into", times(over("vault.Encrypt", "vault.RawChaCha")), "≤ 2.00x")
  row("    age alone, into nothing", times(over("vault.AgeEncrypt", "vault.RawChaCha")), "-")
  row("  decrypt a page", times(over("vault.Decrypt", "vault.RawChaCha")), "≤ 1.80x")
  row("    age alone, as a stream", times(over("vault.AgeDecrypt", "vault.RawChaCha")), "-")
  print "Status list of 2^20 entries, 1 % set"
  row("  load: verify, decode, inflate, milliseconds", sprintf("%.2f", median(all["statuslist.Load"]) / 1e6), "≤ 2")
  row("  look-up, nanoseconds", sprintf("%.1f", median(all["statuslist.Get"])), "≤ 50")
  row("  look-up, allocations", allocs["statuslist.Get"], "0")
  print "Picture of a card / 512-pixel PNG by go-qrcode, from digits"
  row("  SVG, drawn from the matrix", times(over("symbol.SVG", "symbol.GoQRCodePNG")), "≤ 0.20x")
  row("  PNG of 511 pixels, drawn from the matrix", times(over("symbol.PNG", "symbol.GoQRCodePNG")), "≤ 0.20x")
  row("  SVG from digits; the matrix is made by go-qrcode", times(over("symbol.New symbol.SVG", "symbol.GoQRCodePNG")), "-")
  printf "\n%d rounds of about %d ms of processor time each. To compare two runs by the clock:\n", round, slice
  print "  go tool -modfile=tools/go.mod benchstat OLD " raw
}' build/bench/cpu.txt "$raw"

# Both documents take turns inside one benchmark, by the clock.
build/bench/vault.test -test.run '^$' -test.bench '^BenchmarkShare$' -test.benchtime 40x | awk '
  /^BenchmarkShare/ {
    for (i = 3; i < NF; i++) value[$(i + 1)] = $i
    print "\nSharing a document with one more agency"
    printf "%-58s %9s   %s\n", "  with pages of 51 MB / without a page", sprintf("%.2f", value["ratio"]) "x", "about 1"
  }'

# Signatures in bulk are Vault's work, in another process, so that only the
# clock can tell: both ways take turns inside one benchmark.
if scripts/vault.sh --cached >/dev/null 2>&1; then
  go test -run '^$' -bench '^BenchmarkBulk$' -benchtime 20x ./internal/hcvault | awk '
    /^BenchmarkBulk/ {
      for (i = 3; i < NF; i++) value[$(i + 1)] = $i
      print "\nSignatures in bulk, HashiCorp Vault on this machine"
      printf "%-58s %9s   %s\n", "  ours, each verified / the engine'"'"'s own batch rate", sprintf("%.2f", value["ratio"]) "x", "≥ 0.80x"
      printf "%-58s %9.0f   %s\n", "  the engine, signatures a second", value["engine/s"], "-"
    }'
else
  echo "Signatures in bulk: not measured, there is no Vault here (scripts/vault.sh)"
fi
