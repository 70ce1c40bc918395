"""What commands share: flags from a frozen dataclass, defaults from TOML, one line and an exit code on error."""

from __future__ import annotations

import errno
import io
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import tyro

import sad_env
from sad_env.config_files import Entry, Names, read_config
from sad_env.errors import INTERRUPTED, ConfigError, SadEnvError
from sad_env.help_page import help_page
from sad_env.json_lines import RecordError
from sad_env.safe_text import one_line
from sad_env.settings import Setting, build, flat, settings_of

Config = TypeVar("Config")

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EIO})
_NOT_IN_CORE = frozenset(
    {"torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "httpx", "sad_distill"}
)
"""Packages that come with the distribution sad-env, and not with sad-env-core."""
_EVERYWHERE = "Every command: --config FILE.toml takes settings from a file, which flags beat; --version."
_SHIPPED = "Every command: --config NAME or FILE.toml takes settings from a file, which flags beat; --version."


@dataclass(frozen=True)
class ParsedSettings(Generic[Config]):
    """Settings, and which of them somebody set.

    Attributes:
        settings: all of them.
        given: names of those that a flag set, or a file to another value than the default; what a file extends does not
            count, since it is written for others, too.
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
    about: str = "",
    configs: str = "",
    renamed: Mapping[str, str] | None = None,
    removed: Mapping[str, str] | None = None,
    entries: Mapping[str, Entry] | None = None,
    gone: Mapping[str, str] | None = None,
) -> ParsedSettings[Config]:
    """Flags to a frozen dataclass whose fields are the flags and whose field docstrings are their help.

    A field that is a dataclass itself is a group: its fields are flags without a prefix, and a section of the help.
    ``--config`` sets defaults; a flag beats it, a later ``--config`` an earlier one; an unknown key in the file, or a
    value of another kind than the field's, is an error. A file has the settings as keys; groups may be tables. A field
    without default is required, on the command line or in a file. Former names work (see `formerly`). ``--help`` prints
    a page, ``--help-all`` one that explains rarely used settings, too, and ``--version`` the package's version; each
    ends the program.

    Args:
        config: the dataclass.
        arguments: without the program's name; those of this process when left out.
        prog: name of the command.
        about: what it does, for `--help`; the docstring of the class when left out.
        configs: package whose folder configs/ holds files that ``--config`` takes by name.
        renamed: former flags of this command alone, without dashes, with the settings that they are now; those of a
            setting wherever it is used are marked with `formerly`.
        removed: former flags that have no single successor, with what to give instead.
        entries: former keys of files that are an entry of a list now.
        gone: names of configurations that there are no more, with what to give instead.

    Raises:
        ConfigError: a required setting is missing, or a file cannot be used.
        UnknownNameError: a file has an unknown key.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--version" in words:
        print_version(prog)
        raise SystemExit(0)
    known = settings_of(config)
    former = {old: setting for setting in known.values() for old in setting.former.names if old not in known}
    former |= {old: known[new] for old, new in (renamed or {}).items()}
    names = Names(prog, known, former, removed or {}, entries or {})
    files, words = _take_configs(words)
    values: dict[str, Any] = {}
    own: set[str] = set()
    for file in files:
        inherited, settings = read_config(file, configs, names, gone or {})
        values |= {**inherited, **settings}
        own |= settings.keys()
    if {"-h", "--help", "--help-all"} & set(words):
        shown = [replace(setting, default=values.get(setting.name, setting.default)) for setting in known.values()]
        more = _SHIPPED if configs else _EVERYWHERE
        print(help_page(config, shown, prog=prog, about=about, more=more, whole="--help-all" in words))
        raise SystemExit(0)
    words = _with_present_names(words, names)
    flags = {_flag_name(word, known) for word in words} - {""}
    missing = [setting for setting in known.values() if setting.required and not setting.positional]
    if absent := [setting.flag for setting in missing if setting.name not in {*flags, *values}]:
        raise ConfigError(f"{prog} needs {' and '.join(absent)}: see {prog} --help")
    parsed = tyro.cli(
        config,
        args=words,
        prog=prog,
        config=(tyro.conf.OmitArgPrefixes,),
        default=build(config, values, missing=tyro.MISSING) if values else tyro.MISSING_NONPROP,
    )
    set_in_files = {name for name in own if values[name] != known[name].default}
    return ParsedSettings(parsed, frozenset({*flags, *set_in_files}))


def _flag_name(word: str, known: Mapping[str, Setting]) -> str:
    """The setting that a word of the command line sets, "" for a value."""
    name = word.partition("=")[0].removeprefix("--").replace("-", "_") if word.startswith("--") else ""
    if f"{name}_" in known:
        return f"{name}_"
    return name if name in known else name.removeprefix("no_") if name.removeprefix("no_") in known else ""


def _with_present_names(words: Sequence[str], names: Names) -> list[str]:
    """The command line with former flags and values replaced by present ones, each with a line on standard error.

    Raises:
        ConfigError: a flag is there under two names, or is one that has no successor.
    """
    known, former = names.known, names.former
    given = {_flag_name(word, known) for word in words}
    present: list[str] = []
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_") if flag.startswith("--") else ""
        names.refuse_removed(name, flag)
        setting = former.get(name) or former.get(name.removeprefix("no_"))
        if setting is not None:
            if setting.name in given:
                raise ConfigError(f"{flag} is the former name of {setting.flag}: give {setting.flag} alone")
            if (meant := dict(setting.former.switches).get(name.removeprefix("no_"))) is not None:
                names.note(flag, f"{setting.flag} {meant}", setting.former.remark)
                present += [] if name.startswith("no_") else [setting.flag, meant]
                continue
            names.note(flag, setting.flag, setting.former.remark)
            flag = f"--no-{setting.flag[2:]}" if name not in former else setting.flag
            present.append(f"{flag}{equals}{value}")
        else:
            present.append(word)
    return _with_present_values(present, names)


def _with_present_values(words: Sequence[str], names: Names) -> list[str]:
    present: list[str] = []
    before = ""
    for word in words:
        flag, equals, value = word.partition("=")
        setting = names.known.get(_flag_name(flag if equals else before, names.known))
        old = value if equals else word
        if setting is not None and (new := dict(setting.former.values).get(old)):
            names.note(f"{setting.flag} {old}", f"{setting.flag} {new}")
            word = f"{flag}={new}" if equals else new
        present.append(word)
        before = word
    return present


def print_version(prog: str) -> None:
    """What `--version` prints."""
    print(f"{prog} {sad_env.__version__}")


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


def run(prog: str, command: Callable[[], int | None]) -> int:
    """Run a command and return its exit code.

    Our own errors become one safe line on standard error and their branch's code, and so do files and folders that
    the system refuses, disks that are full, and packages that sad-env-core leaves out; Ctrl-C becomes 130; a closed
    pipe ends quietly. Anything else is a fault of ours and shows its traceback. A character that standard output cannot
    encode becomes an escape.
    """
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            return command() or 0
        finally:
            sys.stdout.flush()
    except (SadEnvError, RecordError) as error:
        print(f"{prog}: {one_line(str(error), 1000)}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NOT_IN_CORE:
            raise
        print(f"{prog}: this needs {missing}, which is no part of sad-env-core: pip install sad-env", file=sys.stderr)
        return ConfigError.exit_code
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return 0
    except OSError as error:
        full = error.errno in _FULL
        if error.filename is None and not full:
            raise
        if error.filename is None:
            _drop_output()
        path = repr(one_line(str(error.filename), 200)) if error.filename else "standard output or a file"
        print(f"{prog}: cannot {'write' if full else 'open'} {path}: {error.strerror}", file=sys.stderr)
        return ConfigError.exit_code


def _open_closed_streams() -> None:
    """Give a process that was started with a closed standard stream an empty one.

    Python has None in its place; and the next file that is opened would get its number, and what others print there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def _drop_output() -> None:
    """Python flushes standard output at exit and would complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
