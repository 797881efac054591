# The two commands to know: `make demo` and `make test`. Both set up everything they need on a machine with
# Python >= 3.11, git and make.
PYTHON ?= python3
RUN := scripts/run
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test lint types imports unit laws contracts golden cli system test-peers test-pythons bench \
	format docs docs-check clean packages peers arm64

help: ## says what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

$(READY): pyproject.toml uv.lock scripts/bootstrap.py
	@$(PYTHON) scripts/bootstrap.py

demo: $(READY) ## builds images of a real Go program and shows what is in them
	@$(RUN) python scripts/demo.py

test: $(READY) packages peers arm64 ## everything: lint, types, import contracts, every suite (about 25 minutes)
	@$(RUN) python scripts/test.py

packages: # the Debian packages of the system tests
	@scripts/system-packages.sh

peers: $(READY) # the Go programs of the system tests
	@$(RUN) scripts/go-peers.sh

arm64: $(READY) packages # an arm64 Python under qemu; without it one test skips, and fails in CI
	-@$(RUN) scripts/arm64-python.sh

lint types imports unit laws contracts golden cli docs-check: $(READY)
	@$(RUN) python scripts/test.py $(@:docs-check=docs)

lint: ## ruff: lint and format
types: ## mypy --strict
imports: ## the import contracts
unit: ## the unit tests, no network, no go
laws: ## the property tests
contracts: ## one suite for each protocol, over each implementation
golden: ## whole builds against exact digests
cli: ## the command line, in process
docs-check: ## whether generated pages are current and links lead somewhere

system: $(READY) packages peers arm64 ## real go, real registries, independent readers
	@$(RUN) python scripts/test.py system

test-peers: $(READY) packages ## the slower peers (zot, ko) and programs, which take minutes to build
	@$(RUN) scripts/go-peers.sh crane ko olareg zot govulncheck
	@$(RUN) python scripts/test.py peers

test-pythons: $(READY) ## the unit tests on every Python >= 3.11 that this machine has
	@$(RUN) $(PYTHON) scripts/test_pythons.py

bench: $(READY) packages ## the benchmarks, with their peers
	@$(RUN) scripts/go-peers.sh crane ko olareg
	@$(RUN) python -m bench

format: $(READY) ## formats the code and mends what ruff can mend
	@$(RUN) ruff check --fix-only --quiet . || true
	@$(RUN) ruff format .

docs: $(READY) ## writes the generated pages of docs/reference
	@$(RUN) python scripts/generate_reference.py

clean: ## removes what can be made again
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
