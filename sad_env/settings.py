"""Settings as frozen dataclasses: their fields, nested groups, help texts and former names, read off the class."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import tyro

Config = TypeVar("Config")


@dataclass(frozen=True)
class Formerly:
    """Other spellings that a setting had until the release before, see `formerly`."""

    names: tuple[str, ...]
    remark: str
    values: tuple[tuple[str, str], ...]
    switches: tuple[tuple[str, str], ...] = ()


def formerly(
    *names: str, remark: str = "", values: Mapping[str, str] | None = None, switches: Mapping[str, str] | None = None
) -> Formerly:
    """Mark a field, in its ``Annotated``, as the successor of older flags; these work on, with a line that says so.

    Args:
        names: the older flags without dashes in front, e.g. "max-tokens".
        remark: what else a user has to know, e.g. that the older name now means something else.
        values: older spellings of the setting's values, and what they are now.
        switches: older flags that had no value, and the value of this setting that they meant.
    """
    older = tuple(name.replace("-", "_") for name in (*names, *(switches or {})))
    return Formerly(older, remark, tuple((values or {}).items()), tuple((switches or {}).items()))


RARE = "rare"
"""Mark of a field, in its ``Annotated``, that few users need: ``--help`` only names it, ``--help-all`` explains it."""


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: with underscores; the flag has dashes.
        groups: names of the nested dataclasses that it lies in, the outermost first.
        title: what its group is called in the help; "" for fields of the class itself.
        kind: annotation, with all that ``Annotated`` holds.
        default: dataclasses.MISSING for a required one.
        help: docstring of the field.
    """

    name: str
    groups: tuple[str, ...]
    title: str
    kind: Any
    default: Any
    help: str

    @property
    def flag(self) -> str:
        """As it is typed; a field's last underscore tells a flag that is a word of Python, such as --from."""
        return f"--{self.name.rstrip('_').replace('_', '-')}"

    @property
    def required(self) -> bool:
        """It has no default."""
        return self.default is dataclasses.MISSING

    @property
    def positional(self) -> bool:
        """It is given by its place, not by a flag."""
        return tyro.conf.Positional in self.marks

    @property
    def hidden(self) -> bool:
        """It can be set in a file only."""
        return tyro.conf.Suppress in self.marks

    @property
    def rare(self) -> bool:
        """``--help`` only names it."""
        return RARE in self.marks

    @property
    def marks(self) -> tuple[Any, ...]:
        """What ``Annotated`` holds besides the type."""
        return get_args(self.kind)[1:] if get_origin(self.kind) is Annotated else ()

    @property
    def plain_kind(self) -> Any:
        """The type alone."""
        return get_args(self.kind)[0] if get_origin(self.kind) is Annotated else self.kind

    @property
    def former(self) -> Formerly:
        """Its older spellings."""
        return next((mark for mark in self.marks if isinstance(mark, Formerly)), formerly())


def settings_of(config: type) -> dict[str, Setting]:
    """All settings of a dataclass by name, those of nested dataclasses included.

    A nested dataclass is a group of the help. So is a base class, for settings that several commands share.
    """
    return {setting.name: setting for setting in _settings(config, (), "", None)}


def _settings(config: type, groups: tuple[str, ...], title: str, instance: object) -> Iterator[Setting]:
    kinds = get_type_hints(config, include_extras=True)
    for field in dataclasses.fields(config):
        owner = next(base for base in config.__mro__ if field.name in inspect.get_annotations(base))
        default = default_of(field) if instance is None else getattr(instance, field.name)
        if dataclasses.is_dataclass(kinds[field.name]):
            inside = None if default is dataclasses.MISSING else default
            part = kinds[field.name]
            yield from _settings(part, (*groups, field.name), title_of(part), inside)
        else:
            own = title if owner is config else title_of(owner)
            yield Setting(field.name, groups, own, kinds[field.name], default, _docs(owner).get(field.name, ""))


def title_of(group: type) -> str:
    """First sentence of its docstring."""
    return inspect.cleandoc(group.__doc__ or group.__name__).partition("\n")[0].removesuffix(".")


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Default of a field, dataclasses.MISSING where it has none."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def build(config: type[Config], values: Mapping[str, Any], missing: Any = dataclasses.MISSING) -> Config:
    """An instance from flat values; what they leave out has its default.

    Args:
        config: a dataclass of settings.
        values: by name, see `settings_of`.
        missing: what required settings become that are left out.

    Raises:
        TypeError: a required setting is left out, and `missing` says nothing for it; or a name is no setting.
    """
    if strange := values.keys() - settings_of(config).keys():
        raise TypeError(f"no settings of {config.__name__}: {', '.join(sorted(strange))}")
    return _build(config, values, missing, None)  # type: ignore[no-any-return]


def replaced(config: Config, **changes: Any) -> Config:
    """Settings with some of them changed, by their flat names.

    Raises:
        TypeError: a name that is none of theirs.
    """
    return build(type(config), {**flat(config), **changes})


def _build(config: Any, values: Mapping[str, Any], missing: Any, instance: object) -> Any:
    kinds = get_type_hints(config)
    fields = {}
    for field in dataclasses.fields(config):
        default = default_of(field) if instance is None else getattr(instance, field.name)
        if dataclasses.is_dataclass(kinds[field.name]):
            inside = None if default is dataclasses.MISSING else default
            fields[field.name] = _build(kinds[field.name], values, missing, inside)
        else:
            value = values.get(field.name, default)
            if value is not dataclasses.MISSING or missing is not dataclasses.MISSING:
                fields[field.name] = missing if value is dataclasses.MISSING else value
    return config(**fields)


def present_names(config: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded values of settings by their present names, where they have former ones."""
    former = {old: one for one in settings_of(config).values() for old in one.former.names}
    found = {}
    for name, value in values.items():
        if (one := former.get(name)) is not None:
            meant = dict(one.former.switches).get(name)
            name, value = one.name, value if meant is None else (meant if value else one.default)
        found[name] = value
    return found


def flat(config: Any) -> dict[str, Any]:
    """Values by name, those of nested dataclasses included: what `build` takes."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        values |= flat(value) if dataclasses.is_dataclass(value) else {field.name: value}
    return values


@functools.cache
def _docs(config: type) -> dict[str, str]:
    """Docstrings below the fields of a class."""
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    except OSError:  # its source is not there, as in an interactive session
        return {}
    assert isinstance(tree, ast.ClassDef)
    docs = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            docs[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return docs
