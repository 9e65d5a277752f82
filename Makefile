# Everything runs in one environment, .venv. pip reads its own settings (indexes, find-links, constraints) as always.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: demo test slow lint docs install peers clean
.DEFAULT_GOAL := demo

demo: $(STAMP)
	$(BIN)/countermark demo --output demo --force

test: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 -m "not slow"

slow: $(STAMP)
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m countermark.cli.reference docs/commands.md
	$(BIN)/python -m benchmarks.attacks.reference docs/attacks.md

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Countermark needs Python 3.11 or later: name one with make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is missing: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --progress-bar off --no-compile -c constraints.txt -e ".[test]"
	@touch $@

# Published watermarks of others, for `countermark bench watermarks`: they need other builds than ours.
peers:
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is missing: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --progress-bar off --no-compile --no-deps -r benchmarks/peers/requirements.txt
	.venv-peers/bin/python benchmarks/peers/serve.py --reasons

clean:
	rm -rf build demo .pytest_cache .ruff_cache .mypy_cache
