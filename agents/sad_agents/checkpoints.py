"""Student checkpoints: one `*.pt` file of tensors and plain JSON, or a folder with safetensors; nothing that runs code.

A `*.pt` file is what `torch.save` makes of one dict:

    format            "sad-student-1"
    config            the model's configuration, JSON text
    tokenizer         the content of tokenizer.json
    tokenizer_config  special tokens by role, JSON text
    record            how the student was trained and is to be used, JSON text
    weights           name -> tensor; tied tensors once

It is read with `weights_only=True` and `mmap=True`, after its zip directory and before its weights have been checked.
What a file says of itself reaches a message only through `safe_text`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, cast

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as hf_logging

from sad_env.errors import CheckpointError, ConfigError
from sad_env.files import atomic_bytes, sync_folder
from sad_env.json_lines import RecordError, parse_json
from sad_env.safe_text import one_line

# The auto classes are not typed.
_AutoModel: Any = AutoModelForCausalLM
_AutoTokenizer: Any = AutoTokenizer
_FastTokenizer: Any = PreTrainedTokenizerFast

FORMAT = "sad-student-1"
RECORD_FILE = "sad_record.json"
"""The training record's name in a folder."""

_TEXTS = ("format", "config", "tokenizer", "tokenizer_config", "record")
_ROLES = ("bos_token", "eos_token", "pad_token", "unk_token")
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_PICKLE_BYTES = 32 * 2**20
"""The part of a checkpoint that is not tensors: names, shapes, configuration and tokenizer."""
_SIZE_KEYS = ("num_hidden_layers", "n_layer", "num_layers")


class Student(NamedTuple):
    """A loaded checkpoint."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    record: dict[str, Any]


def save_student(
    path: Path | str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, record: Mapping[str, Any]
) -> Path:
    """Write a checkpoint atomically: a file when `path` ends with ".pt", a folder otherwise.

    Args:
        path: where to.
        model: any causal LM that `_AutoModel.from_config` can build from `model.config`.
        tokenizer: a fast tokenizer.
        record: plain JSON values: how the student was trained. `record["acting"]` may hold `prompt` (the text it was
            trained to see first) and `window` (`budget`, `room`, `keep` of `Windowing`).

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
            "tokenizer_config": json.dumps(_special_tokens(tokenizer)),
            "record": text,
            "weights": {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()},
        }
        with atomic_bytes(target) as file:
            torch.save(content, file)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name[:32]}.", dir=target.parent))
    try:
        with _no_progress_bars():
            model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        (scratch / RECORD_FILE).write_text(text + "\n", encoding="utf-8")
        scratch.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sync_folder(target.parent)
    return target


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
        student = _load_folder(source)
    elif source.is_file():
        student = _load_file(source)
    else:
        _refuse(source, "no such file or folder")
    module = cast(torch.nn.Module, student.model).to(device=device, dtype=dtype)
    module.train(False)
    return student


def unique_weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The state dict with tied tensors once, under the first of their names."""
    seen: set[tuple[int, torch.Size]] = set()
    unique = {}
    for name, tensor in model.state_dict().items():
        mark = (id(tensor) if tensor.is_meta else tensor.data_ptr(), tensor.shape)
        if mark not in seen or not tensor.numel():
            seen.add(mark)
            unique[name] = tensor
    return unique


@contextlib.contextmanager
def _no_progress_bars() -> Iterator[None]:
    """A model that loads in a blink needs no bar, and a refused one deserves its one line."""
    shown = hf_logging.is_progress_bar_enabled()
    hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            hf_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _refuse(path: Path, reason: str) -> NoReturn:
    raise CheckpointError(f"{one_line(str(path), 120)}: {reason}")


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    return {role: str(getattr(tokenizer, role)) for role in _ROLES if getattr(tokenizer, role) is not None}


# --- one file -------------------------------------------------------------------------------------------------


def _load_file(path: Path) -> Student:
    _check_container(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:
        # torch's own message names what the file wanted to call, and how to let it.
        _refuse(path, "refused: it holds more than tensors and text, or is damaged")
    if not isinstance(content, dict) or set(content) != {*_TEXTS, "weights"} or content.get("format") != FORMAT:
        _refuse(path, f"not a student of this release (a dict of {', '.join(_TEXTS)} and weights, format {FORMAT})")
    texts = {key: content[key] for key in _TEXTS}
    if not all(type(text) is str for text in texts.values()):
        _refuse(path, "configuration, tokenizer and record have to be JSON text")
    config, special, record = (_json(path, key, texts[key]) for key in ("config", "tokenizer_config", "record"))
    weights = _checked_weights(path, content["weights"])
    model = _build(path, config, weights)
    tokenizer = _tokenizer(path, texts["tokenizer"], special)
    _check_vocabulary(path, model, tokenizer)
    return Student(model, tokenizer, record)


def _check_container(path: Path) -> None:
    """Look at the bytes before anything interprets them."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        _refuse(path, "the file is empty")
    if start.startswith(b"version https://git-lfs"):
        _refuse(path, "a Git LFS pointer, not the file it stands for: run `git lfs pull`")
    if not start.startswith(b"PK\x03\x04"):
        _refuse(path, "refused: not a checkpoint of this project (a bare pickle can run code; nothing was read)")
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        _refuse(path, "truncated or damaged: its directory cannot be read")
    names = {entry.filename.partition("/")[2] for entry in entries}
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        _refuse(path, "refused: a TorchScript program, not weights")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size for entry in entries):
        _refuse(path, "refused: compressed inside, which a checkpoint never is")
    if sum(entry.file_size for entry in entries) > size:
        _refuse(path, "refused: its parts claim more bytes than the file has")
    pickled = [entry for entry in entries if entry.filename.partition("/")[2] == "data.pkl"]
    if len(pickled) != 1 or pickled[0].file_size > _PICKLE_BYTES:
        _refuse(path, "not a checkpoint of torch, or one whose index is out of all proportion")


def _json(path: Path, key: str, text: str) -> dict[str, Any]:
    try:
        value = parse_json(text)
    except RecordError as error:
        _refuse(path, f"its {key} is {one_line(str(error), 100)}")
    if not isinstance(value, dict):
        _refuse(path, f"its {key} is no JSON object")
    return value


def _checked_weights(path: Path, weights: Any) -> dict[str, torch.Tensor]:
    if not isinstance(weights, dict) or not weights or not all(type(name) is str for name in weights):
        _refuse(path, "its weights are no dict of tensors")
    for name, tensor in weights.items():
        shown = repr(one_line(name, 80))
        if type(tensor) is not torch.Tensor or tensor.layout != torch.strided or tensor.device.type != "cpu":
            _refuse(path, f"{shown} is no plain tensor")
        if tensor.dtype not in _DTYPES:
            _refuse(path, f"{shown} is of another type than float32, bfloat16 or float16")
        if not tensor.is_contiguous() or tensor.untyped_storage().nbytes() != tensor.numel() * tensor.itemsize:
            _refuse(path, f"{shown} claims another size than is stored")
        if not torch.isfinite(tensor).all():
            _refuse(path, f"the weights {shown} hold NaN or infinity: the training that wrote them had diverged")
    return weights


def _build(path: Path, config: dict[str, Any], weights: dict[str, torch.Tensor]) -> PreTrainedModel:
    """The model that `config` describes, with these weights."""
    settings = _settings(path, config, len(weights))
    try:
        with torch.device("meta"):
            # Shapes alone: a configuration that lies about its size costs no memory.
            shapes = {n: t.shape for n, t in _AutoModel.from_config(settings).state_dict().items()}
    except Exception:
        _refuse(path, "its configuration describes no model that can be built")
    for name, tensor in weights.items():
        if name not in shapes:
            _refuse(path, f"it holds {one_line(name, 80)!r}, which its model does not have")
        if shapes[name] != tensor.shape:
            _refuse(path, f"{one_line(name, 80)!r} is {list(tensor.shape)}, its model wants {list(shapes[name])}")
    with torch.random.fork_rng(devices=[]):
        model = cast(PreTrainedModel, _AutoModel.from_config(settings))
    missing = [name for name in unique_weights(model) if name not in weights]
    if missing:
        _refuse(path, f"it lacks {len(missing)} of its model's tensors, e.g. {missing[0]!r}")
    cast(torch.nn.Module, model).to(next(iter(weights.values())).dtype)
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    return model


def _settings(path: Path, config: dict[str, Any], tensors: int) -> PretrainedConfig:
    if config.get("auto_map") or config.get("quantization_config"):
        _refuse(path, "refused: its configuration asks for code or a quantisation of its own")
    depth = next((config[key] for key in _SIZE_KEYS if key in config), 0)
    if type(depth) is not int or not 0 <= depth <= tensors:
        _refuse(path, f"its configuration claims more layers than its {tensors} tensors can fill")
    kind = config.get("model_type")
    settings = {key: value for key, value in config.items() if key not in ("model_type", "transformers_version")}
    try:
        return AutoConfig.for_model(str(kind), **settings)
    except Exception:
        _refuse(path, f"a model of the kind {one_line(str(kind), 40)!r} is not known to the installed transformers")


def _tokenizer(path: Path, text: str, special: dict[str, Any]) -> PreTrainedTokenizerBase:
    if not all(key in _ROLES and type(value) is str for key, value in special.items()):
        _refuse(path, f"its tokenizer_config has other entries than {', '.join(_ROLES)}")
    try:
        core = Tokenizer.from_str(text)
        return cast(
            PreTrainedTokenizerBase,
            _FastTokenizer(tokenizer_object=core, clean_up_tokenization_spaces=False, **special),
        )
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        # The tokenizer's own parser may panic, which is no Exception.
        _refuse(path, "its tokenizer cannot be read")


def _check_vocabulary(path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    rows = cast(torch.nn.Embedding, model.get_input_embeddings()).weight.shape[0]
    highest = max(tokenizer.get_vocab().values(), default=-1)
    if highest >= rows:
        _refuse(path, f"tokenizer and model do not belong together: token ids up to {highest}, embeddings for {rows}")


# --- a folder -------------------------------------------------------------------------------------------------


def _load_folder(path: Path) -> Student:
    files = sorted(path.glob("*.safetensors"))
    if not (path / "config.json").is_file():
        _refuse(path, "a model folder holds a config.json")
    if not files:
        _refuse(path, "a model folder holds *.safetensors; other formats can run code and are not read")
    config = _json(path, "config.json", _text(path / "config.json"))
    tensors = 0
    for file in files:
        tensors += _check_safetensors(file)
    _settings(path, config, tensors)
    try:
        with _no_progress_bars():
            model, report = _AutoModel.from_pretrained(
                path, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
        tokenizer = _folder_tokenizer(path)
    except CheckpointError:
        raise
    except Exception as error:
        _refuse(path, f"transformers cannot load it: {one_line(str(error), 160)}")
    if report["missing_keys"] or report["mismatched_keys"] or report["unexpected_keys"]:
        counts = ", ".join(f"{len(report[key])} {key.partition('_')[0]}" for key in sorted(report) if report[key])
        _refuse(path, f"its tensors are not those of its model ({one_line(counts, 120)})")
    _check_vocabulary(path, model, tokenizer)
    record = _json(path, RECORD_FILE, _text(path / RECORD_FILE)) if (path / RECORD_FILE).is_file() else {}
    return Student(model, tokenizer, record)


def _folder_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    if not (path / RECORD_FILE).is_file():
        return cast(
            PreTrainedTokenizerBase,
            _AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False),
        )
    # Ours is taken as it stands: the automatic class goes by the kind of model and adds tokens of that kind.
    settings = _json(path, "tokenizer_config.json", _text(path / "tokenizer_config.json"))
    special = {role: settings[role] for role in _ROLES if settings.get(role) is not None}
    return _tokenizer(path, _text(path / "tokenizer.json"), special)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        _refuse(path, "cannot be read as text")


def _check_safetensors(path: Path) -> int:
    """Number of tensors in a sound file."""
    if path.stat().st_size == 0:
        _refuse(path, "the file is empty")
    with path.open("rb") as file:
        if file.read(23) == b"version https://git-lfs":
            _refuse(path, "a Git LFS pointer, not the file it stands for: run `git lfs pull`")
    try:
        with safe_open(path, "pt") as tensors:
            names = list(tensors.keys())
            for name in names:
                tensor = tensors.get_tensor(name)
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    _refuse(path, f"the weights {one_line(name, 80)!r} hold NaN or infinity")
    except (SafetensorError, OSError, ValueError):
        _refuse(path, "truncated or damaged")
    return len(names)
