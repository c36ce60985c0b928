# Every target makes what it needs first: the virtual environment, Kafka, MongoDB.

.DEFAULT_GOAL := help
.PHONY: help test quick check format up down stop status demo screenshots audit e2e faults contract messages release lock bench bench-quick bench-full

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/installed-$(firstword $(shell cksum requirements-dev.lock))
# Files of tests in four processes on the same servers, though there be two cores: they mostly wait. PARALLEL= for one.
PARALLEL ?= -n 4 --dist loadfile --no-loadscope-reorder
# Each of the hundred processes that tests start would compile our sources anew.
export PYTHONDONTWRITEBYTECODE :=
COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

$(INSTALLED):
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or later is needed and not on PATH (or set PYTHON=...)'; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@ln -sf ../../deploy/praktika.sh $(BIN)/praktika
	@rm -f .venv/installed-* && touch $@

test: $(INSTALLED) ## run all tests on real Kafka and MongoDB
	$(BIN)/python -m pytest $(PARALLEL)

quick: check ## format, lint, types, import rules, and all tests that need no server; about a minute on two cores
	$(BIN)/python -m pytest --quick $(PARALLEL) -n auto --maxprocesses 4

check: $(INSTALLED) ## format, lint, types, import rules; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## format and sort imports
	$(BIN)/ruff check --select I --fix -q .
	$(BIN)/ruff format .

up: $(INSTALLED) ## start everything and leave it running; SECURE=1: with a Kafka that organisations may reach
	$(BIN)/python -m deploy.stack up

down: $(INSTALLED) ## stop it; the data stays
	$(BIN)/python -m deploy.stack down

stop: $(INSTALLED) ## stop the services only; Kafka and MongoDB go on
	$(BIN)/python -m deploy.stack stop

status: $(INSTALLED) ## show what runs, and where
	$(BIN)/python -m deploy.stack status

demo: up ## one learner's way and 16,031 real graduates, with every number checked
	$(BIN)/python -m deploy.demo

screenshots: $(INSTALLED) ## take the README's pictures of a running demo; needs Chromium
	$(BIN)/python -m deploy.screenshots

audit: up ## recompute every counter from the stored facts and compare
	$(BIN)/praktika audit

e2e: $(INSTALLED) ## prove the Compose stack, with its own project and data; needs Docker
	$(BIN)/python -m tests.e2e

faults: $(INSTALLED) ## break everything while events arrive, prove that nothing is lost; FAULTS_MINUTES, FAULTS_SEED
	$(BIN)/python -m tests.faults

bench: $(INSTALLED) ## measure against other frameworks, Java and the ceilings; about 25 minutes
	$(BIN)/python -m benchmarks

bench-quick: $(INSTALLED) ## what a change of the fast path moves, beside what is committed; about 3 minutes
	$(BIN)/python -m benchmarks.quick

bench-full: $(INSTALLED) ## the same, and growth to 5.8 million learners
	BENCH_FULL=1 $(BIN)/python -m benchmarks

contract: $(INSTALLED) ## write AsyncAPI, OpenAPI, JSON Schemas, docs/indicators.md and docs/events.md; refuses what breaks a reader
	$(BIN)/python -m deploy.contract

messages: $(INSTALLED) ## bring the catalogues up to date with the texts of code and templates
	$(BIN)/python -m deploy.messages

release: $(INSTALLED) ## build wheel, SBOM, image and notes of the version in shared/__init__.py, into dist/
	$(BIN)/python -m deploy.release

lock: $(INSTALLED) ## pin the newest dependencies that pyproject.toml allows
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(COMPILE) --upgrade pyproject.toml -o requirements.lock
	$(COMPILE) --upgrade --extra dev pyproject.toml -c requirements.lock -o requirements-dev.lock
