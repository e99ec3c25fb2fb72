# The two commands of a new machine: `make demo` and `make test`. Both need Python >= 3.11 and make, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DEMO := runs/demo

# Real MNIST, Fashion-MNIST and CIFAR-10 widen some tests where a folder with them is at hand; none is needed.
DATA := $(firstword $(wildcard ../shared/data))
ifneq ($(DATA),)
export JAXGEN_TEST_DATA ?= $(abspath $(DATA))
endif

.PHONY: demo test check lint types format clean benchmark docs

demo: $(VENV)/.installed
	rm -rf $(DEMO)
	$(BIN)/jaxgen train cvae --data mnist_small --hidden 400 400 --latent-dim 4 --beta 2 --steps 3000 --out $(DEMO)
	$(BIN)/jaxgen sample $(DEMO) --out $(DEMO)/samples.png
	$(BIN)/jaxgen reconstruct $(DEMO) --out $(DEMO)/reconstructions.png
	$(BIN)/jaxgen reconstruct $(DEMO) --label all --out $(DEMO)/styles.png
	@echo "Figures: $(DEMO)/samples.png, $(DEMO)/reconstructions.png and $(DEMO)/styles.png"

# Files are not divided between workers: the tests of one share compiled programs.
test: lint types
	$(BIN)/pytest -n auto --dist loadfile

# The quick check before a commit: lint, types, and the tests that belong to the files changed since main.
check: lint types
	$(BIN)/python tests/changed.py | xargs --no-run-if-empty $(BIN)/pytest -n auto --dist loadfile -q

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed-test
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(VENV)/.installed-benchmark
	$(BIN)/jaxgen benchmark

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build
	@echo "Documentation: docs/_build/index.html"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jaxgen needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --editable '.[test]'
	touch $@

$(VENV)/.installed-benchmark: $(VENV)/.installed
	$(PIP) --editable '.[benchmark]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) --editable '.[docs,transport]'
	touch $@

clean:
	rm -rf $(VENV) runs docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
