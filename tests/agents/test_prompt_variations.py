"""Prompts in the paper's style, and prompts in styles that an agent does not know."""

from __future__ import annotations

from pathlib import Path

import pytest
from sad_agents.collect_command import CollectSettings
from sad_agents.prompts import PAPER, Prompt, load_prompt, prompt_of, read_prompt
from sad_agents.prompts.variations import KINDS, prompt_file, renamed_action, varied

from sad_env import cli, registry
from sad_env.errors import UnknownNameError
from sad_env.transcript import FORMS, parse

PLAYED = ("alfworld", "webshop", "hotpotqa")


@pytest.mark.parametrize("world", PLAYED)
def test_the_papers_prompts_have_two_to_six_exemplars_of_their_own(world: str) -> None:
    prompt = prompt_of(PAPER, world)
    assert 2 <= len(prompt.exemplars) <= 6
    assert not set(prompt.exemplars) & set(load_prompt(world).exemplars)
    assert prompt.task_pattern == load_prompt(world).task_pattern
    for form in FORMS.values():
        assert form.request in prompt.text(2, form)
    canonical = registry.canonical_action(world) or str
    for exemplar in prompt.exemplars:
        for turn in exemplar.split("Reasoning: ")[1:]:
            read = parse(f"Reasoning: {turn.partition('Observation:')[0]}")
            assert read.reasoning
            assert canonical(read.action) == read.action


def test_a_world_without_a_prompt_in_that_style_is_told() -> None:
    with pytest.raises(UnknownNameError, match="alfworld"):
        prompt_of(PAPER, "toy")


def test_collection_as_the_paper_samples() -> None:
    words = ["--config", PAPER, "--env", "alfworld", "--agent", "x.pt", "--out", "x"]
    settings = cli.parse(CollectSettings, words, prog="sad-collect", configs="sad_agents")
    assert (settings.temperature, settings.top_p, settings.prompt, settings.shots) == (0.2, 1.0, PAPER, 2)


@pytest.mark.parametrize("world", [*PLAYED, "searchqa"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_variation_changes_instruction_and_exemplars_and_is_a_prompt(kind: str, world: str, tmp_path: Path) -> None:
    plain = load_prompt(world)
    other = varied(plain, kind)
    assert other.instruction != plain.instruction
    assert other.exemplars != plain.exemplars
    assert (other.task_pattern, other.final_actions) == (plain.task_pattern, plain.final_actions)
    path = tmp_path / "prompt.toml"
    path.write_text(prompt_file(other), encoding="utf-8")
    assert read_prompt(path) == other


def test_nested_thoughts_are_no_turns() -> None:
    plain = load_prompt("toy").exemplars[0]
    nested = varied(load_prompt("toy"), "nested").exemplars[0]
    first = [
        parse("Reasoning:" + text.split("\nReasoning:")[1].partition("Observation:")[0]) for text in (plain, nested)
    ]
    assert first[0].action == first[1].action == "go to cellar"
    assert first[1].reasoning.startswith(first[0].reasoning)
    assert "Action: look" in first[1].reasoning


def test_actions_are_named_otherwise_and_their_arguments_change_places() -> None:
    assert renamed_action("move mug 1 to shelf 2") == "to shelf 2 bring mug 1"
    assert renamed_action("clean mug 1 with sinkbasin 1") == "with sinkbasin 1 clean mug 1"
    assert renamed_action("click[Buy Now]") == "press[Buy Now]"
    assert renamed_action("inventory") == "inventory"


def test_an_unknown_variation_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="known"):
        varied(Prompt("x"), "colour")
