# Everything a contributor runs. Needs Python 3.11 to 3.14 and nothing else; a real Kafka comes from packages.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# One version of a package for every Python, where one fits: types differ from numpy to numpy, and the checks with them.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-header --no-annotate \
	--no-emit-index-url

# A copy of the lock that was installed last lies in .venv; while it equals the lock, set-up does nothing.
is_installed = cmp -s requirements-$(1).lock .venv/installed-$(1).lock

define install
	set -euo pipefail; \
	echo "Installing the packages of requirements-$(1).lock (the first time takes a minute or two) ..."; \
	if [ -t 1 ]; then \
		$(PIP) install --require-hashes -r requirements-$(1).lock \
			| awk '/^Collecting/ {printf "\r\033[K  %d: %s", ++n, $$2; fflush()} END {printf "\r\033[K"}'; \
	else \
		$(PIP) install --quiet --require-hashes -r requirements-$(1).lock; \
	fi; \
	$(PIP) install --quiet --no-deps --no-build-isolation -e .; \
	cp requirements-$(1).lock .venv/installed-$(1).lock
endef

.PHONY: help
help: ## show what can be made
	@awk 'BEGIN {FS = ": .*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", substr($$0, 1, index($$0, ":") - 1), $$2}' Makefile

.venv/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(None if (3, 11) <= sys.version_info < (3, 15) else \
		f"Wafa: expected Python 3.11 to 3.14, got {v} ($(PYTHON)). Name another: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Wafa: expected $(PYTHON) with the module venv, got none (on Debian and Ubuntu: install python3-venv)." >&2; \
		exit 1; }
	@$(PYTHON) -m venv .venv

.PHONY: setup
setup: .venv/bin/python ## install what the demonstration needs, by hash, into .venv
	@$(call is_installed,local) || $(call is_installed,dev) || { $(call install,local); }

.PHONY: setup-dev
setup-dev: .venv/bin/python ## install what tests and checks need too
	@$(call is_installed,dev) || { $(call install,dev); }

.PHONY: demo
demo: setup ## a shop's history through a real Kafka, live, on this machine
	@exec $(BIN)/wafa demo

.PHONY: check
check: lint ## the quick part: lint, types, core, contracts
	@$(BIN)/python -m pytest -q tests/core tests/contracts tests/test_tidy.py

.PHONY: test
test: lint ## everything the continuous integration runs
	@$(BIN)/python -m pytest -q --durations=15 --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: lint
lint: setup-dev ## style and types
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "Not formatted; run: $(BIN)/ruff format" >&2; exit 1; }
	@$(BIN)/mypy

.PHONY: faults
faults: setup-dev ## the long form of the fault tests: hundreds of kills; then the short one with every store on disk
	@$(BIN)/python -m pytest -q --durations=10 --timeout=3600 --numprocesses 2 --dist loadfile tests/engine tests/faults --long
	@$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile tests/engine tests/faults tests/pipeline/test_whole_path.py --store disk

.PHONY: bench
bench: setup-dev ## measure, and write the figures under bench/out
	@$(BIN)/python -m bench

.PHONY: bench-short
bench-short: setup-dev ## the same with less of everything, within ten minutes
	@$(BIN)/python -m bench --short

.PHONY: bench-long
bench-long: bench ## and all else that docs/benchmarks.md shows: stages, views, recovery, sweeps; hours, and much memory
	@$(BIN)/python -m bench.stages
	@$(BIN)/python -m bench.views
	@$(BIN)/python -m bench.recovery --from log
	@$(BIN)/python -m bench.recovery --customers 1000000 --bytes 1024 --partitions 1 --from log,snapshot,disk,standby
	@$(BIN)/python -m bench.sweeps --long

.PHONY: profile
profile: setup-dev ## what an event costs, stage by stage, and where the time goes, function by function
	@$(BIN)/python -m bench.stages --profile

.PHONY: contracts
contracts: setup-dev ## write the schemas and the AsyncAPI document from the code
	@$(BIN)/wafa contracts

.PHONY: lock
lock: setup-dev ## resolve the dependencies anew into the four locks, and the benchmarks' own
	@$(LOCK) pyproject.toml --extra disk --output-file requirements.lock
	@$(LOCK) pyproject.toml --extra disk --extra analysis --output-file requirements-analysis.lock
	@$(LOCK) pyproject.toml --extra local --extra analysis --extra build --output-file requirements-local.lock
	@$(LOCK) pyproject.toml --extra local --extra disk --extra build --extra analysis --extra dev --output-file requirements-dev.lock
	@for other in faust quix bytewax lifetimes; do $(LOCK) bench/locks/$$other.in --output-file bench/locks/$$other.lock; done

.PHONY: clean
clean: ## remove what was installed, fetched and measured here
	@rm -rf .venv .wafa .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/out dist
	@find pipeline tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
