# congvan: `make run` shows it, `make test` proves it. Both set everything up by themselves.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
# uv needs no pip in the environment, and to put one there takes longer than all that uv does.
MAKE_VENV := $(if $(UV),$(UV) venv -q --allow-existing --python $(PYTHON),$(PYTHON) -m venv)
SPEED ?= 0

.PHONY: help run test check bench gates soak browser clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

run: $(VENV)/.run ## the 8184 campaign on real parts; EXIT=1 ends with it, SPEED=2 plays two jumps a second
	@$(BIN)/congvan up --demo --speed $(SPEED) $(if $(EXIT),--exit)

# One more than the cores: what waits for Prefect or for a browser leaves room.
test: $(VENV)/.dev browser ## the tests, about ten minutes on two cores
	@$(BIN)/python -m pytest -n 3 --dist loadgroup

gates: $(VENV)/.dev browser ## what has to hold before a release, within an hour
	@$(BIN)/python -m tests.gates

soak: $(VENV)/.dev ## new seeds of the simulator until told to stop, or for MINUTES
	@$(BIN)/python -m tests.gates.seeds --keep --first $(shell date +%s) --minutes $(or $(MINUTES),100000)

check: $(VENV)/.dev ## ruff, types and the fast tests, in seconds
	@$(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/python -m pytest -q -x -n 2 tests/protocol/test_protocol.py tests/protocol/test_deadlines.py tests/protocol/test_cascade.py tests/protocol/test_links.py tests/test_imports_point_inward.py

bench: $(VENV)/.dev $(VENV)-peers/.ready ## beside what one would use instead, as ratios: docs/performance.md; QUICK=1 only prints
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

$(VENV)-peers/.ready: bench/requirements-peers.txt
	@$(MAKE_VENV) $(VENV)-peers
	@$(if $(UV),$(UV) pip install -q --python $(VENV)-peers/bin/python,$(VENV)-peers/bin/python -m pip install -q --disable-pip-version-check) -r $<
	@touch $@

$(VENV)/bin/python:
	@$(MAKE_VENV) $(VENV)

# Hash mode refuses an editable, and pip 23 trips over extras in a lock, hence the two steps. Without byte code every
# process compiles everything anew wherever it may not write, and takes twice as long to start; pip compiles on one core,
# so all cores do it afterwards. Some packages bring files of other Pythons, which no compiler takes.
$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	@$(if $(UV),$(UV) pip install -q --compile-bytecode --python $(BIN)/python,$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile) --no-deps --require-hashes -r requirements.lock
	@$(if $(UV),$(UV) pip install -q --python $(BIN)/python,$(BIN)/python -m pip install -q --disable-pip-version-check) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q -j 0 congvan flows tasks
	@$(if $(UV),,$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true)
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@$(if $(UV),$(UV) pip install -q --compile-bytecode --python $(BIN)/python,$(BIN)/python -m pip install -q --disable-pip-version-check --no-compile) --no-deps --require-hashes -r requirements-dev.lock
	@$(if $(UV),,$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true)
	@$(if $(UV),$(UV) pip install -q --python $(BIN)/python,$(BIN)/python -m pip install -q --disable-pip-version-check) --no-deps --no-build-isolation -e .
	@touch $(VENV)/.run $@

# The pages are tested in a real browser: CONGVAN_BROWSER, one on the PATH, else, as root on Debian, its package.
browser:
	@test -n "$$CONGVAN_BROWSER" || command -v chromium google-chrome chromium-browser >/dev/null || \
	  { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	  echo "no browser: the tests of the pages are skipped"

clean: ## forget the demo and every cache; what stands in .congvan otherwise is an installation
	@rm -rf .congvan/demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
