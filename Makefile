# Needs make and Python 3.11; everything else is installed by the target that uses it.
#   make PYTHON=python3.12     another Python for .venv
#   make test ARGS="tests/unit -x"     a part of the tests, options of pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo dev run test check screenshots up down clean requirements vendor

BIN := .venv/bin
RUNTIME := .venv/.installed-runtime
DEVELOPMENT := .venv/.installed-development
SERVICES := $(BIN)/python -m infra.local
ANY_PYTHON = $$(if [ -x $(BIN)/python ]; then echo $(BIN)/python; else echo $${PYTHON:-python3}; fi)
PREPARE := penstock db upgrade && penstock topics create
PIN := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# Unit and house tests need no services.
TESTS := $(filter tests%,$(ARGS))
OTHERS := $(filter-out tests/unit% tests/house%,$(TESTS))
AROUND := $(if $(TESTS),$(if $(OTHERS),yes),yes)

help:  ## Show this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

setup: $(DEVELOPMENT)  ## Make .venv with everything for running and testing

demo: $(RUNTIME)  ## 300 events through the embedded mode, and what became of them
	@$(BIN)/penstock demo

dev: $(RUNTIME)  ## Penstock in one process: SQLite, simulated model
	@$(BIN)/penstock dev

up: $(RUNTIME)  ## Start PostgreSQL, Redis and Kafka; write .local/env
	@$(SERVICES) up
	@set -a; . "$${PENSTOCK_LOCAL_DIR:-.local}/env"; PATH="$(CURDIR)/$(BIN):$$PATH"; $(PREPARE)

run: $(DEVELOPMENT)  ## The services and every Penstock process side by side; Ctrl-C stops all
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(SERVICES) run \
	    sh -c '$(PREPARE) && exec honcho --procfile infra/local/Procfile --app-root . start'

test: $(DEVELOPMENT)  ## Run the tests against services of their own
	@$(if $(AROUND),PENSTOCK_LOCAL_DIR="$(CURDIR)/.local/test" $(SERVICES) test )$(BIN)/pytest $(ARGS)

check: $(DEVELOPMENT)  ## Format, lint, types, import rules, contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy schemas pipeline infra consumers tests
	$(BIN)/lint-imports
	$(BIN)/penstock workflow contracts --check

screenshots: $(DEVELOPMENT)  ## Every page, light and dark, desk and phone, into .local/screenshots
	@$(BIN)/python -m infra.bench.screenshots

down:  ## Stop the services; their data stays
	@if [ -d "$${PENSTOCK_LOCAL_DIR:-.local}" ]; then $(ANY_PYTHON) -m infra.local down; fi

clean:  ## Stop the services; remove their data, .venv and all caches
	@if [ -d .local/test ]; then PENSTOCK_LOCAL_DIR=.local/test $(ANY_PYTHON) -m infra.local down --wipe; fi
	@if [ -d .local ]; then $(ANY_PYTHON) -m infra.local down --wipe; fi
	rm -rf .venv .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

vendor:  ## Fetch what pages need of others, at the versions of versions.json (needs npm)
	$(ANY_PYTHON) -m infra.local.vendor

requirements:  ## Resolve and pin the requirements anew (needs uv)
	printf 'editables\nhatchling\n' | uv pip compile pyproject.toml - $(PIN) -o requirements.txt
	uv pip compile pyproject.toml --extra dev $(PIN) -o requirements-dev.txt

$(RUNTIME): requirements.txt pyproject.toml infra/local/setup.sh
	@sh infra/local/setup.sh requirements.txt
	@touch $@

# What is needed for testing includes what is needed for running.
$(DEVELOPMENT): requirements-dev.txt pyproject.toml infra/local/setup.sh
	@sh infra/local/setup.sh requirements-dev.txt
	@touch $(RUNTIME) $@
