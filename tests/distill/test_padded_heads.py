"""Rows that pad a head count nowhere: loss, scores and samples are those of the same model without them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from sad_agents.checkpoints import save_student
from sad_agents.windowing import Windowing
from sad_distill.auxiliary.terms import make_terms
from sad_distill.config import Measure, Optimisation, TrainConfig
from sad_distill.data.action_support import ActionSupport
from sad_distill.data.batch import collate
from sad_distill.data.rows import Row, rows_from
from sad_distill.losses.objective import Objective
from sad_distill.losses.scoring import score_positions
from sad_distill.models.heads import head_logits, outcomes_of, restrict
from sad_distill.models.language import Language
from sad_distill.models.mixture import MixtureModel
from sad_distill.models.token_ids import TokenIds, shared_ids
from sad_distill.teachers.difficulty import difficulties_of
from sad_distill.teachers.local import LocalTeacher
from sad_distill.teachers.openai import OpenAITeacher
from sad_distill.teachers.registry import Teacher
from sad_distill.teachers.remote import RemoteTeacher
from sad_distill.teachers.server import TeacherServer
from sad_distill.training.learner import Learner
from sad_distill.training.run import Run
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from sad_env.errors import DataError
from sad_env.records import Trajectory
from sad_env.settings import replaced

EXACT = {"rtol": 0, "atol": 1e-6}


def tiny(architecture: str, rows: int, seed: int) -> Any:
    torch.manual_seed(seed)
    if architecture == "gpt2":
        sizes = {"n_positions": 512, "n_embd": 16, "n_layer": 2, "n_head": 2}
        sizes |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0)
        config = GPT2Config(vocab_size=rows, **sizes, initializer_range=0.3, bos_token_id=0, eos_token_id=0)
        return GPT2LMHeadModel(config).eval()
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    tied = seed % 2 == 0
    config = Qwen2Config(vocab_size=rows, **sizes, num_key_value_heads=1, max_position_embeddings=512)
    config.update({"tie_word_embeddings": tied, "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 0})
    return Qwen2ForCausalLM(config).eval()


def padded(model: Any, architecture: str, rows: int, seed: int) -> Any:
    """The same model with a head of more rows, which are likely tokens wherever nobody leaves them out."""
    wide = tiny(architecture, rows, seed)
    weights = wide.state_dict()
    for name, tensor in model.state_dict().items():
        same = weights[name].shape == tensor.shape
        weights[name] = tensor.clone() if same else torch.cat([tensor, 3 * weights[name][len(tensor) :]])
    wide.load_state_dict(weights)
    return wide


Pair = tuple[Any, Any]


@pytest.fixture(params=["qwen2", "gpt2"])
def models(request: pytest.FixtureRequest, toy_tokenizer: PreTrainedTokenizerFast) -> tuple[Pair, Pair]:
    """Student and teacher without padding, and the same two with paddings of different sizes."""
    ids = TokenIds.of(toy_tokenizer.get_vocab().values())
    plain = (tiny(request.param, ids.end, 2), tiny(request.param, ids.end, 3))
    wide = (padded(plain[0], request.param, ids.end + 30, 2), padded(plain[1], request.param, ids.end + 94, 3))
    for model in wide:
        loud = model(input_ids=torch.arange(40)[None]).logits[0].softmax(-1)[:, ids.end :].sum(-1)
        assert loud.mean() > 0.05  # the test would see it
        restrict(model, ids)
    return plain, wide


@pytest.fixture(scope="module")
def rows(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(toy_episodes[:4], toy_tokenizer, Windowing(200, 40))


def update(pair: Pair, rows: list[Row], objective: Objective, supports: Any, teacher: Any, extras: Any = ()) -> Any:
    # Weights move in the first update, so that the second shows its gradients.
    learner = Learner(
        pair[0],
        objective,
        Optimisation(steps=2, learning_rate=1e-3, warmup=0, weight_decay=0),
        teacher=teacher,
        supports=supports,
        extras=extras,
    )
    return [learner.update(rows, step) for step in range(2)]


def assert_alike(one: list[dict[str, float]], other: list[dict[str, float]]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        for name in mine.keys() - {"score_seconds", "update_seconds"}:
            assert theirs[name] == pytest.approx(mine[name], rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize(
    ("kind", "support", "outside", "top"),
    [
        ("forward", "full", "bucket", 0),
        ("forward", "trie", "ignore", 0),
        ("forward", "full", "bucket", 5),
        ("reverse", "trie", "bucket", 0),
        ("js", "trie", "bucket", 0),
        ("js", "trie", "ignore", 5),
        ("skew_forward", "full", "bucket", 0),
        ("skew_reverse", "trie", "bucket", 5),
    ],
)
def test_every_divergence(
    models: Any, rows: list[Row], toy_tokenizer: Any, kind: Any, support: Any, outside: Any, top: int
) -> None:
    objective = Objective(likelihood=0.5, measure=Measure(divergence=kind, outside=outside))
    plain, wide = (
        update(pair, rows, objective, ActionSupport(toy_tokenizer, support), LocalTeacher(pair[1], "t", top))
        for pair in models
    )
    assert_alike(plain, wide)


@pytest.mark.parametrize("name", ["atomic", "atomic_local", "pointer", "contrastive", "align_min", "align_ot"])
def test_further_terms(models: Any, rows: list[Row], toy_tokenizer: Any, name: str) -> None:
    found = []
    for pair in models:
        torch.manual_seed(0)  # heads of terms draw their first weights
        config = replaced(TrainConfig(out=""), terms=(f"{name}=1",))
        local = LocalTeacher(pair[1], "t")
        teacher = Teacher("t", scores=local, language=Language(pair[1], toy_tokenizer))
        extras = make_terms(config, Language(pair[0], toy_tokenizer), teacher, rows)
        objective = Objective(likelihood=1.0, divergence=0.0)
        found.append(update(pair, rows, objective, None, None, extras))
    assert found[0][0]["extra"] != 0
    assert_alike(*found)


def test_entropies_of_a_curriculum_and_the_mixture_of_minillm(models: Any, rows: list[Row]) -> None:
    plain, wide = models
    one, other = (difficulties_of(rows, LocalTeacher(pair[1], "t"), torch.device("cpu")) for pair in models)
    assert one.keys() == other.keys()
    for episode, difficulty in one.items():
        assert other[episode].entropy == pytest.approx(difficulty.entropy, abs=1e-6)
    ids = torch.arange(40)[None]
    both = (MixtureModel(*pair, 0.2, 0.7)(input_ids=ids, use_cache=False).logits for pair in (plain, wide))
    torch.testing.assert_close(*both, **EXACT)


@pytest.mark.parametrize("models", ["qwen2"], indirect=True)
@pytest.mark.parametrize("setting", [{}, {"mode": "guided"}, {"method": "minillm"}, {"method": "word_kd"}])
def test_whole_runs(models: Any, toy_tokenizer: Any, files: Path, tmp_path: Path, setting: dict[str, Any]) -> None:
    """Also what is sampled: a row of padding that was drawn would change an episode."""
    found = []
    for name, pair in zip(("plain", "wide"), models, strict=True):
        for role, model in zip(("student", "teacher"), pair, strict=True):
            save_student(tmp_path / f"{name}-{role}.pt", model, toy_tokenizer, {})
        offline = {"mode": "offline", "batch": 4} if setting.get("method") == "word_kd" else {}
        config = replaced(
            TrainConfig(out=str(tmp_path / name)),
            student=str(tmp_path / f"{name}-student.pt"),
            teacher=str(tmp_path / f"{name}-teacher.pt"),
            env="toy",
            steps=2,
            rollouts=2,
            horizon_start=2,
            context=200,
            max_new_tokens=40,
            trajectories=(str(files / "expert.jsonl"),),
            **{**offline, **setting},
        )
        Run(config).train()
        found.append([json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()])
    for mine, theirs in zip(*found, strict=True):
        for name in mine.keys() - {key for key in mine if "seconds" in key}:
            assert theirs[name] == pytest.approx(mine[name], rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize("models", ["qwen2"], indirect=True)
def test_a_served_teacher(models: Any, rows: list[Row], toy_tokenizer: Any) -> None:
    plain, wide = models
    batch = collate(rows, supports=ActionSupport(toy_tokenizer))
    here = LocalTeacher(plain[1], "t", 8).score(batch)
    with TeacherServer(Language(wide[1], toy_tokenizer), "t", ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            remote = RemoteTeacher(server.url, top=8)
            shared = remote.fits(Language(wide[0], toy_tokenizer))
            there = remote.score(batch)
            assert shared == outcomes_of(wide[0])
            _add_token(toy_tokenizer, server, batch)
        finally:
            server.shutdown()
            thread.join()
    assert torch.equal(here.ids_NK, there.ids_NK)
    torch.testing.assert_close(here.log_p_NK, there.log_p_NK, **EXACT)
    torch.testing.assert_close(here.log_rest_N.exp(), there.log_rest_N.exp(), **EXACT)


def _add_token(tokenizer: Any, server: TeacherServer, batch: Any) -> None:
    """A student with a token less than the teacher asks for distributions without it."""
    used = set(batch.ids_BT.flatten().tolist())
    without = next(index for index in range(300, 0, -1) if index not in used)
    fewer = {token: index for token, index in tokenizer.get_vocab().items() if index != without}

    class Fewer:
        def get_vocab(self) -> dict[str, int]:
            return fewer

    remote = RemoteTeacher(server.url, top=8)
    shared = remote.fits(Language(server.language.model, Fewer()))  # type: ignore[arg-type]
    assert shared is not None
    assert shared == TokenIds(len(fewer) + 1, frozenset({without}))
    expected = LocalTeacher(server.language.model, "t", 8, shared).score(batch)
    found = remote.score(batch)
    assert torch.equal(expected.ids_NK, found.ids_NK)
    torch.testing.assert_close(expected.log_p_NK, found.log_p_NK, **EXACT)
    assert remote.setting == f"top 8, ids below {shared.end} without [{without}]"


class Completions(BaseHTTPRequestHandler):
    """vLLM's endpoint over a model whose padded rows are outcomes."""

    model: ClassVar[Any] = None
    tokenizer: ClassVar[Any] = None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["prompt"]
        ids = prompt if isinstance(prompt, list) else self.tokenizer(prompt, split_special_tokens=True)["input_ids"]
        with torch.no_grad():
            log_p = self.model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
        told: list[Any] = [None]
        for place, token in enumerate(ids[1:]):
            wanted = {*log_p[place].topk(body["prompt_logprobs"]).indices.tolist(), token}
            told.append({str(one): {"logprob": float(log_p[place, one])} for one in wanted})
        answer = json.dumps({"choices": [{"text": "", "prompt_logprobs": told}]}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def completions() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Completions) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("models", ["qwen2"], indirect=True)
def test_a_teacher_behind_openais_protocol(models: Any, rows: list[Row], toy_tokenizer: Any, completions: str) -> None:
    plain, wide = models
    Completions.model, Completions.tokenizer = wide[1], toy_tokenizer
    batch = collate(rows[:1], supports=ActionSupport(toy_tokenizer))
    everything = wide[1].get_output_embeddings().weight.shape[0]
    teacher = OpenAITeacher(completions, "m", top=everything)
    student = Language(wide[0], toy_tokenizer)
    assert teacher.fits(student) == outcomes_of(wide[0])
    objective = Objective(measure=Measure(divergence="js"))
    supports = ActionSupport(toy_tokenizer)
    assert_alike(
        update(plain, rows[:1], objective, supports, LocalTeacher(plain[1], "t")),
        update(wide, rows[:1], objective, supports, teacher),
    )
    few = OpenAITeacher(completions, "m", top=3)
    few.fits(student)
    target = few.score(batch).outcomes(torch.arange(len(batch.kind_N)), None, 1.0, "bucket")
    assert int(target.ids_NK.max()) < outcomes_of(wide[0]).end
    torch.testing.assert_close(target.log_p.exp().sum(-1), torch.ones(len(batch.kind_N)), **EXACT)


def test_what_one_side_has_alone_is_refused_only_where_it_occurs(
    rows: list[Row], toy_tokenizer: Any, tiny_llama: Callable[..., Any]
) -> None:
    own = toy_tokenizer.get_vocab()
    others = {**own, "<think>": len(own)}
    shared = shared_ids(own, others)
    assert shared == TokenIds(len(own))
    holes = {token: index for token, index in others.items() if index != 7}
    assert shared_ids({**own, "<pad>": len(own)}, holes) == TokenIds(len(own), frozenset({7}))
    assert shared_ids(own, {token: index for token, index in own.items() if index < 300}) is None
    assert shared_ids(own, {token: len(own) - index for token, index in own.items()}) is None
    model = tiny_llama()
    batch = collate(rows[:2])
    used = int(batch.target_N[0])
    unused = next(one for one in own.values() if one not in set(batch.ids_BT.flatten().tolist()))
    LocalTeacher(model, "t", ids=TokenIds(len(own), frozenset({unused}))).score(batch)
    with pytest.raises(DataError, match=f"hold token {used}, which student and teacher 't' do not share"):
        LocalTeacher(model, "t", ids=TokenIds(len(own), frozenset({used}))).score(batch)
    restrict(model, TokenIds(len(own), frozenset({used})))
    with pytest.raises(DataError, match=f"hold token {used}, which the student's tokenizer or the teacher"):
        score_positions(model, batch.states(model), batch, None, Measure())


def test_an_id_in_the_middle_that_is_no_outcome(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama()
    states = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    whole = head_logits(model, states).double().softmax(-1)
    cut = head_logits(model, states, TokenIds(300, frozenset({7, 12}))).softmax(-1).double()
    assert cut.shape == (5, 300)
    kept = [index for index in range(300) if index not in (7, 12)]
    torch.testing.assert_close(cut[:, kept], whole[:, kept] / whole[:, kept].sum(-1, keepdim=True), **EXACT)
    assert (cut[:, [7, 12]] == 0).all()
