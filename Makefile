PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := epoch_sql cli tests docs setup.py

.PHONY: demo test lint bench docs clean

demo: $(VENV)/.demo
	$(BIN)/epoch demo

test: $(VENV)/.test
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(VENV)/.test
	$(BIN)/python -m tests.bench $(ARGS)

docs: $(VENV)/.docs
	$(BIN)/python -m docs.generate
	$(BIN)/mkdocs build --strict --quiet $(ARGS)

clean:
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Each set of packages is installed once: again only when what is asked for has changed. An editable install is not
# compiled by pip, which costs each start a fifth of a second where Python may not keep what it compiles.
$(VENV)/.demo $(VENV)/.test $(VENV)/.lint $(VENV)/.docs: $(VENV)/.%: pyproject.toml setup.py | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	$(BIN)/python -m compileall -q epoch_sql cli
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
