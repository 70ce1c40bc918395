"""Ranked search and document look-up that worlds share: Lucene-exact BM25 on disk or in memory, and a keyed store."""

from sad_env.search.analyzer import analyze
from sad_env.search.build import build_index
from sad_env.search.documents import DocumentStore, build_store, fingerprint, is_built
from sad_env.search.index import RankedIndex

__all__ = ["DocumentStore", "RankedIndex", "analyze", "build_index", "build_store", "fingerprint", "is_built"]
