# Needs Python with venv, a C++ compiler and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := $(shell find CMakeLists.txt cmake csrc python README.md LICENSE -type f -not -name '*.pyc' 2>/dev/null)
CXX_FILES := $(shell find csrc tests/driver -name '*.cpp' -o -name '*.hpp' -o -name '*.cu' 2>/dev/null)
TOOLS := $(VENV)/tools.stamp
INSTALLED := $(VENV)/installed.stamp
TRAINERS := $(VENV)/trainers.stamp
PEERS := $(VENV)/peers.stamp

.PHONY: help install demo study test test-slow sanitize tsan coverage lint format types bench clean

help:
	@echo "make demo       prune a network on scikit-learn's digits with four methods and write a report"
	@echo "make study      methods, scopes and ablations on the digits, resumable; rewrites the README's section: under an hour"
	@echo "make test       lint, types and the fast tests"
	@echo "make test-slow  the tests that take longer"
	@echo "make sanitize   the array tests on a core built with the address and undefined-behaviour sanitizers"
	@echo "make tsan       every measure from several threads at once under the thread sanitizer (clang and libomp)"
	@echo "make coverage   which lines of the C++ core the array tests reach; fails below 90 %"
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
SANITIZE_FLAGS := -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS
SANITIZE_TESTS ?= $(ARRAY_TESTS) tests/checkpoint tests/prune

$(SANITIZED): $(INSTALLED)
	$(PIP) install --upgrade --no-deps --no-build-isolation --target $(SANITIZE)/site -C build-dir=$(SANITIZE)/cmake \
		-C cmake.build-type=Debug -C cmake.define.PQI_CUDA=OFF -C cmake.define.CMAKE_CXX_FLAGS="$(SANITIZE_FLAGS)" .
	@touch $@

sanitize: $(SANITIZED)
	LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libstdc++.so)" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
		PYTHONPATH=$(SANITIZE)/site $(BIN)/python -m pytest --capture=sys -p no:cacheprovider -m "not slow" $(SANITIZE_TESTS)

# Without Python, and with clang: archer tells the sanitizer what libomp's barriers order, which nothing does for libgomp.
TSAN := build/tsan
TSAN_CXX ?= clang++-19
ARCHER ?= $(shell $(TSAN_CXX) -print-file-name=libarcher.so 2>/dev/null)

tsan: $(TOOLS)
	$(BIN)/cmake -S tests/driver -B $(TSAN) -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) \
		-DCMAKE_CXX_COMPILER=$(TSAN_CXX) -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS=-fsanitize=thread
	$(BIN)/cmake --build $(TSAN)
	OMP_NUM_THREADS=3 OMP_TOOL_LIBRARIES=$(ARCHER) TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1" \
		$(TSAN)/driver 2 >$(TSAN)/lines.txt

# Lines that run once are counted, whichever instruction set's object they run in.
COVERAGE := build/coverage
COVERED := $(COVERAGE)/stamp
COVERAGE_FLAGS := -O1 -g1 --coverage -fprofile-update=atomic
ARRAY_TESTS = $(filter-out tests/test_cli.py tests/test_architecture.py tests/test_bench.py tests/test_neon.py,$(wildcard tests/test_*.py))
# What compares instruction sets and threads repeats lines that the others reach.
COVERAGE_TESTS ?= $(filter-out tests/test_reproducible.py tests/test_races.py,$(ARRAY_TESTS))

$(COVERED): $(INSTALLED)
	$(PIP) install --upgrade --no-deps --no-build-isolation --target $(COVERAGE)/site -C build-dir=$(COVERAGE)/cmake \
		-C cmake.build-type=Debug -C cmake.define.PQI_CUDA=OFF -C cmake.define.CMAKE_CXX_FLAGS="$(COVERAGE_FLAGS)" .
	@touch $@

coverage: $(COVERED)
	find $(COVERAGE)/cmake -name '*.gcda' -delete
	PYTHONPATH=$(COVERAGE)/site $(BIN)/python -m pytest -p no:cacheprovider -m "not slow" $(COVERAGE_TESTS)
	$(BIN)/gcovr --root . --filter csrc/ $(COVERAGE)/cmake --merge-mode-functions=merge-use-line-min \
		--gcov-suspicious-hits-threshold=0 --print-summary --txt --fail-under-line 90

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

format: $(INSTALLED)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

STUBTEST := $(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml

types: $(INSTALLED)
	$(BIN)/mypy
	$(STUBTEST) --allowlist tests/stubtest-allowlist.txt pqi._core
	@if $(BIN)/python -c "import pqi._cuda" 2>/dev/null; then \
		$(STUBTEST) --allowlist tests/stubtest-allowlist-cuda.txt pqi._cuda; \
	else echo "pqi._cuda was not built (no nvcc): its stub is compared with the block programs alone, by tests/test_cuda.py"; fi

$(PEERS): $(INSTALLED)
	$(PIP) install -c constraints.txt --no-build-isolation '.[dev,bench]'
	@touch $@

bench: $(PEERS)
	$(BIN)/python bench/report.py --run

clean:
	rm -rf build dist bench/results .mypy_cache .pytest_cache .ruff_cache .hypothesis $(TOOLS) $(INSTALLED)
