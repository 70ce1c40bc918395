"""How every command starts and ends: flags from a frozen dataclass, TOML below them, one line and one code on error."""

from __future__ import annotations

import difflib
import importlib.metadata
import importlib.resources
import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import tyro
from pydantic import TypeAdapter, ValidationError

from sad_env.errors import INTERRUPTED, ConfigError, SadEnvError, UnknownNameError
from sad_env.help_page import help_page
from sad_env.json_lines import RecordError
from sad_env.safe_text import one_line
from sad_env.settings import Setting, build, flat, settings_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

Config = TypeVar("Config")

_EVERYWHERE = "Every command: --config FILE.toml takes settings from a file, which flags beat; --version."
_SHIPPED = "Every command: --config NAME or FILE.toml takes settings from a file, which flags beat; --version."


@dataclass(frozen=True)
class Parsed(Generic[Config]):
    """Settings, and which of them somebody set.

    Attributes:
        settings: all of them.
        given: names of those that a flag set, or a file to another value than the default.
    """

    settings: Config
    given: frozenset[str]

    def refuse_ignored(self, ignored: Mapping[str, str]) -> None:
        """Refuse settings that were set and have no effect.

        Args:
            ignored: names of settings that have none, with the reason and what to do, e.g. "agent expert draws
                nothing: leave it out".

        Raises:
            ConfigError: one of them was set.
        """
        for name, reason in ignored.items():
            if name in self.given:
                value = flat(self.settings)[name]
                shown = "" if isinstance(value, bool) else f" {one_line(str(value), 60)}"
                raise ConfigError(f"--{name.replace('_', '-')}{shown} has no effect: {reason}")


def parse(
    config: type[Config], arguments: Sequence[str] | None = None, *, prog: str, configs: str = "", **more: Any
) -> Config:
    """The settings of `read` alone."""
    return read(config, arguments, prog=prog, configs=configs, **more).settings


def read(
    config: type[Config],
    arguments: Sequence[str] | None = None,
    *,
    prog: str,
    configs: str = "",
    renamed: Mapping[str, str] | None = None,
    removed: Mapping[str, str] | None = None,
) -> Parsed[Config]:
    """Flags to a frozen dataclass whose fields are the flags and whose field docstrings are their help.

    A field that is a dataclass itself is a group: its fields are flags without a prefix, and a section of the help.
    ``--config`` sets defaults; a flag beats it, a later ``--config`` an earlier one; an unknown key in the file, or a
    value of another kind than the field's, is an error. A file has the settings as keys; groups may be tables. A field
    without default is required, on the command line or in a file. Former names work (see `formerly`). ``--help`` prints
    a page and ``--version`` the package's version, and both end the program.

    Args:
        config: the dataclass.
        arguments: without the program's name; those of this process when left out.
        prog: name of the command.
        configs: package whose folder configs/ holds files that ``--config`` takes by name.
        renamed: former flags of this command alone, without dashes, with the settings that they are now; those of a
            setting wherever it is used are marked with `formerly`.
        removed: former flags that have no single successor, with what to give instead.

    Raises:
        ConfigError: a required setting is missing, or a file cannot be used.
        UnknownNameError: a file has an unknown key.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--version" in words:
        print_version(prog)
        raise SystemExit(0)
    known = settings_of(config)
    former = {old: one for one in known.values() for old in one.former.names if old not in known}
    former |= {old: known[new] for old, new in (renamed or {}).items()}
    files, words = _take_configs(words)
    values: dict[str, Any] = {}
    for file in files:
        values |= _from_file(find_config(file, configs), known, former, prog)
    if "-h" in words or "--help" in words:
        shown = [replace(one, default=values.get(one.name, one.default)) for one in known.values()]
        print(help_page(config, shown, prog=prog, more=_SHIPPED if configs else _EVERYWHERE))
        raise SystemExit(0)
    words = _with_present_names(words, known, former, prog, removed or {})
    flags = {_flag_name(word, known) for word in words} - {""}
    missing = [one.flag for one in known.values() if one.required and not one.positional]
    if absent := [flag for flag in missing if flag[2:].replace("-", "_") not in {*flags, *values}]:
        raise ConfigError(f"{prog} needs {' and '.join(absent)}: see {prog} --help")
    settings = tyro.cli(
        config,
        args=words,
        prog=prog,
        config=(tyro.conf.OmitArgPrefixes,),
        default=build(config, values, missing=tyro.MISSING) if values else tyro.MISSING_NONPROP,
    )
    set_in_files = {name for name, value in values.items() if value != known[name].default}
    return Parsed(settings, frozenset({*flags, *set_in_files}))


def _flag_name(word: str, known: Mapping[str, Setting]) -> str:
    """The setting that a word of the command line sets, "" for a value."""
    name = word.partition("=")[0].removeprefix("--").replace("-", "_") if word.startswith("--") else ""
    return name if name in known else name.removeprefix("no_") if name.removeprefix("no_") in known else ""


def _with_present_names(
    words: Sequence[str],
    known: Mapping[str, Setting],
    former: Mapping[str, Setting],
    prog: str,
    removed: Mapping[str, str],
) -> list[str]:
    """The command line with former flags and values replaced by present ones, each with a line on standard error.

    Raises:
        ConfigError: a flag is there under two names, or is one that has no successor.
    """
    given = {_flag_name(word, known) for word in words}
    found: list[str] = []
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_") if flag.startswith("--") else ""
        if name in removed:
            raise ConfigError(f"{flag} is no setting of {prog} any more: give {removed[name]}")
        setting = former.get(name) or former.get(name.removeprefix("no_"))
        if setting is not None:
            if setting.name in given:
                raise ConfigError(f"{flag} is the former name of {setting.flag}: give {setting.flag} alone")
            _note(prog, flag, setting.flag, setting.former.remark)
            flag = f"--no-{setting.flag[2:]}" if name not in former else setting.flag
            found.append(f"{flag}{equals}{value}")
        else:
            found.append(word)
    return _with_present_values(found, known, prog)


def _with_present_values(words: Sequence[str], known: Mapping[str, Setting], prog: str) -> list[str]:
    found: list[str] = []
    before = ""
    for word in words:
        flag, equals, value = word.partition("=")
        setting = known.get(_flag_name(flag if equals else before, known))
        old = value if equals else word
        if setting is not None and (new := dict(setting.former.values).get(old)):
            _note(prog, f"{setting.flag} {old}", f"{setting.flag} {new}", "")
            word = f"{flag}={new}" if equals else new
        found.append(word)
        before = word
    return found


def _note(prog: str, old: str, new: str, remark: str) -> None:
    more = f" ({remark})" if remark else ""
    print(
        f"{prog}: {one_line(old, 80)} is now {new}{more}; the former name goes with the next release", file=sys.stderr
    )


def _from_file(path: Path, known: Mapping[str, Setting], former: Mapping[str, Setting], prog: str) -> dict[str, Any]:
    groups = {group for one in known.values() for group in one.groups}
    found: dict[str, Any] = {}
    replaced: dict[str, Any] = {}
    for key, value in _entries(read_toml(path), groups):
        name = key.replace("-", "_")
        if name in known:
            found[name] = _checked(path, key, value, known[name], prog)
        elif name in former:
            value = _checked(path, key, value, former[name], prog)
            if value != former[name].default and value != "":
                _note(prog, f"{path}: {key}", former[name].name, former[name].former.remark)
                replaced[former[name].name] = value
        else:
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


def _checked(path: Path, key: str, value: Any, setting: Setting, prog: str) -> Any:
    if isinstance(value, str) and (new := dict(setting.former.values).get(value)):
        _note(prog, f"{path}: {key} {value}", new, "")
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


def print_version(prog: str) -> None:
    """What `--version` prints."""
    print(f"{prog} {importlib.metadata.version('sad-env')}")


def at_least(name: str, value: float, least: int) -> None:
    """Refuse a setting that is too small.

    Args:
        name: of its field.
        value: as it was given.
        least: that it may be.

    Raises:
        ConfigError: it is less, infinite, or no number.
    """
    if not least <= value < math.inf:
        raise ConfigError(f"--{name.replace('_', '-')} is {least} or more, not {value}")


def _take_configs(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What follows every ``--config``, and the other words."""
    files, rest = [], []
    ahead = iter(words)
    for word in ahead:
        if word == "--config":
            files.append(next(ahead, ""))
        elif word.startswith("--config="):
            files.append(word.partition("=")[2])
        else:
            rest.append(word)
    if "" in files:
        raise ConfigError("--config needs a TOML file")
    return files, rest


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file's content.

    Raises:
        ConfigError: no such file, or not TOML.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return values
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


def run(prog: str, command: Callable[[], int | None]) -> int:
    """Run a command and return its exit code.

    Our own errors become one safe line on standard error and their branch's code, and so do files and folders that
    the system refuses; Ctrl-C becomes 130; a closed pipe ends quietly. Anything else is a fault of ours and shows its
    traceback.
    """
    try:
        return command() or 0
    except (SadEnvError, RecordError) as error:
        print(f"{prog}: {one_line(str(error), 500)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output at exit and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        path = one_line(str(error.filename), 200)
        print(f"{prog}: cannot open {path!r}: {error.strerror}", file=sys.stderr)
        return ConfigError.exit_code
