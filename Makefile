# Everything starts here: `make demo` on a fresh Debian or Ubuntu machine, `make test` for the checks.
#
#   make demo        set up .venv and play a simulated acquisition through the whole chain
#   make test        set up .venv and run the tests (make test-slow: those that take longer than ten seconds;
#                    make test-browser: those that look at the page, with the system's Chromium)
#   make lint types layers
#   make clean
#
# PYTHON=python3.12      which interpreter makes the environment; found by itself when not given
# TORCH_INDEX=ADDRESS    a further package index, for a CPU build of PyTorch on a machine without an NVIDIA GPU
# CONSTRAINTS=           go without the tested versions in .ci/constraints.txt
# TESTS=tests/monitor    run a part of the tests

VENV ?= .venv
CONSTRAINTS ?= .ci/constraints.txt
TORCH_INDEX ?=
TESTS ?=

BIN := $(VENV)/bin
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell $(name) -c '$(SUPPORTED)' >/dev/null 2>&1 && echo $(name))))
# Tests start hundreds of processes: with byte code switched off, as some images have it, each would compile 1,400
# modules anew, for three seconds.
export PYTHONDONTWRITEBYTECODE :=
# Byte code is left to the first import: it saves 20 seconds and 240 MB of modules that nothing here uses.
PIP_INSTALL = $(BIN)/python -m pip install $(if $(CI),--quiet) --disable-pip-version-check --no-input --no-compile \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
# Two test processes share two cores: more threads in each would only wait for one another.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest

# Of these every parameter, attribute and return value is documented: what programs of others call, and what it stands on.
# The single classes that come back from other modules are held to the same by tests/test_documented.py.
DOCUMENTED := monitor/__init__.py monitor/api.py monitor/errors.py monitor/lazily.py monitor/pipeline.py \
	monitor/features/featurizer.py monitor/frames/colour.py monitor/frames/frame.py monitor/frames/from_array.py \
	services/__init__.py services/tables/data_frames.py services/tables/opened_run.py

.PHONY: demo dev test test-slow test-browser lint types layers clean

demo: $(VENV)/.installed
	$(BIN)/cellvigil demo

dev: $(VENV)/.installed-dev

test: $(VENV)/.installed-dev
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not browser" $(TESTS)

# These start workers of their own: two beside each other, files in the order of their names, for those of tests/e2e
# take longest; and those that measure time one after the other.
# 5 is pytest's word for none of them among TESTS.
test-slow: $(VENV)/.installed-dev
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder --durations 12 -m "slow and not alone" $(TESTS) || test $$? = 5
	$(PYTEST) -m "slow and alone" $(TESTS) || test $$? = 5

test-browser: $(VENV)/.installed-browser
	$(PYTEST) -n 2 --dist loadfile --durations 5 -m browser $(or $(TESTS),tests/browser)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pydoclint --quiet --config pyproject.toml $(DOCUMENTED)

types: $(VENV)/.installed-dev
	$(BIN)/mypy

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "cellvigil needs Python 3.11, 3.12 or 3.13 and found none on PATH;" \
		"install one (apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "cellvigil needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is" \
		"`$(PYTHON) --version 2>&1 | head -n 1`; name another: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments;" \
		"run: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	@echo "Installing cellvigil into $(VENV): about 1.6 GB and a minute or two with a CPU build of PyTorch."
	$(PIP_INSTALL) --editable .
	@$(BIN)/python -c 'import lightgbm, numba, skimage.measure, torch' || { \
		echo "a library cannot be loaded; if it is libgomp.so.1, run: apt-get install libgomp1" >&2; exit 1; }
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

$(VENV)/.installed-browser: $(VENV)/.installed-dev
	$(PIP_INSTALL) --editable '.[browser]'
	@touch $@
