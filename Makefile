# Every target sets itself up: .venv is built once, with the versions of constraints.txt, and again
# only after constraints.txt or pyproject.toml changed. It needs python >= 3.11 and nothing else.

VENV := .venv
BIN := $(VENV)/bin
# Made last, so that a set-up that was cut off is done again.
READY := $(VENV)/ready
# Tried in this order; `make PYTHON=/path/to/python3.12 …` names another.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11
# torch has wheels for these, and without ensurepip (Debian's python3-venv) there is no venv.
SUITABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))

.PHONY: help demo test test-portability lint lab notebooks badges bench bench-gpu pretrain
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## base -> SFT -> SFT+DPO on the bundled model: scores, plots, compare.html in demo/
	$(BIN)/alignlab demo --out demo

test: $(READY)  ## run all tests
	$(BIN)/python -m pytest

test-portability: $(READY)  ## run every notebook with other threads, instructions, and Colab's kernel
	$(BIN)/python -m tests.portability

lint: $(READY)  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# JupyterLab has no option to show Markdown rather than its source, only this setting.
LAB_SETTINGS := $(VENV)/share/jupyter/lab/settings
SHOW_MARKDOWN := {"@jupyterlab/docmanager-extension:plugin": \
    {"defaultViewers": {"markdown": "Markdown Preview"}}}

lab: $(READY)  ## open JupyterLab on the table of chapters
	@mkdir -p $(LAB_SETTINGS)
	@echo '$(SHOW_MARKDOWN)' > $(LAB_SETTINGS)/overrides.json
	$(BIN)/jupyter lab README.md

notebooks: $(READY)  ## build the notebooks from their text, and exercises/ from solutions/
	$(BIN)/python -m alignlab.notebooks

badges: $(READY)  ## make REPO=owner/name: let the links to Colab name your copy of the course
	$(BIN)/python -m alignlab.badges $(REPO)

bench: $(READY)  ## measure speed as ratios: a table, bench.work/bench.json and a plot
	$(BIN)/python -m tests.benchmarks --json bench.work/bench.json --plots bench.work

bench-gpu: $(READY)  ## measure speed and memory on one GPU in eight minutes: tests/benchmarks/gpu.json, .png
	$(BIN)/python -m tests.benchmarks.gpu --json tests/benchmarks/gpu.json --plot tests/benchmarks/gpu.png

pretrain: $(READY)  ## rebuild the bundled base model in pretrain.work/model (hours on two cores)
	$(BIN)/alignlab pretrain --output pretrain.work/model

$(READY): constraints.txt pyproject.toml
	@rm -f $@
	@python=; for candidate in $(PYTHON); do \
	    if "$$candidate" -c '$(SUITABLE)' 2>/dev/null; then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "make: no Python 3.11 to 3.14 with venv among: $(PYTHON)." >&2; \
	    echo "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install" >&2; \
	    echo "python@3.13; conda: see environment.yml), or name it: make PYTHON=/path/to/python3 ..." >&2; \
	    exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$python" --version), once; this takes a few minutes."; \
	$(BIN)/python -c '$(SUITABLE)' 2>/dev/null && $(BIN)/python -m pip --version >/dev/null 2>&1 \
	    || "$$python" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt setuptools
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt \
	    --no-build-isolation --editable '.[dev]'
	@touch $@
