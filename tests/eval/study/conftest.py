"""The golden study, unpacked."""

from __future__ import annotations

import csv
import io
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

WRITTEN = ("README.md", "results.csv", "tests.csv")
"""What a report consists of, besides its pictures."""


ADDED = ("arl", "cot_tokens", "latency")
"""Columns that reports did not have when the golden one was written."""

ADDED_SECTION = "## Students against their teacher, success\n"
"""Nor had they this section."""

_ADDED_TITLES = re.compile(
    r"reasoning tokens an episode \(ARL\)|CoT match, tokens, %|latency, reasonings and actions"
    r"|\w+: (?:CoT match recall, %|latency, reasonings and actions)"
)


@pytest.fixture(scope="session")
def as_before() -> Callable[[str, str], str]:
    """See `_as_before`."""
    return _as_before


def _as_before(name: str, text: str) -> str:
    """A text of a report without what was added to it since the golden one: every other figure is compared."""
    if name == "README.md":
        before, added, after = text.partition(ADDED_SECTION)
        text = before + after[after.index("\n## ") + 1 :] if added else text
        return "\n".join(_without_added(text.split("\n")))
    rows = list(csv.reader(io.StringIO(text)))
    kept = [place for place, title in enumerate(rows[0]) if title not in ADDED]
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(
        [row[place] for place in kept] for row in rows if row[0] not in ADDED
    )
    return written.getvalue()


def _without_added(lines: list[str]) -> list[str]:
    found, kept = [], list[int]()
    for line in lines:
        if not line.startswith("|"):
            kept = []
            found.append(line)
            continue
        rule = line.startswith("|---")
        cells = line.strip("|").split("|") if rule else line.removeprefix("| ").removesuffix(" |").split(" | ")
        kept = kept or [place for place, title in enumerate(cells) if not _ADDED_TITLES.fullmatch(title)]
        cells = [cells[place] for place in kept]
        found.append(f"|{'|'.join(cells)}|" if rule else f"| {' | '.join(cells)} |")
    return found


@pytest.fixture(scope="session")
def _unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(Path(__file__).with_name("golden-study.tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder / "golden-study"


@pytest.fixture(scope="session")
def published(_unpacked: Path) -> dict[str, str]:
    """The report's texts as commit 7e3ffd8 wrote them."""
    return {name: (_unpacked / name).read_text(encoding="utf-8") for name in WRITTEN}


@pytest.fixture
def golden_study(_unpacked: Path, tmp_path: Path) -> Path:
    """A copy of the study without its report."""
    folder = tmp_path / "golden-study"
    shutil.copytree(_unpacked, folder, ignore=shutil.ignore_patterns(*WRITTEN, "*.svg"))
    return folder
