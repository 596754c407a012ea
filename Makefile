# Needs Python with venv, a C++ compiler and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := $(shell find CMakeLists.txt csrc python README.md LICENSE -type f -not -name '*.pyc' 2>/dev/null)
CXX_FILES := $(shell find csrc -name '*.cpp' -o -name '*.hpp' 2>/dev/null)
TOOLS := $(VENV)/tools.stamp
INSTALLED := $(VENV)/installed.stamp
TRAINERS := $(VENV)/trainers.stamp
PEERS := $(VENV)/peers.stamp

.PHONY: help install demo study test test-slow sanitize lint format types bench clean

help:
	@echo "make demo       prune a network on scikit-learn's digits with four methods and write a report"
	@echo "make study      methods, scopes and ablations on the digits, resumable; rewrites the README's section: under an hour"
	@echo "make test       lint, types and the fast tests"
	@echo "make test-slow  the tests that take longer"
	@echo "make sanitize   the array tests on a core built with the address and undefined-behaviour sanitizers"
	@echo "make bench      time every measure beside its peers and rewrite the README's table and figure"
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

STUDY ?= runs/study

study: $(INSTALLED)
	$(BIN)/pqindex prune --grid digits-study --out $(STUDY)
	$(BIN)/python docs/study_section.py $(STUDY)

test: lint types
	$(BIN)/python -m pytest -m "not slow"

$(TRAINERS): $(INSTALLED)
	$(PIP) install -c constraints.txt --no-build-isolation '.[dev,trainers]'
	@touch $@

test-slow: $(TRAINERS)
	$(BIN)/python -m pytest -m slow

# A core of its own in build/sanitize, found before the installed one. Python itself is not instrumented, so the runtimes
# are preloaded, leaks (the interpreter's) are not looked for, and every allocation is malloc's.
SANITIZE := build/sanitize
SANITIZED := $(SANITIZE)/stamp
SANITIZE_FLAGS := -g1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS
SANITIZE_TESTS ?= $(filter-out tests/test_cli.py tests/test_architecture.py,$(wildcard tests/test_*.py))

$(SANITIZED): $(INSTALLED)
	$(PIP) install --upgrade --no-deps --no-build-isolation --target $(SANITIZE)/site -C build-dir=$(SANITIZE)/cmake \
		-C cmake.build-type=Debug -C cmake.define.CMAKE_CXX_FLAGS="$(SANITIZE_FLAGS)" .
	@touch $@

sanitize: $(SANITIZED)
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
		PYTHONPATH=$(SANITIZE)/site $(BIN)/python -m pytest --capture=sys -p no:cacheprovider -m "not slow" $(SANITIZE_TESTS)

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

$(PEERS): $(INSTALLED)
	$(PIP) install -c constraints.txt --no-build-isolation '.[dev,bench]'
	@touch $@

bench: $(PEERS)
	$(BIN)/python bench/report.py --run

clean:
	rm -rf build dist bench/results .mypy_cache .pytest_cache .ruff_cache .hypothesis $(TOOLS) $(INSTALLED)
