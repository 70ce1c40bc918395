"""The paper's form: [REASON], [ACT] and [OBS] before reasoning, action and observation, on one line or several."""

from __future__ import annotations

import re
from typing import ClassVar

from sad_env.records import Span, SpanKind
from sad_env.transcript.form import Form, add_marked

TAGS = {SpanKind.REASON: "[REASON] ", SpanKind.ACT: "[ACT] ", SpanKind.OBS: "[OBS] "}
"""The span names of the paper (section 3.5 and appendix M)."""

_TAG = re.compile(r"(?<!\w)\[(REASON|ACT|OBS)\] ?")
_KINDS = {"REASON": SpanKind.REASON, "ACT": SpanKind.ACT, "OBS": SpanKind.OBS}


class TagsForm(Form):
    r"""`[REASON] ... [ACT] ... [OBS] ...`; an action ends with its line, or where the next tag begins.

    >>> text = "[REASON] The lamp may be here. [ACT] open[drawer] [OBS] It is empty."
    >>> TAGS_FORM.parse(text)[:2]
    ('The lamp may be here.', 'open[drawer]')
    >>> [span.kind.value for span in TAGS_FORM.spans(text)]
    ['R', 'A', 'O']
    """

    name = "tags"
    headers: ClassVar = TAGS
    request = 'Each turn, write "[REASON]" and what you know and want next, then on a new line "[ACT]" and one action.'
    missing = "there was no '[ACT]'"
    last_characters = "\n]"
    stop = ("[OBS]",)

    def _add_spans(self, spans: list[Span], text: str, start: int, end: int) -> None:
        tags = list(_TAG.finditer(text, start, end))
        add_marked(spans, tags, lambda tag: _KINDS[tag[1]], start, end)

    def _whole_action(self, text: str, *, final: bool) -> int | None:
        tags = list(_TAG.finditer(text))
        for number, tag in enumerate(tags):
            last = number + 1 == len(tags)
            end = len(text) if last else tags[number + 1].start()
            body = text[tag.end() : end]
            if tag[1] != "ACT" or not body.strip():
                continue
            newline = text.find("\n", tag.end() + len(body) - len(body.lstrip()), end)
            if newline >= 0:
                return newline + 1
            if final or not last:
                return tag.end() + len(body.rstrip())
        return None


TAGS_FORM = TagsForm()
