# Only Python 3.11 or later, make and the package registries are needed.

PYTHON ?= python3
PORT ?= 3000
BIN := .venv/bin

# uv then trusts what the machine trusts, and asks the index that pip is told to ask.
export UV_SYSTEM_CERTS ?= true
export UV_PYTHON_DOWNLOADS ?= never
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --editable

.PHONY: help demo test matrix check fuzz mutants format docs bench soak clean

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1|/p' Makefile | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z]*\):.*## /make \1  /p' Makefile

demo: .venv/demo ## start the standalone server
	@echo "Open http://localhost:$(PORT) in a browser; Ctrl+C ends it."
	@$(BIN)/flask --app examples/standalone/app.py run --port $(PORT)

test: .venv/dev ## run lint, types, docs and all tests, on this Python
	@$(BIN)/python tools/run_environments.py test

matrix: .venv/dev ## run the unit tests on every Python and Flask, the packages, the hosts, the benchmarks
	@$(BIN)/python tools/run_environments.py matrix

check: .venv/dev ## what to run all day: lint, types and unit tests, without the searches and the long tables
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -n 2 -m "not table" --ignore=tests/e2e --ignore=tests/docs --ignore=tests/hosts --ignore=tests/properties

fuzz: .venv/dev ## look for what nobody thought of, for twenty minutes
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -n 2 --timeout 0 tests/properties

mutants: .venv/mutants ## change the code in every small way, to see that a test notices; an hour
	@$(BIN)/python tools/mutants.py

format: .venv/dev ## put the code into its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: .venv/dev ## build the documentation
	@$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

bench: .venv/bench ## measure what a sign-in costs, beside others, into docs/performance.rst (QUICK=1 only prints)
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(MILLION),--million)

soak: .venv/bench ## let ten thousand people sign in at once, over four processes and Redis; some minutes
	@$(BIN)/python -m benchmarks.soak

clean: ## remove what the other commands made
	rm -rf .venv .tox .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	rm -rf build dist docs/_build mutants *.egg-info

.venv/uv:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
		"flask_pkce needs Python 3.11 or later, this is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@echo "Creating .venv ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	@touch $@

.venv/demo: .venv/uv pyproject.toml
	@$(INSTALL) .[demo]
	@touch $@

.venv/dev: .venv/uv pyproject.toml
	@echo "Installing what the checks need ..."
	@$(INSTALL) .[demo,redis,testing] --group dev
	@touch $@

.venv/bench: .venv/uv pyproject.toml
	@$(INSTALL) .[redis,testing] --group bench
	@touch $@

.venv/mutants: .venv/dev
	@echo "Installing mutmut ..."
	@$(INSTALL) .[demo,redis,testing] --group dev --group mutants
	@touch $@
