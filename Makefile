# The two commands that matter are `make demo` and `make test`. Bare `make`
# lists the rest. CI calls these targets and nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
GO ?= go
FUZZTIME ?= 5s
CYCLES ?= 200
MINUTES ?= 10
COUNT ?= 6
PEOPLE ?= 1000,10000
PAIRS ?= 250
LOAD ?= 2000
CASES ?= 100000
SEED ?= 1
CASE ?= -1
ADDR ?= 127.0.0.1:8080
LINT := $(GO) tool -modfile=tools/go.mod golangci-lint

# Whatever is compiled, here or by a test that builds the program, does not hold the
# folder that it lay in, so that a fresh clone finds in the build cache what it has
# in common with the one before.
export GOFLAGS := -trimpath $(GOFLAGS)

# tests NAME FORMAT: go test, with what each test took kept for the end of
# `make test` (scripts/stages.sh). FORMAT is how much it prints meanwhile.
SUM := $(GO) tool -modfile=tools/go.mod gotestsum
tests = mkdir -p build/tests && $(SUM) --format $(2) --hide-summary=skipped --jsonfile build/tests/$(1).json --

# The race detector watches our code and everything that shares memory with it.
# Pure arithmetic gains nothing from it and is six times slower under it: stretching
# a code, drawing a page, the translated C of SQLite, a compiler's passes over one
# function, and what happens to a picture on its way to a test.
WAZEVO := github.com/tetratelabs/wazero/internal/engine/wazevo
QUIET := golang.org/x/crypto/argon2 golang.org/x/crypto/blake2b golang.org/x/crypto/scrypt \
	math/big crypto/internal/fips140/... image/... compress/... hash/adler32 modernc.org/sqlite/lib modernc.org/libc modernc.org/memory \
	$(WAZEVO)/ssa $(WAZEVO)/frontend $(WAZEVO)/backend/... github.com/skip2/go-qrcode/... \
	github.com/safeconduct/safeconduct/internal/picturetest
RACE := -race $(foreach p,$(QUIET),-gcflags=$(p)=-race=false)

# Two cores are the smallest machine this is meant to be built on; stages that
# ran side by side would only take them from each other.
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@echo "make demo and make test do all set-up. The targets:"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1 \2/p' $(MAKEFILE_LIST) | awk '{n=$$1; $$1=""; printf "  %-10s%s\n", n, $$0}'

.PHONY: demo
demo: web ## play the whole journey with made-up people, then serve it (./demo-data)
	@scripts/install.sh run
	$(GO) run ./cmd/safeconduct demo --dir ./demo-data

.PHONY: dev
dev: web ## the same network on a fixed address (ADDR=127.0.0.1:8080)
	@scripts/install.sh run
	$(GO) run ./cmd/safeconduct demo --dir ./demo-data --listen $(ADDR)

.PHONY: test
test: ## everything: check, builds, tests with the race detector, fuzzers, demo
	@scripts/install.sh test
	+@MAKE='$(MAKE)' SUM='$(SUM)' scripts/stages.sh web check build unit plain engines browser cases promises fuzz demo-once

.PHONY: check
check: ## format, vet, lint, module files, generated files (writes nothing else)
	@scripts/install.sh run
	@scripts/check.sh '$(LINT)'

.PHONY: build
build: web wasm ## the binary, the browser verifier, and the verifier for linux/arm64
	$(GO) build -trimpath -o build/safeconduct ./cmd/safeconduct
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build ./verifier/... ./cmd/safeconduct

.PHONY: web
web: ## the pages, into web/dist (quick when nothing has changed)
	@scripts/install.sh run
	@scripts/web.sh

.PHONY: wasm
wasm: ## the verifier for the browser (build/verifier.wasm)
	GOOS=js GOARCH=wasm $(GO) vet ./cmd/verifier-wasm ./verifier/...
	GOOS=js GOARCH=wasm $(GO) build -trimpath -ldflags='-s -w' -o build/verifier.wasm ./cmd/verifier-wasm
	@echo "build/verifier.wasm: $$(gzip -9 -c build/verifier.wasm | wc -c) bytes gzipped"

# Tests that start a network on real servers and break it are a stage of their own.
ENGINES := ^(TestMatrix|TestChaos|TestCrash|TestFailingCalls|TestRestoreDrill|TestCanaryEngines|TestFirstHourElsewhere)$$

# In these a test reads with one reader after the other, or watches processes that it
# started: a race detector in it has nothing to look at.
# And some rooms do one thing at a time: no goroutine, no lock, no test beside another
# (TestRoomsAlone). What others do with them side by side is watched in those others' tests.
ALONE := . ./credentials/card/symbol ./credentials/sdjwt ./credentials/statuslist \
	./internal/backup ./people/roster ./vault/mrz ./web ./web/review
PLAIN := ./cmd/verifier-wasm ./internal/enginetest ./internal/picture/... ./internal/secondreader $(ALONE)

.PHONY: plain
plain: web ## tests of processes, of readers against each other, and of rooms that do one thing at a time
	@scripts/install.sh test
	$(call tests,plain,pkgname) -p 4 -parallel 4 -count=1 -vet=off -timeout 30m -skip '$(ENGINES)' $(PLAIN)

# Tests wait for each other and for servers: several packages at a time keep two cores at
# work, the longest of them first. All of them run each time, whatever go has in its cache: a
# race may show in the next run. A process with the race detector lives on for a second when
# it is done unless told otherwise, and a heap that may grow is collected less often.
# With the tag, tests that seal cards by the hundred stretch their codes in no time
# (card.Lighten): those of package card, the demo that cmd/safeconduct plays, and the
# other stages stretch in full. What cases plays is not played here, and of what promises
# plays, ten.
LONGEST := ./internal/httpapi ./internal/sqlstore ./internal/service ./cmd/safeconduct
.PHONY: unit
unit: export GORACE := atexit_sleep_ms=50
unit: export GOGC := 300
unit: export SAFECONDUCT_PROMISE := 10
unit: web ## all other tests, with the race detector
	@scripts/install.sh test
	$(call tests,unit,pkgname) $(RACE) -tags stretched -ldflags=-w -p 4 -count=1 -vet=off -timeout 30m \
		$(LONGEST) $$($(GO) list ./... | grep -vxF -e "$$($(GO) list $(LONGEST) $(PLAIN) ./internal/threeways ./web/browsertest/...)")

.PHONY: engines
engines: web ## real engines, kill -9, failing system calls, a restore, everything that breaks: short forms
	@scripts/install.sh test
	$(call tests,engines,standard-verbose) -count=1 -parallel 4 -timeout 30m -run '$(ENGINES)' ./internal/enginetest

# The tag lets these tests remember what a code stretches to, or stretch it in no time;
# no target builds anything but tests with it, and a command does not compile.
.PHONY: cases
cases: ## 10,000 checks in Go, in WebAssembly and over HTTP (SEED=1, CASE=4711 for one)
	$(call tests,cases,standard-verbose) -tags stretched -count=1 -timeout 30m -run '^TestCases$$' ./internal/threeways -args -seed $(SEED) -case $(CASE)

PROMISE := -tags stretched -count=1 -timeout 60m -run '^Test(Promise|PromiseOfTwo|NextRequest)$$' ./internal/promise
.PHONY: promises
promises: ## 400 random sequences of what people do to a case, held against the promise
	$(call tests,promises,standard-verbose) $(PROMISE)

.PHONY: promise
promise: ## the same with 10,000 (SAFECONDUCT_PROMISE_SEED and SAFECONDUCT_PROMISE_ONE for one)
	SAFECONDUCT_PROMISE=10000 $(GO) test -v $(PROMISE)

# THIEF people of each population, in SEEDS worlds.
THIEF ?= 1000
SEEDS ?= 5
.PHONY: thief
thief: ## what stolen stores tell of who is a survivor (THIEF=1000 people of each population, SEEDS=5)
	SAFECONDUCT_THIEF=$(THIEF) SAFECONDUCT_THIEF_SEEDS=$(SEEDS) $(GO) test -tags stretched -count=1 -timeout 240m -run '^TestThief$$' -v ./internal/thief

.PHONY: browser
browser: web ## the pages in Chromium, and printed cards before its camera
	@scripts/install.sh test
	$(call tests,browser,standard-verbose) -count=1 -parallel 3 -timeout 30m ./web/browsertest/...

.PHONY: browser-long
browser-long: web ## the same with its times held to figures, on a quiet machine
	@scripts/install.sh test
	SAFECONDUCT_BROWSER_LONG=1 $(GO) test -count=1 -timeout 90m -v -run '^TestBrowser$$' ./web/browsertest

.PHONY: camera
camera: web ## 2,000 frames of worn and fresh cards, read by the page's own reader
	@scripts/install.sh test
	SAFECONDUCT_BROWSER_LONG=1 $(GO) test -count=1 -timeout 60m -v -run '^TestCamera$$' ./web/browsertest

.PHONY: screens
screens: web ## draw the pictures in docs/screens anew
	@scripts/install.sh test
	SAFECONDUCT_SCREENS=1 $(GO) test -count=1 -timeout 30m -run '^TestBrowser$$/^scenarios$$/^(english|arabic|khmer|adminEnglish|adminArabic|adminKhmer|lock)$$' ./web/browsertest

.PHONY: keep
keep: ## a small network of this version for every later one to open (testdata/kept); replaces none
	SAFECONDUCT_KEEP=1 $(GO) test -count=1 -v -run '^TestKeep$$' ./internal/enginetest

.PHONY: fuzz
fuzz: ## every fuzzer that exists, six at a time (FUZZTIME=5s each)
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: demo-once
demo-once: web ## the journey once, in a temporary folder; fails unless every step held
	@d=$$(mktemp -d) && trap 'rm -rf "$$d"' EXIT && $(GO) run ./cmd/safeconduct demo --dir "$$d/demo" --once

.PHONY: crash
crash: ## kill -9 while people work, on both stacks, and failing system calls, long form (CYCLES=200 on each)
	@scripts/install.sh test
	SAFECONDUCT_CRASH_CYCLES=$(CYCLES) $(GO) test -count=1 -timeout 360m -run '^Test(Crash|FailingCalls)$$' -v ./internal/enginetest

# BITS single bits are flipped; the test says from which seed they were drawn.
BITS ?= 500
.PHONY: scrub
scrub: ## flip single bits of everything that is kept, and look whether each is found (BITS=500)
	SAFECONDUCT_BITS=$(BITS) $(GO) test -count=1 -timeout 60m -run '^TestBits$$' -v ./internal/enginetest
	SAFECONDUCT_SCRUB_FLIPS=$(BITS) $(GO) test -count=1 -timeout 60m -run '^TestScrubFlips$$' -v ./vault

.PHONY: chaos
chaos: ## two replicas while everything around them breaks, long form (MINUTES=10)
	@scripts/install.sh test
	SAFECONDUCT_CHAOS_MINUTES=$(MINUTES) $(GO) test -count=1 -timeout 120m -run '^TestChaos$$' -v ./internal/enginetest

.PHONY: bench
bench: ## speed of the formats against what cannot be avoided, as ratios (COUNT=6 rounds)
	@scripts/bench.sh $(COUNT)

.PHONY: load
load: ## what a whole service does in a second over HTTP, beside what cannot be avoided (LOAD=2000 of each, CASES=100000)
	SAFECONDUCT_LOAD=$(LOAD) SAFECONDUCT_LOAD_CASES=$(CASES) $(GO) test -count=1 -timeout 180m -run '^TestLoad$$' -v ./internal/service

.PHONY: timing
timing: ## whether the time of an answer tells what exists (PAIRS=250); on a machine that does nothing else
	SAFECONDUCT_TIMING=$(PAIRS) $(GO) test -count=1 -timeout 120m -run '^TestTiming$$' -v ./internal/httpapi

.PHONY: simulate
simulate: ## what grows with people and devices, and what it costs (PEOPLE=1000,10000); writes docs/scale.md
	SAFECONDUCT_SIMULATE=$(PEOPLE) $(GO) test -count=1 -timeout 60m -run '^TestSimulate$$' ./internal/service -v

.PHONY: golden
golden: generate ## rewrite golden files and generated parts; read the difference like code
	@dirs=$$(grep -rlE 'flag\.Bool\("update"' --include='*_test.go' . | xargs -r -n1 dirname | sort -u); \
	if [ -z "$$dirs" ]; then echo "no package has golden files"; else $(GO) test -count=1 $$dirs -args -update; fi

.PHONY: generate
generate: ## rebuild what follows from package claims and docs/api/openapi.yaml
	$(GO) generate ./...

.PHONY: docs
docs: ## check that every link and every section cited in code leads somewhere
	$(GO) test -count=1 -run '^TestDocs' .

.PHONY: vuln
vuln: ## known vulnerabilities in what we use (needs the network)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.8.0 ./...

.PHONY: clean
clean: ## remove build/ and demo-data/
	rm -rf build demo-data
