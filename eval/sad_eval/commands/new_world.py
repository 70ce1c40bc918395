"""`sad-eval new-world`: writes a world of your own to start from, and its test."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated

import tyro

from sad_env import cli
from sad_env.errors import ConfigError
from sad_env.files import write_text
from sad_env.safe_text import one_line, visible


@dataclass(frozen=True)
class NewWorldSettings:
    """Write NAME.py, a world of three doors with its expert, and test_NAME.py, which passes as it is.

    $ sad-eval new-world lights
    $ sad-eval --env lights.py:Lights --agent expert
    """

    name: Annotated[str, tyro.conf.Positional]
    """Name of the world: a word of lower-case letters, digits and underscores."""
    out: str = "."
    """Output folder."""


def run_new_world(arguments: Sequence[str] | None = None) -> int:
    """`sad-eval new-world`."""
    settings = cli.parse(NewWorldSettings, arguments, prog="sad-eval new-world")
    name, folder = settings.name, Path(settings.out)
    if not name.isidentifier() or not name.isascii() or name != name.lower() or keyword.iskeyword(name):
        raise ConfigError(
            f"{one_line(name, 40)!r} is no name for a world: lower-case letters, digits and underscores, e.g. my_world"
        )
    words = {
        "world": name,
        "title": name.replace("_", " "),
        "name": "".join(part.capitalize() for part in name.split("_")) or "World",
        "file": f"{name}.py",
        "test": f"test_{name}.py",
    }
    files = {folder / words["file"]: "new_world.py.txt", folder / words["test"]: "new_world_test.py.txt"}
    for path in files:
        if path.exists():
            raise ConfigError(f"{one_line(str(path), 120)!r} is there already: choose another name, or another --out")
    for path, template in files.items():
        source = (resources.files("sad_eval.commands") / template).read_text(encoding="utf-8")
        write_text(path, Template(source).substitute(words))
    address = f"{folder / words['file']}:{words['name']}"
    print(visible(f"wrote {' and '.join(map(str, files))}; play it: sad-eval --env {address} --agent expert"))
    return 0
