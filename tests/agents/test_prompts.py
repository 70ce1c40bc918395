from __future__ import annotations

from pathlib import Path

import pytest
from sad_agents.prompts import load_prompt, read_prompt

from sad_env import registry
from sad_env.errors import ConfigError


@pytest.mark.parametrize("pattern", ["(", "(?P<body>.+)", "(?P<intro>.)"])
def test_a_task_pattern_has_an_introduction_and_a_body(pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "prompt.toml"
    path.write_text(f"instruction = 'Play.'\ntask_pattern = '{pattern}'\n")
    with pytest.raises(ConfigError, match="task_pattern is a regular expression with the groups intro and body"):
        read_prompt(path)


def test_every_world_of_ours_says_where_its_task_is() -> None:
    default = load_prompt("no such world").task_pattern
    assert all(load_prompt(spec.name).task_pattern != default for spec in registry.known() if spec.data)
