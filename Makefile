# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test bench lint clean

demo: $(VENV)/demo.stamp
	$(BIN)/tinybench run --suite vww --device nucleo-f746 --simulate
	$(BIN)/tinybench report -o report.html

test: lint
	$(BIN)/pytest -n 2 --dist worksteal $(PYTEST_ARGS)

# The long form of what tests/bench does in short: every task on four boards of a virtual desk.
bench: $(VENV)/dev.stamp
	$(BIN)/python tests/speed/four_boards.py

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist report.html

# The oracle (TensorFlow Lite Micro's own interpreter) exists for some platforms only: without it, the stored
# digests of its outputs judge.
$(VENV)/demo.stamp: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[sim,oracle]' \
	  || $(BIN)/python -m pip install --quiet -e '.[sim]'
	touch $@

$(VENV)/dev.stamp: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@ $(VENV)/demo.stamp

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "tinybench needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || $(PYTHON) -m virtualenv --quiet $(VENV) 2>/dev/null \
	  || { rm -rf $(VENV); echo "cannot make a virtual environment; \
	install Debian's python3-venv, or: $(PYTHON) -m pip install --user virtualenv" >&2; exit 7; }
