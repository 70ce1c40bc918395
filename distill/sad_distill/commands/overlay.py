"""What the labels say, for eyes: tokens in colour on a terminal or a page, and how long the spans are."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median

from rich.text import Text
from transformers import PreTrainedTokenizerBase

from sad_distill.data.labels import Labelled
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


def overlay_text(tokenizer: PreTrainedTokenizerBase, segments: Iterable[Labelled]) -> Text:
    """The episode for a terminal; neighbouring tokens are told apart by an underline on every other one."""
    text = Text()
    for segment in segments:
        for label, tokens in pieces(tokenizer, segment):
            for number, token in enumerate(tokens):
                style = STYLES[label] + (" underline" if label in "RA" and number % 2 else "")
                text.append(visible(token), style=style)
    return text


def overlay_html(tokenizer: PreTrainedTokenizerBase, segments: Iterable[Labelled]) -> str:
    """The episode as HTML; everything foreign is escaped."""
    parts = []
    for segment in segments:
        for label, tokens in pieces(tokenizer, segment):
            inner = "".join(f"<i>{html.escape(visible(token))}</i>" for token in tokens)
            parts.append(f'<span class="{label}">{inner}</span>')
    return f'<pre class="episode">{"".join(parts)}</pre>'


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
    """Lower edge, upper edge (not included) and count of equal bins from 0.

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
    """A histogram in characters, one line a bin."""
    rows = histogram(values, bins)
    tallest = max((count for _, _, count in rows), default=0)
    while rows and not rows[-1][2]:
        rows.pop()
    while rows and not rows[0][2]:
        rows.pop(0)
    return [f"{low:>5}-{high - 1:<5}{'█' * round(width * count / tallest)} {count}" for low, high, count in rows]


def svg(lengths: Lengths, width: int = 420, height: int = 140) -> str:
    """A histogram as SVG."""
    rows = histogram(lengths.spans)
    tallest = max((count for _, _, count in rows), default=0)
    if not tallest:
        return ""
    step = (width - 20) / len(rows)
    shapes = []
    for index, (low, high, count) in enumerate(rows):
        tall = (height - 40) * count / tallest
        shapes.append(
            f'<rect class="{lengths.kind}" x="{10 + index * step:.1f}" y="{height - 25 - tall:.1f}"'
            f' width="{step - 1:.1f}" height="{tall:.1f}"><title>{low}-{high - 1}: {count}</title></rect>'
        )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{NAMES[lengths.kind]} spans">'
        f'{"".join(shapes)}<text x="10" y="{height - 8}">0</text>'
        f'<text x="{width - 10}" y="{height - 8}" text-anchor="end">{rows[-1][1]} tokens</text></svg>'
    )


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;background:#fff;color:#222}
pre.episode{white-space:pre-wrap;border:1px solid #ddd;padding:1em}i{font-style:normal}
span.R{color:#1550c0}span.A{color:#c01515;font-weight:600}span.N{color:#888}i:nth-child(even){background:#0000000d}
rect.R{fill:#1550c0}rect.A{fill:#c01515}rect.O{fill:#555}rect.N{fill:#bbb}
table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right}td:first-child,th:first-child{text-align:left}
"""


def page(tokenizer: PreTrainedTokenizerBase, title: str, episodes: Sequence[Sequence[Labelled]], shown: int) -> str:
    """One self-contained page: statistics, histograms, and the first episodes in colour."""
    lengths = span_lengths(episodes)
    heads = "".join(f"<th>{name}</th>" for name in HEADINGS)
    rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in one.row()) + "</tr>" for one in lengths)
    plots = "".join(f"<h3>{NAMES[one.kind]}</h3>{svg(one)}" for one in lengths if one.spans and one.kind != "N")
    texts = "".join(overlay_html(tokenizer, segments) for segments in episodes[:shown])
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(visible(title))}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{_STYLE}</style></head><body>'
        f"<h1>{html.escape(visible(title))}</h1><table><tr>{heads}</tr>{rows}</table>{plots}<h2>Episodes</h2>{texts}"
        "</body></html>"
    )
