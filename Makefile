# Market Spine: `make run` and `make test` need Python 3.11 or newer and make, nothing else.
#
# A recipe's exit code is not make's: make ends with 2 when a recipe fails with any code. `make run` prints the job's
# own code; where the code matters (cron, Kubernetes) call `.venv/bin/python manage.py run_weekly`, which ends with it.

PYTHON ?= python3
WORKERS ?= 4
ROUNDS ?= 1
UV_VERSION := 0.13.9

BIN := .venv/bin
WHOLE := tests/live_source/test_virtual_year.py tests/test_engines_agree.py tests/test_history.py  # shorter in `make test`
MANAGE := $(BIN)/python manage.py
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
COMPILE := .venv/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header

# What is compiled once is started many hundred times by the tests.
unexport PYTHONDONTWRITEBYTECODE

# The demo is what a clone without anything of one's own shows. It is decided once, before the first folder is made.
SAY = $(PYTHON) marketspine/demo.py
PREPARED = export MARKETSPINE_DEMO=$$($(SAY) demo); mkdir -p var; \
	if [ $$MARKETSPINE_DEMO = 1 ]; then $(MANAGE) simulate_source || exit; fi; $(MANAGE) migrate --verbosity 0 || exit

.DEFAULT_GOAL := help
.PHONY: help run first_words serve test test-browser test-faults mutants lint types lock sbom bench bench-engines bench-scale bench-backfill bench-recovery bench-live bench-admin bench-readers screenshots demo-api clean

help:  ## this list
	@echo 'make TARGET, one of:'
	@sed -n 's/^\([a-z-]*\):.*## /  \1: /p' Makefile

run: first_words .venv/.runtime  ## the weekly job on SQLite under var/, or its demo where nothing is configured; ARGS="..." goes to run_weekly
	@$(PREPARED); $(MANAGE) run_weekly $(ARGS); code=$$?; \
		[ $$code -eq 0 ] || echo "make run: the job ended with code $$code" >&2; \
		[ -n "$$VIRTUAL_ENV" ] || echo "(For these commands: . .venv/bin/activate)"; \
		$(SAY) last; exit $$code

serve: first_words .venv/.runtime  ## admin, worker and beat on SQLite under var/, or their demo where nothing is configured; DEMO=1 makes a user; ARGS="..." goes to serve
	@$(PREPARED); $(SAY) last; \
		user=$(if $(filter 1,$(DEMO)),--demo); [ $$MARKETSPINE_DEMO = 0 ] || user=--demo; \
		exec $(MANAGE) serve $$user $(ARGS)

first_words:
	@! command -v $(PYTHON) >/dev/null || $(SAY) first

test: lint types  ## lint, type check and every test but those in a browser, on a real PostgreSQL and Redis; ARGS="..." goes to pytest
	DATABASE_URL=sqlite://:memory: $(MANAGE) makemigrations --check --dry-run
	$(BIN)/pytest --ignore tests/browser -n $(WORKERS) --dist worksteal $(ARGS)

test-browser: .venv/.dev  ## the tests in a browser; installs Chromium and axe where they are absent; ARGS="..." goes to pytest
	@$(BIN)/python -m tests.browser.provision
	$(BIN)/pytest tests/browser $(ARGS)

test-faults: .venv/.dev  ## every fault at every point, ROUNDS=n times; FAULT_SEED=n for a round again; ARGS="..." goes to pytest
	@first=$${FAULT_SEED:-$$(date +%s)}; round=1; while [ $$round -le $(ROUNDS) ]; do \
		export FAULTS=all FAULT_SEED=$$((first + round - 1)); \
		echo "make test-faults: round $$round of $(ROUNDS), FAULT_SEED=$$FAULT_SEED"; \
		$(BIN)/pytest tests/faults $(WHOLE) -n $(WORKERS) --dist worksteal $(ARGS) || exit 1; \
		round=$$((round + 1)); \
	done

mutants: .venv/.dev  ## small changes to the code that the tests of its folder ought to notice; ARGS="--rooms weeks" for one room
	$(BIN)/python -m tests.mutants $(ARGS)

lint: .venv/.dev  ## formatting, lint, and code that nothing uses
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m tests.dead_code

types: .venv/.dev  ## mypy --strict
	$(BIN)/mypy

lock: .venv/lock/.uv-$(UV_VERSION)  ## lock requirements*.in into requirements*.txt; ARGS=--upgrade takes newer versions
	$(COMPILE) $(ARGS) requirements.in -o requirements.txt
	$(COMPILE) $(ARGS) requirements-extras.in -o requirements-extras.txt
	$(COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt

sbom: .venv/.dev  ## what the image holds of others, with hashes, as CycloneDX: var/marketspine.cdx.json
	@mkdir -p var
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --of JSON \
		-o var/marketspine.cdx.json requirements-extras.txt

demo-api: .venv/.dev  ## a FINRA of your own on loopback, to point the product at; ARGS="--help" shows what it can do
	@$(BIN)/python -m tests.fake_finra $(ARGS)

bench: .venv/.dev  ## the README's figures: loading on PostgreSQL and SQLite; ARGS="..." goes to the benchmark
	$(BIN)/python -m benchmarks.ingest $(ARGS)

bench-engines: .venv/.dev  ## polars, DuckDB and pyarrow at the work of this product, same answers; ARGS="--small" for a quick try
	$(BIN)/python -m benchmarks.engines $(ARGS)

bench-scale: .venv/.dev  ## one worker process against two, and what the engine costs a partition; ARGS="--small" for a quick try
	$(BIN)/python -m benchmarks.scale $(ARGS)

bench-live: .venv/.dev  ## a week of real size from a FINRA of our own: rows a second, and where the time goes; ARGS="--small" for a quick try
	$(BIN)/python -m benchmarks.live $(ARGS)

bench-backfill: .venv/.dev  ## a backfill of five years: memory, queues, killed and resumed; ARGS="--weeks 12" for a quick try
	$(BIN)/python -m benchmarks.backfill $(ARGS)

bench-recovery: .venv/.dev  ## from the end of an outage to the end of the run, for each kind of kill; ARGS="--small" for a quick try
	$(BIN)/python -m benchmarks.recovery $(ARGS)

screenshots: .venv/.dev  ## the pictures of the documents, docs/images/*.png, from sample data; needs what test-browser installs
	@$(BIN)/python -m tests.browser.provision
	$(BIN)/python -m tests.browser.screenshots

bench-admin: .venv/.dev  ## the admin's pages on 260 weeks of real size; ARGS="--small" for a quick try
	$(BIN)/python -m benchmarks.admin $(ARGS)

bench-readers: .venv/.dev  ## the API's answers on 260 weeks of real size, beside polars alone; ARGS="--small" for a quick try
	$(BIN)/python -m benchmarks.readers $(ARGS)

clean:  ## remove the virtualenv and caches; never var/, whose captures may be the only copies left
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The virtualenv. A stamp is newer than its lock when what is locked is installed.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Market Spine needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			"Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.runtime: requirements.txt | $(BIN)/python
	@echo "Installing what requirements.txt names into .venv ..." >&2
	@$(INSTALL) -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt | $(BIN)/python
	@echo "Installing what requirements-dev.txt names into .venv ..." >&2
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

.venv/lock/.uv-$(UV_VERSION): | $(BIN)/python
	$(BIN)/python -m venv .venv/lock
	.venv/lock/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
