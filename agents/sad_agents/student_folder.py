"""A student as a folder that transformers and vLLM load like any other model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from sad_agents.architecture import quiet_transformers
from sad_agents.chat import ChatGlue
from sad_agents.model_folder import RECORD_FILE
from sad_agents.sampling.action_head import HEAD_FILE, ActionHead, head_bytes
from sad_agents.sampling.local_model import end_ids, turn_end
from sad_env.files import part_folder, sync_folder

_PLAIN_TOKENIZER = "PreTrainedTokenizerFast"
"""A tokenizer that is all in its tokenizer.json, by the name that every release of transformers knows."""


def save_folder(
    target: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    record: Mapping[str, Any],
    texts: Mapping[str, str] | None = None,
    head: ActionHead | None = None,
) -> Path:
    """Write a folder whole; one of the same name is replaced.

    Args:
        target: the folder.
        model: without adapters.
        tokenizer: fast; its chat template is kept.
        record: see `sad_agents.checkpoints.save_student`.
        texts: further files, content by name.
        head: chooses its actions.
    """
    with part_folder(target) as scratch:
        own, model.generation_config = model.generation_config, generation_of(model, tokenizer, record)
        try:
            with quiet_transformers():
                model.save_pretrained(scratch)
        finally:
            model.generation_config = own
        tokenizer.save_pretrained(scratch)
        _name_plainly(scratch / "tokenizer_config.json")
        for name, text in {RECORD_FILE: json.dumps(dict(record), allow_nan=False) + "\n", **(texts or {})}.items():
            (scratch / name).write_text(text, encoding="utf-8")
        if head is not None:
            (scratch / HEAD_FILE).write_bytes(head_bytes(head))
        install_folder(scratch, target)
    return target


def install_folder(scratch: Path, target: Path) -> None:
    """Put a finished temporary folder in the place of `target`, as readable as any new file is."""
    umask = os.umask(0)
    os.umask(umask)
    for file in scratch.iterdir():
        file.chmod(0o666 & ~umask)  # safetensors makes its files private
    scratch.chmod(0o777 & ~umask)
    if target.exists():
        shutil.rmtree(target)
    scratch.rename(target)
    sync_folder(target.parent)


def generation_of(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, record: Mapping[str, Any]
) -> GenerationConfig:
    """How others generate with the student: greedily, as it is evaluated, up to what ends its turns.

    A base model's own settings (a nucleus, a penalty on repetition) are left out: the student was trained without, and
    servers would apply them to every request that does not say otherwise.
    """
    acting = record.get("acting", {})
    ends = end_ids(model, tokenizer)
    if acting.get("chat"):
        ends |= turn_end(tokenizer, ChatGlue.of(tokenizer))
    room = acting["window"].get("room") if acting.get("window") else None
    return GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=sorted(ends) or None,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=False,
        max_new_tokens=room,
    )


def _name_plainly(path: Path) -> None:
    """The class of a plain tokenizer under the name that transformers 4 knows, too."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = _PLAIN_TOKENIZER
        settings.pop("backend", None)
        path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
