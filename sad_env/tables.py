"""Tables of data that are kept as TOML files in a package."""

from __future__ import annotations

import sys
from importlib import resources
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]


def read_table(package: str, name: str) -> dict[str, Any]:
    """The content of a TOML file in a package, with tuples for lists.

    Args:
        package: dotted name of the package.
        name: of the file in it.
    """
    text = (resources.files(package) / name).read_text(encoding="utf-8")
    return {key: _frozen(value) for key, value in tomllib.loads(text).items()}


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return {key: _frozen(part) for key, part in value.items()}
    return value
