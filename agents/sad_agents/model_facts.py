"""What a language model is, in words: architecture, size, context, tokenizer, template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sad_agents.loading import begin_ids
from sad_agents.sampling.kv_cache import context_of
from sad_env.safe_text import one_line


def model_facts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, record: Mapping[str, Any]
) -> dict[str, str]:
    """One line for each fact, by its name.

    Args:
        model: the model.
        tokenizer: its tokenizer.
        record: its training record, whose `acting` says how it is played; empty for other models.
    """
    config: Any = model.config.get_text_config()
    layers = getattr(config, "num_hidden_layers", None)
    width = getattr(config, "hidden_size", None)
    precision = str(next(model.parameters()).dtype).removeprefix("torch.")
    count = sum(parameter.numel() for parameter in model.parameters())
    facts = {
        "architecture": f"{type(model).__name__}, {layers} layers of width {width}",
        "size": f"{count:,} parameters in {precision}",
        "context": f"{context_of(model):,} positions",
        "tokenizer": _tokenizer(tokenizer, ours=bool(record)),
        "chat template": "there is one" if tokenizer.chat_template else "none",
    }
    acting = record.get("acting")
    if isinstance(acting, Mapping):
        window = acting.get("window")
        if isinstance(window, Mapping):
            facts["window"] = f"{window.get('budget')} tokens, {window.get('room')} of them for a completion"
        form = f"form {acting.get('form', 'lines')}, {'in turns of a chat' if acting.get('chat') else 'as one text'}"
        facts["written"] = form
        prompt = acting.get("prompt")
        facts["prompt"] = f"{len(prompt):,} characters" if isinstance(prompt, str) and prompt else "none"
    return {name: one_line(fact, 120) for name, fact in facts.items()}


def _tokenizer(tokenizer: PreTrainedTokenizerBase, *, ours: bool) -> str:
    core = getattr(tokenizer, "backend_tokenizer", None)
    kind = type(core.model).__name__ if core is not None else type(tokenizer).__name__
    # Students of this project are trained without a begin token.
    first = tokenizer.bos_token if not ours and begin_ids(tokenizer) else "nothing"
    return f"{kind} of {len(tokenizer):,} tokens; a text begins with {first} and ends with {tokenizer.eos_token}"
