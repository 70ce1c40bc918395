"""Folders in the layout of transformers, from disk or from the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from sad_agents.adapters import CONFIG_FILE, WEIGHTS_FILE, fold
from sad_agents.architecture import (
    check_size,
    check_start,
    outline,
    parse_object,
    quiet_transformers,
    refuse,
    settings_of,
)
from sad_agents.hub_models import hub_folder
from sad_env.safe_text import one_line

# The auto classes are not typed.
_AutoModel: Any = AutoModelForCausalLM
_AutoTokenizer: Any = AutoTokenizer
_FastTokenizer: Any = PreTrainedTokenizerFast

RECORD_FILE = "sad_record.json"
"""The training record's name in a folder."""
ROLES = ("bos_token", "eos_token", "pad_token", "unk_token")
CHAT_TEMPLATE = "chat_template"
"""Name of the chat template among the settings of a tokenizer; a file of this name with .jinja is in folders."""
_OLD_MASK = re.compile(r"(^|\.)(attn|attention)\.(bias|masked_bias)$")
_OLD_TABLE = re.compile(r"(^|\.)(rotary_emb\.inv_freq|position_ids)$")
"""Constants that earlier releases of transformers saved among the weights; they are computed today."""


def load_folder(path: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, dict[str, Any]]:
    """Model, tokenizer and training record (empty where there is none) of a folder.

    Raises:
        CheckpointError: anything else than a sound, safe model whose tensors are those of its configuration.
    """
    if (path / CONFIG_FILE).is_file():
        return _load_adapter(path)
    if not (path / "config.json").is_file():
        refuse(path, "a model folder holds a config.json")
    files = _weight_files(path)
    config = parse_object(path, "config.json", _text(path / "config.json"))
    shapes = {name: shape for file in files for name, shape in _checked_shapes(file).items()}
    settings = settings_of(path, config, shapes)
    check_size(path, outline(path, settings, shapes), shapes)
    model = _loaded(path, settings, shapes)
    tokenizer = _folder_tokenizer(path)
    check_vocabulary(path, model, tokenizer)
    return model, tokenizer, _record(path)


def load_description(path: Path) -> tuple[PreTrainedTokenizerBase, dict[str, Any]]:
    """Tokenizer and training record of a folder, without its weights.

    Raises:
        CheckpointError: they are not sound.
    """
    return _folder_tokenizer(path), _record(path)


def _record(path: Path) -> dict[str, Any]:
    ours = (path / RECORD_FILE).is_file()
    return parse_object(path, RECORD_FILE, _text(path / RECORD_FILE)) if ours else {}


def _load_adapter(path: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, dict[str, Any]]:
    """The base model of an adapter, from disk or the hub, with the adapter folded in."""
    if not (path / WEIGHTS_FILE).is_file():
        refuse(path, f"an adapter's folder holds an {WEIGHTS_FILE}; other formats can run code and are not read")
    config = parse_object(path, CONFIG_FILE, _text(path / CONFIG_FILE))
    shapes = _checked_shapes(path / WEIGHTS_FILE)
    name = config.get("base_model_name_or_path")
    if type(name) is not str or not name:
        refuse(path, f"its {CONFIG_FILE} names no base model")
    base = Path(name) if Path(name).is_dir() else hub_folder(name)
    if (base / CONFIG_FILE).is_file():
        refuse(path, "its base model is an adapter again")
    model, tokenizer, _ = load_folder(base)
    model = fold(path, config, model, shapes)
    if (path / "tokenizer_config.json").is_file():
        tokenizer = _folder_tokenizer(path)
        check_vocabulary(path, model, tokenizer)
    return model, tokenizer, _record(path)


def _weight_files(path: Path) -> list[Path]:
    """The files that transformers reads: one, or those that an index names."""
    index = path / "model.safetensors.index.json"
    if not (path / "model.safetensors").is_file() and index.is_file():
        places = parse_object(path, index.name, _text(index)).get("weight_map")
        names = set(places.values()) if isinstance(places, dict) and all(map(_is_name, places.values())) else set()
        files = [path / name for name in sorted(names)]
        if not files or not all(file.is_file() for file in files):
            refuse(path, f"its {index.name} names no files, or files that are not in the folder")
        return files
    files = sorted(path.glob("*.safetensors"))
    if not files:
        refuse(path, "a model folder holds *.safetensors; other formats can run code and are not read")
    return [path / "model.safetensors"] if path / "model.safetensors" in files else files


def _is_name(value: object) -> bool:
    return type(value) is str and Path(value).name == value and value.endswith(".safetensors")


def _checked_shapes(path: Path) -> dict[str, torch.Size]:
    """Name and shape of each tensor in a sound file."""
    check_start(path)
    shapes = {}
    try:
        with safe_open(path, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (it is no dict)
                tensor = tensors.get_tensor(name)
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    refuse(path, f"the weights {one_line(name, 80)!r} hold NaN or infinity")
                shapes[name] = tensor.shape
    except (SafetensorError, OSError, ValueError):
        refuse(path, "truncated or damaged")
    return shapes


def _loaded(path: Path, settings: PretrainedConfig, shapes: dict[str, torch.Size]) -> PreTrainedModel:
    try:
        with quiet_transformers():
            model, report = _AutoModel.from_pretrained(
                path,
                config=settings,
                dtype="auto",
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:
        refuse(path, f"transformers cannot load it: {one_line(str(error), 160)}")
    wrong = {key: set(report[key]) for key in ("missing_keys", "mismatched_keys", "unexpected_keys")}
    wrong["unexpected_keys"] -= {name for name, shape in shapes.items() if _is_constant(name, shape)}
    if any(wrong.values()):
        counts = ", ".join(f"{len(keys)} {key.partition('_')[0]}" for key, keys in sorted(wrong.items()) if keys)
        refuse(path, f"its tensors are not those of its model ({counts})")
    return cast(PreTrainedModel, model)


def _is_constant(name: str, shape: torch.Size) -> bool:
    """Whether a tensor that the model does not have is a mask or table of an earlier release, and no weight."""
    return bool(_OLD_TABLE.search(name)) or (bool(_OLD_MASK.search(name)) and len(shape) in (0, 4))


def _folder_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    if not (path / RECORD_FILE).is_file():
        try:
            with quiet_transformers():
                tokenizer = _AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        except Exception as error:
            refuse(path, f"transformers cannot load its tokenizer: {one_line(str(error), 160)}")
        return cast(PreTrainedTokenizerBase, tokenizer)
    # A student's own is taken as it is: the automatic class goes by the kind of model and adds tokens of that kind.
    settings = parse_object(path, "tokenizer_config.json", _text(path / "tokenizer_config.json"))
    special = {role: settings[role] for role in ROLES if settings.get(role) is not None}
    template = path / f"{CHAT_TEMPLATE}.jinja"
    if template.is_file():
        special[CHAT_TEMPLATE] = _text(template)
    return plain_tokenizer(path, _text(path / "tokenizer.json"), special)


def plain_tokenizer(path: Path, text: str, special: dict[str, Any]) -> PreTrainedTokenizerBase:
    """A tokenizer from the content of a tokenizer.json, the special tokens by role, and a chat template if it is there.

    Raises:
        CheckpointError: something else.
    """
    if not all(key in (*ROLES, CHAT_TEMPLATE) and type(value) is str for key, value in special.items()):
        refuse(path, f"its tokenizer_config has other entries than {', '.join((*ROLES, CHAT_TEMPLATE))}")
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
        refuse(path, "its tokenizer cannot be read")


def check_vocabulary(path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer with ids that the model has no embedding for."""
    rows = cast(torch.nn.Embedding, model.get_input_embeddings()).weight.shape[0]
    highest = max(tokenizer.get_vocab().values(), default=-1)
    if highest >= rows:
        refuse(path, f"tokenizer and model do not belong together: token ids up to {highest}, embeddings for {rows}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        refuse(path, "cannot be read as text")
