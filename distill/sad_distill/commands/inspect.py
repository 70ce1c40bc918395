"""`sad-distill inspect`: how episodes are labelled."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from sad_env.errors import ConfigError, DataError
from sad_env.files import write_text
from sad_env.records import read_trajectories
from sad_env.safe_text import console, one_line, safe_text
from sad_env.settings import formerly


@dataclass(frozen=True)
class InspectConfig:
    """Show how episodes are labelled, token by token, and how long their spans are.

    $ sad-distill inspect --trajectories expert.jsonl --html labels.html
    """

    trajectories: Annotated[Path, formerly("episodes", remark="elsewhere --episodes is a number")]
    """Recorded trajectories (JSON lines); with --log any text file."""
    model: str = ""
    """Model whose tokenizer is used: student.pt, folder, nano:WORLD, smollm2 or hf:ID; left out, one is trained on the
    episodes."""
    show: int = 1
    """Episodes shown."""
    html: Path | None = None
    """Page to write, with the overlay and histograms."""
    log: bool = False
    """The file is another program's ReAct log; it is split by the paper's regular expressions."""
    two_phase: bool = False
    """With --log: all before the last line "Answer:" is reasoning, that line is the action (appendix D, HotPotQA)."""
    limit: int = 1000
    """Episodes read at most."""


def inspect(config: InspectConfig) -> int:
    """Run the command."""
    from rich.table import Table

    from sad_distill.commands.overlay import HEADINGS, NAMES, bars, overlay_text, page, span_lengths
    from sad_distill.data.labels import label_text, label_trajectory, segment_log
    from sad_distill.models.language import load_language
    from sad_distill.models.tokenizer import texts_of, train_tokenizer

    screen = console()
    if config.two_phase and not config.log:
        raise ConfigError("--two-phase has no effect: it is for --log")
    if config.log:
        text = config.trajectories.read_text(encoding="utf-8", errors="replace")
        tokenizer = load_language(config.model).tokenizer if config.model else train_tokenizer([text])
        episodes = [[label_text(tokenizer, text, segment_log(text, two_phase=config.two_phase))]]
    else:
        recorded = list(itertools.islice(read_trajectories(config.trajectories), config.limit))
        if not recorded:
            raise DataError(f"{one_line(str(config.trajectories))} holds no episode: collect some with sad-collect")
        tokenizer = load_language(config.model).tokenizer if config.model else train_tokenizer(texts_of(recorded))
        episodes = [label_trajectory(tokenizer, one) for one in recorded]
    for segments in episodes[: config.show]:
        screen.print(overlay_text(tokenizer, segments, letters=screen.color_system is None or screen.no_color))
    table = Table(*HEADINGS)
    lengths = span_lengths(episodes)
    for one in lengths:
        table.add_row(*one.row())
    screen.print(table)
    for one in lengths:
        if one.kind in "RA" and one.spans:
            screen.print(safe_text(f"\n{NAMES[one.kind]}: frequency of spans by their tokens"))
            screen.print(safe_text("\n".join(bars(one.spans))))
    borders = sum(segment.borders for segments in episodes for segment in segments)
    screen.print(safe_text(f"\n{len(episodes)} episodes, {borders} tokens on a border between spans"))
    if config.html is not None:
        title = f"Labels of {config.trajectories.name}"
        write_text(config.html, page(tokenizer, title, episodes, max(config.show, 3)))
        screen.print(safe_text(f"page: {config.html}"))
    return 0
