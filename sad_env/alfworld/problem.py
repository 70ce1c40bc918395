"""What an ALFWorld game file says: facts, goal, task sentence, walkthrough; read strictly, written back exactly."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from sad_env.errors import DataError
from sad_env.json_lines import RecordError, parse_json
from sad_env.safe_text import one_line
from sad_env.tables import read_table

GAME_FILE = "game.tw-pddl"
MAX_GAME_BYTES = 8 * 2**20
"""The largest official game has 200 kB; anything far beyond is refused before it is read."""

Fact = tuple[str, ...]
"""Predicate and arguments, lower case."""

_TABLE = read_table("sad_env.alfworld", "problem.toml")
SIGNATURES: Mapping[str, tuple[str, ...]] = _TABLE["signatures"]
"""Predicates of an initial state, with the types of their arguments."""

TASK_TYPES = tuple(_TABLE["goals"])

TREATMENTS = {
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
}
"""What is done to the object before it is brought to its place, by task type."""

_GOAL_SHAPES: Mapping[str, str] = _TABLE["goals"]
"""The six goals; @ is a type, in the order (object, receptacle) or (lamp, object)."""

_GOAL_PATTERNS = {
    task_type: re.compile(re.escape(shape).replace("@", r"([^\s()]+)")) for task_type, shape in _GOAL_SHAPES.items()
}

_OFFICIAL_DOMAIN = "0af55e7f92d12b09d28515aa730e4d03fddd17228ef1fd7b18a3ee8ba49b27b9"
_OFFICIAL_GRAMMAR = "7c981834f625da95f9470fbf03ef96187959728969531679dcb728df85334be9"
"""sha256 of the texts inside the official game files, the task sentence replaced by X. The alfworld package carries
another wording of both (resources/): there only sinkbasins wash, and nothing else differs in what is seen."""

_FLAT = re.compile(r"\(([^()]*)\)")
_DECLARATION = re.compile(r"(\S+)\s+-\s+([a-z]+)(?=\s|\))")
_TASK = re.compile(r'(?<="Your task is to: )[^"\n]*(?=")')
_SENTENCE = re.compile(r"[A-Za-z0-9 ,.'-]{1,300}")

_TYPE_ORDER = ("agent", "object", "otype", "receptacle", "rtype", "location")
_CONSTANTS = {
    "knifetype": "otype",
    "butterknifetype": "otype",
    "sinkbasintype": "rtype",
    "microwavetype": "rtype",
    "fridgetype": "rtype",
}
"""Names that the domain's actions mention; a problem without them does not load in the original engine."""


@dataclass(frozen=True)
class HouseholdGoal:
    """What is to be done.

    Attributes:
        task_type: one of `TASK_TYPES`.
        object_type: type of the object to handle, e.g. "mugtype".
        place_type: type of the receptacle, or of the lamp for look_at_obj_in_light.
    """

    task_type: str
    object_type: str
    place_type: str


@dataclass(frozen=True)
class Problem:
    """A game as its file states it.

    Attributes:
        facts: what holds at the start; sorted, each once.
        goal: what is to hold in the end.
        task: the task sentence, without "Your task is to: ".
        walkthrough: commands that win; empty when the file has none.
        washers: receptacle types that can clean, which differ between the two known domains.
    """

    facts: tuple[Fact, ...]
    goal: HouseholdGoal
    task: str
    walkthrough: tuple[str, ...]
    washers: tuple[str, ...] = ("sinkbasintype",)


def read_game(path: str | Path) -> Problem:
    """The problem in a game file.

    Raises:
        DataError: missing, too large, not JSON, or not a game of the known domain and grammar.
    """
    try:
        # A device or a pipe in place of a file would block or never end.
        if not Path(path).is_file():
            raise DataError(f"{_short(path)}: no such file")
        with open(path, "rb") as file:
            data = file.read(MAX_GAME_BYTES + 1)
    except OSError as error:
        raise DataError(f"{_short(path)}: cannot be read: {error.strerror}") from None
    return parse_game(data, str(path))


def parse_game(data: bytes | str, origin: str) -> Problem:
    """The problem in the content of a game file.

    Args:
        data: the file's content.
        origin: what error messages call it.

    Raises:
        DataError: as `read_game`.
    """
    try:
        return _parse(data)
    except (RecordError, ValueError) as error:
        raise DataError(f"{_short(origin)}: {one_line(str(error), 240)}") from None


def _short(path: object) -> str:
    return one_line("/".join(Path(str(path)).parts[-4:]), 160)


def _parse(data: bytes | str) -> Problem:
    if len(data) > MAX_GAME_BYTES:
        raise ValueError(f"larger than {MAX_GAME_BYTES:,} bytes: no game file")
    game = parse_json(data)
    if not isinstance(game, dict):
        raise ValueError("a game file is a JSON object")
    domain, grammar, text = (_string(game, key) for key in ("pddl_domain", "grammar", "pddl_problem"))
    task = _TASK.search(grammar)
    washers = _washers(domain)
    if task is None or not washers or _masked_hash(grammar) not in _known_grammars():
        what = "grammar" if washers else "PDDL domain"
        raise ValueError(f"an unknown {what}: play it with backend='textworld', which runs any game")
    if not _SENTENCE.fullmatch(task.group()):
        raise ValueError("the task sentence holds characters that no task has")
    walkthrough = game.get("walkthrough") or []
    if not isinstance(walkthrough, list) or not all(isinstance(command, str) for command in walkthrough):
        raise ValueError("'walkthrough' is a list of commands")
    facts, goal = _parse_pddl(text)
    return Problem(facts, goal, task.group().removesuffix("."), tuple(walkthrough), washers)


def _string(game: dict[str, Any], key: str) -> str:
    value = game.get(key)
    if not isinstance(value, str):
        raise ValueError(f"no text under {key!r}: not a game file, or a truncated one")
    return value


def _masked_hash(grammar: str) -> str:
    return hashlib.sha256(_TASK.sub("X", grammar, count=1).encode("utf-8", "replace")).hexdigest()


@lru_cache(maxsize=1)
def _known_grammars() -> frozenset[str]:
    return frozenset((_OFFICIAL_GRAMMAR, _masked_hash(_resource("alfred.twl2"))))


@lru_cache(maxsize=1)
def _package_domain_hash() -> str:
    return hashlib.sha256(_resource("alfred.pddl").encode()).hexdigest()


def _washers(domain: str) -> tuple[str, ...]:
    digest = hashlib.sha256(domain.encode("utf-8", "replace")).hexdigest()
    if digest == _OFFICIAL_DOMAIN:
        return ("sinkbasintype", "sinktype")
    return ("sinkbasintype",) if digest == _package_domain_hash() else ()


@lru_cache(maxsize=4)
def _resource(name: str) -> str:
    return (resources.files("sad_env.alfworld") / "resources" / name).read_text(encoding="utf-8")


def _parse_pddl(text: str) -> tuple[tuple[Fact, ...], HouseholdGoal]:
    if ";" in text:
        text = re.sub(r";[^\n]*", "", text)
    text = text.lower()
    objects, init, goal = text.find("(:objects"), text.find("(:init"), text.find("(:goal")
    if not 0 <= objects < init < goal:
        raise ValueError("the PDDL problem lacks :objects, :init or :goal, in this order")
    declared = dict(_DECLARATION.findall(text, objects, init))
    body = text[init + len("(:init") : goal]
    if _FLAT.sub("", body).strip() != ")":
        raise ValueError("the initial state is not a list of plain facts")
    facts = {tuple(fact.split()) for fact in _FLAT.findall(body)}
    for fact in facts:
        _check_fact(fact, declared)
    return tuple(sorted(facts)), _parse_goal(text[goal:])


def _check_fact(fact: Fact, declared: Mapping[str, str]) -> None:
    signature = SIGNATURES.get(fact[0]) if fact else None
    if signature is None or len(signature) != len(fact) - 1:
        raise ValueError(f"{' '.join(fact)[:80]!r} is no fact of this domain")
    for name, kind in zip(fact[1:], signature, strict=True):
        if declared.get(name) != kind:
            raise ValueError(f"{name[:60]!r} in {fact[0]} is not declared as {kind}")


def _parse_goal(text: str) -> HouseholdGoal:
    # The parenthesis that closes the whole problem may come after the goal.
    squeezed = re.sub(r"\s*([()])\s*", r"\1", re.sub(r"\s+", " ", text.strip()))
    for candidate in (squeezed, squeezed.removesuffix(")")):
        for task_type, pattern in _GOAL_PATTERNS.items():
            match = pattern.fullmatch(candidate)
            if match:
                types = match.groups()
                if task_type == "look_at_obj_in_light":
                    types = types[::-1]
                elif types[2:] not in ((), types[:2]):
                    continue
                return HouseholdGoal(task_type, types[0], types[1])
    raise ValueError("the goal has none of the six known shapes: play it with backend='textworld'")


def write_game(problem: Problem, name: str) -> str:
    """The content of a game file that plays the same in the original engine.

    Args:
        problem: the game.
        name: name of the PDDL problem: letters, digits, underscores and dashes.
    """
    grammar = _TASK.sub(problem.task + ".", _resource("alfred.twl2"), count=1)
    game = {
        "pddl_domain": _resource("alfred.pddl"),
        "grammar": grammar,
        "pddl_problem": _pddl_text(problem, name),
        "solvable": True,
        "walkthrough": list(problem.walkthrough),
    }
    return json.dumps(game)


def _pddl_text(problem: Problem, name: str) -> str:
    kinds = dict(_CONSTANTS)
    for fact in problem.facts:
        kinds.update(zip(fact[1:], SIGNATURES[fact[0]], strict=True))
    kinds.setdefault(problem.goal.object_type, "otype")
    look = problem.goal.task_type == "look_at_obj_in_light"
    kinds.setdefault(problem.goal.place_type, "otype" if look else "rtype")
    declarations = sorted(kinds.items(), key=lambda item: (_TYPE_ORDER.index(item[1]), item[0]))
    lines = [f"(define (problem {name})", "(:domain alfred)", "(:objects"]
    lines += [f"    {entity} - {kind}" for entity, kind in declarations]
    lines += [")", "(:init", *(f"    ({' '.join(fact)})" for fact in problem.facts), ")"]
    return "\n".join([*lines, goal_text(problem.goal), ")"]) + "\n"


def goal_text(goal: HouseholdGoal) -> str:
    """The goal in PDDL."""
    types = [goal.object_type, goal.place_type]
    if goal.task_type == "look_at_obj_in_light":
        types.reverse()
    text = _GOAL_SHAPES[goal.task_type]
    for name in types * 2:
        text = text.replace("@", name, 1)
    return text
