"""Configuration files of commands: found by name or path, read as TOML, checked against the settings."""

from __future__ import annotations

import datetime
import difflib
import importlib.resources
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sad_env.errors import ConfigError, UnknownNameError
from sad_env.safe_text import one_line
from sad_env.settings import Setting
from sad_env.tables import read_toml

EXTENDS = "extends"
"""Key of a file for the configuration whose settings it changes."""

Entry = tuple[str, Callable[[str], str]]
"""The list that a former setting is an entry of now, and the entry by the setting's value, "" for none."""


@dataclass(frozen=True)
class Names:
    """What the settings of a command are called, and were.

    Attributes:
        prog: name of the command.
        known: settings by name.
        former: the same by names that they had.
        removed: names that have no single successor, with what to give instead.
        entries: names of former settings that are an entry of a list now.
    """

    prog: str
    known: Mapping[str, Setting]
    former: Mapping[str, Setting]
    removed: Mapping[str, str]
    entries: Mapping[str, Entry]

    def note(self, old: str, new: str, remark: str = "") -> None:
        """Say on standard error what something is called now."""
        more = f" ({remark})" if remark else ""
        said = f"{one_line(old, 200)} is now {new}{more}; the former name goes with the next release"
        print(f"{self.prog}: {said}", file=sys.stderr)

    def refuse_removed(self, name: str, shown: str) -> None:
        """Refuse a name without a single successor.

        Raises:
            ConfigError: with what to give instead.
        """
        if name in self.removed:
            raise ConfigError(f"{shown} is no setting of {self.prog} any more: give {self.removed[name]}")


def read_config(
    word: str, package: str, names: Names, gone: Mapping[str, str], above: tuple[Path, ...] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of a configuration: those of what it extends, and its own, which come before them.

    Args:
        word: a path or name, see `find_config`; the file's key `extends` is such a word, too.
        package: whose folder configs/ holds the named ones.
        names: of the settings.
        gone: names of configurations that there are no more, with what to give instead.
        above: the files that extend this one.

    Raises:
        ConfigError: a file cannot be used, or extends itself.
        UnknownNameError: it holds a key that is no setting.
    """
    path = find_config(word, package, gone)
    if path in above:
        raise ConfigError(f"{path} extends itself")
    table = dict(read_toml(path))
    base = table.pop(EXTENDS, "")
    if not isinstance(base, str):
        raise ConfigError(f"{path}: extends = {one_line(repr(base), 80)}: give the name of one configuration")
    inherited = read_config(base, package, names, gone, (*above, path)) if base else ({}, {})
    return {**inherited[0], **inherited[1]}, read_settings_table(path, table, names)


def read_settings_table(path: Path, table: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Settings of a TOML file's table by their present names.

    Raises:
        ConfigError: it holds a value of another kind than its setting's.
        UnknownNameError: it holds a key that is no setting.
    """
    known, former = names.known, names.former
    groups = {group for setting in known.values() for group in setting.groups}
    values: dict[str, Any] = {}
    replaced: dict[str, Any] = {}
    entries: dict[str, list[str]] = defaultdict(list)
    for key, value in _entries(table, groups):
        name = key.replace("-", "_")
        if name in known:
            values[name] = _checked(path, key, value, known[name], names)
        elif name in former:
            if (meant := dict(former[name].former.switches).get(name)) is not None and isinstance(value, bool):
                value = meant if value else former[name].default
            value = _checked(path, key, value, former[name], names)
            if value != former[name].default and value != "":
                names.note(f"{path}: {key}", former[name].name, former[name].former.remark)
                replaced[former[name].name] = value
        elif name in names.entries:
            target, entry = names.entries[name]
            if text := entry(str(value)):
                names.note(f"{path}: {key}", f"{target} = [{one_line(text, 60)!r}]")
                entries[target].append(text)
        else:
            names.refuse_removed(name, f"{path}: {key}")
            raise UnknownNameError(f"setting in {path}", key, known)
    for name in replaced:
        if values.get(name, "") not in ("", known[name].default):
            raise ConfigError(f"{path} has {name} under its former name, too: leave that one out")
    return {**values, **replaced, **{name: (*values.get(name, ()), *texts) for name, texts in entries.items()}}


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
        return as_kind(value, setting)
    except ValueError as error:
        raise ConfigError(f"{path}: {key} = {one_line(repr(value), 80)} is not valid: {error}") from None


def as_kind(value: Any, setting: Setting) -> Any:
    """A value of a file or a call as what its setting holds; strictly, but for arrays as tuples and text as paths.

    Raises:
        ValueError: it is of another kind.
    """
    try:
        # By way of JSON, which like TOML has arrays for tuples and text for paths.
        return TypeAdapter(setting.kind).validate_json(json.dumps(value, default=_plain), strict=True)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None


def _plain(value: Any) -> str:
    """Paths, and dates of TOML, as text."""
    if isinstance(value, os.PathLike | datetime.date | datetime.time):
        return str(value)
    raise ValueError("it is neither text, a number, a truth value nor a list of them")


def find_config(word: str, package: str = "", gone: Mapping[str, str] | None = None) -> Path:
    """The file that a word after ``--config`` means: a file, else a configuration that a package ships, by its name.

    Args:
        word: a path, or a name like nano (nano.toml and configs/nano.toml mean the same).
        package: whose folder configs/ holds the named ones.
        gone: names that there were, with what to give instead.

    Raises:
        ConfigError: there is neither; all names are listed.
    """
    if Path(word).is_file() or not package:
        return Path(word)
    named = shipped_configs(package)
    name = word.removeprefix("configs/").removesuffix(".toml")
    if name in named:
        return named[name]
    if gone and name in gone:
        raise ConfigError(f"no configuration {one_line(name, 60)} any more: {gone[name]}")
    families: dict[str, list[str]] = defaultdict(list)
    for known in named:
        family, slash, last = known.rpartition("/")
        families[family + slash].append(last)
    # By family, since a message is cut at 800 characters.
    listed = "; ".join(f"{family} {', '.join(names)}".strip() for family, names in families.items())
    close = difflib.get_close_matches(name, named, n=1)
    hint = f" did you mean {close[0]!r}?" if close else ""
    raise ConfigError(f"no configuration {one_line(word, 60)!r}:{hint} known: {listed}; or a file.toml of your own")


def shipped_configs(package: str) -> dict[str, Path]:
    """Files in the folder configs/ of a package, by name without .toml."""
    folder = Path(str(importlib.resources.files(package))) / "configs"
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.toml"))}
