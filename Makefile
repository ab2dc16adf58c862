# Everything a newcomer or a machine runs. `make demo` and `make test` need nothing but Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
BIN := $(VENV)/bin
TESTS ?= tests
PROOF ?= 1
PYTEST := $(BIN)/python -m pytest
# what promises something in seconds comes after the rest, alone; where a path holds nothing of a kind, that is no failure
# tests also wait, for clocks and processes: one worker more than there are cores keeps the cores busy
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
TOGETHER := -n $(WORKERS) --dist loadscope --no-loadscope-reorder -m "not compose and not undisturbed"
ALONE := -m undisturbed
OR_NOTHING := || test $$? -eq 5

# processes start by the hundred in tests: what they run is compiled once
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo run test coverage proof bench compose-test check format lock clean

install: $(INSTALLED)

$(INSTALLED): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@rm -rf $(VENV)
	@if command -v uv >/dev/null; then \
		uv venv --quiet --python $(PYTHON) $(VENV) && \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		echo "Installing into $(VENV) ..." && $(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@

demo: install  ## the whole story over HTTP, told step by step, on a platform of its own
	@$(BIN)/tickgate demo

run: install  ## everything in the foreground; Ctrl-C stops it, the data stays
	@exec $(BIN)/tickgate up

test: install  ## the whole suite, on embedded servers
	$(PYTEST) $(TOGETHER) $(TESTS) $(OR_NOTHING)
	$(PYTEST) $(ALONE) $(TESTS) $(OR_NOTHING)

proof: install  ## the tests in their long forms; PROOF=long makes the longest of them; the figures are kept in proof.txt
	@date -u "+make proof, %Y-%m-%d, on $$(getconf _NPROCESSORS_ONLN) cores" > proof.txt
	TICKGATE_PROOF=$(PROOF) TICKGATE_FIGURES=$(CURDIR)/proof.txt $(PYTEST) $(TESTS)
	@cat proof.txt
	@echo "Keep the figures that are new in bench/PROOF.md."

coverage: install  ## the suite, and which lines of ours it does not run
	$(PYTEST) $(TOGETHER) --cov --cov-report=term-missing:skip-covered $(TESTS)

bench: install  ## what the speed of our own is beside the least there is; bench/README.md says how to read it
	$(BIN)/python -m bench.ingest

compose-test: install  ## the containers, for real, where a Docker engine answers
	$(BIN)/python -m pytest tests/compose -m compose -rs

check: install  ## format, lint, types, imports, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) $(TOGETHER) tests
	$(PYTEST) $(ALONE) tests

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## after a change of pyproject.toml; needs uv
	uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header --no-annotate -o requirements.lock
	uv pip compile -q pyproject.toml --extra embedded --group dev --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header --no-annotate -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) .tickgate .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
