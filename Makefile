# `make run` starts the local stack, `make test` runs every test, `make lint` checks all else, `make check` both.
# Each prepares .venv first, with uv, which is put into .tools where it is not on PATH.

PORT = 4566

VENV := .venv/bin
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .tools/bin/uv)
OWN_UV := $(filter .tools/bin/uv,$(UV))
NO_UV := uv is not on PATH, and python3 could not install it (see .tools/log): install uv, or venv and pip
REQUIREMENTS := layers/consents/requirements.txt
CHECKOV := .tools/checkov-3.3.30
EXPORT := export --frozen --quiet --no-dev --no-emit-project --prune boto3 --no-annotate --no-header

export SAM_CLI_TELEMETRY := 0
export UV_PROJECT_ENVIRONMENT := .venv
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help install run invoke test lint check checkov bench bench-curves bench-drops format lock docs

help:
	@echo "make run [PORT=$(PORT)]  start the local stack; Ctrl-C stops it"
	@echo "make invoke FUNCTION=... EVENT=...  run an event through a function, while the stack runs"
	@echo "make test             run every test"
	@echo "make lint             format, lint, types, import contracts, template, lock"
	@echo "make checkov          checkov on the template; downloads it the first time"
	@echo "make check            all three"
	@echo "make bench            measure speed beside the plain idiom; takes about ten minutes"
	@echo "make bench-curves     measure against records, contacts and callers; redraws docs/scaling.svg"
	@echo "make format           put the code into the one layout"
	@echo "make bench-drops      import files of 10,000 to a million rows into the local engine (ROWS='10000 20000')"
	@echo "make lock             lock the dependencies, and export those of the layer"
	@echo "make docs             render docs/api.html from docs/openapi.yaml; needs npx"
	@echo "make install          prepare .venv, with the consents command in it"

install: $(OWN_UV)
	@test -d .venv || echo "preparing .venv; the first time takes a while"
	@$(UV) sync --frozen --quiet

.tools/bin/uv:
	@echo "uv is not on PATH: putting one into .tools"
	@rm -rf .tools && mkdir .tools
	@{ python3 -m venv .tools && PIP_USER=0 .tools/bin/python -m pip install 'uv>=0.13'; } \
		>.tools/log 2>&1 </dev/null || { echo "$(NO_UV)" >&2; exit 1; }

run: install
	@$(VENV)/consents local up --port $(PORT)

invoke: install
	@$(VENV)/consents local invoke $(FUNCTION) $(EVENT)

test: install
	@$(VENV)/python -m pytest

lint: install
	$(VENV)/ruff format --check
	$(VENV)/ruff check
	$(VENV)/mypy layers functions cli tests bench
	$(VENV)/lint-imports
	AWS_DEFAULT_REGION=us-east-1 $(VENV)/sam validate --lint
	$(UV) $(EXPORT) | diff - $(REQUIREMENTS)

check: lint checkov test

checkov: $(CHECKOV)/bin/checkov
	$(CHECKOV)/bin/checkov --config-file .checkov.yaml

# It wants a boto3 of its own, which the lock cannot hold beside ours: the day pins what it brings along.
$(CHECKOV)/bin/checkov: | install
	@echo "putting checkov into .tools"
	@UV_TOOL_DIR=$(CHECKOV) UV_TOOL_BIN_DIR=$(CHECKOV)/bin $(UV) tool install --quiet --exclude-newer 2026-11-23 \
		--python $(VENV)/python checkov==3.3.30

bench: install
	@$(VENV)/python -m bench

bench-curves: install
	@$(VENV)/python -m bench.scaling
	@$(VENV)/python -m bench.growth

format: install
	$(VENV)/ruff format
	$(VENV)/ruff check --fix

bench-drops: install
	@$(VENV)/python -m bench.drops $(ROWS)

lock: $(OWN_UV)
	$(UV) lock
	$(UV) $(EXPORT) --output-file $(REQUIREMENTS) >/dev/null

# The last line tells what it was rendered from: a test compares.
docs:
	REDOCLY_TELEMETRY=off npx --yes @redocly/cli@2.77.0 build-docs docs/openapi.yaml --inlineBundle --output docs/api.html
	@python3 -c 'from hashlib import sha256; print("<!--", sha256(open("docs/openapi.yaml", "rb").read()).hexdigest(), "-->")' >>docs/api.html
