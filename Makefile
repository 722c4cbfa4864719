# headend: `make run` starts it, `make test` tests it. `make help` lists every target.
#
# PYTHON=python3.13 selects another Python, by name or path. Its virtual environment is .venv-3.13; without
# PYTHON it is .venv.
ifdef PYTHON
VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
else
PYTHON = $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c '' 2>/dev/null && echo $$name && break; done || echo python3)
VENV := .venv
endif
BIN := $(VENV)/bin
# Some containers set this variable. Every process would then compile all its modules again: two seconds at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run check test stress attack lint lock bench screenshots image image-check deploy-check clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

run: $(VENV)/.run ## install what is missing and run the whole deployment until Ctrl-C
	@exec $(BIN)/python manage.py run

# Some tests wait for other processes, so there are more processes than processors: three took less time than four.
PYTEST_OPTIONS = --dist loadscope --durations 10
PYTEST = $(BIN)/python -m pytest $(PYTEST_OPTIONS)
COVERAGE = .pytest_cache/coverage.json
# The warning is about the measurement of the tests' own files, which is not wanted.
MEASURED_PYTEST = $(BIN)/python -W "ignore:Unable to activate pytest branch coverage:RuntimeWarning" -m slipcover \
	--json --out $(COVERAGE) -m pytest $(PYTEST_OPTIONS)

check: $(VENV)/.test ## lint, and run the tests that need no server, browser or other process; takes about two minutes
	@$(MAKE) --no-print-directory -j2 lint .fast-tests

.PHONY: .fast-tests
.fast-tests:
	$(PYTEST) -n 2 --fast

test: $(VENV)/.test .browser .sftp ## run all tests, then those with a database again on PostgreSQL, Valkey and S3
	$(MEASURED_PYTEST) -n 3
	TESTS_ON=servers $(PYTEST) -n 3 -m on_servers
	@$(BIN)/python -m tests.branch_coverage $(COVERAGE)

stress: $(VENV)/.test ## test a deployment with killed processes, failing S3 calls, repeated messages, random input and load
	$(BIN)/python -m tests.services.stress

attack: $(VENV)/.test ## attack a deployment on this machine, and report harm and delays
	$(BIN)/python -m tests.attack

lint: $(VENV)/.test ## run ruff, djlint and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint templates --lint --check --quiet
	$(BIN)/mypy .

bench: $(VENV)/.test .sftp .sshd .pigz ## compare the speed with peers, on the same readings (benchmarks/)
	$(BIN)/python -m benchmarks

screenshots: $(VENV)/.test .browser ## take the pictures in docs/screenshots/ again
	$(BIN)/python -m tests.e2e.screenshots

# The program that builds the image, and more options for it, such as --build-arg BASE=...
BUILDER ?= $(shell for name in docker podman buildah; do command -v $$name && break; done)
IMAGE_OPTIONS ?=
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' headend/__init__.py)

image: ## build the container image headend:VERSION with docker, podman or buildah (deploy/README.md)
	$(BUILDER) build --file deploy/Dockerfile --tag headend:$(VERSION) --tag headend:latest \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) $(IMAGE_OPTIONS) .

image-check: $(VENV)/.test ## run the image that buildah has built without a container engine, and tests/contract against it; needs root
	$(BIN)/python -m tests.deploy.image_check

deploy-check: $(VENV)/.test .deploy-tools ## check the files in deploy/: image, Compose, systemd, nginx, AWS, Prometheus, the wheel
	$(BIN)/python -m pytest -n 2 tests/deploy

clean: ## delete the virtual environments; state in HEADEND_HOME stays
	rm -rf .venv .venv-*

# --- Locks: every package with its hashes, valid for each supported Python. ---

# Versions in the present locks stay where requirements*.txt allow them. `make lock UPGRADE=1` takes the newest.
# The development lock comes first: the product gets the versions that the tests use.
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet $(if $(UPGRADE),--upgrade) \
	--universal --python-version 3.11 --generate-hashes

lock: $(BIN)/uv ## resolve requirements*.txt into the lock files
	$(COMPILE) requirements-dev.txt --output-file requirements-dev.lock
	$(COMPILE) requirements.txt --constraints requirements-dev.lock --output-file requirements.lock
	grep '^uv==' requirements-dev.txt | $(COMPILE) - --output-file requirements-uv.lock
	$(COMPILE) requirements-checkov.txt --output-file requirements-checkov.lock
	sed -n 's/^requires = \["\(.*\)"\]$$/\1/p' pyproject.toml | $(COMPILE) - --constraints requirements-dev.lock \
		--output-file requirements-build.lock

# --- Set-up: each target installs what is missing, once. ---

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "headend needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another with: make PYTHON=...")'
	@echo "  creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(BIN)/uv: requirements-uv.lock | $(BIN)/pip
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r $<
	@touch $@

# uv installs a lock in a fifth of pip's time, and trusts the certificates that the system trusts. pip is the fallback
# where uv cannot reach the packages: only pip reads a mirror from pip.conf.
define install
	@echo "  installing $(1)"
	@$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --require-hashes -r $(1) || { \
	  echo "  uv could not install $(1); installing it with pip"; \
	  $(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r $(1); }
	@touch $@
endef

$(VENV)/.run: requirements.lock $(BIN)/uv
	$(call install,requirements.lock)

$(VENV)/.test: requirements-dev.lock $(BIN)/uv
	$(call install,requirements-dev.lock)

# $(call need,COMMAND,PACKAGE,WHAT NEEDS IT): install a Debian package if its command is missing.
need = @command -v $(1) >/dev/null || (apt-get update -qq && apt-get install -y -qq $(2)) >/dev/null 2>&1 \
	|| { echo "$(3) need the command $(1) (Debian: apt-get install $(2)). Install it, then run make again."; exit 1; }

# The programs that check the files in deploy/. A test whose program is missing is skipped, so a failed installation is
# only reported.
DEPLOY_TOOLS := prometheus:promtool nginx-light:nginx docker-compose:docker-compose systemd:systemd-analyze \
	caddy:caddy openssl:openssl

# `make clean` deletes this environment too, because of its name.
$(VENV)-checkov/bin/checkov: requirements-checkov.lock $(BIN)/uv
	@echo "  installing $<"
	@$(PYTHON) -m venv --without-pip $(VENV)-checkov
	@$(BIN)/uv pip install --quiet --system-certs --python $(VENV)-checkov/bin/python --require-hashes -r $<
	@touch $@

.PHONY: .deploy-tools
.deploy-tools: $(BIN)/uv
	@$(MAKE) --no-print-directory $(VENV)-checkov/bin/checkov || echo "  checkov is not installed. Its test is skipped."
	@for tool in $(DEPLOY_TOOLS); do \
	  PATH=$$PATH:/usr/sbin command -v $${tool#*:} >/dev/null || missing="$$missing $${tool%%:*}"; \
	done; \
	[ -z "$$missing" ] || { apt-get update -qq \
	  && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null 2>&1 \
	  || echo "  not installed:$$missing. The tests that need them are skipped."

# Chromium without a user interface: the tests in the whole browser take twice the processor time.
CHROMIUM := chromium-headless-shell

.PHONY: .browser .sftp .sshd .pigz
.browser: tests/e2e/node_modules/.package-lock.json
	$(call need,$(CHROMIUM),$(CHROMIUM),The browser tests)

tests/e2e/node_modules/.package-lock.json: tests/e2e/package-lock.json
	$(call need,npm,npm,The accessibility tests)
	@npm ci --silent --no-audit --no-fund --prefix tests/e2e
	@touch $@

.sftp:
	$(call need,sftp,openssh-client,The SFTP tests)

# Users other than the superuser often do not have /usr/sbin in their PATH.
.sshd:
	$(call need,/usr/sbin/sshd,openssh-server,The benchmarks)

.pigz:
	$(call need,pigz,pigz,The benchmarks)
