"""Examples in docstrings (`>>> ...`) as code blocks of the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!>>> )[^\n]+\n?)*)+", re.MULTILINE)
"""Lines that are typed, each with what is printed: up to an empty line."""


class DoctestBlocks(griffe.Extension):
    """Puts examples between fences; Markdown would read what they print as links and lists."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called with everything that has a docstring."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(
                lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", obj.docstring.value
            )
