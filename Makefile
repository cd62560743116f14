SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# without a compiler it stays so: `make build BUILD=release` compiles again
BUILD ?= $(if $(wildcard $(VENV)/built-pure),pure,release)
WORKERS ?= 4
# how long `make soak` watches, and `make fuzz` fuzzes
FOR ?= 1h
# idle workers take tests of busy ones: the slowest tests are in few folders
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
#: what a build leaves in the source tree: modules, and C where coverage looks for it
MADE := exporter/_*.so exporter/*/*.so exporter/_*.c exporter/_native/*.c
#: modules of Python that a build with a compiler compiles
COMPILED := $(shell grep -v '^\#' exporter/compiled_modules.txt)

.PHONY: help image manifests build debug sanitize pure demo test test-slow test-deploy tools test-sanitize coverage fuzz mutants check lint types bench soak audit golden screenshots docs dashboards release dist clean system

help: ## show this list
	@sed -nE 's/^([a-z][a-z -]*):[^#=]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r names text; do printf '  %-22s %s\n' "$$names" "$$text"; done
	@echo 'ARGS="-k name" adds arguments; WORKERS=2 sets the number of test processes; PYTHON=python3.12 chooses the Python.'

build: $(VENV)/built-$(BUILD) ## create .venv and compile the exporter into it

debug sanitize pure: ## build with checks and debug symbols, with sanitizers, or without a compiler
	$(MAKE) build BUILD=$@

# One build at a time is installed: a new one takes the place of the old one's stamp.
$(VENV)/built-$(BUILD): $(wildcard exporter/*.pyx exporter/_native/*.pyx exporter/_native/*.pxd) $(COMPILED) exporter/compiled_modules.txt setup.py pyproject.toml $(VENV)/deps
	@if [ "$(BUILD)" != pure ]; then command -v $${CC:-gcc} >/dev/null || { echo "no C compiler: apt-get install gcc (or: make pure)" >&2; exit 1; }; \
	  $(BIN)/python -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' \
	  || { echo "no Python headers: apt-get install python3-dev (or: make pure)" >&2; exit 1; }; fi
	@rm -f $(VENV)/built-* $(MADE)
	@[ "$(BUILD)" = pure ] || echo "compiling the exporter" >&2
	REDPOLL_BUILD=$(BUILD) $(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/deps: requirements-test.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "CPython 3.11 or newer is needed: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@echo "downloading the packages of requirements-test.lock into $(VENV): a minute or more" >&2
	$(PIP) install --requirement requirements-test.lock
	@touch $@

# What only tests and releases need is large, so the demo does not wait for it.
$(VENV)/deps-tools: requirements-tools.lock $(VENV)/deps
	@echo "downloading the packages of requirements-tools.lock into $(VENV): a minute or more" >&2
	$(PIP) install --no-deps --requirement requirements-tools.lock
	@touch $@

demo: build ## start three Redis servers, a little load and the exporter on :9121
	@exec $(BIN)/python deploy/demo/demo.py

system: ## install the servers that the tests need (as root, with apt-get)
	@deploy/test-servers.sh

test: build system $(VENV)/deps-tools ## run the tests except the slow ones
	$(PYTEST) $(ARGS)

# One worker runs a whole class, or all functions of a file: those that share a build, or fill the machine.
test-slow: build system $(VENV)/deps-tools ## run the slow tests
	$(PYTEST) --dist loadscope -m slow $(ARGS)

tools: ## install Docker and build the newest Prometheus and helm, for make test-deploy
	@deploy/test-tools.sh

test-deploy: build system tools $(VENV)/deps-tools ## test images, charts and discovery with the real programs
	PATH="$(CURDIR)/.tools/bin:$$PATH" $(PYTEST) -m deploy $(ARGS)

# The release build comes back afterwards.
test-sanitize: ## run the engine's tests under ASan and UBSan
	$(MAKE) build BUILD=sanitize
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	  LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  $(BIN)/python -m pytest -n $(WORKERS) --timeout=600 --capture=no --exitfirst tests/engine tests/connection/test_burst.py tests/pages/test_exposition.py tests/pages/test_page.py tests/pages/test_segments.py $(ARGS)
	$(MAKE) build BUILD=release

$(VENV)/deps-fuzz: requirements-fuzz.lock $(VENV)/deps
	$(PIP) install --no-deps --requirement requirements-fuzz.lock
	@touch $@

# The engine with sanitizers is built beside the installed one, which stays as it is.
fuzz: build system $(VENV)/deps-fuzz ## feed mutated inputs to every reader, for FOR=10m in all; exit 1 at a crash
	REDPOLL_BUILD=fuzz $(BIN)/python setup.py --quiet build --build-base build/fuzz --build-lib build/fuzz/lib
	$(BIN)/python -m tests.fuzz --for=$(FOR) $(ARGS)

mutants: build $(VENV)/deps-tools ## make 300 mutants of the plain engine's parsers; exit 1 if tests notice too few
	$(BIN)/python -m tests.mutation $(ARGS)

# The figures are printed even if tests fail: traced code is slow, and some tests have limits of time.
# Tests of threads are left out: a tracer lets others run within steps of the engine that nothing interrupts.
coverage: system ## show which lines the tests run, in Python and in Cython (slow)
	$(MAKE) build BUILD=coverage
	$(BIN)/coverage erase
	trap '$(MAKE) build BUILD=release' EXIT; \
	status=0; $(BIN)/coverage run -m pytest -n $(WORKERS) --timeout=600 --ignore=tests/engine/test_threads.py $(ARGS) || status=$$?; \
	$(BIN)/coverage combine --quiet; \
	$(BIN)/coverage report --include='*.py'; \
	$(BIN)/coverage report --include='*.pyx'; \
	exit $$status

check: build lint types test ## run lint, types and tests

lint: build ## check style, format and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: build $(VENV)/deps-tools ## check types
	$(BIN)/mypy
	$(BIN)/mypy deploy/demo/demo.py
	$(BIN)/mypy deploy/release/build.py

bench: build ## measure parsing, polling and serving on this machine
	$(BIN)/python -m bench $(ARGS)

audit: $(VENV)/deps-tools ## look up known vulnerabilities of the locked packages
	$(BIN)/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement requirements-test.lock

soak: build ## watch for FOR=1h whether the exporter grows while targets come, go and flap
	$(BIN)/python -m bench.soak --for $(FOR) $(ARGS)

screenshots: build system $(VENV)/deps-tools ## make the pictures of docs/images again; look at each
	$(BIN)/python -m pytest -m chromium --screenshots tests/system $(ARGS)

golden: build ## write the expected pages again
	$(BIN)/python -m pytest tests/collectors tests/system/test_server_kinds.py --update-golden $(ARGS)

docs: build ## write docs/metrics.md, docs/options.md and the schema of the configuration file from the tables
	for page in metrics options; do $(BIN)/redis_exporter docs $$page > docs/$$page.new; mv docs/$$page.new docs/$$page.md; done
	$(BIN)/redis_exporter docs schema > docs/redis_exporter.schema.json.new && mv docs/redis_exporter.schema.json.new docs/redis_exporter.schema.json

dashboards: build $(VENV)/deps-tools ## write the dashboards for Grafana from their code
	$(BIN)/python -m deploy.grafana.src deploy/grafana/dashboards

manifests: build ## write the rules of deploy/prometheus/rules as a manifest for the Prometheus operator
	$(BIN)/python deploy/kubernetes/prometheus_rule.py > deploy/kubernetes/monitoring/prometheusrule.yaml.new
	mv deploy/kubernetes/monitoring/prometheusrule.yaml.new deploy/kubernetes/monitoring/prometheusrule.yaml

release: build $(VENV)/deps-tools ## build wheel, program, .deb and checksums of the newest commit
	$(BIN)/python deploy/release/build.py $(ARGS)

dist: build ## make the sdist and the wheel
	rm -rf dist
	$(BIN)/python -m build --no-isolation

# The base may be any with Python 3.11 and apt-get. CONTEXT may be a copy of this folder with a folder wheelhouse.
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' exporter/__init__.py)
TARGET ?= exporter
IMAGE ?= redpoll:$(VERSION)$(if $(filter bash,$(TARGET)),-bash)
BASE ?= python:3.13-slim
CONTEXT ?= .
COMMIT = $(shell git rev-parse HEAD 2>/dev/null)
COMMIT_TIME = $(shell git log -1 --format=%ct 2>/dev/null || date +%s)
image: ## build the Docker image redpoll:VERSION; with TARGET=bash the one that has a shell
	docker build --file Dockerfile --target $(TARGET) --tag $(IMAGE) --build-arg BASE=$(BASE) --build-arg VERSION=$(VERSION) \
	  --build-arg REVISION=$(COMMIT) --build-arg REDPOLL_COMMIT=$(COMMIT) --build-arg SOURCE_DATE_EPOCH=$(COMMIT_TIME) \
	  --build-arg REDPOLL_BRANCH="$$(git branch --show-current 2>/dev/null)" \
	  --build-arg CREATED="$$(date -u -d @$(COMMIT_TIME) +%Y-%m-%dT%H:%M:%SZ)" $(ARGS) $(CONTEXT)

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) build dist mutants *.egg-info .coverage .coverage.* $(MADE)
