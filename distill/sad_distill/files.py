"""Whole files, written at once."""

from __future__ import annotations

from pathlib import Path
from typing import IO, cast

from sad_env.files import atomic_write


def write_text(path: Path, text: str) -> None:
    """Replace a file by this text, or leave it as it was."""
    with atomic_write(path) as file:
        cast("IO[str]", file).write(text)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file by these bytes, or leave it as it was."""
    with atomic_write(path, "wb") as file:
        cast("IO[bytes]", file).write(data)
