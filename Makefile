# Every target sets up what it needs: a virtual environment in .venv from the lock file, once.
# Needed on the machine: make and Python 3.11 or newer with venv.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CACHES := .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov build dist
SOURCES := engine tests benchmarks

# Another interpreter: make test PYTHON=/opt/python3.12/bin/python3
PYTHON ?=
# Options passed on: make demo DEMO='--days 30', make test TESTS=tests/rules, make bench BENCH='flat-keys'
DEMO ?=
TESTS ?=
BENCH ?= inv1
WORKERS ?= 2

# Between them these tests take every branch of the core, and in little time.
COVERING := tests/core tests/ledger tests/publication tests/reconciliation tests/rules
# These start servers and processes of their own: one at a time, or they starve each other.
ALONE := tests/kafka
OTHERS = $(filter-out $(COVERING) $(ALONE) tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/ tests/test_*.py)))

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## Create .venv and install the locked versions, once

$(STAMP): requirements.lock pyproject.toml .ci/setup
	@.ci/setup "$(VENV)" "$(PYTHON)"
	@touch $@

.PHONY: demo
demo: setup ## A year of a retailer's sales through the engine (some minutes)
	@$(BIN)/sellable demo $(DEMO)

.PHONY: broker
broker: ## Fetch the Kafka broker that the tests start, once (needs Java 17 and Maven)
	@tests/kafka/fetch >/dev/null

.PHONY: browser
browser: ## Install the browser that the tests show reports in, where it is missing (Debian, Ubuntu)
	@tests/rehearsal/fetch-browser

.PHONY: test
test: setup broker browser ## Run the tests
ifeq ($(TESTS),)
	$(BIN)/python -m pytest -q -n $(WORKERS) $(COVERING) $(OTHERS)
	$(BIN)/python -m pytest -q -n 0 $(ALONE)
else
	$(BIN)/python -m pytest -q -n $(WORKERS) $(TESTS)
endif

.PHONY: coverage
coverage: setup ## The tests that take every branch of the core; fails when one is left out
	$(BIN)/python -m pytest -q -n $(WORKERS) --cov --cov-report=term $(COVERING)

# All the others: with `make coverage` before, every test has run once. Those that start servers wait more
# than they work, so the rest runs beside them, by one process; what it said is printed after them.
.PHONY: others
others: setup broker browser ## The tests that `make coverage` leaves out
	@said=$$(mktemp); trap 'rm -f "$$said"' EXIT; \
	$(BIN)/python -m pytest -q -n 1 $(OTHERS) >"$$said" 2>&1 & others=$$!; \
	$(BIN)/python -m pytest -q -n 0 $(ALONE); alone=$$?; \
	wait $$others; others=$$?; cat "$$said"; \
	[ $$alone -eq 0 ] && [ $$others -eq 0 ]

.PHONY: cluster
cluster: setup broker ## Kafka, Redis, the four workers and HTTP on this machine, until Ctrl-C
	@$(BIN)/python -m tests.kafka.local_cluster cluster-run

.PHONY: check
check: setup ## Style, format, types and import rules
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: setup ## Format the code and mend what can be mended by itself
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: bench
bench: setup ## The standard workload INV-1 beside its floor, checked before it is timed
	$(BIN)/python -m benchmarks $(BENCH)

.PHONY: regression
regression: setup ## Is the core slower than it was? Told from a busy machine, in some seconds
	@PYTHONHASHSEED=0 $(BIN)/python -m benchmarks regression

.PHONY: lock
lock: setup ## Resolve the dependencies anew into the lock files
	$(BIN)/python -m pip install --quiet 'uv>=0.9,<1'
	$(BIN)/uv pip compile pyproject.toml --extra demo --extra dev --upgrade --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --quiet \
		--custom-compile-command 'make lock' --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml docker/build.in --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --quiet \
		--constraint requirements.lock \
		--custom-compile-command 'make lock' --output-file docker/requirements.lock

.PHONY: clean
clean: ## Remove .venv and everything generated
	rm -rf $(VENV) $(CACHES) *.egg-info demo-run cluster-run benchmarks/.cache
	find engine tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
