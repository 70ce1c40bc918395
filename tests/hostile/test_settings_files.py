"""Settings and prompts that are no settings and prompts: one line, in little time and memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from sad_agents.prompts import read_prompt
from sad_eval.commands.evaluate import main

from sad_env.errors import ConfigError, SadEnvError

HOSTILE: dict[str, bytes] = {
    "lists 50,000 deep": b"episodes = " + b"[" * 50_000,
    "lists 50,000 deep, closed": b"episodes = " + b"[" * 50_000 + b"]" * 50_000,
    "tables 50,000 deep": b"episodes = " + b"{a=" * 50_000,
    "a key of 20,000 parts": b"a." * 20_000 + b"b = 1",
    "a quoted key of 20,000 parts": b'"a" . ' * 20_000 + b"b = 1",
    "a table of 20,000 parts": b"[" + b"a." * 20_000 + b"b]",
    "5,000 digits": b"episodes = " + b"9" * 5_000,
    "5,000 hexadecimal digits": b"episodes = 0x" + b"f" * 5_000,
    "100 MB": b"#" * (100 * 2**20),
    "a word of 1 MB": b"a" * (2**20 - 1),
    "controls in a value": b'agent = "\x1b[2J"',
    "controls in a key": b'"\\u001b[2J" = 1',
    "controls in a wrong value": b'episodes = "\\u001b[2J\\u202e"',
    "UTF-16": 'env = "toy"'.encode("utf-16"),
    "Latin-1": b'env = "\xe9"',
    "NUL": b"\0",
    "a date for a number": b"episodes = 1979-05-27",
    "infinity for a number": b"episodes = 1e999",
    "no number": b"temperature = nan",
    "true for a number": b"episodes = true",
    "a list for a text": b'env = ["toy"]',
    "a table for a text": b"[[env]]\na = 1",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_settings_file_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], one_clear_line: Callable[[str], None]
) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(HOSTILE[name])
    began = time.monotonic()
    tracemalloc.start()
    out = tmp_path / "run"
    assert main(["--config", str(path), "--env", "toy", "--agent", "expert", "--workers", "0", "--out", str(out)]) == 2
    assert tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()
    assert time.monotonic() - began < 5
    one_clear_line(capsys.readouterr().err.removesuffix("\n"))
    assert not out.exists()
    with pytest.raises(SadEnvError):
        read_prompt(path)


def test_a_settings_file_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="more than 1,048,576 bytes"):
        read_prompt(Path("/dev/zero"))


@pytest.mark.parametrize("key", ["exemplars", "random_actions", "final_actions"])
@pytest.mark.parametrize("value", ["1", "[1]", '"Action: look"', "[{a = 1}]"])
def test_a_prompts_lists_hold_texts(key: str, value: str, tmp_path: Path) -> None:
    path = tmp_path / "prompt.toml"
    path.write_text(f'instruction = "Do it."\n{key} = {value}\n')
    with pytest.raises(ConfigError, match=f"{key} is a list of texts"):
        read_prompt(path)
