"""The page that shows what the labels say."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from sad_distill.commands.main import main
from sad_distill.commands.overlay import histogram, page, span_lengths
from sad_distill.data.labels import label_text, segment_log
from sad_distill.models.tokenizer import train_tokenizer

LOG = "Observation: <b>A key & a lock.</b>\nReasoning: I need the <script>key</script>.\nAction: take key\n"


class Page(HTMLParser):
    """Elements in their order, and the text of each class of span."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: dict[str, str] = {}
        self._label = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "span":
            self._label = dict(attributes)["class"] or ""

    def handle_data(self, data: str) -> None:
        if "pre" in self.tags:
            self.texts[self._label] = self.texts.get(self._label, "") + data


def test_the_page_holds_every_character_under_its_label_and_a_bar_for_every_bin() -> None:
    tokenizer = train_tokenizer([LOG])
    labelled = label_text(tokenizer, LOG, segment_log(LOG))
    text = page(tokenizer, "<i>title</i>", [[labelled]], shown=1)
    read = Page()
    read.feed(text)
    assert "script" not in read.tags
    assert "<h1>&lt;i&gt;title&lt;/i&gt;</h1>" in text
    assert "I need the <script>key</script>." in read.texts["R"]
    assert "take key" in read.texts["A"]
    lengths = [one for one in span_lengths([[labelled]]) if one.spans and one.kind != "N"]
    assert read.tags.count("rect") == sum(len(histogram(one.spans)) for one in lengths)
    assert read.tags.count("svg") == len(lengths) == 3


def test_a_terminal_that_is_to_have_no_colour_gets_letters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log.txt").write_text(LOG)
    monkeypatch.setenv("FORCE_COLOR", "1")
    for colourless in ("", "1"):
        monkeypatch.setenv("NO_COLOR", colourless)
        assert main(["inspect", "--trajectories", str(tmp_path / "log.txt"), "--log"]) == 0
        text = capsys.readouterr().out
        assert all((f"⟨{letter}⟩" in text) == bool(colourless) for letter in "RAO")
