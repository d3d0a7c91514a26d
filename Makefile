# Every target creates what it needs; PYTHON picks the interpreter the environment is made with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo space space-push screenshots test slow check clean

demo: $(VENV)/installed  ## takes the rain out of a picture, by weights that ship
	$(BIN)/glmha info
	$(BIN)/glmha restore docs/pictures/rainy.jpg -m glmha-restormer-derain -o restored.png \
		--compare before-after.png --overwrite

space: $(VENV)/installed-demo  ## the page in the browser, on this machine
	$(BIN)/glmha demo

space-push: $(VENV)/installed-demo  ## the same page as a Space: make space-push SPACE=owner/name
	$(BIN)/python spaces/push.py $(SPACE)

screenshots: $(VENV)/installed-dev  ## the README's pictures of the page
	$(BIN)/python spaces/screenshots.py

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

$(VENV)/installed-demo: $(VENV)/installed
	$(BIN)/pip install -q -e ".[demo,spectral]"
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install -q -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
