"""Labels for a reader: tokens in colour on a terminal or a page, and how long the spans are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median

from rich.text import Text
from transformers import PreTrainedTokenizerBase

from sad_distill.data.labels import Labelled
from sad_env.html import environment
from sad_env.safe_text import visible

STYLES = {"N": "dim", "R": "blue", "A": "bold red", "O": "default"}
"""Reasoning is blue and action red, as in the paper's figures."""

NAMES = {"N": "prompt", "R": "reasoning", "A": "action", "O": "observation"}


def pieces(tokenizer: PreTrainedTokenizerBase, labelled: Labelled) -> list[tuple[str, list[str]]]:
    """Runs of one label, each with the texts of its tokens; bytes that are no character alone become U+FFFD."""
    runs = []
    for label, group in groupby(zip(labelled.ids, labelled.labels, strict=True), key=lambda pair: pair[1]):
        runs.append((label, [str(tokenizer.decode([token])) for token, _ in group]))
    return runs


def overlay_text(tokenizer: PreTrainedTokenizerBase, segments: Iterable[Labelled], *, letters: bool = False) -> Text:
    """The episode for a terminal; every other token is underlined.

    Args:
        tokenizer: of the labels.
        segments: of the episode.
        letters: say each run's kind by its letter in front, for a terminal or a reader without colours.
    """
    text = Text()
    for segment in segments:
        for label, tokens in pieces(tokenizer, segment):
            if letters:
                text.append(f"⟨{label}⟩", style="bold")
            for number, token in enumerate(tokens):
                style = STYLES[label] + (" underline" if label in "RA" and number % 2 else "")
                text.append(visible(token), style=style)
    return text


@dataclass(frozen=True)
class Lengths:
    """Lengths in tokens of all spans of one kind."""

    kind: str
    spans: tuple[int, ...]

    @property
    def total(self) -> int:
        """All tokens."""
        return sum(self.spans)

    def row(self) -> tuple[str, ...]:
        """Kind, spans, tokens, mean, median, 95th percentile, longest."""
        if not self.spans:
            return (NAMES[self.kind], "0", "0", "", "", "", "")
        ordered = sorted(self.spans)
        high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        numbers = (len(ordered), self.total, f"{fmean(ordered):.1f}", f"{median(ordered):g}", high, ordered[-1])
        return (NAMES[self.kind], *(str(number) for number in numbers))

    def histogram(self) -> list[tuple[int, int, int]]:
        """See `histogram`."""
        return histogram(self.spans)


HEADINGS = ("kind", "spans", "tokens", "mean", "median", "95 %", "longest")


def span_lengths(episodes: Iterable[Sequence[Labelled]]) -> list[Lengths]:
    """Lengths of the spans of each kind, over episodes."""
    found: dict[str, list[int]] = {kind: [] for kind in NAMES}
    for segments in episodes:
        for segment in segments:
            for label, group in groupby(segment.labels):
                found[label].append(len(list(group)))
    return [Lengths(kind, tuple(spans)) for kind, spans in found.items()]


def histogram(values: Sequence[int], bins: int = 20) -> list[tuple[int, int, int]]:
    """Lower edge, upper edge (not included) and count of equal bins from 0; counts over their sum are frequencies.

    >>> histogram([0, 1, 5, 9], bins=2)
    [(0, 5, 2), (5, 10, 2)]
    """
    if not values:
        return []
    width = -(-(max(values) + 1) // bins)
    counts = [0] * bins
    for value in values:
        counts[value // width] += 1
    return [(index * width, (index + 1) * width, count) for index, count in enumerate(counts)]


def bars(values: Sequence[int], bins: int = 12, width: int = 40) -> list[str]:
    """A histogram in characters, one line a bin, with its frequency: counts over all spans, which sum to 1 (Fig. 9)."""
    rows = histogram(values, bins)
    tallest = max((count for _, _, count in rows), default=0)
    while rows and not rows[-1][2]:
        rows.pop()
    while rows and not rows[0][2]:
        rows.pop(0)
    return [
        f"{low:>5}-{high - 1:<5}{'█' * round(width * count / tallest)} {count / len(values):.3f}"
        for low, high, count in rows
    ]


def page(tokenizer: PreTrainedTokenizerBase, title: str, episodes: Sequence[Sequence[Labelled]], shown: int) -> str:
    """One self-contained page: statistics, histograms, and the first episodes in colour."""
    lengths = span_lengths(episodes)
    drawn = [one for one in lengths if one.spans and one.kind != "N"]
    return (
        environment("sad_distill.commands")
        .get_template("overlay.html.j2")
        .render(
            title=visible(title),
            headings=HEADINGS,
            rows=[one.row() for one in lengths],
            plots=[(one.kind, NAMES[one.kind], histogram(one.spans)) for one in drawn],
            episodes=[[run for part in segments for run in pieces(tokenizer, part)] for segments in episodes[:shown]],
        )
    )
