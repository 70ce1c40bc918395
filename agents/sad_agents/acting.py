"""How a model acts, as its record or its tokenizer says: prompt, window, form and chat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sad_agents.prompts import Prompt
from sad_agents.windowing import Windowing
from sad_env.errors import CheckpointError, ConfigError
from sad_env.safe_text import one_line
from sad_env.transcript import FORMS, Form, form_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def writing_of(
    spec: str, record: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, form: str = "auto", chat: str = "auto"
) -> tuple[Form, bool]:
    """The form that a model writes in, and whether in turns of a chat.

    Args:
        spec: its word, for the message.
        record: of its training; empty for models that were not trained here.
        tokenizer: its tokenizer.
        form: a form's name, or "auto": what its record names, "lines" for other models.
        chat: "on", "off", or "auto": what its record says; of other models whether the tokenizer has a template.

    Raises:
        CheckpointError: a record that holds neither.
    """
    acting = record.get("acting", {})
    own, chats = acting.get("form", "lines"), acting.get("chat", False)
    if own not in FORMS or type(chats) is not bool:
        raise CheckpointError(
            f"{one_line(spec, 120)}: its record's 'acting' holds a form ({', '.join(FORMS)}) and a chat (true or false)"
        )
    if not record:
        chats = bool(tokenizer.chat_template)
    return form_of(own if form == "auto" else form), chats if chat == "auto" else chat == "on"


def constrained_by(spec: str, record: Mapping[str, Any], asked: str = "auto") -> bool:
    """Whether a model's actions are sampled among the admissible ones: as asked ("on", "off"), or as its record says.

    Raises:
        CheckpointError: a record that says neither yes nor no.
    """
    recorded = record.get("acting", {}).get("constrained", False)
    if type(recorded) is not bool:
        raise CheckpointError(f"{one_line(spec, 120)}: 'constrained' in its record's 'acting' is true or false")
    return recorded if asked == "auto" else asked == "on"


def head_by(spec: str, record: Mapping[str, Any]) -> str:
    """The kind of action head that a student acts by, as its record says; empty for none.

    Raises:
        CheckpointError: a record that names none of this release.
    """
    acting = record.get("acting", {})
    kind = acting.get("action_head", "") if isinstance(acting, Mapping) else ""
    if kind not in ("", "linear", "pointer"):
        raise CheckpointError(f"{one_line(spec, 120)}: 'action_head' in its record's 'acting' is linear or pointer")
    return str(kind)


def acting_of(spec: str, record: Mapping[str, Any]) -> tuple[Prompt | None, Windowing | None]:
    """The prompt and the window that a student was trained with, where its record says so."""
    acting = record.get("acting", {})
    try:
        prompt, window = acting.get("prompt"), acting.get("window")
        if prompt is not None and type(prompt) is not str:
            raise TypeError
        return None if prompt is None else Prompt(prompt), None if window is None else Windowing(**window)
    except (TypeError, AttributeError, ConfigError):
        raise CheckpointError(
            f"{one_line(spec, 120)}: its record's 'acting' holds a prompt (text) and a window (budget, room, keep)"
        ) from None
