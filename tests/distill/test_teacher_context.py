"""A teacher in a context of its own scores the student's tokens: its row against one that is put together by hand."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.chat import head_turns
from sad_agents.prompts import load_prompt
from sad_agents.windowing import Windowing
from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.config_ignored import ignored_by
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.batch import Batch, collate
from sad_distill.data.labels import encode, glue_of
from sad_distill.data.rows import Row, rows_from
from sad_distill.losses.targets import HiddenTarget, SparseTarget
from sad_distill.models.heads import head_logits
from sad_distill.models.language import Language
from sad_distill.teachers.base import WritingPrompt
from sad_distill.teachers.cache import CachedTeacher
from sad_distill.teachers.context import TeacherInContext, TeacherView
from sad_distill.teachers.local import LocalTeacher
from sad_distill.teachers.registry import Teacher
from sad_distill.teachers.relabel import teacher_completions
from sad_distill.teachers.remote import RemoteTeacher
from sad_distill.teachers.server import TeacherServer
from sad_distill.teachers.views import PrivilegedText, _known, in_context
from sad_distill.training.run import Run
from transformers import PreTrainedTokenizerFast

from sad_env import registry
from sad_env.errors import ConfigError, UnknownNameError
from sad_env.records import Trajectory
from sad_env.settings import replaced
from sad_env.transcript import FORMS, form_of, in_form

sys.path.insert(0, str(Path(__file__).parent))
from test_forms_in_training import chatting, settings, tiny

PROMPT = load_prompt("toy").text(1)


@pytest.fixture(scope="module")
def tokenizer(toy_episodes: list[Trajectory]) -> PreTrainedTokenizerFast:
    return chatting(toy_episodes)


@pytest.fixture(scope="module")
def model(tokenizer: PreTrainedTokenizerFast) -> Any:
    return tiny(tokenizer, 1, 24)


def recorded(episodes: list[Trajectory], *, chat: bool, form: Any = "lines") -> list[Trajectory]:
    return [in_form(one, form).model_copy(update={"chat": chat}) for one in episodes]


def by_hand(view: TeacherView, episode: Trajectory, row: Row) -> tuple[list[int], list[tuple[int, int]]]:
    """The teacher's row as text, piece by piece; and the student's positions with the teacher's."""
    tokenizer, form = view.tokenizer, view.form
    ids: list[int] = []
    places: list[tuple[int, int]] = []

    def add(text: str, *, special: bool = False) -> None:
        if special:
            ids.extend(tokenizer(text, add_special_tokens=False)["input_ids"])
        else:
            ids.extend(encode(tokenizer, text))

    first = form.observation(episode.observation)
    if view.glue is None:
        ids.extend(view.start_ids)
        add(view.prompt_of(episode))
        add(first)
    else:
        turns, begun = head_turns(view.prompt, form)
        add("<|im_start|>system\n", special=True)
        add("You help whoever asks.")
        add("<|im_end|>\n<|im_start|>user\n", special=True)
        for turn in turns:
            add(turn.text)
            add(f"<|im_end|>\n<|im_start|>{'assistant' if turn.role == 'user' else 'user'}\n", special=True)
        add(begun)
        add(view.told(episode.world, episode.split, episode.task_id, episode.seed) + first[:-1])
        add("<|im_end|>\n<|im_start|>assistant\n", special=True)
    units = {unit.step: unit for unit in row.units}
    for number in range(row.first, row.units[-1].step + 1):
        step, start = episode.steps[number], len(ids)
        add(step.completion)
        if unit := units.get(number):
            assert row.ids[unit.start : unit.end] == tuple(ids[start:])
            places += zip(range(unit.start, unit.end), range(start, len(ids)), strict=True)
        if number < row.units[-1].step:
            if view.glue is None:
                add(form.observation(step.observation))
            else:
                add("<|im_end|>\n<|im_start|>user\n", special=True)
                add(form.observation(step.observation)[:-1])
                add("<|im_end|>\n<|im_start|>assistant\n", special=True)
    return ids, places


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("student_chat", [False, True])
@pytest.mark.parametrize("teacher_chat", [False, True])
def test_the_teachers_row_is_the_one_put_together_by_hand(
    toy_episodes: list[Trajectory], tokenizer: Any, model: Any, teacher_chat: bool, student_chat: bool, form: Any
) -> None:
    episodes = recorded(toy_episodes[:8], chat=student_chat, form=form)
    rows = rows_from(episodes, tokenizer, Windowing(190, 70))
    assert any(row.first for row in rows), "some rows have lost their oldest steps"
    batch = collate(rows, supports=ActionSupport(tokenizer))
    view = TeacherView(
        tokenizer,
        load_prompt("toy").text(1, form_of(form)),
        form_of(form),
        glue_of(tokenizer) if teacher_chat else None,
        start_ids=() if teacher_chat else (5, 7),
        known=lambda world, split, task, seed: f"secret {task}" if seed % 2 else "",
    )
    moved = view.batch(batch)
    assert torch.equal(moved.target_N, batch.target_N)
    assert torch.equal(moved.support_NK, batch.support_NK)
    target = TeacherInContext(LocalTeacher(model, "t"), view).score(batch)
    assert isinstance(target, HiddenTarget)
    sources = {one.task_id: one for one in episodes}
    for number, row in enumerate(rows):
        ids, places = by_hand(view, sources[row.task.rpartition("/")[2]], row)
        where = dict(places)
        with torch.no_grad():
            hidden = model.model(torch.tensor([ids])).last_hidden_state[0]
            wanted = model.lm_head(hidden).log_softmax(-1)
        chosen = (batch.row_N == number).nonzero().flatten()
        there = [where[at] for at in batch.at_N[chosen].tolist()]
        found = target.outcomes(chosen, None, 1.0, "bucket").log_p
        torch.testing.assert_close(found, wanted[torch.tensor(there) - 1], rtol=0, atol=2e-4)
        assert [ids[at] for at in there] == batch.target_N[chosen].tolist()


def test_a_step_in_pieces_and_a_teacher_that_sees_little(toy_episodes: list[Trajectory], tokenizer: Any) -> None:
    long = toy_episodes[0]
    thought = "Reasoning: " + "I look here and there. " * 30 + "\nAction: look\n"
    step = long.steps[0].model_copy(update={"completion": thought, "spans": form_of("lines").spans(thought)})
    episode = long.model_copy(update={"steps": (step, *long.steps[1:])})
    rows = rows_from([episode], tokenizer, Windowing(150, 40))
    assert any(unit.offset for row in rows for unit in row.units)
    view = TeacherView(tokenizer, PROMPT)
    batch = collate(rows)
    moved = view.batch(batch)
    assert torch.equal(moved.target_N, batch.target_N)
    whole = [*view.header(episode), *encode(tokenizer, thought)]
    pieces = [row for row in rows if row.units[0].step == 0]
    for row in pieces:
        (read,) = view.rows(row)
        assert list(read.ids) == whole[: len(read.ids)]
    # A row may become several: the same positions in the same order, each seeing what fits.
    plain = rows_from([toy_episodes[3]], tokenizer, Windowing(600, 40))
    longest = max(len(one.ids) for row in plain for one in view.rows(row))
    small = TeacherView(tokenizer, PROMPT, limit=longest - 10)
    assert sum(1 for row in plain for _ in small.rows(row)) > len(plain)
    cut, batch = small.batch(collate(plain)), collate(plain)
    assert torch.equal(cut.target_N, batch.target_N)
    assert cut.ids_BT.shape[1] <= longest - 10
    with pytest.raises(ConfigError, match="sees 50 tokens at once, too few for its prompt"):
        TeacherView(tokenizer, PROMPT, limit=50).batch(batch)


def test_a_teacher_that_sees_what_the_student_sees_answers_to_the_bit(
    toy_episodes: list[Trajectory], tokenizer: Any, model: Any
) -> None:
    for chat in (False, True):
        rows = rows_from(recorded(toy_episodes[:4], chat=chat), tokenizer, Windowing(512, 40))
        batch = collate(rows)
        view = TeacherView(tokenizer, glue=glue_of(tokenizer) if chat else None)
        moved = view.batch(batch)
        assert torch.equal(moved.ids_BT, batch.ids_BT)
        assert torch.equal(moved.from_N, batch.from_N)
        here, there = LocalTeacher(model, "t", top=8).score(batch), LocalTeacher(model, "t", top=8).score(moved)
        assert isinstance(here, SparseTarget)
        assert isinstance(there, SparseTarget)
        assert torch.equal(here.log_p_NK, there.log_p_NK)


def test_what_has_no_place_in_the_teachers_row_is_refused(toy_episodes: list[Trajectory], tokenizer: Any) -> None:
    batch = collate(rows_from(toy_episodes[:2], tokenizer, Windowing(512, 40)), kinds="RAO")
    with pytest.raises(ConfigError, match="other tokens around observations"):
        TeacherView(tokenizer, PROMPT).batch(batch)
    rows = [Row((1, 2, 3), "NRA", ())]
    with pytest.raises(ValueError, match="rows that know their episode"):
        TeacherView(tokenizer, PROMPT).batch(collate(rows))


@pytest.fixture
def server(tokenizer: Any, model: Any) -> Iterator[TeacherServer]:
    language = Language(model, tokenizer, "t", (3,), chat=True, ours=False)
    with TeacherServer(language, "t", ("127.0.0.1", 0)) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def test_a_served_teacher_and_a_cache_answer_as_the_one_here(
    server: TeacherServer, toy_episodes: list[Trajectory], tokenizer: Any, model: Any, tmp_path: Path
) -> None:
    remote = RemoteTeacher(server.url, top=8)
    assert remote.reading == ((3,), tokenizer.chat_template, True, False)
    batch: Batch = collate(
        rows_from(toy_episodes[:4], tokenizer, Windowing(512, 40)), supports=ActionSupport(tokenizer)
    )
    for view in (TeacherView(tokenizer, PROMPT), TeacherView(tokenizer, "Other.\n", glue=glue_of(tokenizer))):
        here = TeacherInContext(LocalTeacher(model, "t", top=8), view).score(batch)
        cached = CachedTeacher(LocalTeacher(model, "t", top=8), tmp_path)
        kept = [TeacherInContext(cached, view).score(batch) for _ in range(2)][1]
        assert (cached.hits, cached.misses) == (4, 4), "another context is another question"
        for other in (TeacherInContext(remote, view).score(batch), kept):
            assert isinstance(here, SparseTarget)
            assert isinstance(other, SparseTarget)
            assert torch.equal(here.ids_NK, other.ids_NK)
            torch.testing.assert_close(here.log_p_NK, other.log_p_NK, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def folder(toy_episodes: list[Trajectory], tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher of another's making (no record), and a student of this project."""
    from sad_agents.checkpoints import save_student

    folder = tmp_path_factory.mktemp("context")
    acting = {"acting": {"prompt": "", "window": {"budget": 240, "room": 40, "keep": 0.75}}}
    save_student(folder / "start.pt", tiny(tokenizer, 2), tokenizer, acting)
    save_student(folder / "teacher", tiny(tokenizer, 1, 24), tokenizer, acting)
    (folder / "teacher" / "sad_record.json").unlink(missing_ok=True)
    for record in (folder / "teacher").glob("*record*"):
        record.unlink()
    (folder / "teacher.pt").symlink_to(folder / "teacher")
    (folder / "expert.jsonl").write_text("".join(one.to_json() + "\n" for one in toy_episodes[:12]))
    return folder


@pytest.mark.parametrize("mode", ["offline", "online", "guided"])
def test_runs_in_the_teachers_own_context(folder: Path, tmp_path: Path, mode: Any) -> None:
    losses = {}
    for context in ("student", "own", "privileged"):
        recorded: dict[str, Any] = {"trajectories": (str(folder / "expert.jsonl"),)} if mode == "offline" else {}
        config = settings(
            folder, tmp_path / context, mode=mode, teacher=str(folder / "teacher"), teacher_context=context, **recorded
        )
        run = Run(config)
        run.train()
        losses[context] = (tmp_path / context / "metrics.jsonl").read_text()
        if run.teacher is not None and run.teacher.view is not None:
            assert run.teacher.view.prompt == PROMPT
            assert run.teacher.view.glue is not None
        told = "".join(run.student.tokenizer.decode(row.ids) for row in run.rows)
        assert "What only you know" not in told
    assert len(set(losses.values())) == 3


def test_the_curriculum_and_the_cache_ask_in_the_teachers_context(folder: Path, tmp_path: Path) -> None:
    config = settings(
        folder, tmp_path / "run", mode="offline", teacher=str(folder / "teacher"),
        trajectories=(str(folder / "expert.jsonl"),),
        curriculum="sort", teacher_context="own", top=8, cache=str(tmp_path / "cache"), divergence="js",
    )  # fmt: skip
    run = Run(config)
    run.train()
    assert "cache_hits" in (tmp_path / "run" / "metrics.jsonl").read_text()
    files = len(list((tmp_path / "cache").rglob("*.safetensors")))
    Run(replaced(config, out=str(tmp_path / "other"), teacher_chat="off")).train()
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) > files


def test_settings_that_have_no_effect_or_contradict_one_another(folder: Path, tmp_path: Path) -> None:
    config = settings(folder, tmp_path, teacher=str(folder / "teacher"))
    assert {"teacher_prompt", "teacher_chat"} <= ignored_by(config).keys()
    assert not {"teacher_prompt", "teacher_chat"} & ignored_by(replaced(config, teacher_context="own")).keys()
    assert "teacher_context" in ignored_by(replaced(config, teacher=""))
    own: dict[str, Any] = {"teacher_context": "own"}
    for changes, said in (
        ({"method": "minillm"}, "method minillm and the terms atomic"),
        ({"terms": ("atomic=1",)}, "method minillm and the terms atomic"),
        ({"observation_weight": 1.0}, "observations are other tokens"),
    ):
        with pytest.raises(ConfigError, match=said):
            Run(replaced(config, **own, **changes))
    with pytest.raises(UnknownNameError, match="no file or world's prompt 'toi'"):
        Run(replaced(config, **own, teacher_prompt="toi"))
    with pytest.raises(ConfigError, match="is no model and reads no context"):
        Run(replaced(config, **own, mode="dagger", method="sft", teacher="expert"))


@pytest.mark.parametrize(("name", "chats"), [("Qwen2.5-7B-Instruct", True), ("Qwen2.5-7B", False)])
def test_a_served_model_reads_as_its_name_and_the_students_tokenizer_tell(
    tokenizer: Any, model: Any, tmp_path: Path, name: str, chats: bool
) -> None:
    config = replaced(TrainConfig(out=""), env="toy", teacher=f"openai:http://host#{name}", teacher_context="own")
    served = Teacher("t", scores=LocalTeacher(model, "t"), context=4096)
    found = in_context(config, served, Language(model, tokenizer))
    assert found is not None
    assert found.view is not None
    assert (found.view.glue is not None) == chats
    assert (found.view.prompt, found.view.limit) == (PROMPT, 4096)
    assert in_context(replaced(config, teacher_context="student"), served, Language(model, tokenizer)) is served
    (tmp_path / "mine.toml").write_text('instruction = "Mine."\nexemplars = ["Action: a\\n", "Action: b\\n"]\n')
    own = in_context(
        replaced(config, teacher_prompt=str(tmp_path / "mine.toml"), teacher_chat="off"),
        served,
        Language(model, tokenizer),
    )
    assert own is not None
    assert own.view is not None
    assert (own.view.prompt, own.view.glue) == ("Mine.\n\nAction: a\n\nAction: b\n\n", None)
    assert own.view.sha256 != found.view.sha256
    with pytest.raises(ConfigError, match="too few for its prompt"):
        in_context(config, Teacher("t", context=100), Language(model, tokenizer))


class Listener:
    """Keeps the prompts that it is given."""

    name = "listener"

    def generate(self, prompts: Any) -> list[str]:
        self.prompts: list[WritingPrompt] = list(prompts)
        return ["Action: look\n" for _ in prompts]


def test_a_writing_teacher_is_shown_its_own_context(toy_episodes: list[Trajectory], tokenizer: Any) -> None:
    episode, teacher = toy_episodes[0], Listener()
    view = TeacherView(tokenizer, PROMPT, known=lambda *_: "the lamp is in the attic")
    teacher_completions([episode], teacher, 3, view)
    assert len(teacher.prompts) == len(episode.steps)
    told = "What only you know of the task that follows: the lamp is in the attic\n\n"
    assert teacher.prompts[0].text == f"{PROMPT}{told}Observation: {episode.observation}\n"
    assert teacher.prompts[1].text == (
        teacher.prompts[0].text + episode.steps[0].completion + f"Observation: {episode.steps[0].observation}\n"
    )
    assert [prompt.seed for prompt in teacher.prompts] == [3 + n for n in range(len(episode.steps))]
    assert not teacher.prompts[0].messages
    teacher_completions([episode], teacher, 3, TeacherView(tokenizer, PROMPT, glue=glue_of(tokenizer)))
    assert [role for role, _ in teacher.prompts[1].messages][-3:] == ["user", "assistant", "user"]
    assert teacher.prompts[1].messages[-2][1] == episode.steps[0].completion.strip()


@pytest.mark.parametrize("world", ["toy", "alfworld", "webshop", "hotpotqa"])
def test_each_world_tells_a_teacher_what_it_tells_no_player(world: str) -> None:
    split = registry.world(world).panel if world != "toy" else "test"
    env = registry.make(world, split=split)
    assert env.privileged() == ""
    observation, _ = env.reset(options={"task_id": env.panel.task_ids[0]})
    known = env.privileged()
    plan = env.oracle() or []
    assert len(known) > 10
    assert known not in observation
    if world == "hotpotqa":
        assert plan[-1] == f"finish[{known.partition('The answer is ')[2].partition(' (articles: ')[0]}]"
    else:
        assert known.endswith("; ".join(plan))
    told = PrivilegedText(TrainConfig(out=""))
    assert told(world, split, env.panel.task_ids[0], 0) == " ".join(known.split())


def test_a_hint_is_that_of_the_tasks_type(tmp_path: Path) -> None:
    path = tmp_path / "hints.toml"
    config = replaced(TrainConfig(out=""), env="alfworld", teacher_context="privileged", teacher_told=str(path))
    path.write_text('pick_two_obj_and_place = """Carry one\n  at a time."""\nlook_at_obj_in_light = "Find a lamp."\n')
    known = _known(config)
    assert isinstance(known, PrivilegedText)
    env = registry.make("alfworld", split="valid_unseen")
    found = {}
    for task in env.panel.task_ids:
        found[task.partition("-")[0]] = known("alfworld", "valid_unseen", task, 0)
        if len(found) == 3:
            break
    texts = {"pick_two_obj_and_place": "Carry one at a time.", "look_at_obj_in_light": "Find a lamp."}
    assert found == {kind: texts.get(kind, "") for kind in found}
    assert set(found) & set(texts)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('fetch = "x"\n', "has hints for fetch: tasks of alfworld are pick_and_place_simple, look"),
        ("look_at_obj_in_light = 3\n", "holds no hints"),
        ("", "holds no hints"),
        ("look", "is not TOML"),
        (None, "cannot read"),
    ],
)
def test_a_file_that_holds_no_hints_is_refused(tmp_path: Path, content: str | None, reason: str) -> None:
    path = tmp_path / "hints.toml"
    if content is not None:
        path.write_text(content)
    config = replaced(TrainConfig(out=""), env="alfworld", teacher_context="privileged", teacher_told=str(path))
    with pytest.raises(ConfigError, match=reason):
        _known(config)
    if content and content.startswith("fetch"):
        assert _known(replaced(config, data="official")) is not None  # which may have other types
    with pytest.raises(ConfigError, match=r"give solution, recorded, group or FILE\.toml"):
        check(replaced(config, teacher="self", teacher_told="hints"))


def test_a_solution_is_the_tasks_own_where_several_threads_ask() -> None:
    tasks = [f"train-{number:04d}" for number in range(160)]
    alone, told = PrivilegedText(TrainConfig(out="")), PrivilegedText(TrainConfig(out=""))
    wanted, before = [alone("toy", "train", task, 0) for task in tasks], sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda task: told("toy", "train", task, 0), tasks))
    finally:
        sys.setswitchinterval(before)
    assert found == wanted


def test_a_teacher_that_is_told_the_solution_finds_it_likelier(
    play_toy: Callable[..., Trajectory], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Callable[..., Any]
) -> None:
    """Rooms that nobody in the corridor can know: a teacher that has learned to read what it is told knows them."""
    torch.set_num_threads(1)
    rows, rooms = [], {}
    for number in range(64):
        episode = play_toy(f"train-{number:04d}")
        room = PrivilegedText(TrainConfig(out=""))("toy", "train", episode.task_id, 0).split()[6].rstrip(";")
        rendering = form_of("lines").render("", f"go to {room}")
        changed = {"completion": rendering.text, "spans": rendering.spans, "action": f"go to {room}", "reasoning": ""}
        step = episode.steps[0].model_copy(update=changed)
        rooms[episode.task_id] = f"go to {room}"
        rows += rows_from([episode.model_copy(update={"steps": (step,)})], toy_tokenizer, Windowing(512, 40))
    assert len(set(rooms.values())) == 3
    telling = TeacherView(toy_tokenizer, known=lambda world, split, task, seed: rooms[task])
    model = tiny_llama(24, seed=3).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)

    def loss_of(some: list[Row], view: TeacherView) -> torch.Tensor:
        batch = view.batch(collate(some, kinds="A"))
        logits = head_logits(model, batch.states(model)[batch.row_N, batch.from_N])
        return torch.nn.functional.cross_entropy(logits, batch.target_N, reduction="sum") / len(some)

    for step in range(200):
        optimiser.zero_grad()
        loss_of(rows[step * 8 % 48 :][:8], telling if step % 3 else TeacherView(toy_tokenizer)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    model.eval()
    with torch.no_grad():
        told, untold = (float(loss_of(rows[48:], view)) for view in (telling, TeacherView(toy_tokenizer)))
    assert told < 0.5 < 0.9 < untold, "one room of three is a surprise of log 3, about 1.1"
