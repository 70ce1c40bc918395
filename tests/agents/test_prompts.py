from __future__ import annotations

from pathlib import Path

import pytest
from sad_agents.prompts import Prompt, load_prompt, read_prompt

from sad_env import registry
from sad_env.errors import ConfigError
from sad_env.records import SpanKind
from sad_env.transcript import FORMS, Form


@pytest.mark.parametrize("pattern", ["(", "(?P<body>.+)", "(?P<intro>.)"])
def test_a_task_pattern_has_an_introduction_and_a_body(pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "prompt.toml"
    path.write_text(f"instruction = 'Play.'\ntask_pattern = '{pattern}'\n")
    with pytest.raises(ConfigError, match="task_pattern is a regular expression with the groups intro and body"):
        read_prompt(path)


def test_every_world_of_ours_says_where_its_task_is() -> None:
    default = load_prompt("no such world").task_pattern
    assert all(load_prompt(spec.name).task_pattern != default for spec in registry.known() if spec.data)


@pytest.mark.parametrize("form", list(FORMS.values()), ids=list(FORMS))
def test_prompts_ask_for_a_form_and_show_it(form: Form) -> None:
    for spec in registry.known():
        prompt = load_prompt(spec.name)
        text = prompt.text(len(prompt.exemplars), form)
        assert form.request in text
        assert all((other.request in text) == (other is form) for other in FORMS.values())
        if prompt.exemplars:
            written = text[text.index(form.headers[SpanKind.OBS]) :]
            assert form.parse(written).action == FORMS["lines"].parse(prompt.exemplars[0]).action
    # A prompt of somebody's own may ask in other words.
    own = Prompt("Play well.").text(0, form)
    assert own == ("Play well.\n\n" if form.name == "lines" else f"Play well.\n{form.request}\n\n")
