# Two environments, so that the one that a robot would use never holds PyTorch:
#   .venv      base install only   (make demo)
#   .venv-lab  base + lab + multi + sim + scale + ros + dev  (make test)
# All paths are relative: the folder's own path may contain spaces.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: help demo test test-all lint types format wheel clean

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
PIP_FLAGS := --quiet --disable-pip-version-check -c constraints.txt
DEMO_OUTPUT ?= demo-output
PYTEST_FLAGS ?=

# A stamp holds the folder that its environment was made for. In a copied or moved checkout it
# does not fit any more, and the environment is completed again.
$(shell for stamp in .venv/ready .venv-lab/ready; do \
	if [ -f $$stamp ] && [ "$$(cat $$stamp)" != "$$(pwd)" ]; then rm -f $$stamp; fi; done)

help:
	@echo "make demo      detect grasps in the sample frames (base install, no PyTorch)"
	@echo "make test      all quick tests, lint and types (installs the lab)"
	@echo "make test-all  the same and the slow tests"
	@echo "make format    let ruff format the code"
	@echo "make wheel     build dist/*.whl"
	@echo "make clean     remove environments and everything that was made"

demo: .venv/ready
	@.venv/bin/python -m graspling demo --out "$(DEMO_OUTPUT)"

test: .venv/ready .venv-lab/ready lint types
	.venv-lab/bin/python -m pytest -m "not slow" $(PYTEST_FLAGS)

test-all: .venv/ready .venv-lab/ready lint types
	.venv-lab/bin/python -m pytest $(PYTEST_FLAGS)

lint: .venv-lab/ready
	.venv-lab/bin/python -m ruff check .
	.venv-lab/bin/python -m ruff format --check .

types: .venv-lab/ready
	.venv-lab/bin/python -m mypy

format: .venv-lab/ready
	.venv-lab/bin/python -m ruff format .
	.venv-lab/bin/python -m ruff check --fix .

wheel: .venv-lab/ready
	.venv-lab/bin/python -m pip wheel $(PIP_FLAGS) --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean:
	rm -rf .venv .venv-lab build dist "$(DEMO_OUTPUT)" .pytest_cache .mypy_cache .ruff_cache

# ---- environments ---------------------------------------------------------------------------------

# $(1): folder, $(2): what to install, $(3): what it is
define environment
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "graspling needs Python 3.11 or newer; $(PYTHON) is not. Try: make PYTHON=python3.12"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv"; exit 1; }
	@echo "making $(1) ($(3)) ..."
	@"$(PYTHON)" -m venv $(1)
	@$(1)/bin/python -m pip install $(PIP_FLAGS) -e "$(2)"
	@printf '%s' "$$(pwd)" > $@
endef

.venv/ready: pyproject.toml constraints.txt
	$(call environment,.venv,.,base install)

# PyTorch goes first, alone: its pin then decides, whatever else asks for it.
.venv-lab/ready: pyproject.toml constraints.txt
	$(call environment,.venv-lab,.[lab$(comma)multi$(comma)sim$(comma)scale$(comma)ros$(comma)openvino$(comma)quantise$(comma)dev],base + lab + multi + sim + scale + ros + dev; this fetches PyTorch)

comma := ,
