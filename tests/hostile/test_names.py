"""Names and paths that come from outside never leave their folder and never name a device."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sad_env.errors import ConfigError, DataError
from sad_env.files import below, safe_name

NAMES = [
    "",
    ".",
    "..",
    "../up",
    "a/b",
    "/etc/passwd",
    "a\\b",
    ".hidden",
    "-rf",
    "--level",
    "a b",
    "a\nb",
    "a\0b",
    "a\x1b[2Jb",
    "\u202egpj.exe",
    "\u200bzero",
    "nаme",  # a Cyrillic а
    "ｎame",
    "a" * 65,
    "a" * 100_000,
    "CON:",
    "name;rm -rf",
    "$(reboot)",
    "`id`",
    "<b>",
    "%2e%2e%2f",
    "name\n",
    "é",
    "\ud800",
]

PATHS = ["../x", "/etc/passwd", "a/../../x", "link/x", "a\0b", "..", "a/b/../../../c"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_could_be_more_than_a_name_is_refused(name: str, one_clear_line: Callable[[str], None]) -> None:
    with pytest.raises(ConfigError) as refused:
        safe_name(name)
    one_clear_line(str(refused.value))


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leads_out_is_refused(path: str, tmp_path: Path, one_clear_line: Callable[[str], None]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    os.symlink(tmp_path, root / "link")
    with pytest.raises(DataError) as refused:
        below(root, path)
    one_clear_line(str(refused.value))
