"""Settings: nested groups, files by name, former names, what was given, and the help page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from sad_env import cli, config_files
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.settings import RARE, build, flat, formerly, present_names, replaced, settings_of


@dataclass(frozen=True)
class Loss:
    """Loss."""

    beta: float = 0.5
    """Weight."""
    kind: Annotated[Literal["js", "kl"], formerly("sort", values={"jensen": "js"})] = "kl"
    """Divergence."""


@dataclass(frozen=True)
class Data:
    """Where rows come from."""

    files: tuple[str, ...]
    """Recorded trajectories."""
    shuffle: bool = False
    """Draw them in another order."""


@dataclass(frozen=True)
class Training:
    """Train.

    $ train --files a.jsonl
    """

    data: Data
    loss: Loss = field(default_factory=lambda: Loss(beta=0.25))
    max_new_tokens: Annotated[int, formerly("max-tokens", remark="that is an episode's now")] = 96
    """Tokens of a completion."""


FILES = ("--files", "a", "b")


def read(*words: str, **more: Any) -> cli.ParsedSettings[Training]:
    return cli.read(Training, list(words), prog="train", **more)


@pytest.fixture
def toml(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "x.toml"
        path.write_text(text)
        return str(path)

    return write


def test_groups_have_flat_flags_and_their_own_defaults() -> None:
    assert read(*FILES).settings == Training(Data(("a", "b")), Loss(0.25, "kl"))
    parsed = read(*FILES, "--kind", "js", "--shuffle")
    assert parsed.settings == Training(Data(("a", "b"), shuffle=True), Loss(0.25, "js"))
    assert parsed.given == {"files", "kind", "shuffle"}
    assert list(settings_of(Training)) == ["files", "shuffle", "beta", "kind", "max_new_tokens"]
    assert build(Training, flat(parsed.settings)) == parsed.settings


def test_a_file_has_flat_keys_or_a_table_for_a_group_and_a_later_file_beats_it(
    toml: Callable[[str], str], tmp_path: Path
) -> None:
    later = tmp_path / "later.toml"
    later.write_text('kind = "js"\n')
    path = toml('files = ["a"]\nmax-new-tokens = 7\n[loss]\nbeta = 0.5\nkind = "kl"\n')
    assert read("--config", path).settings == Training(Data(("a",)), Loss(0.5, "kl"), 7)
    parsed = read("--config", path, f"--config={later}", "--max-new-tokens", "8", *FILES)
    assert parsed.settings == Training(Data(("a", "b")), Loss(0.5, "js"), 8)
    # A value that a file repeats from the defaults was not set; a flag was.
    assert parsed.given == {"files", "max_new_tokens", "beta", "kind"}
    assert read(*FILES, "--config", toml("beta = 0.25\n")).given == {"files"}
    assert read(*FILES, "--beta", "0.25").given == {"files", "beta"}
    with pytest.raises(UnknownNameError, match="did you mean 'beta'"):
        read("--config", toml("[loss]\nbetta = 1.0\n"))


def test_former_names_and_values_work_with_one_line_each(
    toml: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    parsed = read(*FILES, "--max-tokens=5", "--sort", "jensen", "--records", renamed={"records": "shuffle"})
    assert parsed.settings == Training(Data(("a", "b"), shuffle=True), Loss(0.25, "js"), 5)
    assert capsys.readouterr().err.splitlines() == [
        "train: --max-tokens is now --max-new-tokens (that is an episode's now); the former name goes with the next"
        " release",
        "train: --sort is now --kind; the former name goes with the next release",
        "train: --records is now --shuffle; the former name goes with the next release",
        "train: --kind jensen is now --kind js; the former name goes with the next release",
    ]
    assert not read(*FILES, "--no-records", renamed={"records": "shuffle"}).settings.data.shuffle
    path = toml('max_tokens = 5\nmax_new_tokens = 96\n[loss]\nsort = "jensen"\n')
    capsys.readouterr()
    assert read(*FILES, "--config", path).settings == Training(Data(("a", "b")), Loss(0.25, "js"), 5)
    assert capsys.readouterr().err.count("is now") == 3
    with pytest.raises(ConfigError, match="has max_new_tokens under its former name, too"):
        read(*FILES, "--config", toml("max_tokens = 5\nmax_new_tokens = 6\n"))
    with pytest.raises(ConfigError, match="--max-tokens is the former name of --max-new-tokens"):
        read(*FILES, "--max-tokens", "5", "--max-new-tokens", "6")


def test_a_flag_without_a_single_successor_is_refused_with_what_to_give(toml: Callable[[str], str]) -> None:
    removed = {"temperature": "--kd-temperature for the loss, --sampling-temperature for draws"}
    with pytest.raises(ConfigError, match="--temperature is no setting of train any more: give --kd-temperature for"):
        read(*FILES, "--temperature", "2", removed=removed)
    with pytest.raises(ConfigError, match=r"x\.toml: temperature is no setting of train any more: give --kd-temper"):
        read(*FILES, "--config", toml("temperature = 2.0\n"), removed=removed)


def test_what_was_set_and_has_no_effect_is_refused(toml: Callable[[str], str]) -> None:
    ignored = {"beta": "divergence kl has no weight: leave it out, or give --kind js", "shuffle": "one file"}
    read(*FILES).refuse_ignored(ignored)
    read(*FILES, "--kind", "js").refuse_ignored(ignored)
    for words in (("--beta", "0.5"), ("--config", toml("beta = 0.5\n"))):
        with pytest.raises(ConfigError, match=r"^--beta 0\.5 has no effect: divergence kl has no weight: leave it out"):
            read(*FILES, *words).refuse_ignored(ignored)
    with pytest.raises(ConfigError, match=r"^--shuffle has no effect: one file$"):
        read(*FILES, "--shuffle").refuse_ignored(ignored)


def test_a_required_setting_that_is_missing_is_named_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^train needs --files: see train --help$"):
        read("--beta", "1")


def test_the_help_has_the_required_settings_first_and_a_section_for_each_group(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, toml: Callable[[str], str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        read("--help", "--config", toml("beta = 0.75\n"))
    assert end.value.code == 0
    assert capsys.readouterr().out == (
        "usage: train --files TEXT ... [options]\n\n"
        "Train.\n\n"
        "$ train --files a.jsonl\n\n"
        "Required:\n"
        "  --files TEXT ...    Recorded trajectories.\n\n"
        "Options:\n"
        "  --max-new-tokens N  Tokens of a completion. [96]\n\n"
        "Where rows come from:\n"
        "  --shuffle           Draw them in another order.\n\n"
        "Loss:\n"
        "  --beta X            Weight. [0.75]\n"
        "  --kind js|kl        Divergence. [kl]\n\n"
        "Every command: --config FILE.toml takes settings from a file, which flags beat;\n"
        "--version.\n"
    )


def test_rarely_used_settings_are_named_in_the_help_and_explained_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @dataclass(frozen=True)
    class Player:
        """Play."""

        rounds: int = 3
        """Rounds."""
        top_speed: Annotated[int, RARE] = 9
        """Cells a second."""

    shown = {}
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit):
            cli.read(Player, [flag], prog="play")
        shown[flag] = capsys.readouterr().out
    assert "Rarely used (play --help-all explains them):\n  --top-speed\n" in shown["--help"]
    assert "Cells a second" not in shown["--help"]
    assert "--top-speed N       Cells a second. [9]" in shown["--help-all"]
    assert "Rarely used" not in shown["--help-all"]
    assert cli.parse(Player, ["--top-speed", "2"], prog="play").top_speed == 2


def test_settings_change_by_their_flat_names_and_an_unknown_one_is_a_mistake() -> None:
    before = build(Training, {"files": ("a",)})
    after = replaced(before, beta=2.0, shuffle=True)
    assert flat(after) == {**flat(before), "beta": 2.0, "shuffle": True}
    with pytest.raises(TypeError, match="no settings of Training: betta"):
        replaced(before, betta=2.0)
    assert present_names(Training, {"sort": "kl", "max_tokens": 3, "beta": 1}) == {
        "kind": "kl",
        "max_new_tokens": 3,
        "beta": 1,
    }


def test_a_configuration_is_found_by_name_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = config_files.shipped_configs("sad_eval.study")
    assert "nano" in shipped
    for word in ("nano", "nano.toml", "configs/nano.toml"):
        assert config_files.find_config(word, "sad_eval.study") == shipped["nano"]
    with pytest.raises(ConfigError, match="no configuration 'nanno': did you mean 'nano'"):
        config_files.find_config("nanno", "sad_eval.study")
    monkeypatch.chdir(tmp_path)
    Path("nano.toml").touch()
    assert config_files.find_config("nano.toml", "sad_eval.study") == Path("nano.toml")
    with pytest.raises(ConfigError, match="cannot read 'nano'"):
        read("--config", "nano")


def test_a_configuration_may_extend_another_whose_settings_may_have_no_effect(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Some:
        first: int = 0
        """First."""
        other: int = 0
        """Other."""

    base, middle, last = (tmp_path / f"{name}.toml" for name in ("base", "middle", "last"))
    base.write_text("first = 1\nother = 1\n")
    middle.write_text(f'extends = "{base}"\nother = 2\n')
    last.write_text(f'extends = "{middle}"\n')
    parsed = cli.read(Some, ["--config", str(middle)], prog="some")
    assert (parsed.settings, parsed.given) == (Some(first=1, other=2), {"other"})
    parsed.refuse_ignored({"first": "it is inherited"})
    assert cli.read(Some, ["--config", str(last)], prog="some").settings == Some(first=1, other=2)
    base.write_text(f'extends = "{last}"\n')
    with pytest.raises(ConfigError, match="extends itself"):
        cli.read(Some, ["--config", str(last)], prog="some")
    base.write_text("extends = 3\n")
    with pytest.raises(ConfigError, match="extends = 3: give the name of one configuration"):
        cli.read(Some, ["--config", str(base)], prog="some")
