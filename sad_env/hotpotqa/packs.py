"""Where the official files of HotPotQA are published, and their checksums."""

from __future__ import annotations

from sad_env.data import DataPack, RemoteFile

_HOST = "http://curtis.ml.cmu.edu/datasets/hotpot/"
_LICENCE = "CC BY-SA 4.0 (HotPotQA authors, Wikipedia)"


def _file(name: str, sha256: str, size: int) -> RemoteFile:
    return RemoteFile(name, (_HOST + name, _HOST.replace("http:", "https:") + name), sha256, size)


PACKS = (
    DataPack(
        "questions",
        "the development questions with their paragraphs (ReAct's evaluation) and the fullwiki development file",
        _LICENCE,
        (
            _file(
                "hotpot_dev_distractor_v1.json",
                "4e9ecb5c8d3b719f624d66b60f8d56bf227f03914f5f0753d6fa1b359d7104ea",
                46_320_117,
            ),
            _file(
                "hotpot_dev_fullwiki_v1.json",
                "2f1f3e594a3066a3084cc57950ca2713c24712adaad03af6ccce18d1846d5618",
                47_454_698,
            ),
        ),
    ),
    DataPack(
        "train",
        "the 90,447 training questions with their paragraphs",
        _LICENCE,
        (
            _file(
                "hotpot_train_v1.1.json",
                "26650cf50234ef5fb2e664ed70bbecdfd87815e6bffc257e068efea5cf7cd316",
                566_426_227,
            ),
        ),
    ),
    DataPack(
        "fullwiki",
        "first paragraphs of all 5.2 million articles of 2017, which the questions were written on",
        _LICENCE,
        (
            RemoteFile(
                "enwiki-20171001-pages-meta-current-withlinks-abstracts.tar.bz2",
                (
                    "https://nlp.stanford.edu/projects/hotpotqa/"
                    "enwiki-20171001-pages-meta-current-withlinks-abstracts.tar.bz2",
                ),
                "1acca1c5cc93c4890ea51091d2bad7c3ef6987aead127ab88728dc9e26555729",
                1_553_565_403,
            ),
        ),
    ),
)
"""The packs; sizes and checksums as several independent users of the files have published them."""
