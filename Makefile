# The tasks of a developer. CI calls the same targets.
PYTHON ?= python3
# Number of test processes. TensorFlow takes about a gigabyte in each.
JOBS ?= 2
# Share of all possible changes that `mutate` tries. A change takes a few seconds.
SHARE ?= 0.1
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help train test test-slow test-runtimes docs mutate lint format clean

help:  ## show this list
	@echo "Targets. The first one that needs the environment $(VENV) makes it. Another Python: make PYTHON=python3.12 test"
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

train: $(VENV)/installed  ## train, measure and export on the bundled catalogue, into runs/home_goods
	$(BIN)/python -m huse_tf.train --flagfile=experiments/home_goods.flags

test: $(VENV)/installed  ## the default tests
	$(BIN)/python -m pytest -n $(JOBS) --dist=loadfile

test-slow: $(VENV)/installed  ## the slow tests
	$(BIN)/python -m pytest -n $(JOBS) --dist=loadfile -m slow

test-runtimes: $(VENV)/installed-runtimes  ## the tests of ONNX, LiteRT, OpenVINO and JAX; installs another 750 MB
	$(BIN)/python -m pytest -m slow tests/serving/test_runtimes.py

docs: $(VENV)/installed-docs  ## build the documentation site into site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

mutate: $(VENV)/installed  ## change the source at random and report changes that no test detects; SHARE=0.1
	$(BIN)/python benchmarks/mutation.py $(addprefix huse_tf/,losses heads changes evaluation training distribute.py) \
		--skip plots.py report.py class_graph_page.py comparison_page.py embedding_map.py --share=$(SHARE)

lint: $(VENV)/installed  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed  ## correct style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and the caches; keep runs/ and saved_models/
	rm -rf $(VENV) .cache build site *.egg-info .pytest_cache .mypy_cache .ruff_cache

# Without dependencies: the packages of the encoders depend on PyTorch, but only their weights are needed.
$(VENV)/installed: requirements.txt requirements-encoders.txt setup.py
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("huse_tf needs Python 3.11, 3.12 or 3.13; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...")'
	@echo "Installing into $(VENV): about 3 GB, a few minutes."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet -r requirements.txt
	@$(BIN)/python -m pip install --quiet --no-deps -r requirements-encoders.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/installed-runtimes: $(VENV)/installed requirements-runtimes.txt
	@$(BIN)/python -m pip install --quiet -c requirements.txt -r requirements-runtimes.txt
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed requirements-docs.txt
	@$(BIN)/python -m pip install --quiet -c requirements.txt -r requirements-docs.txt
	@touch $@
