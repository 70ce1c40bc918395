"""Students as folders for transformers, vLLM and the hub, with a card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sad_agents.adapters import CONFIG_FILE, WEIGHTS_FILE
from sad_agents.loading import load_language_model
from sad_agents.model_facts import model_facts
from sad_agents.model_folder import CHAT_TEMPLATE, RECORD_FILE
from sad_agents.model_words import model_path
from sad_agents.sampling.action_head import HEAD_FILE, ActionHead, head_bytes
from sad_agents.student_folder import install_folder, save_folder
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sad_distill.models.model_card import CARD_FILE, Evaluated, model_card
from sad_env.files import part_folder

OURS = (RECORD_FILE, CONFIG_FILE)
"""Files of which a folder that an export may replace holds one."""
_ADAPTER_FILES = (
    CONFIG_FILE,
    WEIGHTS_FILE,
    RECORD_FILE,
    HEAD_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    f"{CHAT_TEMPLATE}.jinja",
)


def export_folder(
    folder: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    record: Mapping[str, Any],
    *,
    name: str = "",
    results: Sequence[Evaluated] = (),
    head: ActionHead | None = None,
) -> Path:
    """Write a student as a folder that `from_pretrained` and vLLM load; one of the same name is replaced.

    Args:
        folder: where to.
        model: the student, without adapters.
        tokenizer: its tokenizer; a chat template is kept.
        record: its training record.
        name: on the card; empty takes the folder's.
        results: evaluations for the card.
        head: chooses its actions.
    """
    card = model_card(name or folder.name, record, model_facts(model, tokenizer, record), results)
    return save_folder(folder, model, tokenizer, record, {CARD_FILE: card}, head)


def adapter_base(spec: str) -> str:
    """The folder or hub id by which others load the model that adapters were trained on; empty where there is none.

    Args:
        spec: of the student: a student.pt, a model from scratch or some layers of a teacher are no such base.
    """
    if spec.startswith("hf:"):
        return spec.removeprefix("hf:")
    path = model_path(spec)
    return str(path.resolve()) if path is not None and path.is_dir() else ""


def save_adapter(
    folder: Path,
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    record: Mapping[str, Any],
    base: str,
    head: ActionHead | None = None,
) -> Path:
    """Write the adapters of a student alone, as peft and vLLM load them; a folder of the same name is replaced.

    Args:
        folder: where to.
        model: of peft.
        tokenizer: the student's.
        record: its training record.
        base: folder or hub id of the model that the adapters belong to.
        head: chooses its actions.
    """
    while hasattr(model, "module"):
        model = model.module
    with part_folder(folder) as scratch:
        model.save_pretrained(scratch)
        (scratch / CARD_FILE).unlink(missing_ok=True)  # peft's own, a form to fill in
        path = scratch / CONFIG_FILE
        settings = {**json.loads(path.read_text(encoding="utf-8")), "base_model_name_or_path": base}
        path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        tokenizer.save_pretrained(scratch)
        (scratch / RECORD_FILE).write_text(json.dumps(dict(record), allow_nan=False) + "\n", encoding="utf-8")
        if head is not None:
            (scratch / HEAD_FILE).write_bytes(head_bytes(head))
        install_folder(scratch, folder)
    return folder


def export_adapter(source: Path, folder: Path, *, name: str, results: Sequence[Evaluated] = ()) -> Path:
    """Copy an adapter's folder, once it has been loaded upon its base, and give it a card.

    Raises:
        CheckpointError: it is not sound, or does not fit its base.
    """
    loaded = load_language_model(str(source))
    base = json.loads((source / CONFIG_FILE).read_text(encoding="utf-8"))["base_model_name_or_path"]
    facts = {**model_facts(loaded.model, loaded.tokenizer, loaded.record), "adapter of": base}
    with part_folder(folder) as scratch:
        for file in _ADAPTER_FILES:
            if (source / file).is_file():
                shutil.copyfile(source / file, scratch / file)
        (scratch / CARD_FILE).write_text(model_card(name, loaded.record, facts, results), encoding="utf-8")
        install_folder(scratch, folder)
    return folder
