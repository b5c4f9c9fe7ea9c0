# Two commands on a fresh machine: `make demo` and `make test`. Each sets up .venv first if that is not done.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv does not read pip's own setting for local wheels.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
# Without bytecode every `import torch` takes seconds.
unexport PYTHONDONTWRITEBYTECODE
# Two test processes on two cores: more threads would wait for each other.
unit test-ray test-long: export OMP_NUM_THREADS = 1

.PHONY: demo test lint types layers unit test-ray test-long official clean

demo: $(VENV)/.ready
	$(BIN)/inrbench eval --spec specs/quickstart.yaml

test: lint types layers unit

$(VENV)/.ready: requirements-dev.txt constraints.txt pyproject.toml $(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV) -r requirements-dev.txt
	touch $@

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy

layers: $(VENV)/.ready
	$(BIN)/lint-imports

unit: $(VENV)/.ready
	$(BIN)/python -m pytest -n 2 -m "not long and not ray"

# What starts Ray on this machine: minutes on two cores, so not part of CI.
test-ray: $(VENV)/.ready
	$(BIN)/python -m pytest -m "ray and not long"

# Minutes each; not part of CI.
test-long: $(VENV)/.ready
	$(BIN)/python -m pytest -m long

# The table of official components, from which core names the distribution to install.
official: $(VENV)/.ready
	$(BIN)/python tools/official.py

clean:
	rm -rf $(VENV) results
