"""Calls from Python: a command's settings as keyword arguments, and rows as a table of pandas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sad_env.cli import Config, ParsedSettings
from sad_env.config_files import as_kind
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.safe_text import one_line
from sad_env.settings import build, settings_of

if TYPE_CHECKING:
    import pandas


def called_with(config: type[Config], values: Mapping[str, Any]) -> ParsedSettings[Config]:
    """The settings of a call, checked as those of a command's file are.

    Args:
        config: the command's dataclass.
        values: by name, see `sad_env.settings.settings_of`; paths may be text, tuples lists.

    Raises:
        UnknownNameError: a name that is no setting, with the closest one.
        ConfigError: a value of another kind than its setting's, or a required setting is missing.
    """
    known = settings_of(config)
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise UnknownNameError("setting", name, known)
        try:
            checked[name] = as_kind(value, known[name])
        except ValueError as error:
            raise ConfigError(f"{name}={one_line(repr(value), 80)} is not valid: {error}") from None
    if absent := [name for name, setting in known.items() if setting.required and name not in checked]:
        raise ConfigError(f"needs {' and '.join(absent)}: {absent[0]}=...")
    return ParsedSettings(build(config, checked), frozenset(checked))


def data_frame(rows: Sequence[Mapping[str, Any]], **how: Any) -> pandas.DataFrame:
    """Rows as a table; `how` is passed on to pandas.

    Raises:
        ConfigError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise ConfigError("to_pandas needs pandas: pip install pandas") from None
    return pandas.DataFrame(rows, **how)
