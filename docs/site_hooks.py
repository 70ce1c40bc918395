"""Pages of the site that lie outside docs/: reports of studies and the leaderboard's rules, with their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"leaderboard": ("*.md",), "studies": ("*/*.md", "*/*.svg", "*/*.csv", "*/commands.sh")}
"""Folders beside docs/ and what the site shows of them, under the same paths."""


def on_files(files: Files, config: Any) -> Files:
    """Add them; pages that the menu does not have are reached by links."""
    for folder, patterns in FOLDERS.items():
        for pattern in patterns:
            for path in sorted((ROOT / folder).glob(pattern)):
                where = path.relative_to(ROOT).as_posix()
                file = File(where, str(ROOT), config["site_dir"], config["use_directory_urls"])
                file.inclusion = InclusionLevel.NOT_IN_NAV
                files.append(file)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """On the site these folders lie inside docs/, not beside it."""
    for folder in FOLDERS:
        markdown = markdown.replace(f"](../{folder}/", f"]({folder}/") if "/" not in page.file.src_uri else markdown
    return markdown
