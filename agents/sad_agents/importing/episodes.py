"""What every layout is read into: turns and what the file says of the episode; and the trajectory made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from sad_env.errors import DataError
from sad_env.json_lines import RecordError, all_lines, parse_json
from sad_env.panels import name_fault
from sad_env.records import FormName, Span, Status, Step, Trajectory
from sad_env.safe_text import one_line
from sad_env.transcript import FORMS, form_of

_TASK_KEYS = ("task_id", "id", "question_idx", "session_id", "trajectory_id", "uid", "gamefile")
_AGENT_KEYS = ("agent", "model", "model_name")
_SUCCESS_KEYS = ("success", "won", "is_success", "correct")
_SCORE_KEYS = ("score", "reward")


class LoggedTurn(NamedTuple):
    """One turn of an agent; no action where the log holds none, no observation where nothing came back.

    Attributes:
        reasoning: all that it thought before the action.
        action: as it was written.
        observation: what came back.
        tokens: that a model produced for it, 0 where the file does not say.
        completion: what the agent wrote, to the character, where `sad-collect export` wrote the file.
        spans: that tile `completion`.
    """

    reasoning: str
    action: str
    observation: str = ""
    tokens: int = 0
    completion: str = ""
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class LoggedEpisode:
    """One episode of a file.

    Attributes:
        observation: what the agent was told first: its task.
        turns: at least one.
        prompt: what stood before the task.
        facts: further entries of the file's record, e.g. task_id and success.
    """

    observation: str
    turns: Sequence[LoggedTurn]
    prompt: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Source(NamedTuple):
    """A piece of a file that holds one episode.

    Attributes:
        number: of its first line, or of the document in a list, from 1.
        content: text, or JSON.
        fault: why it could not be read; empty when it could.
    """

    number: int
    content: Any
    fault: str = ""


def json_sources(path: Path) -> Iterator[Source]:
    """The JSON values of a file of one document, of a list of them (.json), or of a line each."""
    if path.suffix == ".json":
        try:
            value = parse_json(path.read_bytes())
        except RecordError as error:
            yield Source(1, None, str(error))
            return
        yield from (Source(number, one) for number, one in enumerate(value if isinstance(value, list) else [value], 1))
        return
    for number, line in all_lines(path):
        if line.strip():
            try:
                yield Source(number, parse_json(line.rstrip(b"\n")))
            except RecordError as error:
                yield Source(number, None, str(error))


def read_each(
    sources: Iterable[Source], read: Callable[[Any], LoggedEpisode]
) -> Iterator[tuple[int, LoggedEpisode | str]]:
    """The number of each source, and its episode or why it cannot be read."""
    for source in sources:
        try:
            yield source.number, source.fault or read(source.content)
        except RecordError as error:
            yield source.number, str(error)


def text_of(path: Path) -> str:
    """A text file, its lines ended by newlines alone.

    Raises:
        DataError: it is no UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{one_line(str(path), 120)!r} is no UTF-8 text: byte {error.start}") from None


def first_of(facts: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """The first of these entries that is there and says something; None where there is none."""
    return next((facts[key] for key in keys if facts.get(key) not in (None, "")), None)


def named_form(facts: Mapping[str, Any]) -> FormName | None:
    """The form that an export of ours says the agent wrote in."""
    form = FORMS.get(str(facts.get("form")))
    return None if form is None else form.name


def trajectory_of(episode: LoggedEpisode, *, world: str, form: FormName, name: str) -> Trajectory:
    """The record of an imported episode, written in `form`.

    Texts are written anew, so that thoughts and actions are on lines of their own, but where `sad-collect export` wrote
    the file and `form` is the one they are in; sampled ids are not taken over.
    What the file does not say is named in the record's `unknown` and holds the least that could be claimed.

    Args:
        episode: as it was read.
        world: whose task it is.
        form: of the completions.
        name: of the episode where the file gives its task no name.

    Raises:
        RecordError: no turn with an action, or a name that no panel could hold.
    """
    if not any(turn.action for turn in episode.turns):
        raise RecordError("it holds no action")
    facts = episode.facts
    task = first_of(facts, _TASK_KEYS)
    task_id = name if task is None else str(task)
    if fault := name_fault(task_id):
        raise RecordError(fault)
    success, score, unknown = _verdict(facts)
    as_written = named_form(facts) == form
    return Trajectory(
        world=world,
        data="given",
        split=str(facts.get("split") or ""),
        task_id=task_id,
        task_type=str(facts.get("task_type") or ""),
        agent=str(first_of(facts, _AGENT_KEYS) or "imported"),
        prompt=episode.prompt,
        observation=episode.observation,
        steps=tuple(_written_step(turn) if as_written and turn.spans else _step(turn, form) for turn in episode.turns),
        status=_status(facts, success),
        success=success,
        score=score,
        form=form,
        unknown=unknown,
    )


def _verdict(facts: Mapping[str, Any]) -> tuple[bool, float, tuple[str, ...]]:
    """Success, score, and which of them the file does not say. A reward of 1 is no verdict: worlds differ in it."""
    said, number = first_of(facts, _SUCCESS_KEYS), first_of(facts, _SCORE_KEYS)
    if said is not None and not (isinstance(said, bool) or said in (0, 1)):
        raise RecordError(f"success is true or false, not {one_line(str(said), 40)!r}")
    if number is not None and (isinstance(number, str) or not isinstance(number, int | float)):
        raise RecordError(f"a score is a number, not {one_line(str(number), 40)!r}")
    success = bool(said)
    unknown = [] if said is not None else ["success", "status"]
    return success, float(number or 0), (*unknown, *(() if number is not None else ("score",)))


def _status(facts: Mapping[str, Any], success: bool) -> Status:
    """How it ended, where the file says so in our words and nothing speaks against it."""
    said = str(facts.get("status"))
    if said in {status.value for status in Status} and (said == Status.SUCCESS.value) == success:
        return Status(said)
    return Status.SUCCESS if success else Status.FAILURE


def spans_of(listed: Any, where: str) -> tuple[Span, ...]:
    """The spans that an export of ours lists.

    Raises:
        RecordError: they are none.
    """
    try:
        return tuple(Span.model_validate(one) for one in listed)
    except (ValidationError, TypeError):
        raise RecordError(f"{where}: spans are objects of kind, start, end and body") from None


def _written_step(turn: LoggedTurn) -> Step:
    return Step(
        completion=turn.completion,
        spans=turn.spans,
        reasoning=turn.reasoning,
        action=turn.action,
        observation=turn.observation,
        parsed=bool(turn.action),
        valid=bool(turn.action),
        generated_tokens=turn.tokens,
    )


def _step(turn: LoggedTurn, form_name: FormName) -> Step:
    form = form_of(form_name)
    text = form.render(turn.reasoning, turn.action).text if turn.action else form.thought(turn.reasoning)
    parsed = form.parse(text)
    return Step(
        completion=text,
        spans=parsed.spans,
        reasoning=parsed.reasoning,
        action=parsed.action,
        observation=turn.observation,
        parsed=bool(parsed.action),
        valid=bool(parsed.action),
        generated_tokens=turn.tokens,
    )
