# What a person needs, in one word each. Every target sets up .venv by itself, and says what it does.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast proof test-spark dev bench lint check clean

# The first interpreter that really runs and is of a version that the pins fit.
PYTHON ?= $(shell for python in python3.12 python3.11 python3.13 python3; do \
	$$python -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$python && break; done)
VENV := .venv
TARGET ?= $(or $(CDP_TARGET),duckdb)
BIN := $(VENV)/bin
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DAGSTER_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 12

# Runs again only when a pin changes.
$(VENV)/ready: pyproject.toml .ci/constraints.txt
	@echo "Setting up $(VENV) from pinned dependencies (a minute or so)…"
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with venv is needed (apt install python3 python3-venv)," \
		"or name one: make PYTHON=/path/to/python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/ready  ## Set up .venv from pinned dependencies

demo: setup  ## Run the main job on the demo company and show what happened
	@$(BIN)/cdp demo

# The adapters of the cloud warehouses, whose statements the suite checks, and vendors' own packages: large, and nothing else needs them.
$(VENV)/cloud: $(VENV)/ready
	@echo "Adding the adapters of the cloud warehouses, and vendors' packages, to $(VENV)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt \
		-e '.[dev,snowflake,bigquery,databricks,vendors]'
	@touch $@

test: $(VENV)/cloud  ## Run the whole test suite
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: $(VENV)/ready  ## What a person runs between edits: no builds, no servers, under a minute
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not builds and not servers" $(ARGS)

# Long forms of what `make test` holds in short: they run before an issue is called resolved.
proof: $(VENV)/cloud  ## The long tests: many worlds, long fuzz, millions of events, Spark (an hour)
	@CDP_PROOF=$${CDP_PROOF:-1} $(BIN)/python -m pytest -n 2 --dist loadfile tests/identity/test_identity.py tests/staging/test_any_record.py tests/attributes/test_recomputed.py \
		tests/delivery/test_delivery_crash.py tests/delivery/test_delivery_property.py tests/engines/test_postgres_crash.py $(ARGS)
	@$(BIN)/python -m tests.bench.layers 1000000
	@$(MAKE) --no-print-directory test-spark

# Spark is large and needs Java, so it has an environment of its own; the other tests skip it.
.venv-spark/ready: pyproject.toml .ci/constraints.txt
	@echo "Setting up .venv-spark from pinned dependencies (two minutes or so)…"
	@$(PYTHON) -m venv .venv-spark
	@.venv-spark/bin/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[spark]' pytest
	@touch $@

test-spark:  ## Build the demo company on Spark and hold every relation against DuckDB's (needs Java 17)
	@"$${JAVA_HOME:+$$JAVA_HOME/bin/}java" -version >/dev/null 2>&1 || { echo "make test-spark needs Java 17 or later:" \
		"install it (apt install openjdk-17-jre-headless), or set JAVA_HOME."; exit 1; }
	@$(MAKE) --no-print-directory .venv-spark/ready
	@.venv-spark/bin/python -m pytest tests/engines/test_spark.py $(ARGS)

dev: setup  ## Open Dagster's UI on http://127.0.0.1:3000 (the demo's state unless CDP_HOME says otherwise)
	@CDP_HOME="$${CDP_HOME:-data/demo}" $(BIN)/cdp dev

$(VENV)/bench: $(VENV)/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt -e '.[dev,bench]'
	@touch $@

bench: $(VENV)/bench  ## Time every layer of a build against a floor measured in the same run (EVENTS=1000000 TARGET=duckdb)
	@CDP_TARGET=$(TARGET) $(BIN)/python -m tests.bench.layers $${EVENTS:-1000000}
	@[ "$(TARGET)" != duckdb ] || $(BIN)/python -m tests.bench.identity $${EVENTS:-1000000}
	@[ "$(TARGET)" != duckdb ] || $(BIN)/python -m tests.bench.passes
	@[ "$(TARGET)" != duckdb ] || $(BIN)/python -m tests.bench.history
	@[ "$(TARGET)" != duckdb ] || $(BIN)/python -m tests.bench.attributes $${EVENTS:-1000000}

# Two at once: each reads its half of the models (the first is of the longest ones) with one process and a home of its own.
SQLFLUFF := $(BIN)/sqlfluff lint --disable-progress-bar
lint: setup  ## Check style and types of Python and SQL
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@CDP_HOME=$(CURDIR)/data/lint $(BIN)/cdp check && rm -rf data/lint-staging && cp -r data/lint data/lint-staging
	@CDP_HOME=$(CURDIR)/data/lint $(SQLFLUFF) dbt_project/models/[23456]* & rest=$$!; \
		CDP_HOME=$(CURDIR)/data/lint-staging DBT_TARGET_PATH=target/lint $(SQLFLUFF) dbt_project/models/1* dbt_project/tests/*.sql; \
		first=$$?; wait $$rest && exit $$first

check: setup  ## Check that everything declared is in its place
	@$(BIN)/cdp check

clean:  ## Remove .venv and caches; data/ stays
	rm -rf $(VENV) .venv-spark target logs .pytest_cache .mypy_cache .ruff_cache .hypothesis
