"""Token labels: every token is one of N (prompt, padding), R (reasoning), A (action), O (observation)."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sad_agents.chat import ChatGlue, user_text
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from sad_env.errors import ConfigError
from sad_env.records import Span, SpanKind, Step, Trajectory
from sad_env.transcript import LINES, Form, form_of
from sad_env.transcript.form import THINK


@dataclass(frozen=True)
class Labelled:
    """Token ids and one letter of `SpanKind` for each.

    Attributes:
        ids: as the model reads them.
        labels: same length as `ids`.
        borders: tokens that cross a border between two spans; they count for the span of their last character.
    """

    ids: tuple[int, ...]
    labels: str
    borders: int = 0

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.labels):
            raise ValueError(f"{len(self.ids)} ids but {len(self.labels)} labels")


def label_offsets(offsets: Sequence[tuple[int, int]], spans: Sequence[Span]) -> tuple[str, int]:
    """Labels of tokens from their character offsets, and how many tokens cross a border.

    Args:
        offsets: start and end of each token; tokens without a character have (0, 0) and get N.
        spans: they tile the text, in order.

    Returns:
        One letter a token: the kind of the span that holds the token's last character.
    """
    kinds = [span.kind.value for span in spans for _ in range(span.end - span.start)]
    owner = [index for index, span in enumerate(spans) for _ in range(span.end - span.start)]
    labels = "".join(kinds[end - 1] if end else SpanKind.NONE.value for _, end in offsets)
    borders = sum(start < end and owner[start] != owner[end - 1] for start, end in offsets)
    return labels, borders


def encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of a text: no special token is added, and none is recognised in foreign text."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def label_text(tokenizer: PreTrainedTokenizerBase, text: str, spans: Sequence[Span]) -> Labelled:
    """Encode a text whose spans are known, and label every token."""
    encoded = _plain(tokenizer).encode(text, add_special_tokens=False)
    labels, borders = label_offsets(encoded.offsets, spans)
    return Labelled(tuple(encoded.ids), labels, borders)


def encode_with_ends(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[list[int], list[int]]:
    """Ids of a text as `encode` gives them, and where in it each ends, in characters."""
    encoded = _plain(tokenizer).encode(text, add_special_tokens=False)
    return list(encoded.ids), [end for _, end in encoded.offsets]


@functools.lru_cache(maxsize=8)
def _plain(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """The tokenizer without what it does after encoding.

    That would add special tokens, which are not wanted here, and may take blanks out of a token's offsets (RoBERTa,
    LLaMA 3), after which the last character of a token is no longer known.
    """
    plain: Tokenizer = copy.deepcopy(tokenizer.backend_tokenizer)
    plain.post_processor = None
    plain.encode_special_tokens = True
    plain.no_truncation()
    plain.no_padding()
    return plain


def label_observation(tokenizer: PreTrainedTokenizerBase, observation: str, form: Form = LINES) -> Labelled:
    """An observation as the agent reads it; every token is O."""
    ids = encode(tokenizer, form.observation(observation))
    return Labelled(tuple(ids), SpanKind.OBS.value * len(ids))


def label_step(tokenizer: PreTrainedTokenizerBase, step: Step) -> Labelled:
    """What the agent wrote in a step.

    Ids that a model sampled are taken as they were sampled, with the labels they got then; recorded text is encoded.
    """
    if step.token_ids:
        return Labelled(step.token_ids, step.token_labels)
    return label_text(tokenizer, step.completion, step.spans)


def label_completion(
    tokenizer: PreTrainedTokenizerBase, text: str, spans: Sequence[Span], glue: ChatGlue | None
) -> Labelled:
    """Recorded text as a model would have sampled it in the turns of a chat template (None: without).

    Where the template opens thoughts, its own tag takes the place of the one that the text begins with, and is N.

    Raises:
        ConfigError: the template opens thoughts, and the text has none between tags.
    """
    if glue is None or not glue.begun:
        return label_text(tokenizer, text, spans)
    tag = len(f"{THINK} ")
    if not text.startswith(f"{THINK} "):
        raise ConfigError(f"the chat template opens thoughts ({glue.begun.strip()}): give --form think, or --chat off")
    rest = [Span(kind=s.kind, start=max(s.start - tag, 0), end=s.end - tag, body=max(s.body - tag, 0)) for s in spans]
    labelled = label_text(tokenizer, text[tag:], rest)
    begun = glue.begun_ids
    return Labelled((*begun, *labelled.ids), SpanKind.NONE.value * len(begun) + labelled.labels, labelled.borders)


def label_trajectory(tokenizer: PreTrainedTokenizerBase, trajectory: Trajectory) -> list[Labelled]:
    """All segments of an episode as a live agent encodes them: prompt, first observation, completion and so on.

    Each segment is encoded by itself, so no token crosses from what the world wrote into what the agent wrote. What a
    chat template puts around a turn is N and belongs to the prompt's and the observations' segments.
    """
    form = form_of(trajectory.form)
    if trajectory.chat:
        return _chat_segments(tokenizer, trajectory, form)
    prompt = encode(tokenizer, trajectory.prompt) if trajectory.prompt else []
    segments = [Labelled(tuple(prompt), SpanKind.NONE.value * len(prompt))]
    segments.append(label_observation(tokenizer, trajectory.observation, form))
    for step in trajectory.steps:
        segments.append(label_step(tokenizer, step))
        segments.append(label_observation(tokenizer, step.observation, form))
    return segments


def _chat_segments(tokenizer: PreTrainedTokenizerBase, trajectory: Trajectory, form: Form) -> list[Labelled]:
    """`label_trajectory` for an episode in the turns of the tokenizer's chat template."""
    glue = glue_of(tokenizer)
    system = glue.head(functools.partial(encode, tokenizer), trajectory.prompt, form)
    segments = [Labelled(system, SpanKind.NONE.value * len(system))]

    def observed(observation: str, before: tuple[int, ...]) -> Labelled:
        ids = encode(tokenizer, user_text(form.observation(observation)))
        nothing = SpanKind.NONE.value
        labels = nothing * len(before) + SpanKind.OBS.value * len(ids) + nothing * len(glue.turn)
        return Labelled((*before, *glue.user(ids)), labels)

    segments.append(observed(trajectory.observation, ()))
    for step in trajectory.steps:
        known = label_step(tokenizer, step) if step.token_ids else None
        segments.append(known or label_completion(tokenizer, step.completion, step.spans, glue))
        segments.append(observed(step.observation, glue.between))
    return segments


@functools.lru_cache(maxsize=8)
def glue_of(tokenizer: PreTrainedTokenizerBase) -> ChatGlue:
    """What the tokenizer's chat template puts around turns.

    Raises:
        ConfigError: see `ChatGlue.of`.
    """
    return ChatGlue.of(tokenizer)


# --- logs of other programs --------------------------------------------------------------------------------------

_FOREIGN = re.compile(
    r"^\s*(?:\[)?(reason(?:ing)?|thought|think|act(?:ion)?|answer|obs(?:ervation)?)(?:\])?\s*\d*\s*:?\s*", re.I
)
_FOREIGN_KIND = {"r": SpanKind.REASON, "t": SpanKind.REASON, "a": SpanKind.ACT, "o": SpanKind.OBS}


def segment_log(text: str, *, two_phase: bool = False) -> tuple[Span, ...]:
    r"""Spans of a log of another program, by the regular expressions of the paper's appendix D.

    Lines that open with Reasoning, Thought, Action, Answer, Observation (with or without a number) or with [REASON],
    [ACT], [OBS] open a span; other lines continue it; what comes before the first is N.

    Args:
        text: the log of one episode.
        two_phase: the appendix's rule for HotPotQA instead: what precedes the last line ``Answer:`` is reasoning, that
            line is the action, and what follows it is N. (Its Table 7 says "lines starting with Reasoning:".)

    >>> [(s.kind.value, s.start, s.end) for s in segment_log("Task\nThought 1: a\nAction 1: b\n")]
    [('N', 0, 5), ('R', 5, 18), ('A', 18, 30)]
    """
    if two_phase:
        return _two_phases(text)
    spans: list[Span] = []
    position = 0
    for line in text.splitlines(keepends=True):
        end = position + len(line)
        match = _FOREIGN.match(line)
        opens = match is not None and (match.group().rstrip().endswith((":", "]")))
        if opens and match is not None:
            kind = _FOREIGN_KIND[match.group(1)[0].lower()]
            spans.append(Span(kind=kind, start=position, end=end, body=min(position + match.end(), end)))
        elif spans:
            last = spans.pop()
            spans.append(Span(kind=last.kind, start=last.start, end=end, body=last.body))
        else:
            spans.append(Span(kind=SpanKind.NONE, start=position, end=end, body=position))
        position = end
    return tuple(spans)


_ANSWER = re.compile(r"^Answer:[ \t]*.*$\n?", re.MULTILINE)


def _two_phases(text: str) -> tuple[Span, ...]:
    answers = list(_ANSWER.finditer(text))
    if not answers:
        return (Span(kind=SpanKind.REASON, start=0, end=len(text), body=0),) if text else ()
    start, end = answers[-1].span()
    body = start + len("Answer:")
    body += len(text[body:end]) - len(text[body:end].lstrip(" \t"))
    borders = [(SpanKind.REASON, 0, start, 0), (SpanKind.ACT, start, end, body), (SpanKind.NONE, end, len(text), end)]
    return tuple(Span(kind=kind, start=one, end=two, body=at) for kind, one, two, at in borders if two > one)
