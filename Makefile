PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := epoch_sql cli tests docs setup.py

WORKERS ?= auto
# Each worker gets a part of the folders, and takes over from others what they have not begun.
PARALLEL := -n $(WORKERS) --dist worksteal
OLDER := 1.4 1.5
export EPOCH_CLIENTS := $(abspath $(VENV)-clients)
export EPOCH_PEERS := $(abspath $(VENV)-peers)
# Compiled tests are kept: workers start 10 seconds earlier, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-all clients lint bench bench-peers tour docs pictures clean $(OLDER:%=test-%)

demo: $(VENV)/.demo
	$(BIN)/epoch demo

# In minutes: each subject once, on the DuckDB that is installed.
test: $(VENV)/.test
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

# What takes long besides: large grids, kills, state machines against models, and the core on older DuckDBs.
test-all: $(VENV)/.test $(EPOCH_CLIENTS)/.made $(OLDER:%=test-%)
	$(BIN)/python -m pytest $(PARALLEL) -m slow $(ARGS)
	$(BIN)/python -m pytest -s -m long $(ARGS)

$(OLDER:%=test-%): test-%: $(VENV)-%/.test
	$(VENV)-$*/bin/python -m pytest $(PARALLEL) -m "core and (not slow or older)" $(ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m docs.prose

bench: $(VENV)/.test
	$(BIN)/python -m tests.bench $(ARGS)

# Epoch beside other systems on the same rows; writes docs/benchmarks.md.
bench-peers: $(VENV)/.test $(VENV)/.bench $(EPOCH_PEERS)/.made
	$(BIN)/python -m tests.bench.peers $(ARGS)

# The modules that commit, merge, diff and push pass, in the order entered.
tour: $(VENV)/.test
	$(BIN)/python -m tests.tour

docs: $(VENV)/.docs
	$(BIN)/python -m docs.generate
	$(BIN)/mkdocs build --strict --quiet $(ARGS)

# The pictures of epoch ui, in Chromium.
pictures: $(VENV)/.demo $(VENV)/.test
	$(BIN)/python -m docs.pictures

clean:
	rm -rf $(VENV) $(VENV)-clients $(VENV)-peers $(OLDER:%=$(VENV)-%) build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Each set of packages is installed once: again only when what is asked for has changed. An editable install is not
# compiled by pip, which costs each start a fifth of a second where Python may not keep what it compiles.
$(VENV)/.demo $(VENV)/.test $(VENV)/.lint $(VENV)/.docs $(VENV)/.bench: $(VENV)/.%: pyproject.toml setup.py | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	$(BIN)/python -m compileall -q epoch_sql cli
	touch $@

# The other programs that tests and bench-peers need.
clients: $(EPOCH_CLIENTS)/.made $(EPOCH_PEERS)/.made

# The clients that read published files, and dbt.
$(EPOCH_CLIENTS)/.made: tests/publish/install_clients.sh | $(BIN)/python
	bash $< $(EPOCH_CLIENTS) $(BIN)/python
	touch $@

# What Epoch is measured beside.
$(EPOCH_PEERS)/.made: tests/bench/peers/install.sh | $(BIN)/python
	bash $< $(EPOCH_PEERS) $(BIN)/python
	touch $@

$(OLDER:%=$(VENV)-%/.test): $(VENV)-%/.test: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet --editable '.[test]' 'duckdb==$*.*'
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
