from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from sad_env.search.analyzer import STOP_WORDS, analyze, words
from sad_env.search.porter import stem

Golden = Callable[[str], Iterator[Any]]


def test_every_recorded_text_gives_lucenes_words_and_terms(golden: Golden) -> None:
    count = 0
    for record in golden("webshop_analyzer.jsonl.gz"):
        assert words(record["text"]) == record["standard"]
        assert analyze(record["text"]) == record["tokens"]
        count += 1
    assert count == 1414


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "wi-fi usb_c bar.com title:shoes 2.5 1,000 a.5",
            ["wi", "fi", "usb_c", "bar.com", "title:shoes", "2.5", "1,000", "a", "5"],
        ),
        ("★ ™ ☆ ✿ ½", ["★", "™"]),
        ("☀️☀️ 👩‍🚀", ["☀️", "☀️", "👩‍🚀"]),
        ("____ _a_ __", ["_a_"]),
        ("日本 ひら カタカナ", ["日", "本", "ひ", "ら", "カタカナ"]),
        ("ภาษาไทย", ["ภาษาไทย"]),
        ("don't d'arc' o’neil", ["don't", "d'arc", "o’neil"]),
        ('צה"ל', ['צה"ל']),
        ("cafe\u0301 x\u00ady", ["cafe\u0301", "x\u00ady"]),
        ("x" * 600, ["x" * 255, "x" * 255, "x" * 90]),
        # What follows was recorded from Lucene 8.11.0.
        ("x" * 254 + ".y", ["x" * 254, "y"]),
        ("\U0001d49c" * 130, ["\U0001d49c" * 127, "\U0001d49c" * 3]),
        ("\u200da \u200d☀", ["a", "\u200d☀"]),
        ("a\u0e31 \u0e31a _\u0e31_", ["a\u0e31", "\u0e31", "a", "\u0e31"]),
        ("a々b 〆 日々", ["a々b", "日", "々"]),
        ("a\U0001f3fd \U0001f467\U0001f3fd", ["a", "\U0001f3fd", "\U0001f467\U0001f3fd"]),
        ("ℹ ℹa aℹ ℹ\u200d☀", ["ℹ", "ℹa", "aℹ", "ℹ\u200d☀"]),
        ("#\ufe0f\u20e3 # \U0001f1e6\U0001f1e7", ["#\ufe0f\u20e3", "\U0001f1e6\U0001f1e7"]),
        ('ה"ל"ה', ['ה"ל', "ה"]),
        # Letters and pictographs of later Unicode versions are none to Lucene.
        ("a \U0001e900 \u0870", ["a", "\U0001e900"]),
    ],
)
def test_words_end_where_the_unicode_rules_say(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("caresses", "caress"), ("ponies", "poni"), ("ties", "ti"), ("feed", "feed"), ("agreed", "agre"),
        ("plastered", "plaster"), ("motoring", "motor"), ("sing", "sing"), ("conflated", "conflat"), ("sized", "size"),
        ("hopping", "hop"), ("falling", "fall"), ("failing", "fail"), ("filing", "file"), ("happy", "happi"),
        ("sky", "sky"), ("rational", "ration"), ("conditional", "condit"), ("possibly", "possibl"),
        ("digitizer", "digit"), ("vietnamization", "vietnam"), ("hopefulness", "hope"), ("triplicate", "triplic"),
        ("electrical", "electr"), ("goodness", "good"), ("adoption", "adopt"), ("replacement", "replac"),
        ("controlling", "control"), ("roll", "roll"), ("probate", "probat"), ("cease", "ceas"), ("syzygy", "syzygi"),
        ("yyyyed", "yyyi"), ("as", "as"), ("2.5s", "2.5"),
    ],
)  # fmt: skip
def test_stems_are_those_of_the_published_algorithm(word: str, expected: str) -> None:
    assert stem(word) == expected


@hypothesis.given(strategies.text(max_size=200))
def test_any_text_is_analyzed_and_stop_words_never_remain(text: str) -> None:
    terms = analyze(text)
    assert all(terms)
    assert not any(word in STOP_WORDS for word in terms if stem(word) == word and word not in {"thi", "wa"})
    assert all(len(word) <= 255 for word in words(text))


@pytest.mark.parametrize("text", ["_", "\u200d", "_\u200d", "#\u0301", "\u200d\ufe0f"])
def test_long_runs_of_signs_are_passed_over(text: str) -> None:
    # Quadratic work here would take hours.
    assert words(text * 500_000) == []


@pytest.mark.parametrize("text", ["ℹ\u200d", "_\u0e31", "☀\u200d", "a.", 'ה"'])
def test_long_runs_of_joined_words_take_linear_time(text: str) -> None:
    assert "".join(words(text * 100_000)).startswith(text[-1] if text[0] == "_" else text)
