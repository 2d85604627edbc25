# What a person needs, in one word each. Every target sets up .venv by itself, and says what it does.
.DEFAULT_GOAL := help
.PHONY: help setup demo test dev bench lint check clean

PYTHON ?= $(shell command -v python3.12 || command -v python3.11 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DAGSTER_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

# Runs again only when a pin changes.
$(VENV)/ready: pyproject.toml .ci/constraints.txt
	@echo "Setting up $(VENV) from pinned dependencies (a minute or so)…"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python 3.11 to 3.13 is needed; found $$($(PYTHON) --version). Name one: make PYTHON=/path/to/python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: apt install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/ready  ## Set up .venv from pinned dependencies

demo: setup  ## Run the main job on the demo company and show what happened
	@$(BIN)/cdp demo

test: setup  ## Run the whole test suite
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

dev: setup  ## Open Dagster's UI on http://127.0.0.1:3000 (the demo's state unless CDP_HOME says otherwise)
	@CDP_HOME="$${CDP_HOME:-data/demo}" $(BIN)/cdp dev

bench: setup  ## Time every layer of a build against a floor measured in the same run (EVENTS=1000000)
	@$(BIN)/python -m tests.bench.layers $${EVENTS:-1000000}

lint: setup  ## Check style and types of Python and SQL
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@CDP_HOME=$(CURDIR)/data/lint $(BIN)/cdp check
	@CDP_HOME=$(CURDIR)/data/lint $(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests

check: setup  ## Check that everything declared is in its place
	@$(BIN)/cdp check

clean:  ## Remove .venv and caches; data/ stays
	rm -rf $(VENV) target logs .pytest_cache .mypy_cache .ruff_cache .hypothesis
