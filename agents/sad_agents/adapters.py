"""LoRA adapters, as peft saves them: folded into their base model when they are loaded."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from safetensors.torch import load_file
from transformers import PreTrainedModel

from sad_agents.architecture import Shapes, limited_to, refuse
from sad_env.errors import ConfigError
from sad_env.safe_text import one_line

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"

_KEPT_TEXT = """
alpha_pattern bias fan_in_fan_out layers_to_transform lora_alpha modules_to_save r rank_pattern target_modules use_dora
use_rslora
"""
_KEPT = frozenset(_KEPT_TEXT.split())
"""Settings that decide what an adapter computes."""
_IDLE_TEXT = """
auto_mapping base_model_name_or_path inference_mode init_lora_weights lora_dropout megatron_core peft_type peft_version
qalora_group_size revision runtime_config task_type
"""
_IDLE = frozenset(_IDLE_TEXT.split())
"""Settings that say nothing to a finished adapter, or where it comes from."""
_MODULE = re.compile(r"[\w.-]{1,200}")


def fold(path: Path, config: Mapping[str, Any], base: PreTrainedModel, shapes: Shapes) -> PreTrainedModel:
    """The base model with an adapter in its weights.

    Args:
        path: the adapter's folder, whose tensors have been checked.
        config: content of its adapter_config.json.
        base: the model that it was trained on; it is changed.
        shapes: of the adapter's tensors.

    Raises:
        CheckpointError: another adapter than a plain LoRA, or one that does not belong to this model.
        ConfigError: peft is not installed.
    """
    try:
        import peft
    except ImportError:
        raise ConfigError("an adapter needs the package peft: pip install 'sad-env[train]'") from None
    settings = _settings(path, config)
    try:
        with warnings.catch_warnings(), limited_to(shapes):
            warnings.simplefilter("ignore")  # peft uses names that transformers has deprecated
            wrapped = peft.get_peft_model(base, peft.LoraConfig(**settings, task_type="CAUSAL_LM", inference_mode=True))
        known = {name: tensor.shape for name, tensor in peft.get_peft_model_state_dict(wrapped).items()}
    except Exception as error:
        refuse(path, f"its adapter does not fit its base model: {one_line(str(error), 120)}")
    if known != dict(shapes):
        refuse(path, "its tensors are not those that its adapter_config.json and its base model ask for")
    peft.set_peft_model_state_dict(wrapped, load_file(path / WEIGHTS_FILE))
    return cast(PreTrainedModel, wrapped.merge_and_unload())


def _settings(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    if config.get("peft_type") != "LORA":
        refuse(path, f"an adapter of the kind {one_line(str(config.get('peft_type')), 40)!r}: only LORA is read")
    other = sorted(key for key, value in config.items() if value and key not in _KEPT | _IDLE)
    if other:
        refuse(path, f"its adapter asks for {one_line(other[0], 60)!r}, which is not served")
    kept = {key: config[key] for key in _KEPT if config.get(key) is not None}
    names = [kept.get("target_modules"), kept.get("modules_to_save", []), *map(list, _patterns(path, kept))]
    # peft takes a text for a regular expression, which may run without end.
    if not all(isinstance(part, list) and all(map(_is_module, part)) for part in names):
        refuse(path, "its adapter_config.json names modules in other ways than as a list of names")
    return kept


def _patterns(path: Path, kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    patterns = [kept.get("rank_pattern", {}), kept.get("alpha_pattern", {})]
    if not all(isinstance(pattern, dict) for pattern in patterns):
        refuse(path, "its adapter_config.json holds patterns that are no JSON objects")
    return patterns


def _is_module(name: object) -> bool:
    return type(name) is str and bool(_MODULE.fullmatch(name))
