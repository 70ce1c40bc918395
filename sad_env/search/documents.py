"""Documents by key, in one SQLite file that any number of processes read at once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from sad_env.data import Progress, silent
from sad_env.errors import DataError
from sad_env.files import sha256_file

_SCHEMA = """
CREATE TABLE documents (number INTEGER PRIMARY KEY, key TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE names (name TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (name, number)) WITHOUT ROWID;
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class DocumentStore:
    """Bodies of documents, read by number, by key, or by any further name that was given to them.

    Opening takes a millisecond and a look-up some tens of microseconds, whatever the size: nothing is held in memory
    but SQLite's cache of 2 MB. A copy that was forked or unpickled opens the file again.

    Args:
        path: a file that `build_store` wrote.

    Raises:
        DataError: no such file, or not one of ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._process = 0
        self._open()
        self.about = dict(self._rows("SELECT name, value FROM about"))
        """What was given to `build_store` as `about`."""

    def _open(self) -> None:
        try:
            self._connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
            self._process = os.getpid()
        except sqlite3.Error as error:
            raise DataError(f"{self.path}: no readable document store ({error}); build it again") from None

    def _rows(self, query: str, *values: object) -> list[tuple[str, str]]:
        if self._process != os.getpid():
            self._connection.close()
            self._open()
        try:
            return self._connection.execute(query, values).fetchall()
        except UnicodeEncodeError:  # a name that an agent wrote; half a character is in no document
            return []
        except sqlite3.Error as error:
            raise DataError(f"{self.path}: the document store cannot be read ({error}); build it again") from None

    def __len__(self) -> int:
        """Documents."""
        return int(self._rows("SELECT coalesce(max(number) + 1, 0), '' FROM documents")[0][0])

    def get(self, key: str) -> str | None:
        """Body of the document of this key, None when there is none."""
        rows = self._rows("SELECT body, '' FROM documents WHERE key = ?", key)
        return rows[0][0] if rows else None

    def at(self, number: int) -> tuple[str, str]:
        """Key and body of the document of this number, counted from 0 in the order of building.

        Raises:
            IndexError: no such number.
        """
        rows = self._rows("SELECT key, body FROM documents WHERE number = ?", number)
        if not rows:
            raise IndexError(f"no document {number} in {self.path}")
        return rows[0]

    def named(self, name: str) -> list[tuple[str, str]]:
        """Keys and bodies of all documents with this further name, in their order."""
        return self._rows(
            "SELECT key, body FROM names JOIN documents USING (number) WHERE name = ? ORDER BY number", name
        )

    def numbers(self, name: str) -> list[int]:
        """Numbers of all documents with this further name, ascending."""
        return [int(number) for number, _ in self._rows("SELECT number, '' FROM names WHERE name = ?", name)]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Keys and bodies of all documents in order."""
        yield from self._connection.execute("SELECT key, body FROM documents ORDER BY number")

    def is_whole(self) -> bool:
        """Read the whole file and say whether SQLite can use all of it."""
        try:
            return self._rows("PRAGMA quick_check(1)")[0][0] == "ok"
        except DataError:
            return False

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def close(self) -> None:
        """Close the file; twice is fine. A store that is let go closes by itself."""
        self._connection.close()

    def __del__(self) -> None:
        # A file that could not be opened has left no connection.
        with contextlib.suppress(AttributeError):
            self._connection.close()


def build_store(
    path: Path,
    documents: Iterable[tuple[str, str, Iterable[str]]],
    *,
    about: dict[str, str] | None = None,
    total: int = 0,
    progress: Progress = silent,
) -> DocumentStore:
    """Write (key, body, further names) triples; the file appears in one rename when all are written.

    Args:
        path: of the file; one that exists is replaced.
        documents: keys are unique; a further name may belong to several documents.
        about: kept with the documents, e.g. the hash of their source.
        total: how many there will be, for `progress`; 0 when unknown.
        progress: called after every few thousand documents.

    Raises:
        DataError: two documents have one key.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    try:
        _write(part, documents, about or {}, total, progress)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, sqlite3.IntegrityError):
            raise DataError(f"{path}: two documents have one key; keys are unique") from None
        raise
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    return DocumentStore(path)


def _write(
    part: Path,
    documents: Iterable[tuple[str, str, Iterable[str]]],
    about: dict[str, str],
    total: int,
    progress: Progress,
) -> None:
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
        # A half-written file is thrown away, so SQLite need not protect it on the way.
        connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA + "BEGIN;")
        _insert(connection, documents, total, progress)
        connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        connection.execute("CREATE UNIQUE INDEX by_key ON documents (key)")
        connection.execute("COMMIT")


def _insert(
    connection: sqlite3.Connection, documents: Iterable[tuple[str, str, Iterable[str]]], total: int, progress: Progress
) -> None:
    for number, (key, body, names) in enumerate(documents):
        connection.execute("INSERT INTO documents VALUES (?, ?, ?)", (number, key, body))
        connection.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", ((name, number) for name in names))
        if (number + 1) % 5_000 == 0:
            progress("storing", number + 1, total)


def fingerprint(files: Iterable[Path]) -> str:
    """Names and contents of files as one hash."""
    listing = "\n".join(f"{path.name} {sha256_file(path)}" for path in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def is_built(path: Path, mark: str) -> bool:
    """Whether a whole store lies there whose `about` says that its source is `mark`."""
    if not path.is_file():
        return False
    try:
        with contextlib.closing(DocumentStore(path)) as store:
            return store.about.get("source") == mark and store.is_whole()
    except DataError:
        return False
