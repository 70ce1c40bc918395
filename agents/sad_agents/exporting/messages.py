"""Chats and prompt/completion pairs for supervised fine-tuning, with the spans of what the agent wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sad_agents.chat import message_text
from sad_agents.exporting.facts import facts_of
from sad_agents.model import Piece
from sad_agents.react import head_pieces, step_pieces
from sad_env.records import Span, SpanKind, Trajectory
from sad_env.transcript import form_of


def chat_row(trajectory: Trajectory) -> dict[str, Any]:
    """An episode as one chat, as a model reads and writes it with `--chat on`.

    `messages` are the prompt (system), observations (user) and completions (assistant), the latter to the character.
    `spans` has a list for each completion, in order: kind (R reasoning, A action, N neither, such as a slip), start,
    end, and where its header ends, in characters of the message's content.
    """
    form = form_of(trajectory.form)
    pieces = [*head_pieces(form, trajectory.prompt, trajectory.observation)]
    for step in trajectory.steps:
        pieces += step_pieces(form, step.completion, (), step.observation)
    messages = [_message(piece) for piece in pieces if piece.text or piece.role != "system"]
    return {
        **facts_of(trajectory),
        "messages": messages,
        "spans": [_plain(step.spans) for step in trajectory.steps],
    }


def step_rows(trajectory: Trajectory) -> Iterator[dict[str, Any]]:
    """The steps of an episode as pairs of a prompt and a completion, as a model reads and writes them without a chat.

    Steps that the agent did not write (slips) are no completions, but stay in the prompts of later ones. `spans` are
    those of the completion, as in `chat_row`.
    """
    form, facts = form_of(trajectory.form), facts_of(trajectory)
    prompt = "".join(piece.text for piece in head_pieces(form, trajectory.prompt, trajectory.observation))
    for number, step in enumerate(trajectory.steps):
        if any(span.kind is not SpanKind.NONE for span in step.spans):
            yield {
                **facts,
                "step": number,
                "prompt": prompt,
                "completion": step.completion,
                "spans": _plain(step.spans),
            }
        prompt += step.completion + form.observation(step.observation)


def _message(piece: Piece) -> dict[str, str]:
    return {"role": piece.role, "content": message_text(piece)}


def _plain(spans: Sequence[Span]) -> list[dict[str, Any]]:
    return [span.model_dump(mode="json") for span in spans]
