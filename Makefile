# `make` lists the targets. Nothing but Go is needed for `make sandbox` and `make build`;
# `make test` gets what else it needs with apt, where it can.

GO       ?= go
FUZZTIME ?= 30s
N        ?= 20000
SEED     ?= 1
RATES    ?= 1
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# The linter is pinned in tools/go.mod, apart from what the bot itself depends on.
# `go tool` builds it once (a minute or two) and keeps it in Go's build cache.
LINT := $(GO) tool -modfile=tools/go.mod golangci-lint

.DEFAULT_GOAL := help
.PHONY: help sandbox test simulate crash need lint fmt vet tidy-check build golden fuzz

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

sandbox: ## Try the bot: stand-ins for Slack and Microsoft, and a page to play on
	$(GO) run ./cmd/bot sandbox

# The simulation runs at length without the race detector, under which it is ten times slower.
test: need ## Run every test with the race detector (FLAGS='-run Conversation -v' for some)
	$(if $(FLAGS),,$(GO) test -timeout 10m -run '^TestSimulation' ./cmd/bot -simulate.n=20000)
	CGO_ENABLED=1 $(GO) test -race -timeout 10m $(FLAGS) ./...

simulate: ## Run N schedules of faults through the real service (N=20000, SEED=1, RATES=1; V=1 N=1 SEED=... prints one)
	$(GO) test -count=1 -timeout 0 -v -run 'TestSimulation$$' ./cmd/bot -simulate.n=$(N) -simulate.seed=$(SEED) -simulate.rates=$(RATES) $(if $(V),-simulate.trace)

crash: need ## Kill a real bot at each of its calls, and Redis in each state of a request (five minutes)
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 30m -v -run '^TestCrash' $(FLAGS) ./cmd/bot -crash.all

# The race detector needs a C compiler, the Redis store's tests a redis-server. The
# browser's story runs where Chromium is; only CI installs it.
need:
	@.ci/need cc=gcc redis-server

lint: ## Check style, mistakes and who may import whom (.golangci.yml)
	$(LINT) run ./...

fmt: ## Format the code as lint wants it
	$(LINT) fmt ./...

vet: ## Run go vet
	$(GO) vet ./...

tidy-check: ## Fail if go.mod or tools/go.mod is not tidy
	$(GO) mod tidy -diff
	$(GO) -C tools mod tidy -diff

build: ## Build bin/bot, static and reproducible
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -buildid= -X main.release=$(VERSION)' -o bin/bot ./cmd/bot

golden: ## Write the golden files of the cards anew; look at the diff before committing it
	$(GO) test ./internal/slackapp -update

fuzz: ## Run every fuzz target for FUZZTIME each (30s)
	@targets=$$($(GO) test -list '^Fuzz' ./...) || { echo "$$targets"; exit 1; }; \
	echo "$$targets" \
	| awk '/^Fuzz/ { name[++n] = $$1 } /^ok/ { for (i = 1; i <= n; i++) print $$2, name[i]; n = 0 }' \
	| while read -r package name; do \
		echo "== $$package $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$package" </dev/null || exit 1; \
	done
