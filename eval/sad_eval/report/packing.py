"""Episodes as compressed text in a page: blocks that a browser unpacks one at a time, within a number of bytes."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from sad_env.records import SpanKind, Step, Trajectory
from sad_env.safe_text import visible
from sad_eval.records import EpisodeLine
from sad_eval.report.overlay import span_texts

BLOCK_CHARACTERS = 400_000
"""Of JSON in a block, where an episode alone is not longer."""


def packed(value: object) -> str:
    """JSON, compressed (raw deflate) and in base64: letters, digits and `+/=` alone, so it needs no escape in HTML."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = squeezer.compress(json.dumps(value, separators=(",", ":")).encode()) + squeezer.flush()
    return base64.b64encode(data).decode()


def unpacked(text: str) -> Any:
    """The inverse of `packed`."""
    return json.loads(zlib.decompress(base64.b64decode(text), -15))


class Texts:
    """Texts that are written once and then named by their place; controls are made visible."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self.length = 0
        self._places: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """The place of a text."""
        if text not in self._places:
            self._places[text] = len(self.listed)
            self.listed.append(visible(text))
            self.length += len(text)
        return self._places[text]


def episode_json(trajectory: Trajectory, texts: Texts) -> list[Any]:
    """An episode as the page's script reads it: [prompt, first observation, error, steps]."""
    steps = [_step(step, texts) for step in trajectory.steps]
    return [texts(trajectory.prompt), texts(trajectory.observation), visible(trajectory.error), steps]


def _step(step: Step, texts: Texts) -> list[Any]:
    labels = {kind.value: step.token_labels.count(kind.value) for kind in SpanKind} if step.token_labels else None
    return [
        [[span.kind.value, span.header, span.body] for span in span_texts(step)],
        texts(step.observation),
        "" if step.parsed and step.valid else "invalid action" if step.parsed else "no action found",
        None if step.admissible is None else [texts(action) for action in step.admissible],
        step.generated_tokens,
        labels,
        texts(step.action),
    ]


class Packer:
    """Packs the episodes of several runs into at most so many bytes.

    Args:
        most: bytes of all blocks.
        runs: how many runs share them.

    Attributes:
        blocks: how many there are.
        spent: bytes of them.
    """

    def __init__(self, most: int, runs: int) -> None:
        self.blocks = 0
        self.spent = 0
        self._most = most
        self._runs = runs

    def run(self, lines: Iterable[EpisodeLine], places: dict[int, tuple[int, int]]) -> Iterator[str]:
        """The blocks of the next run.

        Args:
            lines: its episodes.
            places: gets the block of each episode that fits in, and its place there, by the episode's number.
        """
        share = (self._most - self.spent) // self._runs
        self._runs -= 1
        until, full = self.spent + share, False
        texts, held, length = Texts(), [], 0
        numbers: list[int] = []
        for number, line in enumerate(lines):
            if full:
                continue  # whoever gives the lines counts them all
            held.append(episode_json(line.trajectory, texts))
            numbers.append(number)
            length += sum(len(span[2]) for step in held[-1][3] for span in step[0])
            if length + texts.length >= BLOCK_CHARACTERS:
                block, full = self._block(texts, held, until)
                yield from self._place(block, numbers, places)
                texts, held, length, numbers = Texts(), [], 0, []
        if held:
            yield from self._place(self._block(texts, held, until)[0], numbers, places)

    def _block(self, texts: Texts, held: list[Any], until: int) -> tuple[str, bool]:
        """The block, "" where there is no room for it; and whether there is none."""
        block = packed([texts.listed, held])
        full = self.spent + len(block) > until
        return ("" if full else block), full

    def _place(self, block: str, numbers: list[int], places: dict[int, tuple[int, int]]) -> Iterator[str]:
        if block:
            places.update({number: (self.blocks, place) for place, number in enumerate(numbers)})
            self.blocks += 1
            self.spent += len(block)
            yield block
