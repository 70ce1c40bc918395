"""Corpora of any size on disk: built once from a dump, opened in milliseconds, shared by all workers."""

from __future__ import annotations

import bz2
import contextlib
import json
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from sad_env.data import Progress, silent
from sad_env.encyclopedia.articles import Article
from sad_env.encyclopedia.titles import folded, normalize_title
from sad_env.errors import DataError
from sad_env.hotpotqa.corpus import RANKED, closest, ranked_text, titles_only
from sad_env.hotpotqa.pages import Page, Similar
from sad_env.json_lines import RecordError, parse_json
from sad_env.search import DocumentStore, RankedIndex, build_index, build_store, fingerprint, is_built

STORE, INDEX = "articles.sqlite", "ranked"
_ARCHIVES = ("*.tar.bz2", "*.tar")
_PARTS = ("*.jsonl", "*.bz2")
_EXACT, _LOOSE = "=", "~"
"""First characters of an article's names in the store: its title or redirect to the letter, and normalised."""


class StoredSource:
    """A corpus that `build_corpus` wrote, as a page source.

    Nothing is held in memory but what the operating system maps, so that many workers share one copy.

    Args:
        folder: of the corpus.

    Raises:
        DataError: no corpus there, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / STORE).is_file():
            raise DataError(
                f"{folder}: no built corpus; make one with `sad-data build hotpotqa --pack fullwiki --out {folder}`"
            )
        self._index = RankedIndex.open(folder / INDEX)
        self._store = DocumentStore(folder / STORE)

    def __len__(self) -> int:
        return len(self._index)

    def find(self, entity: str) -> Page | Similar:
        """The page of this name, or the titles that come closest."""
        inner = titles_only(entity)
        if inner is None:
            rows = self._store.named(_EXACT + _storable(entity))
            if not rows and (name := normalize_title(_storable(entity))):
                rows = self._store.named(_LOOSE + name)
            pages = [Page(title, text) for title, _, text in (body.partition("\n") for _, body in rows)]
            if pages:
                name = folded(entity)
                return next((page for page in pages if folded(page.title) == name), pages[0])
        query = entity if inner is None else inner
        numbers = [number for number, _ in self._index.search_numbers(query, RANKED)]
        return closest(query, [self._store.at(number)[1].partition("\n")[0] for number in numbers])

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def _storable(name: str) -> str:
    """SQLite takes no lone surrogates."""
    return name.encode("utf-8", "replace").decode("utf-8")


def build_corpus(
    source: Path, target: Path, *, but: Collection[Path] = (), progress: Progress = silent
) -> StoredSource:
    """Turn a dump of articles into a corpus on disk; interrupted, the same call goes on where it was.

    Args:
        source: the archive of the 2017 abstracts, or a folder that holds it, its unpacked parts, or JSON lines; each
            line has ``title`` and ``text`` (a list of sentences), and may have ``aliases``.
        target: folder of the corpus.
        but: files of the folder that are no part of the dump.
        progress: called every few thousand articles.

    Raises:
        DataError: there is no dump, or it is not in this schema.
    """
    files = dump_files(source, but=but)
    return write_corpus(lambda: read_dump(files), target, fingerprint(files), progress=progress)


def write_corpus(
    articles: Callable[[], Iterable[Article]], target: Path, mark: str, *, progress: Progress = silent
) -> StoredSource:
    """Write articles as a corpus on disk, or open it when it is there; see `build_corpus`.

    Args:
        articles: gives them from the first; called when they are not stored yet.
        target: folder of the corpus.
        mark: names where they come from; a corpus of another mark is built again.
        progress: called every few thousand articles.
    """
    path = target / STORE
    if not is_built(path, mark):
        documents = ((str(number), *_document(article)) for number, article in enumerate(articles()))
        build_store(path, documents, about={"source": mark}, progress=progress).close()
    with contextlib.closing(DocumentStore(path)) as store:
        ranked = ((key, ranked_text(*body.split("\n", 1))) for key, body in store)
        build_index(target / INDEX, ranked, fingerprint=mark, total=len(store), progress=progress)
    return StoredSource(target)


def has_dump(source: Path, *, but: Collection[Path] = ()) -> bool:
    """Whether a folder holds a dump, other than these files."""
    try:
        return bool(dump_files(source, but=but))
    except DataError:
        return False


def dump_files(source: Path, *, but: Collection[Path] = ()) -> list[Path]:
    """The files of a dump: the archive itself, or what a folder holds of archives, else of parts.

    Raises:
        DataError: nothing of the kind.
    """
    if source.is_file():
        return [source]
    for patterns in (_ARCHIVES, _PARTS):
        if files := sorted(path for pattern in patterns for path in source.rglob(pattern) if path not in but):
            return files
    raise DataError(f"{source}: no dump of articles ({', '.join(_ARCHIVES + _PARTS)}) is there")


def read_dump(files: Iterable[Path]) -> Iterator[Article]:
    """The articles of a dump in their order.

    Raises:
        DataError: a file is damaged or not in this schema.
    """
    for path in files:
        try:
            for name, lines in _open(path):
                for number, line in enumerate(lines, 1):
                    yield _article(line, f"{name}:{number}")
        except (OSError, EOFError, tarfile.TarError) as error:
            raise DataError(f"{path} cannot be read: {error}") from None


def _open(path: Path) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Name and lines of each part of a file."""
    if path.suffix == ".jsonl":
        with open(path, "rb") as file:
            yield str(path), file
    elif path.name.endswith((".tar.bz2", ".tar")):
        yield from _members(path)
    else:
        if not path.stat().st_size:  # bz2 takes it for a whole file
            raise EOFError("it is empty")
        with bz2.open(path, "rb") as file:
            yield str(path), file


def _members(path: Path) -> Iterator[tuple[str, Iterable[bytes]]]:
    # Read as a stream: the archive is never unpacked, neither on disk nor in memory.
    opened: Callable[[Path, str], IO[bytes]] = bz2.open if path.suffix == ".bz2" else open  # type: ignore[assignment]
    with opened(path, "rb") as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".bz2"):
                data = cast(IO[bytes], archive.extractfile(member)).read()
                try:
                    text = bz2.decompress(data)
                except ValueError:
                    raise EOFError(f"{member.name} is cut off") from None
                if not data:  # bz2 takes it for a whole file
                    raise EOFError(f"{member.name} is empty")
                yield f"{path}:{member.name}", text.splitlines()
        end = archive.offset
    if path.suffix == ".tar":  # tarfile takes a cut or damage between two members for the end; bz2 would notice it
        with open(path, "rb") as file:
            file.seek(end)
            if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                raise EOFError(f"it is damaged or cut off after {end:,} bytes")


def _article(line: bytes, where: str) -> Article:
    try:
        record = parse_json(line)
        title, text = record["title"], record["text"]
        sentences = tuple(text) if isinstance(text, list) else (text,)
        aliases = tuple(record.get("aliases", ()))
        if not all(isinstance(part, str) for part in (title, *sentences, *aliases)):
            raise TypeError("title and text are strings")
    except (RecordError, KeyError, TypeError) as error:
        raise DataError(f"{where}: not an article with title and text ({error})") from None
    return Article(title, sentences, aliases)


def _document(article: Article) -> tuple[str, list[str]]:
    """Body and names of an article in the store."""
    title = " ".join(article.title.split())
    names = dict.fromkeys((title, *article.aliases))
    loose = dict.fromkeys(filter(None, map(normalize_title, names)))
    text = _storable(f"{title}\n{article.text}")
    return text, [_storable(name) for name in (*(_EXACT + name for name in names), *(_LOOSE + name for name in loose))]


def article_line(article: Article) -> str:
    """An article as a line of a dump."""
    record: dict[str, Any] = {"title": article.title, "text": list(article.sentences)}
    return json.dumps(record | ({"aliases": list(article.aliases)} if article.aliases else {}))
