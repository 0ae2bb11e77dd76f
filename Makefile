# Every goal makes its own environment in .venv first; nothing else needs to be installed but Python 3.11+ and make.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

RUN := .venv/bin/python -m
# What to test: a path, a -k expression, anything pytest takes.
TESTS ?=
# How many processes share the tests; each starts the servers that its tests ask for. `make test PROCESSES=0`: one.
PROCESSES ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test check lint soak bench faults docs servers clean

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: .venv/.installed ## copy, list, range-read and verify a tree of some thousand files
	@$(RUN) examples.demo

test: lint servers ## every check and every test; installs the servers it needs where root and apt allow
	@$(RUN) pytest -n $(PROCESSES) --dist worksteal $(TESTS)

check: lint ## seconds: style, types, layers, and the tests that need neither servers nor patience
	@$(RUN) pytest -m "not server and not slow" $(TESTS)

soak: .venv/.tested servers ## the same tests with bigger numbers: kill loops, long races
	@HOLDFAST_SOAK=1 $(RUN) pytest -o timeout=3600 $(TESTS)

bench: .venv/.benched servers ## measure against boto3, cloud-files, cloud-mappings, s5cmd and rclone; writes benchmarks/RESULTS.md
	@$(RUN) benchmarks

faults: .venv/.tested ## try every fault on every operation and write docs/faults.md
	@$(RUN) tests.stores.fault_matrix

docs: .venv/.tested ## write docs/compat.md from the marks of the tests
	@$(RUN) tests.compat.table

lint: .venv/.tested ## style, types and layers only
	@$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	.venv/bin/lint-imports --no-logo

servers:
	@tools/install_servers.sh

clean: ## remove the environment and every cache
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +

# Stamps: an environment for users, one with the tests' tools, one with the competitors of the benchmarks.
.venv/.installed: pyproject.toml tools/environment.sh
	@tools/environment.sh
	touch $@

.venv/.tested: pyproject.toml tools/environment.sh requirements/test.txt
	@tools/environment.sh requirements/test.txt
	touch $@ .venv/.installed

.venv/.benched: pyproject.toml tools/environment.sh requirements/test.txt requirements/bench.txt
	@tools/environment.sh requirements/bench.txt
	touch $@ .venv/.tested .venv/.installed
