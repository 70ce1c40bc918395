"""One vocabulary over all commands: a flag has one meaning and one type, and the glossary says it."""

from __future__ import annotations

import contextlib
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from sad_env import cli
from sad_env.help_page import metavar
from sad_env.settings import Setting, settings_of

MAINS = {
    "sad-data": ("sad_env.data_command", [""]),
    "sad-collect": ("sad_agents.collect_command", ["", "export", "import", "select"]),
    "sad-distill": ("sad_distill.commands.main", ["", "sft-teacher", "export", "inspect", "serve"]),
    "sad-study": ("sad_eval.study.command", [""]),
    "sad-eval": (
        "sad_eval.commands.evaluate",
        [
            "",
            "ls",
            "doctor",
            "validate",
            "runs",
            "view",
            "compare",
            "merge",
            "robustness",
            "faithfulness",
            "report",
            "rescore",
            "new-world",
        ],
    ),
    "sad-play": ("sad_eval.commands.play", [""]),
    "sad-serve": ("sad_env.adapters.serve", [""]),
    "sad-leaderboard": ("sad_leaderboard.command", ["add", "verify", "build", "schema"]),
}
COMMANDS = [f"{name} {sub}".strip() for name, (_, subs) in MAINS.items() for sub in subs]


def settings_class(command: str, monkeypatch: pytest.MonkeyPatch) -> type:
    """The dataclass that a command reads its flags into."""
    name, _, sub = command.partition(" ")
    found: list[type] = []

    def read(config: type, *_: Any, **__: Any) -> Any:
        found.append(config)
        raise SystemExit(0)

    monkeypatch.setattr(cli, "read", read)
    with contextlib.suppress(SystemExit):
        importlib.import_module(MAINS[name][0]).main([sub] if sub else [])
    return found[0]


def by_flag(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Setting]]:
    found: dict[str, dict[str, Setting]] = {}
    for command in COMMANDS:
        for one in settings_of(settings_class(command, monkeypatch)).values():
            if not one.positional and not one.hidden:
                found.setdefault(one.flag, {})[command] = one
    return found


GLOSSARY = Path(__file__).resolve().parents[1] / "docs" / "glossary.md"
PENDING: tuple[str, ...] = ()
"""Commands whose settings still have names of their own."""

OTHERWISE = {
    ("--json", "sad-eval report"): "a file, as --html, --latex, --csv and --md of the same command are",
    ("--trajectories", "sad-distill inspect"): "one file, which may be another program's log",
}
"""Flags that mean something else in one command, and why."""


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Setting]]:
    """Flags that more than one command has."""
    found: dict[str, dict[str, Setting]] = {}
    for flag, where in by_flag(monkeypatch).items():
        kept = {name: one for name, one in where.items() if name not in PENDING and (flag, name) not in OTHERWISE}
        if len(kept) > 1:
            found[flag] = kept
    return found


def kind_of(setting: Setting) -> str:
    """Type of a setting; files and folders are text here, and one of several words is text, too."""
    text = str(setting.plain_kind).replace(" | None", "").replace("pathlib.Path", "str")
    return "str" if text.startswith("typing.Literal") else text.removeprefix("<class '").removesuffix("'>")


def test_a_flag_has_one_type_and_one_meaning_in_all_commands(shared: dict[str, dict[str, Setting]]) -> None:
    assert len(shared) > 30
    for flag, where in shared.items():
        assert len({kind_of(one) for one in where.values()}) == 1, (
            flag,
            {name: kind_of(one) for name, one in where.items()},
        )
        starts = {re.split(r"[\s,;:.]+", one.help)[0] for one in where.values()}
        assert len(starts) == 1, (flag, {name: one.help for name, one in where.items()})


def test_the_glossary_has_every_flag_that_commands_share_and_where_it_is(shared: dict[str, dict[str, Setting]]) -> None:
    rows = re.findall(r"^\| `(--[a-z-]+)` \| (.+?) \| (.+?) \|$", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
    assert {flag: where for flag, _, where in rows} == {flag: ", ".join(where) for flag, where in shared.items()}
    assert all(meaning for _, meaning, _ in rows)


def test_every_flag_of_every_command_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    for flag, where in by_flag(monkeypatch).items():
        for command, setting in where.items():
            assert setting.help, (command, flag)
            assert setting.help.endswith((".", ")")), (command, flag)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in PENDING])
def test_help_fits_a_terminal(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    name, _, sub = command.partition(" ")
    with pytest.raises(SystemExit) as end:
        importlib.import_module(MAINS[name][0]).main([*([sub] if sub else []), "--help"])
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"usage: {command}")
    assert len(lines) < 110
    assert all(len(line) <= 80 or line.startswith(("$ ", "Example")) for line in lines)
    section = "\n".join(lines).partition("Required:\n")[2].partition("\n\n")[0]
    for one in settings_of(settings_class(command, monkeypatch)).values():
        assert not one.required or (metavar(one) if one.positional else one.flag) in section
