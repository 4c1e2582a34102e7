# Every target does its own set-up: a virtual environment in .venv, with what pyproject.toml names.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-long bench lint clean

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group dev --editable .
	touch $@

# Pages are tested in a real browser. Where it cannot be installed, those tests say that they skip.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || test -n "$$CHROMIUM" \
	|| if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else echo "no Chromium: apt-get install chromium, or the tests of pages are skipped"; fi

demo: $(READY)
	$(BIN)/khive-persist demo

test: $(READY) browser
	$(BIN)/python -m pytest -n 2 -m "not long and not crowd" --cov --cov-report=term:skip-covered
	$(BIN)/python -m pytest -m "crowd and not long"

test-long: $(READY) browser
	$(BIN)/python -m pytest -m "long or not long" --timeout 3600

bench: $(READY)
	$(BIN)/python -m benchmarks

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) dist build
