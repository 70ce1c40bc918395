"""Reworded instructions keep the task, and nothing but the instruction changes."""

from __future__ import annotations

import collections
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_agents.perturbed_agent import KINDS, perturb
from sad_eval.commands.evaluate import main
from sad_eval.runs.run_folder import RunFolder

from sad_env import registry
from sad_env.errors import UnknownNameError

ALFWORLD = (
    "You are in the middle of a room. Looking quickly around you, you see a fridge 1.\n\n"
    "Your task is to: put a cool tomato in microwave."
)
QUESTION = "Question: Which magazine was started first, Arthur's Magazine or First for Women?"
TEXTS = [("toy", "You are in a corridor. Bring the lamp."), ("alfworld", ALFWORLD), ("hotpotqa", QUESTION)]


@pytest.mark.parametrize(("world", "text"), TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_words_and_no_word_of_the_task_is_lost(world: str, text: str, kind: str) -> None:
    once = perturb(text, kind, world=world, seed=3)
    assert once == perturb(text, kind, world=world, seed=3)
    if kind != "typos":
        task = text.rpartition(": ")[2].rstrip(".?")
        for word in task.replace(",", "").split():
            assert word in once
    else:
        assert collections.Counter(once) == collections.Counter(text)


def test_each_kind_does_what_it_says() -> None:
    assert perturb(ALFWORLD, "reorder", world="alfworld", seed=0).startswith("Your task is to: put a cool tomato")
    rephrased = perturb(ALFWORLD, "rephrase", world="alfworld", seed=0)
    assert "Your task is to:" not in rephrased
    assert rephrased.endswith("put a cool tomato in microwave.")
    assert perturb(ALFWORLD, "distractor", world="alfworld", seed=0).endswith(
        "Your task is to: put a cool tomato in microwave."
    )
    typos = perturb(ALFWORLD, "typos", world="alfworld", seed=0)
    assert typos.startswith(ALFWORLD.partition("put")[0])
    changed = [(a, b) for a, b in zip(ALFWORLD.split(), typos.split(), strict=True) if a != b]
    assert len(changed) == 1
    assert all(a[0] == b[0] and sorted(a) == sorted(b) for a, b in changed)
    asked = perturb("Question: Is A old, B new and C red?", "reorder", world="hotpotqa", seed=0)
    assert asked == "Question: C red, B new, Is A old?"


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="no perturbation 'noise'"):
        perturb("x", "noise", world="toy", seed=0)


@pytest.mark.parametrize("world", ["alfworld", "webshop", "hotpotqa", "searchqa"])
def test_the_instruction_is_found_in_every_world(world: str) -> None:
    """Where it were not found, the whole text would be taken and the rest of the observation come before nothing."""
    try:
        text, _ = registry.make(world).reset(seed=0)
    except ImportError as error:
        pytest.skip(f"{world} cannot be made: {error}")
    assert perturb(text, "distractor", world=world, seed=0) != text
    if len(text.splitlines()) > 1:
        assert perturb(text, "rephrase", world=world, seed=0).partition("\n")[0] == text.partition("\n")[0]


def test_the_suite_runs_every_kind_and_pairs_it_with_the_plain_run(
    evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["robustness", "--env", "toy", "--agent", "expert", "--episodes", "20", "--workers", "0", "--out", "suite"]
    assert main(words) == 0
    out = capsys.readouterr().out
    for kind in KINDS:
        run = RunFolder.open(f"suite/{kind}")
        assert run.manifest.agent == f"expert+{kind}"
        assert all(line.chain_holds() for line in run.episodes())
        assert kind in out
    # The toy expert takes the last word for what is wanted, so an instruction in front misleads it.
    assert RunFolder.open("suite/reorder").results().metrics["success_rate"].value == 0
    assert RunFolder.open("suite/distractor").results().metrics["success_rate"].value == 1


def test_the_suite_can_be_tried_dry_and_told_as_json(
    evaluate: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["robustness", "--env", "toy", "--agent", "expert", "--episodes", "3", "--workers", "0", "--out", "suite"]
    assert main([*words, "--dry-run"]) == 0
    assert capsys.readouterr().out.count("nothing was written") == 1 + len(KINDS)
    assert list(tmp_path.iterdir()) == []
    assert main([*words, "--json"]) == 0
    agents = [results["agent"] for results in json.loads(capsys.readouterr().out)]
    assert agents == ["expert", *(f"expert+{kind}" for kind in KINDS)]
