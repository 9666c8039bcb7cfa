# make up     install, start the whole system with a demonstration site, print the address of the page
# make test   every test
# make chaos  a million records through two hundred faults; make chaos SEED=… has an earlier run again
# make check  static checks: ruff, mypy, import-linter, the page's types
# make workshop       the environment for training, in .venv-train (PyTorch: some gigabytes)
# make test-workshop  the tests that need it
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UP ?=

.PHONY: up install page test chaos check format docs lock clean workshop test-workshop

up: install page
	@$(BIN)/vedette up $(UP)

install: $(VENV)/.installed

$(VENV)/.installed: requirements/all.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Vedette needs Python 3.11 or newer; name one: make PYTHON=python3.12 up" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python has no venv; install it: apt-get install python3-venv" >&2; exit 2; }
	@echo "[1/3] installing Python packages into $(VENV) (about a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/all.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

PAGE_SOURCES := $(shell find cloud/console -path cloud/console/node_modules -prune -o -path cloud/console/dist -prune -o -type f -print 2>/dev/null)

page: install cloud/console/dist/index.html

cloud/console/dist/index.html: $(PAGE_SOURCES) | install
	@echo "[2/3] building the page"
	@$(BIN)/python -m vedette.page build

test: install page
	@$(BIN)/python -m pytest $(TESTS)

CHAOS := $(foreach option,SEED RECORDS FAULTS PAUSE CUTS,$(if $($(option)),--$(shell echo $(option) | tr A-Z a-z) $($(option))))
chaos: install
	@$(BIN)/python -m tests.chaos $(CHAOS)

# Training needs PyTorch, and ultralytics for comparison, which brings the other OpenCV: it has an environment of its own.
TRAIN := .venv-train
workshop: $(TRAIN)/.installed

$(TRAIN)/.installed: requirements/train.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Vedette needs Python 3.11 or newer; name one: make PYTHON=python3.12 workshop" >&2; exit 2; }
	@echo "installing PyTorch and the packages for training into $(TRAIN) (some gigabytes, once)"
	@test -x $(TRAIN)/bin/python || $(PYTHON) -m venv $(TRAIN)
	@$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/train.lock
	@$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The servers that the other tests start are not installed there: their fixtures are left out.
WORKSHOP_TESTS := tests/models/test_network.py tests/models/test_training.py tests/models/test_trainer.py tests/models/test_parts.py tests/models/test_crowd.py
test-workshop: workshop
	@$(TRAIN)/bin/python -m pytest --confcutdir=tests/models $(WORKSHOP_TESTS)

check: install page
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m vedette.page check

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install
	$(BIN)/python -m vedette.documents

# The lock files name hashes and no index; they serve Python 3.11 and later, x86_64 and aarch64.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate pyproject.toml
lock:
	$(LOCK) --extra edge -o requirements/edge.lock
	$(LOCK) --extra edge --extra openvino --extra cloud --extra parquet --extra dev -o requirements/all.lock
	$(LOCK) --extra train --extra workshop -o requirements/train.lock

clean:
	rm -rf $(VENV) $(TRAIN) cloud/console/node_modules cloud/console/dist .mypy_cache .ruff_cache .pytest_cache
