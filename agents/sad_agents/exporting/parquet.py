"""Parquet files with a dataset card: a folder that `datasets.load_dataset` reads and the hub shows."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sad_env.errors import ConfigError, DataError
from sad_env.safe_text import one_line

if TYPE_CHECKING:
    import pyarrow as pa

CARD = "README.md"
_ROWS_AT_ONCE = 1000
_NO_NAME = re.compile(r"\W+")

_MEANINGS = {
    "messages": "the prompt (system), observations (user) and what the agent wrote (assistant), to the character",
    "prompt": "all that the agent read before this step",
    "completion": "what it wrote, to the character",
    "spans": "of what the agent wrote: kind (R reasoning, A action, N neither), start, end, and where the header ends",
    "success": "the world's own verdict",
    "score": "the benchmark's own score",
    "status": "how the episode ended",
    "form": "how reasoning and action are written: lines, tags or think",
}


@dataclass
class _Written:
    """Rows of one split by world, data and agent, and those of won episodes."""

    rows: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    won: Counter[tuple[str, str, str]] = field(default_factory=Counter)


def write_parquet(folder: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows of `exporting.messages` as a data set, a file for each split of the worlds' tasks.

    Args:
        folder: empty.
        rows: all of one kind; those of an episode follow one another.

    Returns:
        The number of rows.

    Raises:
        ConfigError: pyarrow is not installed.
        DataError: a text that is no Unicode.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ConfigError("--to parquet needs the package pyarrow: pip install 'sad-env-core[parquet]'") from None
    splits: dict[str, _Written] = {}
    columns: list[str] = []
    with ExitStack() as stack:
        writers: dict[str, Any] = {}
        for split, some in _runs(rows):
            columns = columns or list(some[0])
            schema = _schema(pa, columns)
            if split not in writers:
                writers[split] = stack.enter_context(parquet.ParquetWriter(folder / f"{split}.parquet", schema))
                splits[split] = _Written()
            writers[split].write_table(_table(pa, some, schema))
            _count(splits[split], some)
    (folder / CARD).write_text(_card(splits, columns), encoding="utf-8")
    return sum(written.rows.total() for written in splits.values())


def split_name(split: str) -> str:
    """The name of a split as `datasets` allows it: letters, digits and underscores; "train" where there is none.

    >>> split_name("valid_unseen"), split_name(""), split_name("my split/2")
    ('valid_unseen', 'train', 'my_split_2')
    """
    return _NO_NAME.sub("_", split.encode("ascii", "replace").decode())[:60].strip("_") or "train"


def _runs(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Rows by the thousand, divided by split."""
    ahead = iter(rows)
    while some := list(islice(ahead, _ROWS_AT_ONCE)):
        for split in dict.fromkeys(split_name(row["split"]) for row in some):
            yield split, [row for row in some if split_name(row["split"]) == split]


def _schema(pa: Any, columns: Iterable[str]) -> pa.Schema:
    text, number = pa.string(), pa.int64()
    span = pa.struct([("kind", text), ("start", number), ("end", number), ("body", number)])
    spans = pa.list_(span) if "completion" in columns else pa.list_(pa.list_(span))
    kinds = {
        "seed": number,
        "repeat": number,
        "step": number,
        "success": pa.bool_(),
        "score": pa.float64(),
        "spans": spans,
        "messages": pa.list_(pa.struct([("role", text), ("content", text)])),
    }
    return pa.schema([(name, kinds.get(name, text)) for name in columns])


def _table(pa: Any, rows: list[Mapping[str, Any]], schema: Any) -> Any:
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except UnicodeEncodeError:
        names = ", ".join(dict.fromkeys(one_line(row["task_id"], 40) for row in rows if not _is_unicode(row)))
        raise DataError(f"parquet holds Unicode only, and an episode has a lone surrogate: {one_line(names)}") from None


def _is_unicode(row: Mapping[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _count(written: _Written, rows: list[Mapping[str, Any]]) -> None:
    for row in rows:
        key = (row["world"], row["data"], row["agent"])
        written.rows[key] += 1
        written.won[key] += bool(row["success"])


def _card(splits: Mapping[str, _Written], columns: Iterable[str]) -> str:
    """The data set's card: where the files are, in YAML for the hub, and what is in them, for people."""
    columns = list(columns)
    unit = "steps" if "completion" in columns else "episodes"
    files = "".join(f"      - split: {name}\n        path: {name}.parquet\n" for name in splits)
    lines = [
        "---",
        "tags: [agents, trajectories, sad-env]",
        "configs:",
        "  - config_name: default",
        "    data_files:",
        files.rstrip("\n"),
        "---",
        "",
        "# Trajectories of agents in text worlds",
        "",
        "Written by `sad-collect export` of sad-env. Every character of what the agents wrote is known to be reasoning "
        "or action.",
        "",
        f"| split | world | data | agent | {unit} | of won episodes |",
        "|---|---|---|---|---|---|",
    ]
    for name, written in splits.items():
        for (world, data, agent), count in sorted(written.rows.items()):
            cells = (
                name,
                _cell(world),
                _cell(data),
                _cell(agent),
                f"{count:,}",
                f"{written.won[world, data, agent]:,}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| column | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {_MEANINGS.get(name, name.replace('_', ' '))} |" for name in columns]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Foreign text in a table of Markdown: one line, and nothing that Markdown or HTML would read."""
    return re.sub(r"([\\`*_\[\]<>|&#!~$])", r"\\\1", one_line(text, 60))
