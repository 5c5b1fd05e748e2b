# Everything a contributor runs. Needs GNU make, bash and Python 3.11 or newer; no AWS account, no Pulumi CLI.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

# The Python that makes the environment; every other command runs inside the environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.requirements-installed

# A shell may have another environment active: it has no say here.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH CONDA_PREFIX PYTHONDONTWRITEBYTECODE

# make bench BENCH_ARGS="--seconds 10", make test PYTEST_ARGS="-k due_dates", make soak SOAK_MINUTES=5,
# make requirements UV_ARGS=--upgrade
BENCH_ARGS ?=
SOAK_MINUTES ?= 30
PYTEST_ARGS ?=
UV_ARGS ?=

.PHONY: help venv build build-local up demo lint test engine soak bench costs requirements

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(STAMP) ## Make the environment in .venv (made again when requirements change)

$(STAMP): requirements/bootstrap.txt requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)." \
	    "Name another one: make venv PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync --python $(BIN)/python --require-hashes requirements/bootstrap.txt requirements/dev.txt
	@touch $@

build: $(STAMP) ## Build the Lambda packages: for AWS (arm64) and for this machine
	$(BIN)/python -m local build all

build-local: $(STAMP)
	$(BIN)/python -m local build local

up: build-local ## Bring both regions up on an AWS on this machine, and stay until Ctrl-C
	$(BIN)/python -m local up

demo: build-local ## Two regions up; an erasure, a correction and a contract's end all the way through
	$(BIN)/python -m local demo

lint: $(STAMP) ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict components local __main__.py
	MYPYPATH=lambdas $(BIN)/mypy --strict lambdas/privacy lambdas/handlers

test: lint build-local ## Everything that CI runs: lint, then all tests
	$(BIN)/python -m pytest -n 3 --dist loadgroup $(PYTEST_ARGS)

engine: build-local ## Tell one story to the real Pulumi engine and to the local deployer (needs the pulumi CLI)
	$(BIN)/python -m pytest tests/engine --engine -n 0 -s -q

soak: $(STAMP) ## Try other examples and every fault for SOAK_MINUTES (30), which `make test` has no time for
	SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/python -m tests.soak

bench: build-local ## Measure import times, visits of files and a contract's end, and run a minute of load
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

costs: $(STAMP) ## Count the AWS calls of an upload and an erasure, and update the README's costs
	$(BIN)/python -m benchmarks --costs

requirements: $(STAMP) ## Compile requirements/*.in into hashed files
	for source in requirements/*.in; do \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --quiet $(UV_ARGS) "$$source" --output-file "$${source%.in}.txt"; \
	done
