# Two commands do everything on a machine that has python3 (3.11, 3.12 or 3.13), make and git:
#
#   make demo    set up .venv, compare margin regimes on the S&P 500 of 2007-2009, print where the report is
#   make test    set up .venv, run the test suite
#
# `make help` lists the rest. Override a variable on the command line: make demo SEEDS=30 JOBS=8

VENV ?= .venv
PYTHON ?=
JOBS ?= 2
SEEDS ?= 10
OUT ?= out/demo
BENCH ?= bench.json
VALIDATION ?= out/validate
# results that `make validation` takes over: TUNING=out/validate/summary.json FRESH=out/fresh/summary.json
TUNING ?=
FRESH ?=
# up to four processes; more would spend themselves on compiling the same kernels
PYTEST_ARGS ?= -n auto --maxprocesses 4 --dist worksteal

BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
KERNEL_TESTS := tests/sim tests/margin tests/agents

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test bench bench-sweep lint format format-check types imports boundscheck studies study-basis study-dynamic-initial study-dynamic-vs-static study-interaction study-gamma-sign validate validation reference hashes check clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{ printf "  make %-13s %s\n", $$1, $$2 }'

demo: $(RUN_STAMP) ## compare four margin regimes on the real 2007-2009 path; writes a report
	@if [ -f "$(OUT)/manifest.json" ]; then rm -rf "$(OUT)"; fi
	$(BIN)/marginlab compare crisis-2008 --margin static,dynamic,portfolio,isolated --seeds $(SEEDS) --jobs $(JOBS) --out "$(OUT)"
	@echo
	@echo "The report is in $(CURDIR)/$(OUT)/report.html"

test: $(DEV_STAMP) ## run the test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: $(RUN_STAMP) ## measure speed; writes bench.json
	$(BIN)/python -m experiments.bench --out "$(BENCH)"

bench-sweep: $(RUN_STAMP) ## time, memory and efficiency of a sweep of a thousand runs
	$(BIN)/python -m experiments.bench.sweep --jobs $(JOBS)

lint: $(DEV_STAMP) ## style and likely mistakes
	$(BIN)/ruff check .

format: $(DEV_STAMP) ## rewrite files in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --select I --fix .

format-check: $(DEV_STAMP) ## is every file in the project's format?
	$(BIN)/ruff format --check .

types: $(DEV_STAMP) ## static types
	$(BIN)/mypy

imports: $(DEV_STAMP) ## which package may import which
	$(BIN)/lint-imports

boundscheck: $(DEV_STAMP) ## the kernel tests with every array index checked
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest $(KERNEL_TESTS) $(PYTEST_ARGS)

studies: $(DEV_STAMP) ## the long statistical studies (many seeds)
	$(BIN)/python -m pytest -m study $(PYTEST_ARGS)

study-dynamic-initial: $(RUN_STAMP) ## dynamic initial margining against static and dynamic, whole runs
	$(BIN)/python -m experiments.studies.dynamic_initial --tune 40 --seeds 200:260 --jobs $(JOBS)

study-dynamic-vs-static: $(RUN_STAMP) ## dynamic margin against static at equal mean, through 2008 and a cascade
	$(BIN)/python -m experiments.studies.dynamic_vs_static --jobs $(JOBS) --out out/dynamic-vs-static

study-basis: $(RUN_STAMP) ## what ties a future and a perpetual to spot: arbitrage on and off
	$(BIN)/python -m experiments.studies.basis --jobs $(JOBS) --out out/basis

study-interaction: $(RUN_STAMP) ## dealers' hedging and liquidations, each alone and both, in nine declared cells
	$(BIN)/python -m experiments.studies.interaction --seeds 6000:6200 --jobs $(JOBS) --out out/interaction

study-gamma-sign: $(RUN_STAMP) ## dealers short of gamma, long of it and not hedging: impact, volatility, drawdown, momentum
	$(BIN)/python -m experiments.studies.gamma_sign --seeds 5100:5112 --jobs $(JOBS) --out out/gamma-sign

validate: $(RUN_STAMP) ## measure every acceptance band of the market; resumes if it was stopped
	$(BIN)/marginlab validate --jobs $(JOBS) --out "$(VALIDATION)"

validation: $(RUN_STAMP) ## write docs/validation.md from the stored results of validations
	$(BIN)/python -m experiments.validation.page $(if $(TUNING),--tuning "$(TUNING)") $(if $(FRESH),--fresh "$(FRESH)")

reference: $(RUN_STAMP) ## rewrite the tables of docs/ that are generated from the code
	$(BIN)/python docs/generate.py

hashes: $(RUN_STAMP) ## results hash of short runs, equal on every machine and Python
	@$(BIN)/python .ci/results_hash.py

check: lint format-check types imports test ## what a change must pass

clean: ## remove environments, caches and results
	rm -rf $(VENV) .venv-3.* out build dist *.egg-info $(BENCH) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then python=$$(sh .ci/find-python) || { \
		echo "MarginLab needs Python 3.11, 3.12 or 3.13 with its venv module, and none was found." >&2; \
		echo "Install one (Debian, Ubuntu: apt install python3 python3-venv) or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
		exit 2; }; fi; \
	echo "Making $(VENV) with $$python"; \
	"$$python" -m venv "$(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade "pip>=23"

$(RUN_STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable .
	@touch $@

$(DEV_STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable ".[dev]"
	@touch $@ $(RUN_STAMP)
