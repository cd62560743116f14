# make demo | test | build | check — see README.md
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
BUILD ?= release
WORKERS ?= 4
PYTEST := $(BIN)/python -m pytest -n $(WORKERS)

.PHONY: build debug sanitize pure demo test test-slow test-sanitize check lint types bench golden docs dist clean system

build: $(VENV)/built-$(BUILD)

debug sanitize pure:
	$(MAKE) build BUILD=$@

# One build at a time is installed: a new one takes the place of the old one's stamp.
$(VENV)/built-$(BUILD): $(wildcard exporter/*.pyx exporter/_native/*.pyx exporter/_native/*.pxd) setup.py pyproject.toml $(VENV)/deps
	@if [ "$(BUILD)" != pure ]; then command -v $${CC:-gcc} >/dev/null || { echo "no C compiler: apt-get install gcc (or: make pure)" >&2; exit 1; }; \
	  $(BIN)/python -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' \
	  || { echo "no Python headers: apt-get install python3-dev (or: make pure)" >&2; exit 1; }; fi
	@rm -f $(VENV)/built-* exporter/_*.so exporter/_native/*.so
	REDPOLL_BUILD=$(BUILD) $(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/deps: requirements-test.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "CPython 3.11 or newer is needed: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(PIP) install --requirement requirements-test.lock
	@touch $@

demo: build
	@exec $(BIN)/python deploy/demo/demo.py

# What the tests need from Debian, as far as it can be had.
system:
	@deploy/test-servers.sh

test: build system
	$(PYTEST) $(ARGS)

test-slow: build system
	$(PYTEST) -m slow $(ARGS)

# What the compiled engine does, under ASan and UBSan; the release build comes back afterwards.
test-sanitize:
	$(MAKE) build BUILD=sanitize
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	  LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  $(BIN)/python -m pytest -n $(WORKERS) --capture=no --exitfirst tests/engine/test_engines.py tests/engine/test_frames.py tests/pages/test_exposition.py $(ARGS)
	$(MAKE) build

check: build lint types test

lint: build
	$(BIN)/ruff check .

types: build
	$(BIN)/mypy
	$(BIN)/mypy deploy/demo/demo.py

bench: build
	$(BIN)/python -m bench $(ARGS)

golden: build
	$(BIN)/python -m pytest tests/collectors --update-golden $(ARGS)

# The pages that come from the tables.
docs: build
	for page in metrics options; do $(BIN)/redis_exporter docs $$page > docs/$$page.new; mv docs/$$page.new docs/$$page.md; done

dist: build
	rm -rf dist
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf $(VENV) build dist *.egg-info exporter/_*.so exporter/_native/*.so
