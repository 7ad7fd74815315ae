# Everything a newcomer needs; CI calls the same targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests use at most this many processes; TensorFlow takes about a gigabyte in each.
JOBS ?= 2

.PHONY: train test test-slow lint format clean

train: $(VENV)/installed
	$(BIN)/python -m huse_tf.train --flagfile=experiments/home_goods.flags

test: $(VENV)/installed
	$(BIN)/python -m pytest -n $(JOBS)

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -n $(JOBS) -m slow

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The encoders' packages name dependencies that bring PyTorch along; only their weights are wanted.
$(VENV)/installed: requirements.txt requirements-encoders.txt setup.py
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "huse_tf needs Python 3.11, 3.12 or 3.13; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -r requirements-encoders.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV) .cache runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache
