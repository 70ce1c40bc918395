"""From an untrusted configuration to a model that is no larger than the tensors of its file can fill."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from torch.nn.modules import module as torch_module
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.auto import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING
from transformers.utils import logging as hf_logging

from sad_env.errors import CheckpointError
from sad_env.json_lines import RecordError, parse_json
from sad_env.safe_text import one_line

# The auto classes are not typed.
_AutoModel: Any = AutoModelForCausalLM
_Configs: Any = CONFIG_MAPPING
_Models: Any = MODEL_FOR_CAUSAL_LM_MAPPING

Shapes = Mapping[str, torch.Size]
"""Name to shape of each tensor in a file."""

_LAYERS = re.compile(r"(layers?|blocks)$")
"""Settings that say how many layers there are."""
_NO_LAYERS = frozenset({"max_window_layers"})
_FREE = re.compile(r"theta|seed|max_length|num_labels")
"""Settings that may be large without any memory being taken for them."""
_LARGE = 2**24
_ATTENTION = ("attn_implementation", "_attn_implementation")
_IMPLEMENTATIONS = (*_ATTENTION, "experts_implementation", "_experts_implementation", "kernel_config", "use_kernels")
_PLAIN_NAME = re.compile(r"[a-z0-9_]{1,40}")
"""The name of an implementation in transformers itself; "owner/repository" names code on the hub."""
_DROPPED = frozenset({"auto_map", "num_labels", *_IMPLEMENTATIONS})
"""Settings of no use to us: code is never run, labels are no part of a language model, hardware is our own choice."""
_DTYPES = ("float32", "bfloat16", "float16")
_TIED = 4
"""A model has at most so many times the tensors of its file, which holds tied ones once and some several in one."""
_FEW = 64
_SLACK = 2**20
_BUFFER_BYTES = 2**28
"""Constant tables of a model (masks, positions) that any file may have; more must be in proportion to its weights."""


def refuse(path: Path, reason: str) -> NoReturn:
    """Say in one line why a checkpoint is not loaded."""
    raise CheckpointError(f"{one_line(str(path), 120)}: {reason}")


def check_start(path: Path) -> bytes:
    """The first bytes of a file of weights.

    Raises:
        CheckpointError: it is empty, or a Git LFS pointer.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        refuse(path, "the file is empty")
    if start.startswith(b"version https://git-lfs"):
        refuse(path, "a Git LFS pointer, not the file it stands for: run `git lfs pull`")
    return start


def parse_object(path: Path, key: str, text: str) -> dict[str, Any]:
    """A JSON object that is part of a checkpoint.

    Raises:
        CheckpointError: anything else.
    """
    try:
        value = parse_json(text)
    except RecordError as error:
        refuse(path, f"its {key} is {one_line(str(error), 100)}")
    if not isinstance(value, dict):
        refuse(path, f"its {key} is no JSON object")
    return value


def settings_of(path: Path, config: Mapping[str, Any], shapes: Shapes) -> PretrainedConfig:
    """The configuration of a causal LM that transformers itself knows. Code that a checkpoint names is never run.

    Args:
        path: for messages.
        config: content of a config.json.
        shapes: of the tensors in the checkpoint's files.

    Raises:
        CheckpointError: another kind of model, a quantised one, or numbers that its tensors are too few for.
    """
    kind = config.get("model_type")
    if type(kind) is not str or kind not in _Configs:
        if config.get("auto_map"):
            refuse(path, "refused: its configuration asks for code of its own, which is never run")
        refuse(path, f"a model of the kind {one_line(str(kind), 40)!r} is not known to the installed transformers")
    limit = max(_LARGE, sum(shape.numel() for shape in shapes.values()))
    settings = _checked(path, config, len(shapes), limit)
    try:
        with quiet_transformers():
            parsed: PretrainedConfig = _Configs[kind].from_dict(settings)
    except Exception:
        refuse(path, "its configuration describes no model that can be built")
    if type(parsed) not in _Models:
        refuse(path, f"a model of the kind {one_line(kind, 40)!r} is no causal language model")
    return parsed


def _checked(path: Path, config: Mapping[str, Any], tensors: int, limit: int) -> dict[str, Any]:
    """The settings that count, at every depth; no number but a base of angles or a seed is above the limit."""
    kept: dict[str, Any] = {}
    for key, value in config.items():
        if key in _IMPLEMENTATIONS and not _is_plain(value):
            refuse(path, f"refused: its {one_line(key, 40)} names code of the hub, which is never run")
        if key == "quantization_config" and value:
            refuse(path, "refused: its configuration asks for code or a quantisation of its own")
        counts = _LAYERS.search(key) and key not in _NO_LAYERS and type(value) in (int, float, str)
        if counts and (type(value) is not int or not 0 <= value <= tensors):
            refuse(path, f"its configuration claims more layers than its {tensors} tensors can fill")
        if not _FREE.search(key) and max(_numbers(value), default=0) > limit:
            shown = one_line(f"{key} {value}", 80)
            refuse(path, f"its model wants {shown}, its tensors hold far fewer weights")
        if key == "attention_types" and max(_numbers(value), default=0) > tensors:
            refuse(path, f"its attention_types name more layers than its {tensors} tensors can fill")
        if key in ("dtype", "torch_dtype") and value not in _DTYPES:
            continue
        if key in _ATTENTION and value in ("eager", "sdpa"):
            kept["attn_implementation"] = value
        elif key not in _DROPPED:
            kept[key] = _checked(path, value, tensors, limit) if isinstance(value, dict) else value
    return kept


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(part) for part in value.values())
    return value is None or type(value) is bool or (type(value) is str and bool(_PLAIN_NAME.fullmatch(value)))


def _numbers(value: object) -> Iterator[int]:
    if isinstance(value, list):
        for part in value:
            yield from _numbers(part)
    elif type(value) is int:
        yield value


def outline(path: Path, settings: PretrainedConfig, shapes: Shapes) -> PreTrainedModel:
    """The model without memory, on the meta device.

    Args:
        path: for messages.
        settings: from `settings_of`.
        shapes: of the tensors in the files.

    Raises:
        CheckpointError: a configuration that builds no model, or one of far more tensors.
    """
    try:
        with quiet_transformers(), torch.device("meta"), limited_to(shapes):
            model = cast(PreTrainedModel, _AutoModel.from_config(settings))
    except TooLarge:
        refuse(path, f"its configuration describes a model far larger than its {len(shapes)} tensors")
    except Exception:
        refuse(path, "its configuration describes no model that can be built")
    return model


def check_size(path: Path, model: PreTrainedModel, shapes: Shapes) -> None:
    """Refuse a model that is larger than the tensors of its file.

    Raises:
        CheckpointError: naming both sizes.
    """
    held = sum(shape.numel() for shape in shapes.values())
    needed = sum(parameter.numel() for parameter in model.parameters())
    tables = sum(buffer.numel() * buffer.itemsize for buffer in model.buffers())
    if needed > 2 * held + _SLACK:
        refuse(path, f"its configuration describes {needed:,} weights, its tensors hold {held:,}")
    if tables > 4 * held + _BUFFER_BYTES:
        refuse(path, f"its configuration describes tables of {tables:,} bytes for {held:,} weights")


class TooLarge(Exception):  # noqa: N818  (never leaves the loader)
    """A model under construction has more parts than it may."""


@contextlib.contextmanager
def limited_to(shapes: Shapes) -> Iterator[None]:
    """Within, this thread builds no model of many more tensors, weights or parts than these tensors can fill.

    A configuration may ask for memory or loops without end in many ways; whatever it asks, the building stops here.

    Raises:
        TooLarge: out of the block, when a model asks for more.
    """
    tensors = _TIED * len(shapes) + _FEW
    weights = _TIED * sum(shape.numel() for shape in shapes.values()) + _SLACK
    thread, left = threading.get_ident(), {"tensors": tensors, "weights": weights, "parts": 16 * tensors}

    def spend(**amounts: int) -> None:
        if threading.get_ident() == thread:
            for what, amount in amounts.items():
                left[what] -= amount
            if min(left.values()) < 0:
                raise TooLarge("far larger than its tensors")

    def parameter(_module: object, _name: str, value: torch.Tensor | None) -> None:
        spend(tensors=1, weights=0 if value is None else value.numel())

    handles = (
        torch_module.register_module_parameter_registration_hook(parameter),
        torch_module.register_module_module_registration_hook(lambda *_: spend(parts=1)),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _OneLine(logging.Filter):
    """Makes what a checkpoint says of itself harmless on a terminal."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = one_line(record.getMessage(), 400), ()
        return True


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Within, transformers shows no progress bar and logs errors alone, without control characters."""
    logger = logging.getLogger("transformers")
    bars, level, safe = hf_logging.is_progress_bar_enabled(), hf_logging.get_verbosity(), _OneLine()
    hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    hf_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    for handler in logger.handlers:
        handler.addFilter(safe)
    try:
        yield
    finally:
        for handler in logger.handlers:
            handler.removeFilter(safe)
        hf_logging.set_verbosity(level)
        if bars:
            hf_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
