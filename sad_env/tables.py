"""TOML files: those of users, and tables of data in a package."""

from __future__ import annotations

import re
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from sad_env.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]


_MOST_BYTES = 2**20
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]+[ \t]*\.[ \t]*){100}""")
"""Time and memory of reading such a key grow with the square of its parts."""


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's content.

    Raises:
        ConfigError: no such file, not TOML, or more than a person would write.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ConfigError(f"{path} is no settings file: more than {_MOST_BYTES:,} bytes")
        text = content.decode("utf-8")
        if _LONG_KEY.search(text):
            raise ConfigError(f"{path} is no settings file: a key of more than 100 parts")
        values: dict[str, Any] = tomllib.loads(text)
        if _holds_large_number(values):
            raise ConfigError(f"{path} holds a number of more than 64 bits")
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except RecursionError:
        raise ConfigError(f"{path} is no settings file: nested too deep") from None
    except ValueError as error:  # of TOML, UTF-8, or a number of thousands of digits
        raise ConfigError(f"{path} is not TOML: {error}") from None
    return values


def _holds_large_number(value: Any) -> bool:
    if isinstance(value, (dict, list)):
        return any(map(_holds_large_number, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not -(2**63) <= value < 2**63


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
