# Set-up and the commands of every day. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
PYTHON ?=
ARGS ?=

# Trust what the machine trusts, as pip does: behind a company's proxy uv's own certificates know nobody.
export UV_SYSTEM_CERTS := true

FIND_PYTHON = for candidate in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
		echo "$$candidate"; exit 0; \
	fi; done; \
	echo "Python 3.11 or newer with its venv module is needed, and none was found." >&2; \
	echo "Debian, Ubuntu: apt-get install python3-venv. macOS: brew install python@3.13. Or name one: make PYTHON=/path/to/python3" >&2; \
	exit 1

.PHONY: help setup demo test crash fuzz lint format bench screenshots lock browser clean

help: ## This list
	@echo "tickhouse: a stock-market lakehouse on your machine. Begin with: make demo"
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Set-up happens by itself, once. ARGS=… is handed on: make demo ARGS=--exit, make test ARGS='-k broker'."
	@echo "For the parts one by one: $(BIN)/tickhouse --help"

setup: $(VENV)/.project $(VENV)/.prepared ## Virtual environment from requirements.lock, broker, dbt manifest

demo: setup ## Everything at once, on real prices, until Ctrl-C (ARGS=--exit: replay, check, stop; ARGS=--chaos: and kill its parts meanwhile)
	@$(BIN)/tickhouse demo $(ARGS)

test: setup browser lint ## Linters, then every test (ARGS=--no-skips: a skipped test is a failure)
	@$(BIN)/python -m pytest -n 3 $(ARGS)

lint: $(VENV)/.project ## ruff, mypy, import rules
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.project ## Put the code into the house's format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

crash: setup ## 300 rounds of killing ingestors (ARGS='--rounds N --seed S')
	@PYTHONPATH=.:tests $(BIN)/python -m crash $(ARGS)

FUZZ_SECONDS ?= 600

fuzz: setup ## The decoder: atheris for 600 s (FUZZ_SECONDS=N), then a million messages landed
	@mkdir -p .tickhouse/fuzz/corpus
	@PYTHONPATH=.:tests NUMBA_DISABLE_JIT=1 $(BIN)/python -m fuzz.decode .tickhouse/fuzz/corpus tests/fuzz/corpus \
		-max_total_time=$(FUZZ_SECONDS) -max_len=600 -artifact_prefix=.tickhouse/fuzz/
	@PYTHONPATH=.:tests NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=.tickhouse/fuzz/numba $(BIN)/python -m fuzz.land $(ARGS)

bench: setup ## Every benchmark; make bench-NAME runs one
	@for name in $(basename $(notdir $(wildcard benchmarks/[a-z]*.py))); do $(BIN)/python -m "benchmarks.$$name" $(ARGS); done

bench-%: setup
	@$(BIN)/python -m benchmarks.$* $(ARGS)

screenshots: setup browser ## Pictures of Dagster for the docs, taken of a demo
	@PYTHONPATH=.:tests $(BIN)/python -m screenshots

lock: $(VENV)/.uv-$(UV_VERSION) ## Resolve requirements.lock anew from pyproject.toml, and the benchmarks' own
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--no-emit-index-url --generate-hashes --no-strip-extras --quiet -o requirements.lock $(ARGS)
	@$(BIN)/uv pip compile benchmarks/quixstreams.in --universal --python-version 3.11 \
		--no-emit-index-url --generate-hashes --no-strip-extras --quiet -o benchmarks/quixstreams.lock $(ARGS)
	@$(BIN)/uv pip compile benchmarks/polars.in --universal --python-version 3.11 --constraint requirements.lock \
		--no-emit-index-url --generate-hashes --no-strip-extras --quiet -o benchmarks/polars.lock $(ARGS)

browser: ## Chromium for the browser tests, where this may install it (root on Debian)
	@if ! command -v chromium chromium-browser google-chrome >/dev/null && [ "$$(id -u)" = 0 ] && grep -qs '^ID=debian' /etc/os-release; then \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; \
	fi

clean: ## Remove the environment, caches and the demo's data; your own data stays
	rm -rf $(VENV) .venv-* .tickhouse/demo .tickhouse/bench .tickhouse/fuzz build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.uv-$(UV_VERSION):
	@python=$$($(FIND_PYTHON)); echo "Making $(VENV) with $$python"; "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/.locked: requirements.lock $(VENV)/.uv-$(UV_VERSION)
	@echo "Installing requirements.lock (the first time takes a minute or two)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	@touch $@

# An editable install knows the packages there were: one more and it is made anew.
$(VENV)/.project: pyproject.toml $(wildcard */__init__.py) $(VENV)/.locked
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.prepared: infra/kafka/pom.xml $(VENV)/.project
	@$(BIN)/tickhouse prepare
	@touch $@
