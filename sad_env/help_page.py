"""What `--help` prints: required settings first, then one short section for each group of settings."""

from __future__ import annotations

import inspect
import shutil
import textwrap
import types
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from sad_env.settings import Setting, title_of

_INDENT = 22
_NAMES = {int: "N", float: "X", Path: "PATH", str: "TEXT"}


def help_page(
    config: type,
    settings: Iterable[Setting],
    *,
    prog: str,
    about: str = "",
    more: str = "",
    whole: bool = False,
    width: int | None = None,
) -> str:
    """The help of a command.

    Args:
        config: the class of its settings.
        settings: that are shown, with the defaults that are shown.
        prog: its name.
        about: what the command does; the docstring of the class when left out.
        more: a line about flags that every command has.
        whole: rarely used settings are explained, too, instead of being named at the end.
        width: columns; the terminal's, 44 to 100, when left out.
    """
    columns = width or max(2 * _INDENT, min(100, shutil.get_terminal_size().columns))
    every = [setting for setting in settings if not setting.hidden]
    shown = [setting for setting in every if whole or not setting.rare]
    rare = [setting.flag for setting in every if setting not in shown]
    needed = [setting for setting in shown if setting.required]
    words = [
        _usage(setting) for setting in (*needed, *(each for each in shown if each.positional and not each.required))
    ]
    sections: dict[str, list[Setting]] = defaultdict(list)
    for setting in shown:
        title = "Required" if setting.required else setting.title or ("Arguments" if setting.positional else "Options")
        sections[title].append(setting)
    first = ["Required", "Arguments", "Options", *(title_of(base) for base in config.__mro__[1:-1])]
    ordered = sorted(sections, key=lambda title: first.index(title) if title in first else len(first))
    lines = _wrapped(" ".join(["usage:", prog, *words, "[options]"]), columns, "", "    ")
    lines += ["", *_about(inspect.cleandoc(about or config.__doc__ or ""), columns)]
    for title in ordered:
        lines += ["", f"{title}:"]
        for setting in sections[title]:
            lines += _entry(setting, columns)
    if rare:
        lines += ["", f"Rarely used ({prog} --help-all explains them):"]
        lines += _wrapped(", ".join(rare), columns, "  ", "  ")
    return "\n".join([*lines, "", *textwrap.wrap(more, columns)])


def _wrapped(text: str, columns: int, first: str, later: str) -> list[str]:
    return textwrap.wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _about(text: str, columns: int) -> list[str]:
    """Paragraphs are wrapped; lines of examples, which are indented or begin with a dollar sign, are left alone."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        rows = paragraph.splitlines()
        example = any(row.startswith(("$ ", " ")) for row in rows)
        lines += [*([""] if lines else []), *(rows if example else textwrap.wrap(" ".join(rows), columns))]
    return lines


def _entry(setting: Setting, columns: int) -> list[str]:
    name = _usage(setting).strip("[]") if setting.positional else f"{setting.flag} {metavar(setting)}".rstrip()
    head, text = f"  {name}", setting.help + _default(setting)
    rows = textwrap.wrap(text, columns - _INDENT, break_long_words=False, break_on_hyphens=False)
    if len(head) + 2 <= _INDENT and rows:
        return [f"{head:{_INDENT}}{rows[0]}", *(" " * _INDENT + row for row in rows[1:])]
    return [head, *(" " * _INDENT + row for row in rows)]


def _default(setting: Setting) -> str:
    value = setting.default
    if setting.required or isinstance(value, bool) or not value:
        return ""
    return f" [{' '.join(map(str, value)) if isinstance(value, tuple) else value}]"


def _usage(setting: Setting) -> str:
    if setting.positional:
        return metavar(setting) if setting.required else f"[{metavar(setting)}]"
    return f"{setting.flag} {metavar(setting)}".rstrip()


def metavar(setting: Setting) -> str:
    """How the help writes a value: its name in the annotation, the allowed words, or a letter for its type."""
    for mark in setting.marks:
        if name := getattr(mark, "metavar", None):
            return str(name).strip("[]")
    if setting.positional and get_origin(setting.plain_kind) is not Literal:
        return setting.name.upper()
    return _metavar(setting.plain_kind)


def _metavar(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is bool:
        return ""
    if origin is Literal:
        return "|".join(map(str, inner))
    if origin is tuple:
        return f"{_metavar(inner[0])} ..."
    if origin is dict:
        return " ".join([*map(_metavar, inner), "..."])
    if origin in (Union, types.UnionType):
        return _metavar(inner[0])
    return _NAMES.get(kind, "TEXT")
