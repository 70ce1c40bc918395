"""Student checkpoints: one `*.pt` file of tensors and plain JSON, or a folder with safetensors; nothing that runs code.

A `*.pt` file is what `torch.save` makes of one dict:

    format            "sad-student-1"
    config            the model's configuration, JSON text
    tokenizer         the content of tokenizer.json
    tokenizer_config  special tokens by role, and the chat template of a student that chats, JSON text
    record            how the student was trained and is to be used, JSON text
    weights           name -> tensor; tied tensors once
    action_head       only of a student that acts by one: kind and actions (JSON text), and weights: name -> tensor

It is read with `weights_only=True` and `mmap=True`, after its zip directory and before its weights have been checked.
What a file says of itself reaches a message only through `safe_text`.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from sad_agents.architecture import (
    check_size,
    check_start,
    outline,
    parse_object,
    quiet_transformers,
    refuse,
    settings_of,
)
from sad_agents.model_folder import CHAT_TEMPLATE, ROLES, check_vocabulary, load_folder, plain_tokenizer
from sad_agents.sampling.action_head import HEAD_FILE, ActionHead, made_head, read_head
from sad_agents.student_folder import save_folder
from sad_env.errors import ConfigError
from sad_env.files import atomic_bytes
from sad_env.safe_text import one_line

_AutoModel: Any = AutoModelForCausalLM  # not typed

FORMAT = "sad-student-1"

_TEXTS = ("format", "config", "tokenizer", "tokenizer_config", "record")
_HEAD = "action_head"
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_PICKLE_BYTES = 32 * 2**20
"""The part of a checkpoint that is not tensors: names, shapes, configuration and tokenizer."""


class Student(NamedTuple):
    """A loaded checkpoint."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    record: dict[str, Any]


def save_student(
    path: Path | str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    record: Mapping[str, Any],
    head: ActionHead | None = None,
) -> Path:
    """Write a checkpoint atomically: a file when `path` ends with ".pt", a folder otherwise.

    Args:
        path: where to.
        model: any causal LM that `_AutoModel.from_config` can build from `model.config`.
        tokenizer: a fast tokenizer.
        record: plain JSON values: how the student was trained. `record["acting"]` may hold `prompt` (the text it was
            trained to see first), `window` (`budget`, `room`, `keep` of `Windowing`), `form` (a name of
            `sad_env.transcript.FORMS`), `chat` (true: in turns of the tokenizer's chat template, which is saved) and
            `action_head` (the kind of `head`).
        head: chooses its actions.

    Raises:
        ConfigError: a tokenizer without tokenizer.json, or weights that are not finite.
    """
    target = Path(path)
    weights = unique_weights(model)
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise ConfigError(f"not saved: the weights {name!r} hold NaN or infinity")
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ConfigError("a student needs a fast tokenizer (one with a tokenizer.json)")
    text = json.dumps(dict(record), allow_nan=False)
    if target.suffix == ".pt":
        content = {
            "format": FORMAT,
            "config": json.dumps(model.config.to_dict(), default=str),
            "tokenizer": tokenizer.backend_tokenizer.to_str(),
            "tokenizer_config": json.dumps({**_special_tokens(tokenizer), **_chat_template(tokenizer, record)}),
            "record": text,
            "weights": _plain(weights),
            **({} if head is None else {_HEAD: _head_content(head)}),
        }
        with atomic_bytes(target) as file:
            torch.save(content, file)
        return target
    return save_folder(target, model, tokenizer, record, head=head)


def _plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _head_content(head: ActionHead) -> dict[str, Any]:
    return {"kind": head.kind, "actions": json.dumps(head.actions), "weights": _plain(head.float().state_dict())}


def load_head(path: Path | str, width: int) -> ActionHead:
    """The action head of a checkpoint whose record says that it has one.

    Args:
        path: as of `load_student`.
        width: of the student's states.

    Raises:
        CheckpointError: there is none, or it is not sound.
    """
    source = Path(path)
    if source.is_dir():
        return read_head(source / HEAD_FILE, width)
    head = _content(source).get(_HEAD)
    if not isinstance(head, dict):
        refuse(source, "its record says that it acts by an action head, and it holds none")
    return made_head(source, {**head, "weights": _checked_weights(source, head.get("weights"))}, width)


def load_student(path: Path | str, *, device: str = "cpu", dtype: torch.dtype | None = None) -> Student:
    """Load a checkpoint of either form.

    Args:
        path: a `*.pt` file, or a folder in the layout of transformers with safetensors.
        device: where the model goes.
        dtype: of the weights; None keeps theirs.

    Raises:
        CheckpointError: anything else than a sound, safe checkpoint, in one line.
    """
    source = Path(path)
    if source.is_dir():
        student = Student(*load_folder(source))
    elif source.is_file():
        student = _load_file(source)
    else:
        refuse(source, "no such file or folder")
    cast_weights(student.model, dtype)
    module = cast(torch.nn.Module, student.model).to(device=device)
    module.train(False)
    return student


def cast_weights(model: PreTrainedModel, dtype: torch.dtype | None) -> None:
    """Give the weights another precision, and leave what is computed as it was computed.

    Frequencies of rotary embeddings are float32 in transformers and vLLM whatever the weights are, and `Module.to`
    would round them with the rest.

    Args:
        model: changed in place.
        dtype: None keeps that of the weights.
    """
    if dtype is None:
        return
    for tensor in model.state_dict(keep_vars=True).values():
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)


def unique_weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The state dict with tied tensors once, under the first of their names."""
    seen: set[tuple[int, torch.Size]] = set()
    unique = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        mark = (id(tensor) if tensor.is_meta else tensor.data_ptr(), tensor.shape)
        if mark not in seen or not tensor.numel():
            seen.add(mark)
            unique[name] = tensor.detach()
    return unique


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    return {role: str(getattr(tokenizer, role)) for role in ROLES if getattr(tokenizer, role) is not None}


def _chat_template(tokenizer: PreTrainedTokenizerBase, record: Mapping[str, Any]) -> dict[str, str]:
    """Earlier releases refuse what they do not know, so only those students carry a template that use it."""
    acting = record.get("acting")
    chats = isinstance(acting, Mapping) and acting.get("chat") is True
    return {CHAT_TEMPLATE: tokenizer.chat_template} if chats and isinstance(tokenizer.chat_template, str) else {}


# --- one file -------------------------------------------------------------------------------------------------


def _content(path: Path) -> dict[str, Any]:
    _check_container(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:
        # torch's own message names what the file wanted to call, and how to let it.
        refuse(path, "refused: it holds more than tensors and text, or is damaged")
    if (
        not isinstance(content, dict)
        or set(content) - {_HEAD} != {*_TEXTS, "weights"}
        or content.get("format") != FORMAT
    ):
        refuse(path, f"not a student of this release (a dict of {', '.join(_TEXTS)} and weights, format {FORMAT})")
    return content


def _load_file(path: Path) -> Student:
    content = _content(path)
    texts = {key: content[key] for key in _TEXTS}
    if not all(type(text) is str for text in texts.values()):
        refuse(path, "configuration, tokenizer and record have to be JSON text")
    config, special, record = (parse_object(path, key, texts[key]) for key in ("config", "tokenizer_config", "record"))
    weights = _checked_weights(path, content["weights"])
    model = _build(path, config, weights)
    tokenizer = plain_tokenizer(path, texts["tokenizer"], special)
    check_vocabulary(path, model, tokenizer)
    return Student(model, tokenizer, record)


def _check_container(path: Path) -> None:
    """Look at the bytes before anything interprets them."""
    if not check_start(path).startswith(b"PK\x03\x04"):
        refuse(path, "refused: not a checkpoint of this project (a bare pickle can run code; nothing was read)")
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        refuse(path, "truncated or damaged: its directory cannot be read")
    names = {entry.filename.partition("/")[2] for entry in entries}
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        refuse(path, "refused: a TorchScript program, not weights")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size for entry in entries):
        refuse(path, "refused: compressed inside, which a checkpoint never is")
    if sum(entry.file_size for entry in entries) > size:
        refuse(path, "refused: its parts claim more bytes than the file has")
    pickled = [entry for entry in entries if entry.filename.partition("/")[2] == "data.pkl"]
    if len(pickled) != 1 or pickled[0].file_size > _PICKLE_BYTES:
        refuse(path, "not a checkpoint of torch, or one whose index is out of all proportion")


def _checked_weights(path: Path, weights: Any) -> dict[str, torch.Tensor]:
    if not isinstance(weights, dict) or not weights or not all(type(name) is str for name in weights):
        refuse(path, "its weights are no dict of tensors")
    for name, tensor in weights.items():
        shown = repr(one_line(name, 80))
        if type(tensor) is not torch.Tensor or tensor.layout != torch.strided or tensor.device.type != "cpu":
            refuse(path, f"{shown} is no plain tensor")
        if tensor.dtype not in _DTYPES:
            refuse(path, f"{shown} is of another type than float32, bfloat16 or float16")
        if not tensor.is_contiguous() or tensor.untyped_storage().nbytes() != tensor.numel() * tensor.itemsize:
            refuse(path, f"{shown} claims another size than is stored")
        if not torch.isfinite(tensor).all():
            refuse(path, f"the weights {shown} hold NaN or infinity: the training that wrote them had diverged")
    return weights


def _build(path: Path, config: dict[str, Any], weights: dict[str, torch.Tensor]) -> PreTrainedModel:
    """The model that `config` describes, with these weights."""
    held = {name: tensor.shape for name, tensor in weights.items()}
    settings = settings_of(path, config, held)
    skeleton = outline(path, settings, held)
    shapes = {name: tensor.shape for name, tensor in skeleton.state_dict().items()}
    for name, tensor in weights.items():
        if name not in shapes:
            refuse(path, f"it holds {one_line(name, 80)!r}, which its model does not have")
        if shapes[name] != tensor.shape:
            refuse(path, f"{one_line(name, 80)!r} is {list(tensor.shape)}, its model wants {list(shapes[name])}")
    missing = [name for name in unique_weights(skeleton) if name not in weights]
    if missing:
        refuse(path, f"it lacks {len(missing)} of its model's tensors, e.g. {missing[0]!r}")
    check_size(path, skeleton, held)
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        model = cast(PreTrainedModel, _AutoModel.from_config(settings))
    cast_weights(model, next(iter(weights.values())).dtype)
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    return model
