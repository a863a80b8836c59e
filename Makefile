# `make run` and `make test` work from a bare checkout: they need Python 3.11 to 3.13 and PyPI.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PARALLEL := --numprocesses 2 --dist loadfile --no-loadscope-reorder
# pip's index settings hold for uv, too; and what is installed goes here, whatever environment is active.
UV := VIRTUAL_ENV="$(CURDIR)/$(VENV)" UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$($(BIN)/pip config get global.index-url 2>/dev/null)}" $(BIN)/uv
# Where Python is told to write no bytecode, each process would compile all that it imports: half of its start.
COMPILE = $(if $(PYTHONDONTWRITEBYTECODE),$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib plugins sandbox)

.PHONY: help install run test coverage test-at lint audit format bench lock tables clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## the environment, in .venv, from the lock

$(INSTALLED): requirements-dev.txt requirements-build.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else "Python %d.%d does not run Airflow 3.3 here: set PYTHON to a Python 3.11, 3.12 or 3.13" % v)'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.txt
	$(UV) pip install --quiet --require-hashes -r requirements-dev.txt
	$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	$(COMPILE)
	touch $@

run: install ## everything, on this machine: Postgres, sandbox, Airflow, first sync (ONCE=1 ends after it)
	@$(BIN)/python -m sandbox.stack $(if $(ONCE),--once)

test: install ## the whole test suite, with a real Postgres and a real Airflow
	$(BIN)/pytest $(PARALLEL) $(ARGS)

coverage: install ## the same with the coverage of lines and branches, at half the speed
	$(BIN)/pytest $(PARALLEL) --cov --cov-report=term --cov-fail-under=90 $(ARGS)

test-at: install ## the tests with the clock at AT=2028-02-29T12:00Z, by Debian's faketime (ARGS="tests/unit")
	tests/at "$(or $(AT),$(error say AT=, an instant as 'tests/at' prints them))" \
		$(BIN)/pytest $(PARALLEL) $(ARGS)

compat: install ## other Airflows, each in an environment of its own from the package index (ARGS="-k 'not fab'")
	COMPAT=1 $(BIN)/pytest --numprocesses 0 --durations=4 tests/compat $(ARGS)

lint: install ## linters and type check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive plugins dags sandbox
	$(BIN)/mypy plugins/opsgenie_provider dags
	$(BIN)/mypy sandbox
	$(BIN)/sqlfluff lint --disable-progress-bar include/sql

audit: install ## known vulnerabilities in what is locked, by osv.dev; fails where it cannot be asked
	@$(BIN)/python -c 'import requests; requests.get("https://api.osv.dev/v1/vulns/PYSEC-2024-60", timeout=20)' 2>/dev/null \
		|| { echo "make audit: https://api.osv.dev does not answer, so nothing was checked." >&2; exit 1; }
	for lock in requirements-lock.txt requirements-dev.txt requirements-build.txt; do \
		$(UV) tool run pip-audit==2.10.1 --vulnerability-service osv --disable-pip --require-hashes \
			--requirement $$lock || exit 1; \
	done

format: install ## rewrite files the way lint wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## the benchmarks, as ratios (SIZE=smoke for a short run)
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python -m benchmarks.hour
	$(BIN)/python -m benchmarks.dora $(if $(filter smoke,$(SIZE)),--rows 20000)

lock: install ## resolve the dependencies again
	$(BIN)/uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes pyproject.toml --group airflow -o requirements-lock.txt
	$(BIN)/uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes pyproject.toml --group dev -c requirements-lock.txt -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --no-header --universal --python-version 3.11 --generate-hashes --group build -o requirements-build.txt

tables: install ## docs/tables.md and integrations/dbt/sources.yml, from the schema's comments
	$(BIN)/python -m sandbox.tables

clean: ## remove what make made
	rm -rf $(VENV) .run .mypy_cache .ruff_cache .coverage
