# Every target does its own set-up: a virtual environment in .venv, with what pyproject.toml names.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Tests start thousands of interpreters: one that may not keep what it compiled does it all again.
unexport PYTHONDONTWRITEBYTECODE

# The dashboard, built from web/ by Node. Without Node the server says at / that it is not there.
PAGE := src/khive_persist/server/web/index.html
PAGE_SOURCES := $(wildcard web/*.json web/*.js web/*.html web/.npmrc) $(shell find web/src web/public -type f)

.PHONY: demo test test-long coverage bench lint clean web docs pictures

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group dev --editable .
	touch $@

# Pages are tested in a real browser: in its build without windows, which takes half of the time,
# where that can be had. Where none can be installed, those tests say that they skip.
.PHONY: browser
browser:
	@command -v chromium-headless-shell >/dev/null || test -n "$$CHROMIUM" \
	|| if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq; export DEBIAN_FRONTEND=noninteractive; \
		apt-get install -qq -y --no-install-recommends chromium-headless-shell >/dev/null 2>&1 \
		|| command -v chromium >/dev/null || command -v google-chrome >/dev/null \
		|| apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else command -v chromium >/dev/null || command -v google-chrome >/dev/null \
		|| echo "no Chromium: apt-get install chromium, or the tests of pages are skipped"; fi

# A loss of power is shown from what a process asked the system for. Without strace those tests skip.
.PHONY: tracer
tracer:
	@command -v strace >/dev/null \
	|| if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends strace >/dev/null; \
	else echo "no strace: apt-get install strace, or the tests of power losses are skipped"; fi

# A team's records go over NATS, too. Without its server those tests skip.
.PHONY: nats
nats:
	@PATH="$$PATH:/usr/sbin" command -v nats-server >/dev/null \
	|| if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends nats-server >/dev/null 2>&1; \
	else echo "no nats-server: apt-get install nats-server, or the tests of teams are skipped"; fi

# Ten machines, three servers of NATS, two collectors and PostgreSQL, of which one each is killed.
.PHONY: team
team: $(READY) nats
	$(BIN)/python -m examples.team $(WITH)

demo: $(READY)
	$(BIN)/khive-persist demo

web: $(PAGE)

$(PAGE): $(PAGE_SOURCES)
	@if command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then cd web && npm ci --silent && npm run --silent build; \
	else echo "no Node 20 or newer: the dashboard is not built, and its tests are skipped"; fi

# Most of the time on a disk is waiting for its syncs, which tests of power losses look at without
# one. Where no memory is free, and for test-long, it is a disk. Other users, whom tests play, have
# to reach their own folders in it.
MEMORY := $(shell grep -qs ' /dev/shm .*noexec' /proc/mounts || df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 4000000 {print "/dev/shm"}')

test: $(READY) $(PAGE) browser tracer nats
	@folder=$$(mktemp -d $(or $(MEMORY),$${TMPDIR:-/tmp})/khive.XXXXXX) && export TMPDIR="$$folder" \
	&& chmod 711 "$$folder" \
	&& trap 'rm -rf "$$folder"' EXIT && trap 'exit 130' INT TERM \
	&& $(BIN)/python -m pytest -n 4 --dist worksteal -m "not long and not crowd and not postgres" \
	&& $(BIN)/python -m pytest -m "(crowd or postgres) and not long" tests/concurrency tests/server tests/postgres

test-long: $(READY) $(PAGE) browser tracer nats
	$(BIN)/python -m pytest -m "long or not long" --timeout 3600 --hypothesis-profile=thorough

# Apart from `test`: to count the lines doubles its time.
coverage: $(READY) $(PAGE) browser tracer
	$(BIN)/python -m pytest -n 2 -m "not long and not crowd and not postgres" --cov --cov-report=term:skip-covered

# Each sync, rename, lock and checkpoint taken out of a copy of the code: the test that is red for it.
.PHONY: guards
guards: $(READY) $(PAGE) tracer
	$(BIN)/python -m tests.guards

# The wheels of all platforms, each with its compiled hook, and one for any other, in dist.
TARGETS := x86_64-linux aarch64-linux x86_64-macos aarch64-macos
COMPILERS_READY := $(VENV)/.ready-native

$(COMPILERS_READY): pyproject.toml $(READY)
	$(BIN)/python -m pip install --quiet --group native
	touch $@

.PHONY: wheels
wheels: $(COMPILERS_READY) $(PAGE)
	for target in $(TARGETS); do \
		KHIVE_TARGET=$$target $(BIN)/python -m build --no-isolation --wheel || exit 1; done
	KHIVE_PURE=1 $(BIN)/python -m build --no-isolation --wheel
	$(BIN)/python -m build --no-isolation --sdist

# The compiled hook on systems that answer anything: ten million inputs. Clang comes where it can.
.PHONY: fuzz
fuzz: $(READY)
	@command -v clang >/dev/null \
	|| if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends clang libclang-rt-dev >/dev/null; \
	else echo "no clang: apt-get install clang"; fi
	$(BIN)/python -m pytest -q -m "long or not long" --timeout 3600 tests/native

bench: $(READY)
	@$(MAKE) --no-print-directory $(COMPILERS_READY) \
	|| echo "no ziglang: the hook is compiled by the system's compiler"
	$(BIN)/python -m benchmarks

# The real programs of the clients, from npm, against a model on loopback: about 2 GB, and an hour.
# WITH has options, as WITH="--client codex --pin codex=0.171.0".
.PHONY: clients
clients: $(COMPILERS_READY) $(PAGE)
	$(BIN)/python -m clients $(WITH)

# The site, in build/docs: open build/docs/index.html. A broken link or a warning ends it.
DOCS_READY := $(VENV)/.ready-docs

$(DOCS_READY): pyproject.toml $(READY)
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

docs: $(DOCS_READY)
	$(BIN)/python -m sphinx --builder html --fresh-env --fail-on-warning --keep-going --quiet \
		--doctree-dir build/doctrees docs build/docs

# The dashboard's types of answers, from the OpenAPI document; a test says where they are old.
.PHONY: api-types
api-types: $(READY)
	$(BIN)/python -m tests.server.api_types

# The pictures of docs/pictures, from sample sessions.
pictures: $(READY) $(PAGE) browser
	$(BIN)/python -m tests.dashboard.pictures docs/pictures

lint: $(READY) $(DOCS_READY) $(PAGE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m long tests/unit/test_examples_in_documents.py
	$(BIN)/lint-imports
	@if test -d web/node_modules; then cd web && npm run --silent check; fi

clean:
	rm -rf $(VENV) dist build web/node_modules $(dir $(PAGE))
