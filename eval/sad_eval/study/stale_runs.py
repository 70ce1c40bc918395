"""What stages made under other settings: it is moved out of their way, so that no run resumes it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sad_env.json_lines import parse_json
from sad_env.safe_text import visible
from sad_eval.study.plan import StudyStage


def former_keys(folder: Path) -> dict[str, str]:
    """The keys under which a world's stages were last begun, by name; stages that are planned no more among them.

    Args:
        folder: of the world.
    """
    path = folder / "study.json"
    if not path.exists():
        return {}
    record = parse_json(path.read_bytes())
    # Studies of earlier releases hold the stages of their last plan only.
    return {**record.get("former", {}), **dict(record["stages"])}


def begun_as(folder: Path) -> str:
    """The path of a world's part when it was begun, by which the keys of its stages go; "" where it was not.

    Args:
        folder: of the world, as it is called now.
    """
    path = folder / "study.json"
    if not path.exists():
        return ""
    if (told := parse_json(path.read_bytes()).get("folder")) is not None:
        return str(told)
    # Studies of earlier releases: the first command names it.
    commands = folder / "commands.sh"
    text = commands.read_text(encoding="utf-8") if commands.exists() else ""
    found = re.search(rf"--out (?:(\S+)/)?{re.escape(folder.name)}/", text)
    return str(Path(found[1] or ".") / folder.name) if found else ""


def set_aside(folder: Path, plan: Sequence[StudyStage], keys: Mapping[str, str]) -> None:
    """Move what a world's stages made under other keys into `earlier/N` of its folder, and say so.

    Their markers go, too: a stage whose setting comes back does not take the place's new content for its own.

    Args:
        folder: of the world; nothing outside it is touched.
        plan: its stages.
        keys: as they are now, by name.
    """
    before = former_keys(folder)
    changed = {stage.name: stage for stage in plan if before.get(stage.name, keys[stage.name]) != keys[stage.name]}
    found = [*_markers(folder, changed), *(path for stage in changed.values() for path in _made(folder, stage))]
    if not found:
        return
    number = 1 + max((int(path.name) for path in folder.glob("earlier/*") if path.name.isdecimal()), default=0)
    target = folder / "earlier" / str(number)
    for path in found:
        aside = target / path.relative_to(folder)
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.rename(aside)
    message = f"{folder.name}: {len(changed)} stages have changed and start again; their earlier files are in {target}"
    print(visible(message), file=sys.stderr, flush=True)


def _markers(folder: Path, changed: Mapping[str, StudyStage]) -> Iterator[Path]:
    if not changed:
        return
    for path in sorted(folder.glob("done/*.json")):
        if parse_json(path.read_bytes()).get("name") in changed:
            yield path


def _made(folder: Path, stage: StudyStage) -> Iterator[Path]:
    """A run folder; an evaluation and its kept episodes; of collected episodes the file and those next to it."""
    if stage.kept is not None:
        found = [stage.product.parent, stage.kept]
    elif stage.product.name == "student.pt":
        found = [stage.product.parent]
    else:
        found = [stage.product, *sorted(stage.product.parent.glob(f"{stage.product.name}.*"))]
    for path in found:
        # The study's own folder is all that it may clear.
        if path.exists() and path != folder and path.is_relative_to(folder):
            yield path
