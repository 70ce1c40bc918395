"""What a model may write reaches screens, pages and tables as itself, and as nothing else."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sad_eval.playback.cast import cast_lines
from sad_eval.playback.plain import print_episodes
from sad_eval.playback.timeline import beats
from sad_eval.records import EpisodeLine
from sad_eval.report.episode_tables import write_table
from sad_eval.report.escape import csv_cell, latex_cell, markdown_cell
from sad_eval.report.html import environment, render_html
from sad_eval.report.overlay import span_texts
from sad_eval.report.tables import latex_table, markdown_table
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.board import Board
from sad_leaderboard.published import PublishedRow
from sad_leaderboard.render import to_html, to_markdown

from sad_env.records import Trajectory
from sad_env.safe_text import console, one_line, safe_text, visible

TEXTS = {
    "colours": "\x1b[31mred\x1b[0m",
    "a cleared screen": "\x1b[2J\x1b[H",
    "a window title": "\x1b]0;owned\x07",
    "a terminal reset": "\x1bc",
    "a hyperlink": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "a clipboard write": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "an answerback": "\x05\x1b[c\x1b[6n",
    "C1 controls": "\x9b31mred\x9d0;owned\x9c",
    "a DCS string": "\x90q#0;2;0;0;0\x9c",
    "backspaces": "safe\b\b\b\bevil",
    "a carriage return": "evil\rgood",
    "NULs": "a\x00b",
    "vertical tabs and form feeds": "a\x0bb\x0cc",
    "DEL": "a\x7fb",
    "bidi overrides": "\u202eevil\u202c",
    "bidi isolates": "\u2066a\u2067b\u2069",
    "an Arabic mark": "a\u061cb",
    "zero-width spaces": "a\u200bb\u2060c\ufeffd",
    "tags": "hi" + "".join(chr(0xE0000 + ord(character)) for character in "secret"),
    "variation selectors as data": "a" + "".join(map(chr, range(0xFE00, 0xFE0E))) + "\U000e0101",
    "musical controls": "a\U0001d173b",
    "shorthand controls": "a\U0001bca0b",
    "line separators": "a\u2028b\u2029c\x85d",
    "Hangul fillers": "a\u3164b\uffa0c\u115fd",
    "a lone surrogate": "a\ud800b\udfff",
    "noncharacters": "a\uffff\ufffeb",
    "rich markup": "[bold red]x[/bold red] [/REASON] [link=file:///etc/passwd]y[/link]",
    "a WebShop action": "search[red shoes] click[b07abc]",
    "an emoji code": ":smile: :skull:",
    "a script": "<script>alert(1)</script>",
    "an image with a handler": '<img src=x onerror="alert(1)">',
    "an end of everything": "</details></div></main></style></title><svg onload=alert(1)>",
    "an attribute": "\" onmouseover=\"alert(1)\" x='",
    "a comment": "<!-- --><!--",
    "an entity": "&lt;script&gt; &#60;b&#62;",
    "a template": "{{ 7*7 }} {% raw %} ${7*7} #{7*7}",
    "a javascript address": "[x](javascript:alert(1)) javascript:alert(1)",
    "a Markdown image": "![x](https://evil.example/beacon.png)",
    "a table's end": "a | b |\n| --- |\n| c",
    "a code fence": "```\nrm -rf /\n```",
    "a heading": "# Owned\n---",
    "a formula": '=HYPERLINK("http://evil.example","x")',
    "a DDE call": "=cmd|' /C calc'!A0",
    "a plus": "+1+1",
    "a minus": "-1+1",
    "an at": "@SUM(1)",
    "a tab and a formula": "\t=1+1",
    "a line break and a formula": "\n=1+1",
    "a wide equals": "＝1+1",
    "LaTeX commands": r"\input{/etc/passwd} \write18{id} \end{tabular}",
    "LaTeX signs": r"50% & $x_1^2$ #1 {a} ~ \\",
    "a million letters": "a" * 1_000_000,
    "stacked marks": "a" + "\u0301" * 2000,
    "only newlines": "\n" * 500,
}  # fmt: skip

SHORT = [name for name, text in TEXTS.items() if len(text) < 10_000]


class Page(HTMLParser):
    """Collects what a browser would act upon."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attributes]


def inert(page: str) -> None:
    """Asserts that a page runs nothing, loads nothing and leads nowhere."""
    parser = Page()
    parser.feed(page)
    assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & set(parser.tags)
    assert parser.tags.count("link") == 1
    for name, value in parser.attributes:
        assert not name.startswith("on")
        assert not re.match(r"\s*(javascript|vbscript|file|https?):", value, re.IGNORECASE)
        assert name != "srcdoc"


@pytest.mark.parametrize("name", TEXTS)
def test_made_visible_it_holds_no_control(name: str, harmless: Callable[[str], None]) -> None:
    harmless(visible(TEXTS[name]))
    harmless(one_line(TEXTS[name]))
    assert "\n" not in one_line(TEXTS[name])
    assert len(one_line(TEXTS[name])) <= 200


@pytest.mark.parametrize("name", SHORT)
def test_a_console_prints_it_as_it_stands(name: str, harmless: Callable[[str], None]) -> None:
    out = io.StringIO()
    console(out, width=100_000).print(safe_text(TEXTS[name]), end="")
    harmless(out.getvalue())
    # Nothing vanishes: neither as markup nor as an emoji code.
    assert "".join(out.getvalue().split()) == "".join(visible(TEXTS[name]).split())


@pytest.mark.parametrize("name", SHORT)
def test_plain_playback_and_recordings_hold_no_control_of_its_own(
    name: str, trajectory_of: Callable[..., Trajectory], harmless: Callable[[str], None]
) -> None:
    out = io.StringIO()
    print_episodes([trajectory_of(TEXTS[name])], console(out))
    harmless(out.getvalue())
    for line in list(cast_lines([trajectory_of(TEXTS[name])]))[1:]:
        written = json.loads(line)[2].replace("\r\n", "\n")
        harmless(re.sub(r"\x1b\[[0-9;]*m", "", written))


def test_the_full_screen_shows_all_of_them(
    trajectory_of: Callable[..., Trajectory], harmless: Callable[[str], None]
) -> None:
    pytest.importorskip("textual", reason="the full screen needs the extra play (textual)")
    from sad_eval.playback.app import PlaybackApp

    async def show() -> None:
        episodes = [trajectory_of(TEXTS[name], task_id=TEXTS[name]) for name in SHORT]
        together = episodes[0].model_copy(update={"steps": tuple(step for one in episodes for step in one.steps)})
        app = PlaybackApp([*episodes, together], title="x[/]\x1b[2J", task_id=together.task_id)
        async with app.run_test(size=(120, 2000)) as pilot:
            app.player.open(len(episodes))
            await pilot.press("end")
            screen = app.export_screenshot()
        assert "[/REASON]" in screen.replace("&#160;", " ")
        harmless(re.sub(r"&#\d+;", "", screen))

    asyncio.run(show())


@pytest.mark.parametrize("name", SHORT)
def test_a_page_shows_it_as_text(name: str) -> None:
    text = TEXTS[name]
    source = "<link><p title='{{ shown(text) }}'>{{ shown(text) }}</p><pre>{{ text_(text) }}</pre>"
    template = environment().from_string(source, globals={"text_": visible})
    inert(template.render(text=text))


def test_a_report_of_hostile_episodes_is_inert(
    toy_run: Callable[..., RunFolder], trajectory_of: Callable[..., Trajectory], harmless: Callable[[str], None]
) -> None:
    run = toy_run()
    tasks, agent = [TEXTS[name] for name in SHORT], TEXTS[SHORT[0]]
    panel = run.manifest.panel.model_copy(update={"task_ids": tuple(tasks)})
    manifest = run.manifest.model_copy(update={"agent": agent, "panel": panel})
    (run.path / "manifest.json").write_text(json.dumps(manifest.model_dump(mode="json")))
    run = RunFolder.open(run.path)
    theirs = {"agent": agent, "world": manifest.world, "data": manifest.data}
    episodes = [trajectory_of(task, task_id=task).model_copy(update=theirs) for task in tasks]
    lines = [EpisodeLine.of(episode).to_json() for episode in episodes]
    (run.path / "episodes.jsonl").write_text("\n".join(lines) + "\n")
    page = "".join(render_html([run]))
    inert(page)
    harmless(page)
    assert "<script" not in page
    assert page.count('<details class="episode') == len(SHORT)
    assert "Content-Security-Policy" in page
    page.encode("utf-8")


def test_a_board_of_hostile_rows_is_inert(without_script: Callable[[str], str]) -> None:
    rows = tuple(
        PublishedRow(world=text, system=text, metric=text, value=1.0, unit=text[:5], source=text, remark=text)
        for text in map(TEXTS.__getitem__, SHORT)
    )
    board = Board(tables=(), published=rows, remarks=tuple(map(TEXTS.__getitem__, SHORT)))
    inert(without_script(to_html(board)))
    markdown = to_markdown(board)
    assert not re.search(r"(?<!\\)[<`]", markdown)
    assert not re.search(r"(?<!\\)\]\(", markdown)


@pytest.mark.parametrize("name", TEXTS)
def test_a_spreadsheet_takes_it_for_text(name: str, tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ["text", "number"], [{"text": TEXTS[name], "number": -0.5}])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        (_, row) = csv.reader(file)
    assert not re.match(r"\s*[=+\-@＝＋－＠]", row[0])
    assert row[1] == "-0.5"
    assert csv_cell(TEXTS[name]).lstrip("'") in row[0]


@pytest.mark.parametrize("name", TEXTS)
def test_latex_gets_no_command_from_it(name: str) -> None:
    cell = latex_cell(TEXTS[name])
    assert "\n" not in cell
    plain = re.sub(r"\\(text[a-z]+\{\}|[{}$&#%_])", "", cell.replace("{[}", "").replace("{]}", ""))
    assert not set(plain) & set("\\{}$&#%_^~")
    assert latex_table(["a"], [[TEXTS[name]]], TEXTS[name]).count(r"\end{tabular}") == 1


@pytest.mark.parametrize("name", TEXTS)
def test_markdown_gets_no_markup_from_it(name: str) -> None:
    cell = markdown_cell(TEXTS[name])
    assert "\n" not in cell
    assert not re.search(r"(?<!\\)[|`\[\]*_#<>]", cell)
    assert len(markdown_table(["a"], [[TEXTS[name]]]).splitlines()) == 3


def test_spans_and_beats_are_visible_text(
    trajectory_of: Callable[..., Trajectory], harmless: Callable[[str], None]
) -> None:
    for name in SHORT:
        trajectory = trajectory_of(TEXTS[name])
        for step in trajectory.steps:
            harmless("".join(span.header + span.body for span in span_texts(step)))
        for beat in beats(trajectory):
            harmless(beat.header + beat.text)


def test_no_source_of_ours_prints_with_markup() -> None:
    """An f-string printed with rich's markup on would bring all of this back."""
    root = Path(__file__).resolve().parents[2]
    sources = [
        path
        for folder in ("sad_env", "agents", "distill", "eval", "leaderboard")
        for path in (root / folder).rglob("*.py")
    ]
    assert len(sources) > 50
    for path in sources:
        text = path.read_text(encoding="utf-8")
        assert "markup=True" not in text, path
        assert not re.search(r"from rich import print|rich\.print\(", text), path
        if path.name not in ("safe_text.py", "cast.py"):
            assert not re.search(r"(?<![\w.])Console\(", text), path
