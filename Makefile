# repl-agent: the targets people type. `make help` lists them.

SWIFT ?= swift
PREFIX ?= /usr
DESTDIR ?=
PYTHON ?= python3
# Further flags of the release build; --static-swift-stdlib makes binaries for nodes without Swift.
BUILD_FLAGS ?=
# Debug and release builds share one scratch path: the Swift package manager keeps them apart.
SCRATCH := .build
# Where the files of the package go, below DESTDIR.
BINDIR = $(DESTDIR)$(PREFIX)/bin
DOCDIR = $(DESTDIR)$(PREFIX)/share/doc/repl-agent
UNITDIR = $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERSDIR = $(DESTDIR)$(PREFIX)/lib/sysusers.d
TMPFILESDIR = $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
SOURCES = Sources Tests Package.swift

.DEFAULT_GOAL := help
.PHONY: help packages clients build test mutants demo bench bench-memory format lint install uninstall clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

packages: ## Install the Debian packages that building and testing need (as root)
	@Scripts/install-packages

clients: ## Install the Kubernetes clients that tests drive the API with
	@PYTHON='$(PYTHON)' Scripts/install-clients

build: packages ## Build repl-agent and replctl for release into .build/release
	$(SWIFT) build -c release $(BUILD_FLAGS) --product repl-agent
	$(SWIFT) build -c release $(BUILD_FLAGS) --product replctl

test: packages clients ## Build and run all tests; with CI set, a skipped test is a failure
	@Scripts/run-tests

mutants: packages ## See whether the tests catch deliberately wrong code (root; 1 to 2 hours)
	@$(PYTHON) Scripts/mutants

demo: build ## Two agents, one real volume, a database that never pauses (needs root; under 5 minutes)
	@Scripts/demo

bench: build ## Measure against a baseline of the same run (needs root; about 10 minutes)
	@$(PYTHON) Benchmarks/run

bench-memory: build ## Measure peak memory by the size of a group and of its objects (needs root)
	@$(PYTHON) Benchmarks/memory

format: ## Rewrite the sources in the project's format
	$(SWIFT) format format --in-place --parallel --recursive $(SOURCES)

lint: ## Check format, layering and scripts
	@Scripts/lint

install: ## Install what `make build` made: DESTDIR=… PREFIX=/usr
	@test -x $(SCRATCH)/release/repl-agent -a -x $(SCRATCH)/release/replctl || { \
	  echo 'install: $(SCRATCH)/release has no binaries yet; run `make build` first' >&2; exit 1; }
	install -d '$(BINDIR)' '$(DOCDIR)' '$(UNITDIR)' '$(SYSUSERSDIR)' '$(TMPFILESDIR)'
	install -m 0755 $(SCRATCH)/release/repl-agent $(SCRATCH)/release/replctl '$(BINDIR)'
	sed 's|@BINDIR@|$(PREFIX)/bin|g' systemd/repl-agent.service > '$(UNITDIR)/repl-agent.service'
	chmod 0644 '$(UNITDIR)/repl-agent.service'
	install -m 0644 systemd/repl-agent.sysusers '$(SYSUSERSDIR)/repl-agent.conf'
	install -m 0644 systemd/repl-agent.tmpfiles '$(TMPFILESDIR)/repl-agent.conf'
	install -m 0644 README.md systemd/config.example.yaml docs/*.md '$(DOCDIR)'

uninstall: ## Remove what `make install` installed; configuration and state stay
	rm -f '$(BINDIR)/repl-agent' '$(BINDIR)/replctl' '$(UNITDIR)/repl-agent.service'
	rm -f '$(SYSUSERSDIR)/repl-agent.conf' '$(TMPFILESDIR)/repl-agent.conf'
	rm -rf '$(DOCDIR)'

clean: ## Remove everything that was built
	rm -rf $(SCRATCH) Benchmarks/.build
