# Everything here works without make too; `make help` lists the commands.

# The interpreter that makes .venv: the first that is new enough and has venv. Asked outside of this
# folder, so that a version manager reads its own default and not the deploy's .python-version.
PYTHON ?= $(shell cd / && for python in python3.13 python3.12 python3.14 python3.11 python3; do \
	$$python -c 'import sys, venv, ensurepip; sys.version_info < (3, 11) and sys.exit(1); print(sys.executable)' \
	2>/dev/null && break; done)
IN_VENV = .venv/bin/python -m
INSTALL = $(PYTHON) -m services.launch.install .venv

# A stamp is newer than its requirements once they are installed: a second start installs nothing.
RUN = .venv/.run
DEV = .venv/.dev
EMBEDDED = .venv/.embedded

.DEFAULT_GOAL = help
.PHONY: help run test check bench demo-restart demo-operator chaos fmt key lock

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: $(RUN)  ## start the service; without a key it brings its own model
	@$(IN_VENV) services.launch

test: $(DEV) $(EMBEDDED)  ## all tests but the fault rig's, with the real server and the small real model
	@$(IN_VENV) pytest --ignore=tests/rig

check: $(DEV) $(EMBEDDED)  ## format, lint, types, import contracts, all tests with branch coverage
	@.venv/bin/python -S -m services.launch.startup_files .venv
	@$(IN_VENV) ruff format --check
	@$(IN_VENV) ruff check
	@$(IN_VENV) mypy
	@.venv/bin/lint-imports
	@$(IN_VENV) pytest --cov --cov-report=term

bench: $(DEV)  ## measure; results are ratios within one run
	@$(IN_VENV) bench

demo-restart: $(DEV)  ## restart and kill workers in mid-answer, before a browser (wants Redis and Chromium)
	@$(IN_VENV) tests.demo_restart

demo-operator: $(DEV)  ## a minute of a busy service, as its operator sees it (wants Redis, Chromium, Prometheus)
	@$(IN_VENV) tests.demo_operator

chaos: $(DEV)  ## break everything with a seed (SEED=1 MINUTES=4 FAULT=killed), and write docs/scorecard.md
	@$(IN_VENV) tests.rig $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(FAULT),--fault $(FAULT))

fmt: $(DEV)  ## format and repair what can be repaired
	@$(IN_VENV) ruff format
	@$(IN_VENV) ruff check --fix

key: $(RUN)  ## make an API key: NAME=web [SCOPES=translate,tutor] [USD_DAY=5]; or ROTATE=id, REVOKE=id, LIST=1
	@$(IN_VENV) services.launch.key $(MAKEOVERRIDES)

# Releases younger than seven days wait: a stolen package is mostly found within them.
LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--only-binary :all: --no-emit-index-url --no-strip-extras --exclude-newer '7 days' --custom-compile-command 'make lock'

lock: $(DEV)  ## pin requirements*.txt anew from requirements*.in (UPGRADE=1 takes newer releases)
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements.in --output-file requirements.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements-otel.in --constraint requirements.txt --output-file requirements-otel.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements-dev.in --constraint requirements.txt --output-file requirements-dev.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements-embedded.in --output-file requirements-embedded.txt

$(RUN): requirements.txt
	@$(INSTALL) $<
	@touch $@

$(DEV): requirements-dev.txt
	@$(INSTALL) $<
	@touch $@ $(RUN)

# Where the model has no runtime (musl), the tests that need it are skipped and say so.
$(EMBEDDED): requirements-embedded.txt | $(DEV)
	@$(INSTALL) $< || true
	@touch $@
