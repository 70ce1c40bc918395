"""Action heads in the place of L_Act (appendix L): the loss by hand, and students that act by them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sad_agents.agent import Sampling
from sad_agents.agent_options import AgentOptions
from sad_agents.checkpoints import load_student, save_student
from sad_agents.loading import load_language_model, model_agent
from sad_agents.model import Piece, Request
from sad_agents.prompts import Prompt
from sad_agents.react import ReActAgent
from sad_agents.rollout.rollout import Job, Limits, rollout
from sad_agents.rollout.world_recipe import WorldRecipe
from sad_agents.sampling.action_head import ActionHead, LinearHead, PointerHead
from sad_agents.sampling.action_scores import action_chances, can_score
from sad_agents.sampling.continuation import Sample
from sad_agents.sampling.headed_model import HeadedModel
from sad_agents.windowing import Windowing
from sad_distill.auxiliary.action_head import LinearTerm, PointerTerm, left_to_head
from sad_distill.config import TrainConfig
from sad_distill.config_checks import check
from sad_distill.config_ignored import ignored_by
from sad_distill.data.batch import collate
from sad_distill.data.labels import encode
from sad_distill.data.rows import Row, rows_from
from sad_distill.training.run import Run
from transformers import PreTrainedTokenizerFast

from sad_env.errors import CheckpointError, ConfigError
from sad_env.records import Trajectory
from sad_env.settings import replaced
from sad_env.toy import toy_panel

Tiny = Callable[..., Any]
WINDOW = Windowing(200, 40)
NOTHING: Any = None
"""The scores of tokens, which no head looks at."""


@pytest.fixture(scope="module")
def rows(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(toy_episodes[:3], toy_tokenizer, WINDOW)


# --- the loss -------------------------------------------------------------------------------------------------------


def set_of(rows: list[Row]) -> list[str]:
    return sorted({action for row in rows for unit in row.units for action in unit.admissible or ()})


def by_hand(term: LinearTerm | PointerTerm, student: Any, teacher: Any, row: Row, tokenizer: Any) -> float:
    """Eq. 21 once a step: each action of each step passes through the teacher by itself."""
    states = student.model(input_ids=torch.tensor([row.ids])).last_hidden_state[0]
    total = 0.0
    for unit in row.units:
        text = [tokenizer.decode(row.ids[: place + 1]) for place in range(unit.start, unit.end)]
        at = next(unit.start + n for n, one in enumerate(text) if one.endswith("Action:"))
        before, actions = list(row.ids[: at + 1]), unit.admissible
        assert actions
        logs = []
        for action in actions:
            path = encode(tokenizer, f" {action}\n")
            told = teacher(input_ids=torch.tensor([[*before, *path]])).logits[0].log_softmax(-1)
            logs.append(sum(float(told[at + n, one]) for n, one in enumerate(path)))
        whole = sum(map(math.exp, logs))
        p = {action: math.exp(log) / whole for action, log in zip(actions, logs, strict=True)}
        if isinstance(term, LinearTerm):
            z = dict(zip(term.actions, (term.table.weight @ states[at] + term.table.bias).tolist(), strict=True))
        else:
            embedding = student.get_input_embeddings().weight
            means = {action: embedding[encode(tokenizer, f" {action}\n")].mean(0) for action in actions}
            z = {
                action: float((term.state.weight @ states[at]) @ (term.action.weight @ mean))
                for action, mean in means.items()
            }
        norm = sum(map(math.exp, z.values()))
        total += sum(p[one] * (math.log(p[one]) - (z[one] - math.log(norm))) for one in actions)
    return total


def terms(rows: list[Row], tokenizer: Any, teacher: Any) -> list[LinearTerm | PointerTerm]:
    """One of each kind, in float64, with random weights."""
    torch.manual_seed(5)
    made = [LinearTerm(teacher, tokenizer, 16, set_of(rows)), PointerTerm(teacher, tokenizer, 16, rank=4)]
    for term in made:
        for parameter in term.double().parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    return made


@pytest.mark.parametrize("number", [0, 1])
def test_the_loss_of_a_head_is_equation_21_once_a_step(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, number: int
) -> None:
    student, teacher = tiny_llama(16, seed=2).double(), tiny_llama(24, seed=1).double()
    term = terms(rows, toy_tokenizer, teacher)[number]
    batch = collate(rows)
    with torch.no_grad():
        found = term.sum(student, batch, batch.states(student), NOTHING).item()
        expected = sum(by_hand(term, student, teacher, row, toy_tokenizer) for row in rows)
    assert found == pytest.approx(expected, rel=1e-9)
    assert term.count(batch) == sum(len(row.units) for row in rows)
    term.by_rows = True
    assert term.count(batch) == len(rows)


@pytest.mark.parametrize("number", [0, 1])
def test_the_gradient_of_a_head_and_of_the_state_below_it(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, number: int
) -> None:
    student, teacher = tiny_llama(16, seed=2).double(), tiny_llama(24, seed=1).double()
    term = terms(rows, toy_tokenizer, teacher)[number]
    batch = collate(rows[:1])

    def loss() -> torch.Tensor:
        return term.sum(student, batch, batch.states(student), NOTHING)

    loss().backward()  # type: ignore[no-untyped-call]
    below = student.model.layers[1].mlp.down_proj.weight
    # Llama's norms are float32 whatever its weights are: below them only larger steps can be seen.
    for parameter, size, apart in (*((one, 1e-6, 1e-5) for one in term.parameters()), (below, 1e-3, 1e-2)):
        place = int(parameter.grad.abs().argmax())
        gradient = float(parameter.grad.flatten()[place])
        assert gradient != 0
        values = []
        with torch.no_grad():
            for change in (size, -2 * size):
                parameter.view(-1)[place] += change
                values.append(float(loss()))
            parameter.view(-1)[place] += size
        assert (values[0] - values[1]) / (2 * size) == pytest.approx(gradient, rel=apart)


def test_what_the_teacher_gives_to_actions_without_a_row_is_left_out(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    student, teacher, batch = tiny_llama(16, seed=2), tiny_llama(24, seed=1), collate(rows)
    states = batch.states(student)
    few = LinearTerm(teacher, toy_tokenizer, 16, ["look"])
    assert few.sum(student, batch, states, NOTHING).item() == pytest.approx(0, abs=1e-6)
    none = LinearTerm(teacher, toy_tokenizer, 16, ["fly"])
    assert none.count(batch) == 0
    assert none.sum(student, batch, states, NOTHING).item() == 0


def test_the_tokens_of_chosen_actions_are_left_to_the_head(
    rows: list[Row], toy_tokenizer: PreTrainedTokenizerFast
) -> None:
    for row in rows:
        left = left_to_head(row, toy_tokenizer)
        assert left.span_labels == row.labels
        for unit in row.units:
            kept = [
                id_
                for id_, label in zip(row.ids[unit.start : unit.end], left.labels[unit.start : unit.end], strict=True)
                if label == "A"
            ]
            assert toy_tokenizer.decode(kept) == "Action:"
    # An action that is not listed is written by the language head, from where it leaves the others on.
    ids = encode(toy_tokenizer, "Action: go to the moon\n")
    unit = replace(rows[0].units[0], start=0, end=len(ids), admissible=("go to attic", "look"))
    left = left_to_head(Row(tuple(ids), "A" * len(ids), (unit,)), toy_tokenizer)
    kept_text = toy_tokenizer.decode([id_ for id_, label in zip(ids, left.labels, strict=True) if label == "A"])
    assert kept_text.startswith("Action:")
    assert kept_text.endswith("\n")
    assert "go to" not in kept_text
    slot = replace(unit, admissible=("search[<query>]", "look", "go to attic"))
    assert left_to_head(Row(tuple(ids), "A" * len(ids), (slot,)), toy_tokenizer).labels == "A" * len(ids)


# --- acting ---------------------------------------------------------------------------------------------------------


def wish(actions: list[str]) -> LinearHead:
    """A head that likes an action the better, the later it comes in this list."""
    head = LinearHead(16, actions)
    torch.nn.init.normal_(head.table.weight, std=1e-4)
    with torch.no_grad():
        head.table.bias.copy_(torch.arange(len(actions)) / 2)
    return head


def request(forced: str, admissible: tuple[str, ...], seed: str = "0", step: int = 1) -> Request:
    head = (Piece("", role="system"), Piece("Observation: You are in the hall.\n", role="user"))
    return Request(f"key {seed}", head, (), seed, step, forced, admissible)


def headed(head: ActionHead, tokenizer: Any, model: Any) -> HeadedModel:
    return HeadedModel(head, model, tokenizer, windowing=WINDOW, name="headed")


@pytest.mark.parametrize("first", [True, False])
def test_a_head_chooses_and_the_record_is_exact(
    toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, toy_episodes: list[Trajectory], first: bool
) -> None:
    actions = sorted(set_of(rows_from(toy_episodes, toy_tokenizer, WINDOW)), reverse=first)
    model = headed(wish(actions), toy_tokenizer, tiny_llama(16, seed=3))
    agent = ReActAgent(model, Prompt(""), sampling=Sampling(max_tokens=40))
    requests = agent._requests
    agent._requests = lambda episode: [  # type: ignore[method-assign]
        replace(one, forced="Reasoning: I see.\nAction:") for one in requests(episode)
    ]
    world = WorldRecipe.of("toy", "generated", "train")
    jobs = [Job(f"train-{number:04d}") for number in range(6)]
    episodes = [one.trajectory for one in rollout(agent, jobs, world, live=6, limits=Limits(max_steps=4))]
    begun = len(encode(toy_tokenizer, "Reasoning: I see.\nAction:"))
    for episode in episodes:
        for step in episode.steps:
            known = [action for action in step.admissible or () if action in actions]
            assert step.action == max(known, key=actions.index)
            assert step.valid
            assert step.completion == f"Reasoning: I see.\nAction: {step.action}\n"
            assert list(step.token_ids) == encode(toy_tokenizer, step.completion)
            assert step.token_labels == "N" * begun + "A" * (len(step.token_ids) - begun)
            assert step.generated_tokens == len(step.token_ids) - begun


def test_draws_follow_the_softmax_of_the_scores_and_tell_its_logarithm(
    toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    actions = ("go to attic", "look", "take lamp")
    model = headed(wish(list(actions)), toy_tokenizer, tiny_llama(16, seed=3))
    whole = sum(math.exp(n / 2) for n in range(3))
    count: Counter[str] = Counter()
    asked = [request("Action:", actions, str(number)) for number in range(1000)]
    for one in model.complete(asked, Sampling(temperature=1.0, max_tokens=40, logprobs=True)):
        action = one.text.removeprefix("Action: ").rstrip("\n")
        count[action] += 1
        assert one.logprobs is not None
        assert sum(one.logprobs) == pytest.approx(actions.index(action) / 2 - math.log(whole), abs=0.01)
    for number, action in enumerate(actions):
        assert count[action] / 1000 == pytest.approx(math.exp(number / 2) / whole, abs=0.05)
    chances = action_chances(model, asked[0], actions)
    assert chances == pytest.approx([number / 2 - math.log(whole) for number in range(3)], abs=0.01)
    assert not can_score(model)


def test_what_a_head_does_not_decide_the_language_head_writes_among_the_admissible(
    toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny
) -> None:
    model = headed(wish(["look"]), toy_tokenizer, tiny_llama(16, seed=3))
    cases = [("go to attic",), ("go to attic", "go to cellar"), ("search[<query>]", "look")]
    found = model.complete([request("Action:", case, str(n)) for n, case in enumerate(cases)], Sampling(max_tokens=40))
    assert found[0].text == "Action: go to attic\n"
    assert found[1].text in {"Action: go to attic\n", "Action: go to cellar\n"}
    assert found[2].text.startswith(("Action: search[", "Action: look\n"))
    (alone,) = model.complete([request("Action:", ("look", "go to attic"))], Sampling(max_tokens=40))
    assert alone.text == "Action: look\n"  # the only one with a row


def test_what_a_head_leaves_open_is_written_once(
    toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first completion comes to as many tokens as the second one has before its action."""
    model = headed(wish(["look"]), toy_tokenizer, tiny_llama(16, seed=3))
    header, rest = (tuple(encode(toy_tokenizer, text)) for text in ("Action:", " search[ring]\n"))
    asked: list[list[Any]] = []

    def sample(wanted: Any, sampling: Sampling) -> list[Sample]:
        asked.append([one.key for one in wanted])
        if len(asked) == 1:
            return [Sample(list(header), 9), Sample(list(header), 12)]
        return [Sample(list(rest), 3) for _ in wanted]

    monkeypatch.setattr(model.sampler, "sample", sample)
    requests = [request("", ("search[<query>]",), str(number)) for number in range(2)]
    found = model.complete([replace(one, key=f"e{n}") for n, one in enumerate(requests)], Sampling(max_tokens=40))
    assert asked == [["e0", "e1"], ["e0"], ["e1"]]
    assert [one.generated for one in found] == [12, 15]
    assert {one.text for one in found} == {"Action: search[ring]\n"}


def test_states_are_those_of_the_model(toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny) -> None:
    """Also those of a second question, which goes on from the cache of the first."""
    causal = tiny_llama(16, seed=3)
    head = PointerHead(16, 4)
    model = headed(head, toy_tokenizer, causal)
    actions = ("go to attic", "look", "take lamp")
    for thought in ("I see.", "I see. I go on and on."):
        one = request(f"Reasoning: {thought}\nAction:", actions)
        ids = encode(toy_tokenizer, one.text + one.forced)
        with torch.no_grad():
            state = causal.model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
            paths = [encode(toy_tokenizer, f" {action}\n") for action in actions]
            expected = head.scores(state, actions, paths, causal.get_input_embeddings().weight).log_softmax(0)
        assert model.chances(one, actions) == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_world_that_lists_nothing_is_refused(toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny) -> None:
    model = headed(wish(["look"]), toy_tokenizer, tiny_llama(16, seed=3))
    with pytest.raises(ConfigError, match="among the actions that a world lists, and this one lists none"):
        model.complete([request("", (), step=0)], Sampling(max_tokens=40))


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["student.pt", "folder"])
@pytest.mark.parametrize("kind", ["linear", "pointer"])
def test_a_head_is_kept_with_its_student(
    toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, tmp_path: Path, name: str, kind: str
) -> None:
    head = wish(["look", "take lamp"]) if kind == "linear" else PointerHead(16, 4)
    record = {"acting": {"prompt": "", "action_head": kind}}
    path = save_student(tmp_path / name, tiny_llama(), toy_tokenizer, record, head)
    found = load_language_model(str(path)).head
    assert found is not None
    assert (found.kind, found.actions) == (kind, head.actions)
    assert all(torch.equal(one, found.state_dict()[key]) for key, one in head.state_dict().items())
    assert load_student(path).record == record
    without = save_student(tmp_path / f"other {name}", tiny_llama(), toy_tokenizer, {"acting": {"prompt": ""}})
    assert load_language_model(str(without)).head is None
    lacking = save_student(tmp_path / f"lacking {name}", tiny_llama(), toy_tokenizer, record)
    with pytest.raises(CheckpointError, match=r"it holds none|is missing"):
        load_language_model(str(lacking))


@pytest.mark.parametrize("broken", ["kind", "actions", "twice", "shape", "more"])
def test_a_head_that_is_not_sound_is_refused(
    toy_tokenizer: PreTrainedTokenizerFast, tiny_llama: Tiny, tmp_path: Path, broken: str
) -> None:
    record = {"acting": {"action_head": "linear"}}
    path = save_student(tmp_path / "student.pt", tiny_llama(), toy_tokenizer, record, wish(["look", "take lamp"]))
    content = torch.load(path, weights_only=True)
    head = content["action_head"]
    changed: dict[str, Any] = {
        "kind": {"kind": "square"},
        "actions": {"actions": "[1, 2]"},
        "twice": {"actions": '["look", "look"]'},
        "shape": {"weights": {**head["weights"], "table.bias": torch.zeros(3)}},
        "more": {"weights": {**head["weights"], "other": torch.zeros(3)}},
    }
    torch.save({**content, "action_head": {**head, **changed[broken]}}, path)
    with pytest.raises(CheckpointError, match="its action head is none of this release"):
        load_language_model(str(path))


# --- runs -----------------------------------------------------------------------------------------------------------


def settings(files: Path, out: Path, **changes: Any) -> TrainConfig:
    given = {
        "student": str(files / "start.pt"),
        "teacher": str(files / "teacher.pt"),
        "trajectories": (str(files / "expert.jsonl"),),
        "env": "toy",
        "mode": "offline",
        "steps": 2,
        "batch": 4,
        "context": 200,
        "max_new_tokens": 40,
        "act_loss": "linear_head",
    }
    return replaced(TrainConfig(out=str(out)), **{**given, **changes})


@pytest.mark.parametrize("kind", ["linear", "pointer"])
def test_a_run_trains_a_head_that_the_agent_acts_by(files: Path, tmp_path: Path, kind: str) -> None:
    path = Run(settings(files, tmp_path, act_loss=f"{kind}_head", keep_at=(0.5,))).train()
    for one in (path, tmp_path / "student", tmp_path / "at-50.pt"):
        agent = model_agent(str(one), "toy", AgentOptions())
        assert isinstance(agent, ReActAgent)
        assert agent.provenance["decoding"] == f"action head, {kind}"
        assert isinstance(agent.model, HeadedModel)
        assert any(bool(parameter.any()) for parameter in agent.model.head.parameters())
    with pytest.raises(ConfigError, match="--constrained off: this student chooses by its action head"):
        model_agent(str(path), "toy", AgentOptions(constrained="off"))
    with pytest.raises(ConfigError, match="has not learned to write actions: name another teacher"):
        Run(settings(files, tmp_path / "next", teacher=str(path)))


def test_a_resumed_run_ends_with_the_same_head(files: Path, tmp_path: Path) -> None:
    whole = Run(settings(files, tmp_path / "whole", steps=4)).train()
    config = settings(files, tmp_path / "parts", steps=4, save_every=2)
    run = Run(config)
    update = run.learner.update

    def twice(*given: Any) -> Any:
        if run.done == 2:
            raise KeyboardInterrupt
        return update(*given)

    run.learner.update = twice  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run.train()
    again = load_language_model(str(Run(config).train())).head
    expected = load_language_model(str(whole)).head
    assert again is not None
    assert expected is not None
    assert all(torch.equal(one, again.state_dict()[key]) for key, one in expected.state_dict().items())


def test_a_student_that_plays_acts_by_its_head(files: Path, tmp_path: Path) -> None:
    config = settings(
        files, tmp_path, mode="online", rollouts=2, steps=2, horizon_start=2, validate_every=1, validate_episodes=2
    )
    run = Run(config)
    assert run.parts.head is run.learner.extras[0]
    run.train()
    assert (tmp_path / "student.pt").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trajectories": (), "mode": "online"}, "a row for each action that recorded episodes list"),
        ({"mode": "dagger"}, "leave out --mode dagger"),
        ({"mode": "online", "sampler": "vllm:http://x"}, "reads states, which no server tells"),
        ({"learned_weights": True}, "which --learned-weights, --project and --method-weight do not see"),
        ({"project": True}, "which --learned-weights, --project and --method-weight do not see"),
        ({"method_weight": "0.5"}, "which --learned-weights, --project and --method-weight do not see"),
        ({"masks": "random"}, "leave out --masks random"),
        ({"act_weight": 0.0}, "give an --act-weight above 0"),
        ({"terms": ("pointer=1",)}, "leave out --terms pointer"),
        ({"mode": "online", "terms": ("opd=1",)}, "action heads draw actions from another distribution"),
        ({"teacher_context": "own"}, "give --teacher-context student"),
    ],
)
def test_what_a_head_cannot_be_beside_is_refused(
    files: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        check(settings(files, tmp_path, **changes))


def test_episodes_without_a_list_and_forms_without_a_line_are_refused(
    toy_episodes: list[Trajectory], files: Path, tmp_path: Path
) -> None:
    bare = [
        one.model_copy(update={"steps": tuple(step.model_copy(update={"admissible": None}) for step in one.steps)})
        for one in toy_episodes[:4]
    ]
    path = tmp_path / "bare.jsonl"
    path.write_text("".join(one.to_json() + "\n" for one in bare))
    with pytest.raises(ConfigError, match="no step of these episodes lists any"):
        Run(settings(files, tmp_path / "run", trajectories=(str(path),)))
    with pytest.raises(ConfigError, match="give --form lines or tags"):
        Run(settings(files, tmp_path / "think", form="think"))
    with pytest.raises(ConfigError, match="compares with a teacher that scores"):
        Run(settings(files, tmp_path / "alone", teacher="", reason_loss="likelihood"))


def test_settings_of_tokens_have_no_effect_beside_a_head(files: Path, tmp_path: Path) -> None:
    found = ignored_by(settings(files, tmp_path))
    assert {"action_support", "outside", "constrained"} <= set(found)
    assert "act_weight" not in found
    assert "needs --method sad" in ignored_by(settings(files, tmp_path, method="token_flat"))["act_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "pointer"])
def test_a_trained_head_acts(
    files: Path,
    tiny_llama: Tiny,
    toy_tokenizer: PreTrainedTokenizerFast,
    play_toy: Callable[..., Trajectory],
    tmp_path: Path,
    kind: str,
) -> None:
    """It writes its reasoning and chooses: every action is admissible, and chosen as the teacher would."""
    acting = {"acting": {"prompt": "", "window": {"budget": 200, "room": 40, "keep": 0.75}}}
    start = save_student(tmp_path / "start.pt", tiny_llama(48, seed=1), toy_tokenizer, acting)
    given: dict[str, Any] = {"steps": 60, "batch": 16, "learning_rate": 1e-2}
    sft = settings(files, tmp_path / "teacher", method="sft", act_loss="divergence", student=str(start), **given)
    teacher = Run(replaced(sft, teacher="")).train()
    student = save_student(tmp_path / "small.pt", tiny_llama(32, seed=2), toy_tokenizer, acting)
    names = {"student": str(student), "teacher": str(teacher), "act_loss": f"{kind}_head"}
    run = Run(settings(files, tmp_path / "student", **names, **given))
    held_out = collate(rows_from([play_toy(f"test-{n:04d}", split="test") for n in range(8)], toy_tokenizer, WINDOW))
    apart = []
    for train in (lambda: None, run.train):
        train()
        with torch.no_grad():
            model, term = run.student.model, run.parts.head
            assert isinstance(term, LinearTerm | PointerTerm)
            apart.append(float(term.sum(model, held_out, held_out.states(model), NOTHING)))
    assert apart[1] < apart[0] / 2
    agent = model_agent(str(tmp_path / "student" / "student.pt"), "toy", AgentOptions(sampling=Sampling(max_tokens=40)))
    jobs = [Job(task) for task in toy_panel("test").task_ids[:20]]
    episodes = [one.trajectory for one in rollout(agent, jobs, WorldRecipe("toy"), live=20, limits=Limits(max_steps=8))]
    steps = [step for episode in episodes for step in episode.steps]
    written = [step for step in steps if step.action]  # a thought may also grow too long
    assert len(written) > 0.9 * len(steps)
    assert all(step.valid and step.action in (step.admissible or ()) for step in written)
    assert len({step.action for step in written}) > 3
    assert sum(bool(step.reasoning) for step in written) > len(written) / 2
    for step in written:
        acted = [id_ for id_, label in zip(step.token_ids, step.token_labels, strict=True) if label == "A"]
        assert toy_tokenizer.decode(acted) == f"Action: {step.action}\n"
        assert toy_tokenizer.decode(list(step.token_ids)) == step.completion
