"""A model behind vLLM that is asked by ids and played as in this process: same window, form, labels and endings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sad_agents.acting import acting_of, constrained_by, head_by, writing_of
from sad_agents.agent import Agent
from sad_agents.agent_options import SHOTS, AgentOptions
from sad_agents.chat import ChatGlue
from sad_agents.loading import begin_ids, react_agent
from sad_agents.openai_answers import identity_of
from sad_agents.sampling.local_model import TokenModel, turn_end
from sad_agents.sampling.vllm_sampler import VllmSampler
from sad_agents.vllm_server import VllmServer
from sad_agents.windowing import Windowing
from sad_env.errors import ConfigError
from sad_env.http import PATIENCE
from sad_env.safe_text import one_line
from sad_env.transcript import LINES, Form

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class VllmModel(TokenModel):
    """A served model with a tokenizer that is here.

    Args:
        server: serves it.
        tokenizer: its tokenizer.
        windowing: what it sees.
        name: for the records.
        ends: ids that end a text, besides the tokenizer's own.
        start_ids: see `TokenModel`.
        form: how it writes.
        chat: see `TokenModel`.
        constrained: see `TokenModel`.

    Raises:
        ConfigError: the server sees fewer tokens than the window has, or a form whose actions cannot be constrained.
    """

    sampler: VllmSampler
    concurrent = True

    def __init__(
        self,
        server: VllmServer,
        tokenizer: PreTrainedTokenizerBase,
        *,
        windowing: Windowing,
        name: str = "",
        ends: frozenset[int] = frozenset(),
        start_ids: Sequence[int] = (),
        form: Form = LINES,
        chat: bool = False,
        constrained: bool = False,
    ) -> None:
        if 0 < server.context < windowing.budget:
            raise ConfigError(
                f"{server.shown} serves {server.context} positions and the window has {windowing.budget} tokens: start"
                f" it with --max-model-len {windowing.budget}, or give a smaller --context"
            )
        super().__init__(
            tokenizer,
            name=name or server.model,
            windowing=windowing,
            start_ids=start_ids,
            form=form,
            chat=chat,
            constrained=constrained,
        )
        ends |= {tokenizer.eos_token_id} - {None}
        ends |= turn_end(tokenizer, self.glue) if self.glue else frozenset()
        self.sampler = VllmSampler(
            server,
            stop=self.is_whole,
            stop_ids=self.stop_ids(),
            end_ids=ends,
            turning_ids=self.limits.turning_ids() if self.limits else frozenset(),
        )


def vllm_agent(rest: str, world: str, options: AgentOptions) -> Agent:
    """`vllm:URL[#NAME]`: a served model, asked by ids, with tokenizer and record of the folder or hub id it serves.

    Raises:
        ConfigError: what the server loaded is not to be had here.
    """
    url, _, name = rest.partition("#")
    patience = replace(PATIENCE, seconds=options.patience)
    server = VllmServer(url, name, concurrency=options.concurrency, patience=patience)
    tokenizer, record = _description(server)
    if head_by(server.model, record):
        raise ConfigError(
            f"{server.shown} serves a student that acts by its action head, which no server has: play its folder or"
            " student.pt"
        )
    prompt, window = acting_of(server.model, record)
    form, chat = writing_of(server.model, record, tokenizer, options.form, options.chat)
    context = min(server.context or options.context, options.context)
    model = VllmModel(
        server,
        tokenizer,
        windowing=window or Windowing(budget=context, room=min(options.sampling.max_tokens, context // 2)),
        start_ids=() if record else begin_ids(tokenizer),
        form=form,
        chat=chat,
        constrained=constrained_by(server.model, record, options.constrained),
    )
    facts = {"model": one_line(server.model, 120), "server": one_line(server.shown, 120), "asked by": "ids"}
    facts |= {f"served {fact}": value for fact, value in identity_of(server.entry).items()}
    if model.constrained:
        facts["decoding"] = "constrained"
    if chat:
        facts["chat_sha256"] = ChatGlue.of(tokenizer).sha256
    return react_agent(model, world, options, prompt=prompt, shots=0 if record else SHOTS, **facts)


def _description(server: VllmServer) -> tuple[PreTrainedTokenizerBase, dict[str, Any]]:
    """Tokenizer and training record of what a server has loaded."""
    from sad_agents.hub_models import hub_folder
    from sad_agents.model_folder import load_description

    root = Path(server.root)
    if not root.is_dir() and root.is_absolute():
        raise ConfigError(
            f"{server.shown} serves {one_line(server.root, 120)!r}, which is not here: its tokenizer and record are"
            " read from the same folder; or take --agent openai:URL#NAME, which asks by text"
        )
    return load_description(root if root.is_dir() else hub_folder(server.root))
