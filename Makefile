# headend: `make run` starts it, `make test` tests it. `make help` lists the rest.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help run test stress lint bench screenshots clean

help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

run: $(VENV)/.run ## set up what is missing and run the whole deployment until Ctrl-C
	@exec $(BIN)/python manage.py run

test: $(VENV)/.test .browser ## run the tests, on SQLite and folders, then on PostgreSQL, Valkey and S3
	@command -v sftp >/dev/null || (apt-get update -qq && apt-get install -y -qq openssh-client) >/dev/null
	$(BIN)/python -m pytest
	TESTS_ON=servers $(BIN)/python -m pytest --ignore tests/services --ignore tests/e2e

stress: $(VENV)/.test ## kill, spoil, double, fuzz and load a deployment for a while; print what became of it
	$(BIN)/python -m tests.services.stress

lint: $(VENV)/.test ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/python manage.py makemigrations --check --dry-run

bench: $(VENV)/.test ## measure the three ratios of benchmarks/
	$(BIN)/python -m benchmarks

screenshots: $(VENV)/.test .browser ## take docs/screenshots/ anew
	$(BIN)/python -m tests.e2e.screenshots

.PHONY: .browser
.browser:
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium) >/dev/null \
	  || { echo "the browser tests need chromium: install it, and call make again"; exit 1; }
	@command -v npm >/dev/null || (apt-get update -qq && apt-get install -y -qq npm) >/dev/null \
	  || { echo "the browser tests need npm, for axe-core: install it, and call make again"; exit 1; }
	@test -d tests/e2e/node_modules/axe-core || npm ci --silent --no-audit --no-fund --prefix tests/e2e

clean: ## remove the virtual environment; state in HEADEND_HOME stays
	rm -rf $(VENV)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "headend needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with: make PYTHON=...")'
	@echo "  making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt | $(VENV)/bin/pip
	@echo "  installing requirements.txt (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.test: requirements-dev.txt $(VENV)/.run
	@echo "  installing requirements-dev.txt (once)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
