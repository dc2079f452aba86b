# `make run` starts the local stack, `make test` runs every test, `make check` runs everything that CI runs.
# Each target first prepares .venv with uv, which is installed into .tools if it is not on PATH.

PORT = 4566

VENV := .venv/bin
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .tools/bin/uv)
OWN_UV := $(filter .tools/bin/uv,$(UV))
NO_UV := uv is not on PATH, and python3 could not install it (see .tools/log): install uv, or venv and pip
REQUIREMENTS := layers/consents/requirements.txt
CHECKOV := .tools/checkov-3.3.30
EXPORT := export --frozen --quiet --no-dev --no-emit-project --prune boto3 --prune pycparser --no-annotate --no-header

export SAM_CLI_TELEMETRY := 0
export UV_PROJECT_ENVIRONMENT := .venv
unexport VIRTUAL_ENV
# With it, every process would compile again all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install run invoke test unit lint check checkov bench bench-curves bench-drops bench-log bench-transports format lock docs

help:
	@echo "make run [PORT=$(PORT)]  start the local stack; Ctrl-C stops it"
	@echo "make invoke FUNCTION=... EVENT=...  run an event through a function; needs the running stack"
	@echo "make test             run every test"
	@echo "make unit             run the unit tests"
	@echo "make lint             format, lint, types, import contracts, template, lock"
	@echo "make checkov          checkov on the template; downloads it the first time"
	@echo "make check            lint, checkov and test, as CI does"
	@echo "make bench            compare speed with a plain implementation; takes about ten minutes"
	@echo "make bench-curves     measure how time grows with records, contacts and callers; redraws docs/design/scaling.svg"
	@echo "make format           format the code"
	@echo "make bench-drops      import files of 10,000 to a million rows into the local engine (ROWS='10000 20000')"
	@echo "make bench-log        measure the transparency log by its size: sealing, publishing, proofs"
	@echo "make bench-transports  compare ways to call DynamoDB"
	@echo "make lock             lock the dependencies, and write what follows from them: the layer's requirements, validators, phone numbers"
	@echo "make docs             build the site of docs/ into site/; needs npm"
	@echo "make install          prepare .venv, with the consents command in it; with BROWSER=1 in the environment for tests in Chromium"

install: $(OWN_UV)
	@test -d .venv || echo "preparing .venv; the first time takes a while"
	@$(UV) sync --frozen --quiet $(if $(CI)$(BROWSER),--group browser)

.tools/bin/uv:
	@echo "uv is not on PATH: installing it into .tools"
	@rm -rf .tools && mkdir .tools
	@{ python3 -m venv .tools && PIP_USER=0 .tools/bin/python -m pip install 'uv>=0.13'; } \
		>.tools/log 2>&1 </dev/null || { echo "$(NO_UV)" >&2; exit 1; }

run: install
	@$(VENV)/consents local up --port $(PORT)

invoke: install
	@$(VENV)/consents local invoke $(FUNCTION) $(EVENT)

# The tests of a file share what is expensive to start; the slow files come first.
test: install
	@$(VENV)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

unit: install
	@$(VENV)/python -m pytest -n 2 --dist loadfile -p no:schemathesis -p no:anyio tests/unit

lint: install
	$(VENV)/ruff format --check
	$(VENV)/ruff check
	$(VENV)/mypy layers functions cli console tests bench verifier
	$(VENV)/lint-imports
	AWS_DEFAULT_REGION=us-east-1 $(VENV)/sam validate --lint
	$(UV) $(EXPORT) | diff - $(REQUIREMENTS)

check: lint checkov test

checkov: $(CHECKOV)/bin/checkov
	$(VENV)/python -m tests.template.expansion >.tools/template.json
	$(CHECKOV)/bin/checkov --config-file .checkov.yaml

# checkov needs another boto3 than the lock has, so it has a separate environment; the date pins its dependencies.
$(CHECKOV)/bin/checkov: | install
	@echo "installing checkov into .tools"
	@UV_TOOL_DIR=$(CHECKOV) UV_TOOL_BIN_DIR=$(CHECKOV)/bin $(UV) tool install --quiet --exclude-newer 2026-11-23 \
		--python $(VENV)/python checkov==3.3.30

bench: install
	@$(VENV)/python -m bench

bench-curves: install
	@$(VENV)/python -m bench.scaling
	@$(VENV)/python -m bench.growth
	@$(VENV)/python -m bench.breakdown

format: install
	$(VENV)/ruff format
	$(VENV)/ruff check --fix

bench-transports: install
	@$(VENV)/python -m bench.transports

bench-log: install
	@$(VENV)/python -m bench.log

bench-drops: install
	@$(VENV)/python -m bench.drops $(ROWS)

lock: $(OWN_UV)
	$(UV) lock
	$(UV) $(EXPORT) --output-file $(REQUIREMENTS) >/dev/null
	@for module in capture.validators domain.numbering_plans pages.example_numbers; do \
		$(UV) run --frozen --quiet python -m consents.$$module || exit 1; done

# The CLI reference, and the site; its generator is installed outside .venv.
docs: install
	@$(VENV)/typer consents_cli.__main__ utils docs --name consents --output docs/reference/cli.md
	@UV_PROJECT_ENVIRONMENT=.tools/docs/venv $(UV) run --frozen --quiet --only-group docs python docs/.site/build.py
