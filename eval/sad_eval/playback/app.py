"""The full-screen playback. Only this module imports textual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.timer import Timer
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from sad_env.records import SpanKind, Trajectory
from sad_env.safe_text import one_line, safe_text
from sad_eval.playback.timeline import CHOICES, SPEEDS, Beat, Choice, EpisodePlayer, beats

COLOURS = {
    SpanKind.REASON: "#7fb0f5",
    SpanKind.ACT: "bold #f4978f",
    SpanKind.OBS: "#d9d9d4",
    SpanKind.NONE: "#8a8f95",
}
_DIM, _GOOD, _BAD, _WARN = "#8a8f95", "bold #6cc793", "bold #f4978f", "bold #f0cf7a"

HINT = "space play · ←→ beat · ↑↓ episode · a action · -+ speed · ? keys · q quit"
KEYS = (
    ("space", "play, pause"),
    ("← →", "beat back, on"),
    ("↑ ↓  p n", "episode before, after"),
    ("home end", "first beat, last beat"),
    ("a  ]", "next action"),
    ("- +", "slower, faster"),
    ("f", "all, failed, solved"),
    ("/", "search all episodes"),
    ("N", "search again"),
    ("r", "hide reasoning"),
    ("c", "admissible actions"),
    ("t", "the teacher's episode"),
    ("l", "list of episodes"),
    ("?  esc", "these keys; close them"),
    ("q", "quit"),
)


class PlaybackApp(App[None]):
    """Plays the episodes of a run.

    Args:
        trajectories: the run's episodes.
        title: what the run is called.
        choice: which episodes are played at first.
        task_id: the episode to begin with.
        reference: episodes of a reference run by task, shown next to those of the run.
        hide_reasoning: begin with reasoning hidden.
        speed: steps up (or down) the ladder of speeds from 1.
    """

    CSS = """
    Screen { background: #141517; color: #d9d9d4; layers: base top; }
    #head { height: 2; padding: 0 1; background: #1b1d20; }
    #foot { height: 2; padding: 0 1; background: #1b1d20; }
    #search { display: none; dock: bottom; height: 3; border: round #7fb0f5; background: #141517; }
    #head, #foot { text-wrap: nowrap; text-overflow: ellipsis; }
    #list, VerticalScroll { scrollbar-size-vertical: 1; scrollbar-color: #3a3d42; scrollbar-background: #17181b; }
    #list { width: 30; border: none; background: #17181b; padding: 0; text-wrap: nowrap; text-overflow: ellipsis; }
    #list > .option-list--option-highlighted { background: #2a3646; text-style: bold; }
    #list { height: 100%; }
    #episode, #teacher { width: 1fr; }
    #transcript, #teacher-transcript { padding-right: 1; }
    #teacher, #choices { border-left: solid #2d3034; }
    #choices { width: 34; padding: 0 1; }
    #keys { layer: top; dock: right; width: 40; height: auto; margin: 2 0; padding: 1 2; background: #22252a; }
    .-narrow #list, .-tiny #list, .-tiny #choices, .-tiny #teacher { display: none; } .-narrow #choices { width: 26; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-wide")]  # noqa: RUF012 - declared so by textual
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", priority=True),
        Binding("right,full_stop", "move(1)"),
        Binding("left,comma", "move(-1)"),
        Binding("down,n", "episode(1)"),
        Binding("up,p", "episode(-1)"),
        Binding("home", "move(-1000000)"),
        Binding("end", "move(1000000)"),
        Binding("a,right_square_bracket", "next_action"),
        Binding("plus,equals_sign", "speed(1)"),
        Binding("minus", "speed(-1)"),
        Binding("f", "filter"),
        Binding("slash", "search"),
        Binding("N", "again"),
        Binding("r", "reasoning"),
        Binding("c", "pane('choices')"),
        Binding("t", "pane('teacher')"),
        Binding("l", "pane('list')"),
        Binding("question_mark", "pane('keys')"),
        Binding("escape", "leave_search", priority=True),
        Binding("q,ctrl+c", "quit", priority=True),
    ]

    def __init__(
        self,
        trajectories: Sequence[Trajectory],
        *,
        title: str,
        choice: Choice = "all",
        task_id: str = "",
        reference: dict[str, Trajectory] | None = None,
        hide_reasoning: bool = False,
        speed: int = 0,
    ) -> None:
        super().__init__()
        self.player = EpisodePlayer(trajectories, choice)
        self.run_title = title
        self.reference = reference or {}
        self.notice = ""
        self._timer: Timer | None = None
        self._listed: tuple[int, ...] = ()
        self.player.change_speed(speed)
        if task_id and not self.player.find_task(task_id):
            self.notice = f"no episode of {one_line(task_id, 60)} among those chosen"
        if hide_reasoning:
            self.player.toggle_reasoning()

    def compose(self) -> ComposeResult:
        """Head, list of episodes, transcript, teacher, choices, foot."""
        yield Static(id="head")
        with Horizontal():
            episodes = OptionList(id="list", markup=False)
            episodes.can_focus = False
            yield episodes
            yield VerticalScroll(Static(id="transcript"), id="episode", can_focus=False)
            yield VerticalScroll(Static(id="teacher-transcript"), id="teacher", can_focus=False)
            yield VerticalScroll(Static(id="choice-lines"), id="choices", can_focus=False)
            yield Static(_pairs(KEYS), id="keys")
        yield Static(id="foot")
        yield Input(placeholder="search in all episodes", id="search")

    def on_mount(self) -> None:
        """Show the first beat; panes without content begin closed, as on a small screen all beside the episode do."""
        self.query_one("#keys").display = False
        if not self.reference:
            self.query_one("#teacher").display = False
        if not any(step.admissible for episode in self.player.trajectories[:20] for step in episode.steps):
            self.query_one("#choices").display = False
        self.refresh_all()

    # --- keys ---------------------------------------------------------------------------------------------------

    def action_play(self) -> None:
        """Play or pause; in the search line, a blank."""
        line = self.query_one("#search", Input)
        if line.has_focus:
            line.insert_text_at_cursor(" ")
            return
        self.player.toggle()
        self.refresh_all()

    def action_move(self, count: int) -> None:
        """Some beats on or back; pauses."""
        self.player.playing = False
        self.player.move(count)
        self.refresh_all()

    def action_episode(self, count: int) -> None:
        """Another episode."""
        self.player.open(self.player.place + count)
        self.refresh_all()

    def action_next_action(self) -> None:
        """To the next action."""
        self.player.playing = False
        self.player.next_action()
        self.refresh_all()

    def action_speed(self, count: int) -> None:
        """Faster or slower."""
        self.player.change_speed(count)
        self.refresh_all()

    def action_filter(self) -> None:
        """All episodes, failed ones, solved ones, in turn."""
        self.player.select(CHOICES[(CHOICES.index(self.player.choice) + 1) % len(CHOICES)])
        self.refresh_all()

    def action_reasoning(self) -> None:
        """Hide or show reasoning."""
        self.player.toggle_reasoning()
        self.refresh_all()

    def action_pane(self, name: str) -> None:
        """Open or close a pane."""
        pane = self.query_one(f"#{name}")
        pane.display = not pane.display
        if name == "teacher" and not self.reference:
            self.notice = "no reference run: start with --reference RUN"
        self.refresh_all()

    def action_search(self) -> None:
        """Open the search line."""
        self.player.playing = False
        line = self.query_one("#search", Input)
        line.display = True
        line.focus()

    def action_leave_search(self) -> None:
        """Close the search line and the list of keys."""
        self.query_one("#keys").display = False
        self.query_one("#search", Input).display = False
        self.set_focus(None)

    def action_again(self) -> None:
        """The next place that was searched for."""
        self._search("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Search for what was typed."""
        self.action_leave_search()
        self._search(event.value)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open the episode that was clicked."""
        self.player.open(event.option_index)
        self.refresh_all()

    def _search(self, needle: str) -> None:
        found = self.player.search(needle)
        self.notice = "" if found else f"{one_line(self.player.needle, 40)!r} occurs nowhere else"
        self.refresh_all()

    def _tick(self) -> None:
        self.player.tick()
        self.refresh_all()

    # --- screen -------------------------------------------------------------------------------------------------

    def refresh_all(self) -> None:
        """Draw what the player says, and set the clock for the next beat."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self.player.playing:
            self._timer = self.set_timer(self.player.seconds(), self._tick)
        self.query_one("#head", Static).update(self._head())
        self.query_one("#foot", Static).update(self._foot())
        self._show("#transcript", "#episode", transcript(self.player.shown, self.player.needle))
        self._show("#teacher-transcript", "#teacher", self._teacher())
        self.query_one("#choice-lines", Static).update(self._choices())
        self._list()
        self.notice = ""

    def _show(self, lines: str, pane: str, text: RenderableType) -> None:
        self.query_one(lines, Static).update(text)
        self.query_one(pane, VerticalScroll).scroll_end(animate=False)

    def _head(self) -> Text:
        player, text = self.player, Text(no_wrap=True, overflow="ellipsis")
        episode = player.trajectory
        if episode is None:
            return text.append(f"{one_line(self.run_title, 80)}\n").append(f"no {player.choice} episode", _WARN)
        # First what must be read; a task's name may be longer than the screen is wide.
        style = _WARN if "success" in episode.unknown else _GOOD if episode.success else _BAD
        text.append(episode.ending, style).append(f"  score {episode.score:g}  ", _DIM)
        text.append(one_line(episode.task_id, 120), "bold").append("\n")
        facts = (
            f"{self.run_title} · {episode.agent} · {episode.world} · {episode.data} · episode {player.place + 1} of "
        )
        kind = "" if player.choice == "all" else f" {player.choice}"
        return text.append(one_line(f"{facts}{len(player.chosen)}{kind}", 200), _DIM)

    def _foot(self) -> Text:
        player, text = self.player, Text(no_wrap=True, overflow="ellipsis")
        last = player.trajectory.steps if player.trajectory else ()
        width = 24
        done = round(width * (player.beat + 1) / len(player.beats)) if player.beats else 0
        text.append("▶ " if player.playing else "Ⅱ ", _GOOD if player.playing else _WARN)
        text.append("━" * done, "#7fb0f5").append("━" * (width - done), "#3a3d42")
        text.append(f"  step {player.step_number}/{len(last)} · {SPEEDS[player.speed]:g}×")
        text.append(" · reasoning hidden" if player.hide_reasoning else "", _WARN)
        text.append(f" · /{one_line(player.needle, 24)}" if player.needle else "", _WARN)
        text.append(f" · {self.notice}" if self.notice else "", _WARN)
        return text.append("\n").append(HINT, _DIM)

    def _teacher(self) -> RenderableType:
        episode = self.player.trajectory
        teacher = self.reference.get(episode.task_id) if episode else None
        if teacher is None:
            return Text("no reference episode of this task", _DIM)
        head = Text(f"{one_line(teacher.agent, 40)} · {teacher.ending} · {len(teacher.steps)} steps\n", _DIM)
        heard = tuple(beat for beat in beats(teacher) if beat.step <= self.player.step_number)
        if self.player.hide_reasoning:
            heard = tuple(beat for beat in heard if beat.kind is not SpanKind.REASON)
        return Group(Padding(head, (0, 0, 0, 4)), transcript(heard, self.player.needle))

    def _choices(self) -> RenderableType:
        episode, number = self.player.trajectory, max(1, self.player.step_number)
        step = episode.steps[number - 1] if episode and number <= len(episode.steps) else None
        if step is None or step.admissible is None:
            return Text("no list of admissible actions", _DIM)
        # The choice is marked only once the playback has reached the action.
        reached = any(beat.step == number and beat.kind is SpanKind.ACT for beat in self.player.shown)
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=1)
        grid.add_column(overflow="fold")
        for action in step.admissible:
            taken = reached and action == step.action
            colour = COLOURS[SpanKind.ACT] if taken else COLOURS[SpanKind.OBS]
            grid.add_row(Text("▸" if taken else "", _BAD), safe_text(action, colour))
        return Group(Text(f"step {number}: {len(step.admissible)} admissible\n", _DIM), grid)

    def _list(self) -> None:
        episodes = self.query_one("#list", OptionList)
        if self._listed != tuple(self.player.chosen):
            self._listed = tuple(self.player.chosen)
            episodes.clear_options()
            episodes.add_options([Option(_entry(self.player.trajectories[number])) for number in self._listed])
        episodes.highlighted = self.player.place if self.player.chosen else None


def _entry(trajectory: Trajectory) -> Text:
    mark, style = ("✓ ", _GOOD) if trajectory.success else ("✗ ", _BAD)
    return Text().append(mark, style).append(one_line(trajectory.task_id, 60), COLOURS[SpanKind.OBS])


def _grid() -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(justify="right", width=3, style=_DIM)
    grid.add_column(ratio=1, overflow="fold")
    return grid


def _pairs(lines: Sequence[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for left, right in lines:
        grid.add_row(Text(left, "bold #7fb0f5"), Text(right, COLOURS[SpanKind.OBS]))
    return grid


def transcript(shown: Sequence[Beat], needle: str = "") -> Table:
    """Beats as coloured text: reasoning blue, action red, observation plain; what was searched for is marked."""
    grid = _grid()
    for place, beat in enumerate(shown):
        first = place == 0 or beat.step != shown[place - 1].step
        if place and first:
            grid.add_row()
        text = Text().append(beat.header, f"dim {COLOURS[beat.kind]}").append(beat.text, COLOURS[beat.kind])
        if needle:
            text.highlight_words([needle], "black on #f0cf7a", case_sensitive=False)
        if beat.flag:
            text.append(f"  {beat.flag}", _WARN)
        grid.add_row(str(beat.step) if first else "", text)
    return grid
