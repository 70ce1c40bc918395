"""Episodes told under exchanged names: the same episode, word for word, but for the names."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from sad_agents.collect_command import CollectSettings, collect

from sad_env.alfworld.renaming import renamed
from sad_env.errors import ConfigError
from sad_env.records import Trajectory, read_trajectories


def collected(folder: Path, *, share: float = 0.0, env: str = "alfworld", name: str = "episodes") -> list[Trajectory]:
    out = folder / f"{name}.jsonl"
    settings = CollectSettings(
        env=env, out=out, agent="expert-plain", episodes=12, slip=0.2, renamed=share, workers=0, quiet=True
    )
    assert collect(settings).owed == 0
    return list(read_trajectories(out))


def texts(episode: Trajectory) -> str:
    """All that can be read in an episode, without articles, which follow the names."""
    told = [episode.observation, *(f"{step.completion}\n{step.observation}" for step in episode.steps)]
    return re.sub(r"\ban?\b", "a", "\n".join(told).lower())


def test_names_and_numbers_are_exchanged_one_for_one_and_nothing_else_changes(tmp_path: Path) -> None:
    for number, episode in enumerate(collected(tmp_path)):
        after = renamed(episode, random.Random(number))
        units = r"[a-z]+ \d+|\w+|\W+"
        pairs = set(zip(re.findall(units, texts(episode)), re.findall(units, texts(after)), strict=True))
        there, back = dict(pairs), {new: old for old, new in pairs}
        assert len(there) == len(back) == len(pairs)
        assert any(old != new for old, new in pairs)
        words = (
            "reasoning",
            "action",
            "go",
            "to",
            "take",
            "from",
            "nothing",
            "closed",
            "heat",
            "clean",
            "cool",
            "here",
            "lamp",
        )
        assert all(there[word] == word for word in words if word in there)
        numbered = [(old, new) for old, new in pairs if re.fullmatch(r"[a-z]+ \d+", old)]
        assert all(there[old.split()[0]] == new.split()[0] for old, new in numbered if old.split()[0] in there)
        assert any(old.split()[1] != new.split()[1] for old, new in numbered)
        assert (after.task_id, after.status, len(after.steps)) == (episode.task_id, episode.status, len(episode.steps))


def test_spans_and_admissible_actions_follow(tmp_path: Path) -> None:
    for number, episode in enumerate(collected(tmp_path)):
        for before, step in zip(episode.steps, renamed(episode, random.Random(number)).steps, strict=True):
            assert [span.kind for span in step.spans] == [span.kind for span in before.spans]
            for span in step.spans:
                assert step.completion[span.start : span.body] in ("Reasoning: ", "Action: ")
            assert step.admissible is not None
            assert before.admissible is not None
            assert (step.action in step.admissible) == (before.action in before.admissible)


def test_the_share_is_kept_and_a_second_call_changes_nothing(tmp_path: Path) -> None:
    plain, half, every = (collected(tmp_path, share=share, name=str(share)) for share in (0.0, 0.5, 1.0))
    changed = [texts(one) != texts(other) for one, other in zip(plain, half, strict=True)]
    assert 0 < sum(changed) < len(changed)
    assert all(texts(one) != texts(other) for one, other in zip(plain, every, strict=True))
    assert collected(tmp_path, share=0.5, name="0.5") == half
    assert json.loads((tmp_path / "0.5.jsonl.settings.json").read_text())["renamed"] == 0.5


def test_worlds_without_such_names_and_shares_beyond_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="webshop has no names to exchange"):
        collected(tmp_path, share=0.5, env="webshop", name="w")
    with pytest.raises(ConfigError, match="between 0 and 1"):
        collected(tmp_path, share=1.5, name="much")
