# `make demo` and `make test` need only Python 3.11 and make; both set up .venv first.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help setup demo test test-all test-serving lint types check format bench dist clean

help:  ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): requirements.txt setup.py
	@command -v $(PYTHON) >/dev/null || { echo "keras_vae needs Python 3.11: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

setup: $(READY)  ## make .venv with the pinned packages

demo: $(READY)  ## train on embedded digits, evaluate, draw pictures, export SavedModels
	$(BIN)/keras-vae demo --output runs/demo --overwrite

test: $(READY)  ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadscope -q

test-all: $(READY)  ## run the tests with every optional package
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m pytest -n 2 --dist loadscope -q

test-serving: $(READY)  ## run the serving contract; with tensorflow_model_server, where that is on PATH
	$(BIN)/python -m pytest -q tests/serving/test_contract.py

lint: $(READY)  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## type check
	$(BIN)/mypy

check: lint types test  ## everything that continuous integration runs

format: $(READY)  ## rewrite the code in the one style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## training speed against peers that are installed
	$(BIN)/python benchmarks/train_speed.py

dist: $(READY)  ## build wheel and sdist
	$(BIN)/python -m build

clean:  ## remove what the commands above made, but for .venv
	rm -rf build dist *.egg-info runs .pytest_cache .mypy_cache .ruff_cache
