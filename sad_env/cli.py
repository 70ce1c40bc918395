"""How every command starts and ends: flags from a frozen dataclass, TOML below them, one line and one code on error."""

from __future__ import annotations

import dataclasses
import errno
import importlib.metadata
import inspect
import io
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import tyro
from pydantic import TypeAdapter, ValidationError

from sad_env.errors import INTERRUPTED, ConfigError, SadEnvError, UnknownNameError
from sad_env.json_lines import RecordError
from sad_env.safe_text import one_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

Config = TypeVar("Config")

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EIO})
_EVERYWHERE = "--config FILE.toml takes settings from a file, which flags beat; --version prints the version."


def parse(config: type[Config], arguments: Sequence[str] | None = None, *, prog: str) -> Config:
    """Flags to a frozen dataclass whose fields are the flags and whose field docstrings are their help.

    ``--config FILE.toml`` sets defaults; a flag beats the file; an unknown key in the file, or a value of another kind
    than the field's, is an error. A field without default is required, on the command line or in the file.
    ``--version`` prints the package's version and ends the program.
    """
    rest = list(sys.argv[1:] if arguments is None else arguments)
    if "--version" in rest:
        print_version(prog)
        raise SystemExit(0)
    known = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    path, rest = _take_config(rest)
    about = f"{inspect.cleandoc(config.__doc__ or '')}\n\n{_EVERYWHERE}"
    if path is None:
        return tyro.cli(config, args=rest, prog=prog, description=about)
    values = read_toml(path)
    for key in values:
        if key.replace("-", "_") not in known:
            raise UnknownNameError(f"setting in {path}", key, known)
    kinds = get_type_hints(config, include_extras=True)
    defaults = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        try:
            # By way of JSON, which like TOML has arrays for tuples and text for paths: else strictly of the kind.
            defaults[name] = TypeAdapter(kinds[name]).validate_json(json.dumps(value, default=str), strict=True)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise ConfigError(f"{path}: {key} = {one_line(repr(value), 80)} does not do: {reason}") from None
    missing = {
        field.name: tyro.MISSING
        for field in dataclasses.fields(config)  # type: ignore[arg-type]
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    return tyro.cli(config, args=rest, prog=prog, description=about, default=config(**{**missing, **defaults}))


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


def _take_config(arguments: list[str]) -> tuple[Path | None, list[str]]:
    for index, argument in enumerate(arguments):
        if argument == "--config":
            if index + 1 == len(arguments):
                raise ConfigError("--config needs a TOML file")
            return Path(arguments[index + 1]), arguments[:index] + arguments[index + 2 :]
        if argument.startswith("--config="):
            return Path(argument.partition("=")[2]), arguments[:index] + arguments[index + 1 :]
    return None, arguments


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
    the system refuses and disks that are full; Ctrl-C becomes 130; a closed pipe ends quietly. Anything else is a
    fault of ours and shows its traceback. A character that standard output cannot encode becomes an escape.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            return command() or 0
        finally:
            sys.stdout.flush()
    except (SadEnvError, RecordError) as error:
        print(f"{prog}: {one_line(str(error), 500)}", file=sys.stderr)
        return error.exit_code
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


def _drop_output() -> None:
    """Python flushes standard output at exit and would complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
