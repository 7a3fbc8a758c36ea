# `make demo` shows the program, `make test` proves it. Both set up what they need in .venv.
PYTHON ?= python3
BIN := .venv/bin
# A network namespace of its own: ports 53, 80, 443 and 172.22.1.0/24 are free in it, and no packet can leave.
NAMESPACE := unshare --net sh -c 'ip link set lo up; exec "$$@"' sh

.PHONY: demo test lint format unit system components bench clean

demo: .venv/run.stamp
	$(BIN)/sidecar demo

test: lint unit system

lint: .venv/dev.stamp
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

unit: .venv/dev.stamp components
	$(BIN)/python -m pytest --ignore=tests/system -n auto $(PYTEST)

system: .venv/dev.stamp components
	@if [ "$$(id -u)" = 0 ]; then \
	  $(NAMESPACE) $(BIN)/python -m pytest tests/system $(PYTEST); \
	elif [ -n "$$CI" ]; then echo 'system tests need root, for a network namespace and a Docker engine' >&2; exit 1; \
	else echo 'system tests skipped: they need root, for a network namespace and a Docker engine'; fi

components: .venv/dev.stamp
	tests/components/install.sh

bench: .venv/dev.stamp
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.many

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -r {} +

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.x")'
	$(PYTHON) -m venv .venv

.venv/run.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable .
	touch $@

.venv/dev.stamp: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	touch $@ .venv/run.stamp
