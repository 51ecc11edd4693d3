# Everything lives in .venv, made on first use; `make` alone lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# A stamp is named after the content of what was installed: an unchanged list costs nothing, a changed one
# (a pull, a branch) is installed before the next run, whatever the files' dates say.
CONTENT = $(firstword $(shell cat $(1) | cksum))
RUNTIME := $(VENV)/runtime-$(call CONTENT,requirements.txt)
TOOLS := $(VENV)/tools-$(call CONTENT,requirements.txt tests/requirements.txt)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Never into the system's Python, even when .venv is half made.
export PIP_REQUIRE_VIRTUALENV := 1

# Compiling all tests anew in every run would take longer than most of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test quick lint bench screenshots

help: ## show this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 14

run: $(RUNTIME) ## install what is needed (once) and start Tandem
	@$(BIN)/python app.py

test: lint ## everything that CI checks: lint, types, all tests, coverage of 90 % or more
	@$(BIN)/python -m pytest -n 2 --dist worksteal --cov=store --cov=dashboard --cov-fail-under=90

quick: $(TOOLS) ## the tests without browser, crash and slow ones, in under a minute
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not (slow or browser or crash)"

lint: $(TOOLS) ## ruff (with bandit's rules) over everything, mypy --strict over store/, known vulnerabilities
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m mypy
	@$(BIN)/python -m tests.dependencies

bench: $(TOOLS) ## measure dual writes and lists against the least work possible
	@$(BIN)/python -m tests.bench

screenshots: $(TOOLS) ## take the pictures in docs/ anew; needs Chromium
	@$(BIN)/python -m tests.browser.screenshots

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Tandem needs Python 3.11 or newer; $(PYTHON) is older or missing. Try: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make a virtual environment. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)

$(RUNTIME): $(BIN)/python
	@echo "Installing what Tandem runs with (once) ..."
	@$(BIN)/python -m pip install --quiet -r requirements.txt
	@rm -f $(VENV)/runtime-*; touch $@

$(TOOLS): $(RUNTIME)
	@echo "Installing what the checks need (once) ..."
	@$(BIN)/python -m pip install --quiet -r tests/requirements.txt
	@rm -f $(VENV)/tools-*; touch $@
