"""A student is trained in the form and the chat template that it plays in, and its file says which."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.agent_options import AgentOptions
from sad_agents.checkpoints import load_student, save_student
from sad_agents.loading import model_agent
from sad_distill.config import TrainConfig
from sad_distill.data.labels import glue_of, label_trajectory
from sad_distill.data.rows import rows_from
from sad_distill.models.tokenizer import texts_of, train_tokenizer
from sad_distill.training.build import rewritten
from sad_distill.training.run import Run
from sad_distill.training.run_dir import read_whole
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sad_env.errors import ConfigError
from sad_env.records import Trajectory
from sad_env.settings import replaced
from sad_env.transcript import FORMS, form_of, in_form

TEMPLATES = Path(__file__).parents[1] / "agents" / "chat_templates"


def chatting(episodes: list[Trajectory], template: str = "qwen2_5") -> PreTrainedTokenizerFast:
    tokenizer: Any = train_tokenizer(texts_of(episodes), 330)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = (TEMPLATES / f"{template}.jinja").read_text()
    return tokenizer  # type: ignore[no-any-return]


def tiny(tokenizer: PreTrainedTokenizerFast, seed: int, width: int = 16) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    size = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=1024, initializer_range=0.3, **size)
    ).eval()


@pytest.fixture(scope="module")
def models(toy_episodes: list[Trajectory], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher and a student whose tokenizer has a chat template, and recorded episodes in the default form."""
    folder = tmp_path_factory.mktemp("chat")
    tokenizer = chatting(toy_episodes)
    acting = {"acting": {"prompt": "", "window": {"budget": 240, "room": 40, "keep": 0.75}, "chat": True}}
    save_student(folder / "teacher.pt", tiny(tokenizer, 1, 24), tokenizer, acting)
    save_student(folder / "start.pt", tiny(tokenizer, 2), tokenizer, acting)
    (folder / "expert.jsonl").write_text("".join(one.to_json() + "\n" for one in toy_episodes[:6]))
    return folder


def settings(models: Path, out: Path, **changes: Any) -> TrainConfig:
    base = replaced(
        TrainConfig(out=str(out)),
        student=str(models / "start.pt"),
        teacher=str(models / "teacher.pt"),
        env="toy",
        steps=1,
        rollouts=2,
        horizon_start=3,
        save_every=1,
        context=240,
        max_new_tokens=40,
        batch=2,
    )
    return replaced(base, **changes)


@pytest.mark.parametrize("chat", ["on", "off"])
@pytest.mark.parametrize("form", list(FORMS))
def test_a_student_plays_learns_and_is_stored_in_one_form(models: Path, tmp_path: Path, form: Any, chat: Any) -> None:
    config = settings(models, tmp_path, form=form, chat=chat)
    run = Run(config)
    path = run.train()
    acting = load_student(path).record["acting"]
    assert (acting.get("form", "lines"), acting.get("chat", False)) == (form, chat == "on")
    tokenizer = load_student(path).tokenizer
    assert bool(tokenizer.chat_template) == (chat == "on")
    # sad-eval plays it so, without flags.
    agent: Any = model_agent(str(path), "toy", AgentOptions())
    assert (agent.form, agent.chat) == (form, chat == "on")
    if chat == "on":
        assert agent.model.glue == glue_of(run.student.tokenizer)
    episodes = read_whole(tmp_path / "rollouts" / "000000.jsonl")
    assert {(one.form, one.chat) for one in episodes} == {(form, chat == "on")}
    for episode in episodes:
        sampled = [(step.token_ids, step.token_labels) for step in episode.steps]
        assert all(ids for ids, _ in sampled)
        read = label_trajectory(run.student.tokenizer, Trajectory.from_json(episode.to_json()))[2::2]
        assert [(one.ids, one.labels) for one in read] == sampled
    assert rewritten(episodes[0], run.student) is episodes[0]


def test_settings_left_open_follow_the_student_and_then_the_trajectories(
    models: Path, files: Path, tmp_path: Path, toy_episodes: list[Trajectory]
) -> None:
    trained = Run(settings(models, tmp_path / "a", form="tags")).train()
    again = Run(settings(models, tmp_path / "b", student=str(trained)))
    assert (again.student.form, again.student.chat) == ("tags", True)
    written = tmp_path / "tags.jsonl"
    written.write_text("".join(in_form(one, "tags").to_json() + "\n" for one in toy_episodes[:6]))
    scratch = Run(
        settings(
            models,
            tmp_path / "c",
            student="nano-0.7m",
            teacher="",
            method="sft",
            mode="offline",
            vocabulary=300,
            trajectories=(str(written),),
        )
    )
    assert (scratch.student.form, scratch.student.chat) == ("tags", False)
    layers = Run(settings(models, tmp_path / "d", student="layers:1"))
    assert (layers.student.form, layers.student.chat) == ("lines", True)
    with pytest.raises(ConfigError, match="no chat template: give --chat off"):
        Run(
            settings(
                models, tmp_path / "e", student=str(files / "start.pt"), teacher=str(files / "teacher.pt"), chat="on"
            )
        )


@pytest.mark.parametrize("form", list(FORMS))
def test_recorded_text_is_rewritten_as_the_student_would_have_written_it(
    models: Path, tmp_path: Path, toy_episodes: list[Trajectory], form: Any
) -> None:
    recorded = {"method": "sft", "teacher": "", "mode": "offline", "trajectories": (str(models / "expert.jsonl"),)}
    run = Run(settings(models, tmp_path, form=form, **recorded))
    wanted = [in_form(one, form).model_copy(update={"chat": True}) for one in toy_episodes[:6]]
    assert run.rows == rows_from(wanted, run.student.tokenizer, run.parts.windowing)
    shown = run.student.tokenizer.decode(run.rows[0].ids)
    step = wanted[0].steps[0]
    assert f"<|im_start|>assistant\n{step.completion}<|im_end|>\n<|im_start|>user\n" in shown
    # Ids that were sampled in turns of a chat lack what plain text has between them.
    ids = tuple(run.student.tokenizer(step.completion.rstrip("\n"))["input_ids"])
    sampled = step.model_copy(update={"token_ids": ids, "token_labels": "R" * len(ids)})
    told = wanted[0].model_copy(update={"steps": (sampled, *wanted[0].steps[1:])})
    run.student.__dict__["chat"] = False
    plain = rewritten(told, run.student)
    text = run.student.tokenizer.decode(rows_from([plain], run.student.tokenizer, run.parts.windowing)[0].ids)
    assert step.completion + form_of(form).observation(step.observation) in text


def test_text_under_a_template_that_opens_thoughts(toy_episodes: list[Trajectory]) -> None:
    tokenizer = chatting(toy_episodes, "qwen3_thinking")
    glue = glue_of(tokenizer)
    episode = in_form(toy_episodes[0], "think").model_copy(update={"chat": True})
    for step, labelled in zip(episode.steps, label_trajectory(tokenizer, episode)[2::2], strict=True):
        text = str(tokenizer.decode(list(labelled.ids)))
        assert text == glue.begun + step.completion.removeprefix("<think> ")
        assert labelled.labels.startswith("N" * len(glue.begun_ids) + "R")
        assert set(labelled.labels[len(glue.begun_ids) :]) == {"R", "A"}
    with pytest.raises(ConfigError, match=r"opens thoughts \(<think>\): give --form think, or --chat off"):
        label_trajectory(tokenizer, toy_episodes[0].model_copy(update={"chat": True}))


def test_a_run_of_an_earlier_release_goes_on_only_as_it_was_written(models: Path, tmp_path: Path) -> None:
    config = settings(models, tmp_path, chat="off")
    Run(config).train()
    record = json.loads((tmp_path / "config.json").read_text())
    old = {name: value for name, value in record.items() if name not in ("form", "chat")}
    old["contents"] = {name: value for name, value in record["contents"].items() if name != "writing"}
    (tmp_path / "config.json").write_text(json.dumps(old))
    with pytest.raises(ConfigError, match="a run on other writing: 'lines', now 'lines chat"):
        Run(replaced(config, chat="auto")).train()
    run = Run(config)
    run.train()
    assert run.trained == 0


def test_guided_episodes_are_the_students_to_read(
    models: Path, tmp_path: Path, make_guided: Callable[..., Any]
) -> None:
    for chat in ("on", "off"):
        episodes = make_guided(settings(models, tmp_path / chat, mode="guided", guidance=1.0, chat=chat,
                                        teacher_context="own", teacher_chat="on", teacher_prompt="toy"))  # fmt: skip
        for episode in episodes:
            assert episode.chat == (chat == "on")
            assert not episode.prompt


@pytest.fixture
def make_guided() -> Callable[..., list[Trajectory]]:
    def make(config: TrainConfig) -> list[Trajectory]:
        run = Run(config)
        run.train()
        episodes = read_whole(Path(config.out) / "rollouts" / "000000.jsonl")
        for episode in episodes:
            for step in episode.steps:
                text = run.student.tokenizer.decode(list(step.token_ids))
                assert episode.chat or text.endswith("\n")
        return episodes

    return make
