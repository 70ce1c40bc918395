"""Search-QA: questions that are answered by searching a collection of passages, as Search-R1 and its followers play it.

    env = sad_env.make("searchqa")                                              generated, no download
    env = sad_env.make("searchqa", data="QUESTIONS", corpus="STORE")            question files, a built collection
    env = sad_env.make("searchqa", data="QUESTIONS", retriever="http://localhost:8000/retrieve")

A search brings the best three passages, an answer ends the episode, and there are four turns (arXiv 2503.09516;
PeterGriffinJin/Search-R1, `generation.py` and `qa_em.py`). Passages are written as there, "Doc 1(Title: ...) text", and
answers are compared as there: exact match with any of the gold answers after the normalisation of SQuAD. What the
original puts around them, `<information>`, is the business of a transcript's form.

Retrieval is BM25 (`sad_env.search`, the parameters of Anserini) over an index on disk that `sad-data build searchqa`
makes of a dump, or whatever stands behind a server of Search-R1's protocol.
"""

from sad_env.searchqa.actions import canonical_action

__all__ = ["canonical_action"]
