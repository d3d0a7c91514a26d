# Every target creates what it needs; PYTHON picks the interpreter the environment is made with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test slow check clean

demo: $(VENV)/installed  ## what a published checkpoint becomes, and what attention costs
	$(BIN)/glmha info
	$(BIN)/glmha profile restormer
	$(BIN)/glmha profile restormer attention=glmha

test: $(VENV)/installed-dev  ## the test suite
	$(BIN)/python -m pytest

slow: $(VENV)/installed-dev  ## the tests that take longer
	$(BIN)/python -m pytest -m slow

check: $(VENV)/installed-dev  ## lint, format and types, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install -q -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
