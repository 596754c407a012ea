# Needs Python with venv, a C++ compiler and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := $(shell find CMakeLists.txt csrc python README.md LICENSE -type f -not -name '*.pyc' 2>/dev/null)
CXX_FILES := $(shell find csrc -name '*.cpp' -o -name '*.hpp' 2>/dev/null)
TOOLS := $(VENV)/tools.stamp
INSTALLED := $(VENV)/installed.stamp

.PHONY: help install demo test test-slow lint format types bench clean

help:
	@echo "make demo       prune a network on scikit-learn's digits with four methods and write a report"
	@echo "make test       lint, types and the fast tests"
	@echo "make test-slow  the tests that take longer"
	@echo "make bench      time every measure beside its peers and rewrite the README's table"
	@echo "make format     put the sources into the form that lint asks for"
	@echo "make clean      remove what was built; the virtual environment stays"

# Built without isolation, so that a second build in build/ compiles only what changed.
$(TOOLS): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt scikit-build-core pybind11 cmake ninja
	@touch $@

$(INSTALLED): $(TOOLS) $(SOURCES)
	$(PIP) install -c constraints.txt --no-build-isolation '.[dev]'
	@touch $@

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/pqindex demo

test: lint types
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

format: $(INSTALLED)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

types: $(INSTALLED)
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml --allowlist tests/stubtest-allowlist.txt pqi._core

bench: $(INSTALLED)
	$(BIN)/python bench/report.py --run

clean:
	rm -rf build dist bench/results .mypy_cache .pytest_cache .ruff_cache .hypothesis $(TOOLS) $(INSTALLED)
