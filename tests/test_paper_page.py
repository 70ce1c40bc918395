"""docs/paper.md says where each item of the paper stands: files and tests that it names are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEADER = ["item", "where", "how", "test"]
_QUOTED = re.compile(r"`([^`]+)`")


def lines() -> list[list[str]]:
    """The cells of every line of every table, headers and rules left out."""
    text = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
    tables = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in tables]
    return [line for line in cells if line != HEADER and not set("".join(line)) <= {"-"}]


@pytest.mark.parametrize("line", lines(), ids=lambda line: line[0])
def test_every_line_names_a_file_and_a_test_that_are_there(line: list[str]) -> None:
    assert len(line) == 4, line
    _, where, how, test = line
    assert how
    files, tests = _QUOTED.findall(where), _QUOTED.findall(test)
    assert files, "a file"
    assert tests, "a test"
    for name in files:
        assert (ROOT / name).exists(), name
    for name in tests:
        file, _, function = name.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, name


def test_an_item_has_one_line() -> None:
    items = [line[0] for line in lines()]
    assert len(items) == len(set(items))
