"""The corpus: everything is made here, as text, so that a reader sees what is fed in."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sad_env
from sad_env.records import Status, Step, Trajectory
from sad_env.transcript import segment

KEPT = {"\n", "\t", "\u200d", "\ufe0e", "\ufe0f"}
"""Controls and formats that may reach a terminal."""

_VISIBLE_FORMATS = range(0x0600, 0x0606), (0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD)
"""Unicode calls these format characters, but they are drawn: Arabic, Syriac and Kaithi number signs."""


def dangerous(text: str) -> list[str]:
    """Characters that could move a cursor, hide or reorder text."""
    drawn = {number for numbers in _VISIBLE_FORMATS for number in numbers}
    return [
        f"U+{ord(character):04X}"
        for character in text
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and character not in KEPT
        and ord(character) not in drawn
    ]


def make_trajectory(text: str, *, task_id: str = "task") -> Trajectory:
    """An episode whose every string is `text`."""
    completion = f"Reasoning: {text}\nAction: {text}\n"
    step = Step(
        completion=completion,
        spans=segment(completion),
        reasoning=text,
        action=text,
        observation=text,
        admissible=(text, "go on"),
        valid=False,
    )
    return Trajectory(
        world="toy",
        data="generated",
        split="test",
        task_id=task_id,
        task_type=text,
        agent=text,
        prompt=text,
        observation=text,
        steps=(step,),
        status=Status.FAILURE,
        success=False,
        error=text,
    )


@pytest.fixture
def episode() -> dict[str, Any]:
    """A good episode as plain JSON values, to be spoilt."""
    value: dict[str, Any] = json.loads(make_trajectory("look", task_id="test-0000").to_json())
    return value


@pytest.fixture(scope="session")
def harmless() -> Callable[[str], None]:
    """Asserts that a text may be printed: nothing in it but visible characters, newlines and tabs."""

    def check(text: str) -> None:
        assert dangerous(text) == []
        text.encode("utf-8")

    return check


@pytest.fixture(scope="session")
def one_clear_line(harmless: Callable[[str], None]) -> Callable[[str], None]:
    """Asserts that a refusal is one line that may be printed and read."""

    def check(text: str) -> None:
        harmless(text)
        assert text.strip()
        assert "\n" not in text
        assert len(text) <= 600
        assert "Traceback" not in text

    return check


@pytest.fixture(scope="session")
def trajectory_of() -> Callable[..., Trajectory]:
    return make_trajectory


@pytest.fixture(scope="session")
def without_script() -> Callable[[str], str]:
    """A board's page without its own script, which has to be the one file that the page's policy allows."""
    source = (Path(sad_env.__file__).parent / "templates" / "tables.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()

    def remove(page: str) -> str:
        assert page.count(f"<script>{source}</script>") == 1
        assert re.findall("script-src ([^;]*);", html.unescape(page)) == [f"'sha256-{digest}'"]
        return page.replace(f"<script>{source}</script>", "")

    return remove
