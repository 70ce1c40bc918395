"""A prompt in other styles than an agent knows: three kinds of variation on what stands before an episode.

The paper's appendix K names the kinds and no more; these are our definitions. What the world answers and reads does not
change, so an agent that takes over a spelling of "actions" is not understood.

    style      the instruction as a list of rules under a heading; exemplars say "Thought:" for "Reasoning:"
    nested     thoughts quote an earlier turn, with a thought and an action of its own in brackets
    actions    actions are named by synonyms, those with two arguments the other way round
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

from sad_agents.prompts import Prompt
from sad_env.errors import UnknownNameError

_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")
_HEADED = re.compile(r"^(Reasoning|Action): (.*)$", re.MULTILINE)
_SYNONYMS = (
    (r"\b(?:take|pick up) (.+?) from (.+)", r"from \2 pick \1"),
    (r"\b(?:move|put) (.+?) to (.+)", r"to \2 bring \1"),
    (r"\b(heat|cool|clean) (.+?) with (.+)", r"with \3 \1 \2"),
    (r"\bgo to\b", "walk to"),
    (r"\bopen (?!an)", "unclose "),
    (r"\btake ", "grab "),
    (r"\buse ", "switch on "),
    (r"\bsearch\[", "find["),
    (r"\bclick\[", "press["),
    (r"\blookup\[", "seek["),
    (r"\bfinish\[", "answer_is["),
)


def nested(reasoning: str) -> str:
    """A thought that quotes an earlier turn.

    >>> nested("I take it.")
    'I take it. (I had noted before: "Reasoning: look first. Action: look", which gave: nothing new.)'
    """
    return f'{reasoning} (I had noted before: "Reasoning: look first. Action: look", which gave: nothing new.)'


def renamed_action(action: str) -> str:
    """An action by a synonym, or with its arguments the other way round.

    >>> renamed_action("take mug 1 from shelf 2"), renamed_action("search[red bag]"), renamed_action("look")
    ('from shelf 2 pick mug 1', 'find[red bag]', 'look')
    """
    for pattern, other in _SYNONYMS:
        changed = re.sub(pattern, other, action, count=1)
        if changed != action:
            return changed
    return action


def _in_list(prompt: Prompt) -> Prompt:
    rules = "\n".join(f"* {sentence}" for sentence in _SENTENCE.split(prompt.instruction.strip()))
    exemplars = tuple(one.replace("Reasoning: ", "Thought: ") for one in prompt.exemplars)
    return replace(prompt, instruction=f"# Rules of the game\n{rules}", exemplars=exemplars)


def _with_nested_thoughts(prompt: Prompt) -> Prompt:
    def headed(line: re.Match[str]) -> str:
        return f"Reasoning: {nested(line[2])}" if line[1] == "Reasoning" else line[0]

    said = prompt.instruction.rstrip() + "\nA thought may quote an earlier turn, its thought and action in brackets."
    return replace(prompt, instruction=said, exemplars=tuple(_HEADED.sub(headed, one) for one in prompt.exemplars))


def _with_renamed_actions(prompt: Prompt) -> Prompt:
    def headed(line: re.Match[str]) -> str:
        return f"Action: {renamed_action(line[2])}" if line[1] == "Action" else line[0]

    said = re.sub(r"(?m)^Actions: .*$", lambda line: _renamed_list(line[0]), prompt.instruction)
    return replace(prompt, instruction=said, exemplars=tuple(_HEADED.sub(headed, one) for one in prompt.exemplars))


def _renamed_list(line: str) -> str:
    return ", ".join(renamed_action(part) for part in line.split(", "))


KINDS: dict[str, Callable[[Prompt], Prompt]] = {
    "style": _in_list,
    "nested": _with_nested_thoughts,
    "actions": _with_renamed_actions,
}
"""The variations by name."""


def varied(prompt: Prompt, kind: str) -> Prompt:
    """The prompt in another style.

    Raises:
        UnknownNameError: no such kind.
    """
    if kind not in KINDS:
        raise UnknownNameError("variation of a prompt", kind, KINDS)
    return KINDS[kind](prompt)


def prompt_file(prompt: Prompt) -> str:
    """The TOML that `read_prompt` reads as this prompt; strings of JSON are strings of TOML but for DEL."""
    values = {
        "instruction": prompt.instruction,
        "task_pattern": prompt.task_pattern,
        "exemplars": list(prompt.exemplars),
        "random_actions": list(prompt.random_actions),
        "final_actions": list(prompt.final_actions),
    }
    lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in values.items())
    return "".join(lines).replace("\x7f", "\\u007f")
