# cairn: `make run` shows it, `make test` proves it, `make help` lists the rest.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
MAKEFLAGS   += --no-print-directory

# The shipped program has no C in it; only the race detector asks for a compiler.
export CGO_ENABLED := 0
# The version is stamped by git describe below, so that a build without git works as well.
GOFLAGS += -buildvcs=false
export GOFLAGS

VERSION  := $(or $(shell git describe --tags --always --dirty 2>/dev/null),dev)
BUILD    := go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'
TOOLS    := bin/tools
FUZZTIME ?= 20s
ROUNDS   ?= 200
DURATION ?= 3m
REPORTS  ?= bin/reports
BENCH    ?= .
CHROMIUM ?= /usr/bin/chromium
TARGETS  := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
# One target of each system is enough for every change; `make cross` builds all of them.
FOREIGN  := linux/arm64 darwin/arm64 windows/amd64

# Packages with goroutines run again under the race detector; of their sub-folders those without are left out.
CONCURRENT := ^cairn/(store|p2p|miner|rpc|daemon|lab)(/|$$)
ALONE      := ^cairn/(lab/(sim|byzantine|judge)|miner/sha256d)(/|$$)

say = @printf '\n== %s\n' '$(1)'

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: go ## bin/cairn
	$(BUILD) -o bin/cairn ./cmd/cairn

.PHONY: man
man: build ## bin/man: a manual page for every command; man -M bin/man cairn-watch
	bin/cairn man bin/man/man1

.PHONY: run
run: build ## three nodes that agree: live on a terminal, else one payment and its story
	bin/cairn lab up

.PHONY: test
test: lint vuln floors unit page race e2e web-test foreign ## everything that a change must pass

.PHONY: lint
lint: format vet staticcheck ## gofumpt, vet, staticcheck

.PHONY: format
format: tools
	$(call say,gofumpt)
	@unformatted=$$($(TOOLS)/gofumpt -extra -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then \
		printf 'run make fmt; not formatted:\n%s\n' "$$unformatted"; \
		exit 1; \
	fi

.PHONY: fmt
fmt: tools ## format every file in place
	$(TOOLS)/gofumpt -extra -w .

.PHONY: vet
vet: go
	$(call say,go vet)
	go vet ./...
	go -C tools vet ./...
	go -C miner/sha256d/gen vet ./...

.PHONY: staticcheck
staticcheck: tools
	$(call say,staticcheck)
	$(TOOLS)/staticcheck ./...
	(cd tools && ../$(TOOLS)/staticcheck ./...)

# A closed network is no reason to fail, a known hole is: govulncheck says exit 3 to a hole,
# and names the fetch when it could not ask.
.PHONY: vuln
vuln: tools ## known vulnerabilities that our code reaches
	$(call say,govulncheck)
	@answer=$$($(TOOLS)/govulncheck ./... 2>&1) && code=0 || code=$$?; \
	if [ $$code -eq 1 ] && grep -q '^govulncheck: fetching vulnerabilities' <<<"$$answer"; then \
		echo 'skipped: vulnerability database not reachable'; \
		exit 0; \
	fi; \
	echo "$$answer"; \
	exit $$code

.PHONY: floors
floors: go ## who may import whom, and what the pure packages must not do
	$(call say,floors)
	go test -count=1 -run '^TestFloors' .

.PHONY: unit
unit: go ## unit tests and fuzz seeds
	$(call say,unit tests and fuzz seeds)
	go test $$(go list ./... | grep -v '^cairn/cmd/')
	go -C tools test ./...
	@# the assembly that is committed is what the generator writes
	go -C miner/sha256d/gen test ./...
	go test -tags purego ./miner/sha256d

.PHONY: race
race: go compiler ## the concurrent packages under the race detector
	$(call say,race detector)
	@packages=$$(go list ./... | grep -E '$(CONCURRENT)' | grep -vE '$(ALONE)') || true; \
	if [ -n "$$packages" ]; then CGO_ENABLED=1 go test -race $$packages; fi

.PHONY: e2e
e2e: go ## the program as people use it: real processes on loopback
	$(call say,end to end)
	@packages=$$(go list ./... | grep '^cairn/cmd/') || true; \
	if [ -n "$$packages" ]; then go test -count=1 $$packages; fi

# The page's built files are committed. Whoever has npm proves that they are what the sources build;
# a closed registry is no reason to fail.
.PHONY: page
page: ## the page that is committed is what its sources build
	$(call say,the page)
	@if ! command -v npm >/dev/null; then echo 'skipped: npm is not here'; exit 0; fi; \
	if ! npm --prefix rpc/web ci --silent; then echo 'skipped: the npm registry is not reachable'; exit 0; fi; \
	cd rpc/web && npx tsc --noEmit && npx vite build --logLevel warn --outDir '$(CURDIR)/bin/web' && \
	if ! diff -r dist '$(CURDIR)/bin/web'; then echo 'rpc/web/dist is not what the sources build: run make web and commit it' >&2; exit 1; fi

.PHONY: web
web: ## build the page's committed files (needs npm)
	npm --prefix rpc/web ci
	npm --prefix rpc/web run build

.PHONY: web-test
web-test: build ## the page in Chromium, with a lab that splits and heals (SHOTS=folder keeps screenshots)
	$(call say,the page in a browser)
	@if ! command -v npm >/dev/null || [ ! -x '$(CHROMIUM)' ]; then echo 'skipped: npm or $(CHROMIUM) is not here'; exit 0; fi; \
	if ! npm --prefix rpc/web ci --silent; then echo 'skipped: the npm registry is not reachable'; exit 0; fi; \
	cd rpc/web && CAIRN='$(CURDIR)/bin/cairn' CHROMIUM='$(CHROMIUM)' npm test --silent

.PHONY: web-cost
web-cost: ## what the page costs with 20 nodes and 5,000 blocks: bytes, and time of the main thread
	npm --prefix rpc/web ci --silent
	cd rpc/web && CHROMIUM='$(CHROMIUM)' npm run cost --silent

# The clients come from the Go module proxy and the npm registry the first time, so this is no part
# of make test. Without npm its client is left out.
.PHONY: conformance
conformance: go ## other people's clients (btcd's rpcclient and btcctl, npm's bitcoin-core) on a node of ours
	$(call say,conformance)
	@if command -v npm >/dev/null; then npm --prefix conformance ci --silent --ignore-scripts; \
	else echo 'missing: npm. bitcoin-core is left out.' >&2; fi
	go -C conformance vet ./...
	go -C conformance test -count=1 -v ./...

.PHONY: foreign
foreign: go
	$(call say,cross-compile)
	@for target in $(FOREIGN); do \
		echo "$$target"; \
		GOOS=$${target%/*} GOARCH=$${target#*/} go build ./... || exit 1; \
	done
	@# the hash kernels of another processor, where there is an emulator for it
	@if command -v qemu-aarch64 >/dev/null; then \
		CGO_ENABLED=0 GOARCH=arm64 go test -exec 'qemu-aarch64 -cpu max' ./miner/sha256d; \
	else echo 'skipped: the hash kernels for arm64. Install qemu-user to test them here.'; fi

.PHONY: cross
cross: go ## bin/cross/: the program for every system
	@for target in $(TARGETS); do \
		os=$${target%/*} arch=$${target#*/}; \
		program=bin/cross/cairn-$$os-$$arch; \
		if [ "$$os" = windows ]; then program=$$program.exe; fi; \
		echo "$$program"; \
		GOOS=$$os GOARCH=$$arch $(BUILD) -o "$$program" ./cmd/cairn || exit 1; \
	done

.PHONY: bench
bench: go ## benchmarks; BENCH=regexp chooses
	go test -timeout 60m -run '^$$' -bench '$(BENCH)' -benchmem ./...
ifeq ($(BENCH),.)
	@# whole nodes on imagined links, in imagined time: what they say is no benchmark's figure
	CAIRN_VIRTUAL_NODES=100 go test -timeout 60m -count=1 -v -run '^TestVirtual' ./daemon
endif

.PHONY: kill
kill: go ## a node killed ROUNDS times at chosen calls on the disk; REPORTS holds the tables
	go test -count=1 -timeout 0 -run '^TestKill' ./cmd/cairn/ordeal -rounds $(ROUNDS) -out '$(abspath $(REPORTS))'

.PHONY: faults
faults: go ## every call on the disk fails once, every file is damaged; REPORTS holds the tables
	go test -count=1 -timeout 0 -run '^(TestFailingCalls|TestBadDisk)$$' ./cmd/cairn/ordeal -faults 0 -out '$(abspath $(REPORTS))'

.PHONY: seeded
seeded: go ## known bugs in copies of the tree, and who finds them
	go test -count=1 -timeout 0 -run '^TestSeededBugs$$' ./cmd/cairn/ordeal -seeded -out '$(abspath $(REPORTS))'

.PHONY: soak
soak: go ## five nodes in use for DURATION: what they need must not grow; REPORTS holds figures and plot
	go test -count=1 -timeout 0 -v -run '^TestSoak$$' ./cmd/cairn/ordeal -soak $(DURATION) -out '$(abspath $(REPORTS))'
	go -C tools run ./plot '$(abspath $(REPORTS))/soak.csv' '$(abspath $(REPORTS))/soak.png'

.PHONY: fuzz
fuzz: go ## every fuzz target for FUZZTIME each
	@targets=$$(go test -list '^Fuzz' ./... | awk '\
		/^Fuzz/ { name[n++] = $$1 } \
		/^ok/   { for (i = 0; i < n; i++) print $$2 ":" name[i]; n = 0 }') || exit 1; \
	for target in $$targets; do \
		printf '\n== %s %s\n' "$${target%:*}" "$${target#*:}"; \
		go test -run '^$$' -fuzz "^$${target#*:}$$" -fuzztime $(FUZZTIME) "$${target%:*}" || exit 1; \
	done

.PHONY: shape
shape: go ## function lengths and lines per package
	@go -C tools run ./shape '$(CURDIR)'

.PHONY: clean
clean: ## remove what make built
	rm -rf bin

# Pinned in a module of their own, so that what they need never reaches ours.
.PHONY: tools
tools: go
	@mkdir -p $(TOOLS)
	go -C tools build -o '$(CURDIR)/$(TOOLS)/' tool

.PHONY: go
go:
	@if ! command -v go >/dev/null; then \
		echo 'missing: Go. Install the version that go.mod names, or a newer one, from https://go.dev/dl' >&2; \
		exit 1; \
	fi; \
	if ! go list -m >/dev/null; then \
		echo "too old: $$(cd / && GOTOOLCHAIN=local go version). go.mod names the oldest that will do: https://go.dev/dl" >&2; \
		exit 1; \
	fi; \
	if ! command -v git >/dev/null; then \
		echo 'missing: git. Going on without it: this build calls itself "$(VERSION)".' >&2; \
	fi

.PHONY: compiler
compiler:
	@works() { printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | $$(go env CC) -x c -o /dev/null - 2>/dev/null; }; \
	if works; then exit 0; fi; \
	if [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy gcc libc6-dev || true; \
	fi; \
	if ! works; then \
		echo 'missing: a C compiler, which the race detector needs. Install gcc and the C headers (Debian: apt-get install gcc libc6-dev).' >&2; \
		exit 1; \
	fi
