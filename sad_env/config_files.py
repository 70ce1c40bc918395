"""Configuration files of commands: found by name or path, read as TOML, checked against the settings."""

from __future__ import annotations

import difflib
import importlib.resources
import json
import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sad_env.errors import ConfigError, UnknownNameError
from sad_env.safe_text import one_line
from sad_env.settings import Setting

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

_MOST_BYTES = 2**20
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]+[ \t]*\.[ \t]*){100}""")
"""Time and memory of reading such a key grow with the square of its parts."""


@dataclass(frozen=True)
class Names:
    """What the settings of a command are called, and were.

    Attributes:
        prog: name of the command.
        known: settings by name.
        former: the same by names that they had.
        removed: names that have no single successor, with what to give instead.
    """

    prog: str
    known: Mapping[str, Setting]
    former: Mapping[str, Setting]
    removed: Mapping[str, str]

    def note(self, old: str, new: str, remark: str = "") -> None:
        """Say on standard error what something is called now."""
        more = f" ({remark})" if remark else ""
        said = f"{one_line(old, 80)} is now {new}{more}; the former name goes with the next release"
        print(f"{self.prog}: {said}", file=sys.stderr)

    def refuse_removed(self, name: str, shown: str) -> None:
        """Refuse a name without a single successor.

        Raises:
            ConfigError: with what to give instead.
        """
        if name in self.removed:
            raise ConfigError(f"{shown} is no setting of {self.prog} any more: give {self.removed[name]}")


def read_settings_file(path: Path, names: Names) -> dict[str, Any]:
    """Settings of a TOML file by their present names.

    Raises:
        ConfigError: the file cannot be read, or holds a value of another kind than its setting's.
        UnknownNameError: it holds a key that is no setting.
    """
    known, former = names.known, names.former
    groups = {group for one in known.values() for group in one.groups}
    found: dict[str, Any] = {}
    replaced: dict[str, Any] = {}
    for key, value in _entries(read_toml(path), groups):
        name = key.replace("-", "_")
        if name in known:
            found[name] = _checked(path, key, value, known[name], names)
        elif name in former:
            value = _checked(path, key, value, former[name], names)
            if value != former[name].default and value != "":
                names.note(f"{path}: {key}", former[name].name, former[name].former.remark)
                replaced[former[name].name] = value
        else:
            names.refuse_removed(name, f"{path}: {key}")
            raise UnknownNameError(f"setting in {path}", key, known)
    for name in replaced:
        if found.get(name, "") not in ("", known[name].default):
            raise ConfigError(f"{path} has {name} under its former name, too: leave that one out")
    return {**found, **replaced}


def _entries(table: Mapping[str, Any], groups: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Keys and values of a file, those in the tables of groups included."""
    for key, value in table.items():
        if key.replace("-", "_") in groups and isinstance(value, dict):
            yield from _entries(value, groups)
        else:
            yield key, value


def _checked(path: Path, key: str, value: Any, setting: Setting, names: Names) -> Any:
    if isinstance(value, str) and (new := dict(setting.former.values).get(value)):
        names.note(f"{path}: {key} {value}", new)
        value = new
    try:
        # By way of JSON, which like TOML has arrays for tuples and text for paths: else strictly of the kind.
        return TypeAdapter(setting.kind).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ConfigError(f"{path}: {key} = {one_line(repr(value), 80)} does not do: {reason}") from None


def find_config(word: str, package: str = "") -> Path:
    """The file that a word after ``--config`` means: a file, else a configuration that a package ships, by its name.

    Args:
        word: a path, or a name like nano (nano.toml and configs/nano.toml mean the same).
        package: whose folder configs/ holds the named ones.

    Raises:
        ConfigError: there is neither; all names are listed.
    """
    if Path(word).is_file() or not package:
        return Path(word)
    named = shipped_configs(package)
    name = word.removeprefix("configs/").removesuffix(".toml")
    if name in named:
        return named[name]
    families: dict[str, list[str]] = defaultdict(list)
    for known in named:
        family, slash, last = known.rpartition("/")
        families[family + slash].append(last)
    # By family, since a message is cut at 500 characters.
    listed = "; ".join(f"{family} {', '.join(names)}".strip() for family, names in families.items())
    close = difflib.get_close_matches(name, named, n=1)
    hint = f" did you mean {close[0]!r}?" if close else ""
    raise ConfigError(f"no configuration {one_line(word, 60)!r}:{hint} known: {listed}; or a file.toml of your own")


def shipped_configs(package: str) -> dict[str, Path]:
    """Files in the folder configs/ of a package, by name without .toml."""
    folder = Path(str(importlib.resources.files(package))) / "configs"
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.toml"))}


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
