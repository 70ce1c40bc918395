"""`sad-play`: play recorded episodes back, or sit down and play a world oneself."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sad_env import cli, registry
from sad_env.errors import ConfigError, DataError
from sad_env.json_lines import RecordError
from sad_env.records import Trajectory, read_trajectories
from sad_env.safe_text import console, one_line, visible
from sad_eval.playback.cast import cast_lines
from sad_eval.playback.plain import print_episodes
from sad_eval.playback.timeline import Choice, keeps
from sad_eval.report.export import write_pieces
from sad_eval.runs.run_folder import EPISODES, MANIFEST, RunFolder

PROG = "sad-play"


@dataclass(frozen=True)
class PlayConfig:
    """Play recorded episodes back, or play a world yourself.

    $ sad-play runs/expert
    $ sad-play runs/expert --plain --only failed
    $ sad-play --env toy
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = ""
    """A run folder, or a file of trajectories (JSON lines)."""
    reference: Path | None = None
    """Run folder or file with another agent's episodes of the same tasks, shown at the side; printed below."""
    only: Choice = "all"
    """Which episodes."""
    episodes: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Episodes to print or export, the first N; 0 takes all. The full screen has all."""
    task: str = ""
    """The task to begin with (a run), or to play (--env)."""
    hide_reasoning: bool = False
    """Leave the reasoning out."""
    plain: bool = False
    """Print the episodes as text; also done when the output is no terminal."""
    export: Path | None = None
    """Write an asciinema recording (.cast) and show nothing."""
    env: str = ""
    """World: toy, alfworld, webshop, hotpotqa, searchqa, or a plug-in's; you play it yourself."""
    data: str = "generated"
    """generated, official, official:PACK, or a folder in the official layout."""
    panel: str = ""
    """Panel of tasks, the world's own when left out."""
    out: Path = Path("human.jsonl")
    """Output file that your own episodes are added to."""
    seed: int = 0
    """Seed of all draws; it picks the task when none is named."""
    serve: bool = False
    """With --env webshop: shop in a browser on this machine, a task after the other."""
    port: int = 3000
    """Port of --serve."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    return cli.run(PROG, lambda: play(_read(arguments)))


_OF_PLAYBACK = ("reference", "only", "episodes", "hide_reasoning", "plain", "export")
_OF_A_WORLD = ("data", "panel", "out", "seed", "serve", "port")


def _read(arguments: Sequence[str] | None) -> PlayConfig:
    parsed = cli.read(PlayConfig, arguments, prog=PROG)
    if parsed.settings.env:
        parsed.refuse_ignored(dict.fromkeys(_OF_PLAYBACK, "it is for a recorded run; leave it out with --env"))
        if not parsed.settings.serve:
            parsed.refuse_ignored({"port": "it is the port of --serve: give that, too"})
    else:
        parsed.refuse_ignored(dict.fromkeys(_OF_A_WORLD, "it is for a world that you play: name one with --env"))
    return parsed.settings


def play(config: PlayConfig) -> int:
    """What `sad-play` does with parsed settings."""
    if bool(config.run) == bool(config.env):
        raise ConfigError("give either a run to play back, e.g. `sad-play runs/NAME`, or a world: `sad-play --env toy`")
    if config.env:
        return _play_world(config)
    cli.at_least("episodes", config.episodes, 0)
    episodes = load(Path(config.run))
    chosen = [episode for episode in episodes if keeps(config.only, episode)]
    if config.task:
        chosen = [episode for episode in chosen if episode.task_id == config.task]
    if config.episodes:
        chosen = chosen[: config.episodes]
    if not chosen:
        which = f" of {config.task!r}" if config.task else ""
        kind = "" if config.only == "all" else f" that is {config.only}"
        raise ConfigError(f"{one_line(config.run)} has {len(episodes)} episodes, none{which}{kind}")
    reference = _reference(config.reference, episodes) if config.reference else {}
    pairs = ((episode, reference.get(episode.task_id)) for episode in chosen)
    printed = [one for pair in pairs for one in pair if one is not None]
    if config.export is not None:
        _export(printed, config.export, hide_reasoning=config.hide_reasoning)
    elif config.plain or not sys.stdout.isatty():
        print_episodes(printed, console(), hide_reasoning=config.hide_reasoning)
    elif importlib.util.find_spec("textual") is None:
        print_episodes(printed, console(), hide_reasoning=config.hide_reasoning)
        print(f"{PROG}: for the full screen, install textual: pip install 'sad-env-core[play]'", file=sys.stderr)
    else:
        _full_screen(episodes, reference, config)
    return 0


def load(path: Path) -> list[Trajectory]:
    """The episodes of a run folder, or of a file of trajectories.

    Raises:
        DataError: neither, or a line in it that is no episode.
    """
    if path.name == EPISODES and (path.parent / MANIFEST).is_file():
        path = path.parent  # the lines of a run hold more than trajectories
    if path.is_file():
        try:
            return list(read_trajectories(path))
        except RecordError as error:
            raise DataError(str(error)) from None
    # Runs write episodes down as they end; playback shows them in the same order each time.
    return [line.trajectory for line in sorted(RunFolder.open(path).episodes(), key=lambda line: line.id)]


def _reference(path: Path, episodes: list[Trajectory]) -> dict[str, Trajectory]:
    """The episodes of a reference by task.

    Raises:
        ConfigError: it is of other worlds: none of its tasks would ever be shown.
    """
    found = load(path)
    theirs, ours = ({episode.world for episode in some} for some in (found, episodes))
    if not theirs & ours:
        raise ConfigError(
            f"--reference {one_line(str(path), 80)} is of {', '.join(sorted(theirs)) or 'no world'}, the episodes are"
            f" of {', '.join(sorted(ours))}: give one of the same world"
        )
    return {episode.task_id: episode for episode in found}


def _full_screen(episodes: list[Trajectory], reference: dict[str, Trajectory], config: PlayConfig) -> None:
    from sad_eval.playback.app import PlaybackApp

    PlaybackApp(
        episodes,
        title=Path(config.run).resolve().name,
        choice=config.only,
        task_id=config.task,
        reference=reference,
        hide_reasoning=config.hide_reasoning,
    ).run()


def _export(episodes: list[Trajectory], path: Path, *, hide_reasoning: bool) -> None:
    write_pieces(path, (line + "\n" for line in cast_lines(episodes, hide_reasoning=hide_reasoning)))
    print(visible(f"wrote {path}; play it with `asciinema play {path}`"))


def _play_world(config: PlayConfig) -> int:
    if config.serve:
        if config.env != "webshop":
            raise ConfigError(f"--serve shows the shop of webshop; {config.env!r} has no web pages")
        return _serve(config)
    from sad_eval.playback.person import play_world

    return play_world(
        config.env, data=config.data, panel=config.panel, task_id=config.task, seed=config.seed, out=config.out
    )


def _serve(config: PlayConfig) -> int:
    """The shop in a browser, until it is interrupted; episodes are recorded like an agent's."""
    from sad_env.webshop.env import WebShopEnv
    from sad_env.webshop.played_shop import PlayedShop
    from sad_env.webshop.site import server

    split = config.panel or registry.world(config.env).default_panel(config.data)
    env = WebShopEnv(data=config.data, split=split, view="original")
    tasks = list(env.panel.task_ids)
    if config.task and config.task not in tasks:
        raise ConfigError(f"no task {one_line(config.task, 80)!r} in the panel {env.panel.name!r}, e.g. {tasks[0]!r}")
    random.Random(config.seed).shuffle(tasks)
    ordered = dict.fromkeys([config.task, *tasks] if config.task else tasks)
    shop = PlayedShop(env, ordered, config.out, config.seed)
    with server(shop, config.port) as running:
        where = f"http://127.0.0.1:{running.server_address[1]}/"
        print(
            visible(f"the shop is open at {where}; purchases are added to {config.out}; Ctrl-C closes it"), flush=True
        )
        running.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
