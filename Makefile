# `make demo` shows the program (`make demo STAY=1` keeps its page open), `make test` proves it. Both set up what they
# need in .venv. As root, `make test` also installs packages: `tests/components/install.sh` says which beforehand.
PYTHON ?= python3
BIN := .venv/bin
# A network namespace of its own: ports 53, 80, 443 and 172.22.1.0/24 are free in it, and no packet can leave.
NAMESPACE := unshare --net sh -c 'ip link set lo up; exec "$$@"' sh

# Without bytecode on the disk each worker, and each process that a test starts, would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# What `make lock` and `make audit` need; it is no part of what is built, tested or run.
TOOLS := .venv/tools
COMPILE := $(TOOLS)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate

# A .venv that was left half made, or whose Python has gone, is made again.
$(shell [ ! -e .venv ] || .venv/bin/python -c 'import pip' 2>/dev/null || rm -rf .venv/bin .venv/*.stamp)
# pycountry-convert, which octodns-route53 needs, names its test tools as if it needed them to run: not in the image.
NOT_TO_RUN := coverage colorama iniconfig packaging pluggy pprintpp pytest pytest-cov pytest-mock wheel

.PHONY: demo test lint format unit unit-image integration system components bare bench lock pin audit clean

demo: .venv/run.stamp
	$(BIN)/python -m demo $(if $(STAY),--stay)

# System tests first: what they install (shells, databases) the integration tests use where it is there.
test: lint unit unit-image system integration

lint: .venv/dev.stamp
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

UNIT := -m 'not integration and not system' --ignore tests/system -n auto

# No process, no demo: what is decided, and how it is read and written.
unit: .venv/dev.stamp
	$(BIN)/python -m pytest $(UNIT) $(PYTEST)

# The same on the image's Python, in a Debian that has it.
unit-image: .venv/dev.stamp components
	tests/on_image_python.sh -m pytest -p no:cacheprovider $(UNIT) $(PYTEST)

# Whole processes of the sidecar on loopback: kills, the demo, the commands, fuzzing. Needs nothing installed.
# And the property tests again, with many more examples than `make unit` tries.
integration: .venv/dev.stamp
	$(BIN)/python -m pytest -m '(integration or hypothesis) and not system' --hypothesis-profile thorough -n auto $(PYTEST)

system: .venv/dev.stamp components
	@if [ "$$(id -u)" = 0 ]; then \
	  $(NAMESPACE) $(BIN)/python -m pytest -m system $(PYTEST); \
	elif [ -n "$$CI" ]; then echo 'system tests need root, for a network namespace and a Docker engine' >&2; exit 1; \
	else echo 'system tests skipped: they need root, for a network namespace and a Docker engine'; fi

components: .venv/dev.stamp
	tests/components/install.sh

# The README's commands on a bare Debian 12 that is made for it: half an hour, as root, with a way to the package indexes.
bare:
	tests/bare_machine.sh

# The sidecar runs with what the image has: optional parts of libraries that only tests need would cost memory.
# Four minutes at most for 10 domains, and for 1,000; three for the first day of 5,000.
bench: .venv/dev.stamp .venv/bench/stamp
	SIDECAR_PYTHON=.venv/bench/bin/python $(BIN)/python -m tests.bench
	SIDECAR_PYTHON=.venv/bench/bin/python $(BIN)/python -m tests.bench.many

# All that is installed, in its newest allowed version, for Python 3.11 and later on every platform, with hashes:
# what runs, what hosted DNS needs beside it, what builds, what only develops. The Dockerfile and this file take the
# parts by their headings.
lock: $(TOOLS)/stamp
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' > $(TOOLS)/build.in
	rm -f $(TOOLS)/*.txt
	$(COMPILE) --extra dns --extra dev pyproject.toml $(TOOLS)/build.in -o $(TOOLS)/all.txt
	$(COMPILE) --constraint $(TOOLS)/all.txt pyproject.toml -o $(TOOLS)/run.txt
	$(COMPILE) --constraint $(TOOLS)/all.txt --extra dns pyproject.toml -o $(TOOLS)/dns.txt \
	  $(patsubst %,--no-emit-package %,$(NOT_TO_RUN)) \
	  $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/--no-emit-package \1/p' $(TOOLS)/run.txt)
	$(COMPILE) --constraint $(TOOLS)/all.txt $(TOOLS)/build.in -o $(TOOLS)/build.txt
	$(COMPILE) --constraint $(TOOLS)/all.txt --extra dns --extra dev pyproject.toml -o $(TOOLS)/dev.txt \
	  $$(sed -n 's/^\([A-Za-z0-9._-]*\)==.*/--no-emit-package \1/p' $(TOOLS)/run.txt $(TOOLS)/dns.txt $(TOOLS)/build.txt)
	{ echo '# Made by `make lock`; not to be edited.'; for part in run dns build dev; do \
	  echo "# $$part"; cat $(TOOLS)/$$part.txt; done; } > $(TOOLS)/lock.new
	mv $(TOOLS)/lock.new requirements.lock

# The newest image of that name, by its digest; asks the registry.
pin:
	digest=$$(docker buildx imagetools inspect python:3.14-slim --format '{{.Manifest.Digest}}') && \
	  expr "$$digest" : 'sha256:[0-9a-f]\{64\}$$' >/dev/null && \
	  sed -i "s/^\(ARG PYTHON_IMAGE=python:3.14-slim\)@.*/\1@$$digest/" Dockerfile

# Known faults of what is locked; asks the package index, and fails where that does not tell of all.
audit: $(TOOLS)/stamp
	$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -r {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.x")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo '$(PYTHON) cannot make a virtual environment. On Debian or Ubuntu, as root: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv

.venv/run.stamp: pyproject.toml requirements.lock | .venv/bin/python
	sed '/^# dns$$/,/^# build$$/d; /^# dev$$/,$$d' requirements.lock > .venv/run.txt
	$(PIP) --require-hashes --requirement .venv/run.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

.venv/dev.stamp: pyproject.toml requirements.lock | .venv/bin/python
	$(PIP) --require-hashes --requirement requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@ .venv/run.stamp

.venv/bench/stamp: pyproject.toml requirements.lock | .venv/bin/python
	$(PYTHON) -m venv .venv/bench
	sed '/^# build$$/,$$d' requirements.lock > .venv/bench/run.txt
	.venv/bench/bin/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps --requirement .venv/bench/run.txt
	touch $@

$(TOOLS)/stamp: Makefile | .venv/bin/python
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install -qq --disable-pip-version-check uv==0.13.9 pip-audit==2.10.1
	touch $@
