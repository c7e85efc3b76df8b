# Everything a person does with this project. `make` alone lists the targets.
#
# Needs Python 3.11 or newer and make; the rest is installed into .venv. Choose an interpreter with
# `make PYTHON=python3.12 …`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# spinning OpenMP threads make a forward pass many times slower on a busy machine
export OMP_WAIT_POLICY ?= PASSIVE
export TOKENIZERS_PARALLELISM ?= false

# how many tests run side by side; 0 is one after the other, where a debugger can be used
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help app test check format bench constraints clean browser

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

app: $(INSTALLED) ## Open the app in the browser, on the shipped clips and checkpoint
	@$(BIN)/deepmsi app

test: $(INSTALLED) browser ## Run every test; choose some with ARGS="tests/core -k shapley"
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile $(ARGS)

check: $(INSTALLED) ## Lint, format check, spelling and import contracts, as CI does
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell $$(git ls-files '*.py' '*.md' '*.toml' '*.js' '*.css' Makefile)
	@$(BIN)/lint-imports

format: $(INSTALLED) ## Put the code into the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(INSTALLED) browser ## Measure predictions, explanations, memory and the app's start on this machine
	@$(BIN)/deepmsi bench speed --out runs/speed $(ARGS)
	@$(BIN)/python benchmarks/app_start.py

constraints: $(INSTALLED) ## Pin in constraints.txt what is installed now
	@$(BIN)/pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.new
	@mv constraints.new constraints.txt

clean: ## Remove the environment and everything that can be made again
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# made anew only when what it depends on changed
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed and '$(PYTHON)' is not: try make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

browser:
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || \
	command -v google-chrome > /dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "Installing Chromium for the browser tests"; \
	  { apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core; } \
	    > /dev/null || echo "Chromium could not be installed: the browser tests will be skipped"; \
	else \
	  echo "For the browser tests install Chromium (Debian: sudo apt-get install chromium fonts-dejavu-core)"; \
	fi
