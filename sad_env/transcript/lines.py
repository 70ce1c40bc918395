"""The default form: one line for reasoning, action and observation each, with its name before it."""

from __future__ import annotations

import re
from typing import ClassVar

from sad_env.records import Span, SpanKind
from sad_env.transcript.form import Form, add_or_continue

HEADERS = {SpanKind.REASON: "Reasoning: ", SpanKind.ACT: "Action: ", SpanKind.OBS: "Observation: "}
"""Each span of a transcript opens with one of these and ends with a newline."""

_LINE_KIND = re.compile(r"\s*(?:(reasoning|thought)|(action))(?:\s+\d+)?\s*:[ \t]*", re.IGNORECASE)


class LinesForm(Form):
    r"""`Reasoning: ...`, `Action: ...`, `Observation: ...`.

    >>> LINES.render("I see it.", "take it").text
    'Reasoning: I see it.\nAction: take it\n'
    >>> [(s.kind.value, s.start, s.end) for s in LINES.spans("Reasoning: a\nstill a\nAction: b\n")]
    [('R', 0, 21), ('A', 21, 31)]
    """

    name = "lines"
    headers: ClassVar = HEADERS
    request = (
        'Each turn, write two lines: one that starts with "Reasoning:" and says what you know and want next, and one'
        ' that starts with "Action:" and holds one action.'
    )
    missing = "there was no line that starts with 'Action:'"
    stop: tuple[str, ...] = ("\nObservation:",)

    def _add_spans(self, spans: list[Span], text: str, start: int, end: int) -> None:
        position = start
        for line in text[start:end].split("\n"):
            stop = min(position + len(line) + 1, end)
            if stop == position:
                break
            if match := _LINE_KIND.match(line):
                kind = SpanKind.ACT if match.group(2) else SpanKind.REASON
                spans.append(Span(kind=kind, start=position, end=stop, body=position + match.end()))
            else:
                add_or_continue(spans, position, stop)
            position = stop

    def _whole_action(self, text: str, *, final: bool) -> int | None:
        position, in_action = 0, False
        whole = text + "\n" if final else text
        while (newline := whole.find("\n", position)) >= 0:
            line = whole[position:newline]
            if header := _LINE_KIND.match(line):
                in_action = header.group(2) is not None
                line = line[header.end() :]
            position = newline + 1
            if in_action and line.strip():
                return min(position, len(text))
        return None


LINES = LinesForm()
