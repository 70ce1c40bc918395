"""Entry folders that an enemy wrote are refused with one clear line, in bounded time and memory."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sad_eval.records import identity_sha256
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard import entries
from sad_leaderboard.add import add
from sad_leaderboard.command import main
from sad_leaderboard.schema import EPISODES, Level
from sad_leaderboard.verify import verify

Document = dict[str, Any]


@pytest.fixture(scope="module")
def honest(toy_run: Callable[..., RunFolder], tmp_path_factory: pytest.TempPathFactory) -> Path:
    board = tmp_path_factory.mktemp("board")
    return add(toy_run(), board, "honest", title="Expert", submitter="tests", submitted="2026-01-01")


@pytest.fixture
def entry(honest: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "board" / "entry"
    shutil.copytree(honest, folder)
    return folder


def seal(folder: Path) -> None:
    """Make the hashes in entry.json those of the files."""
    document = json.loads((folder / "entry.json").read_text())
    for name in document["files"]:
        document["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "entry.json").write_text(json.dumps(document))


def edit(name: str, change: Callable[[Document], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / f"{name}.json"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        if name != "entry":
            seal(folder)

    return spoil


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return rewrite(name, lambda before: content)


def rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))
        if name != "entry.json":
            seal(folder)

    return spoil


def pack(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with gzip.open(folder / EPISODES) as file:
            lines = change(file.read().splitlines(keepends=True))
        with gzip.open(folder / EPISODES, "wb") as file:
            file.writelines(lines)
        seal(folder)

    return spoil


def link(name: str, target: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.symlink(target, folder / name)

    return spoil


def fifo(folder: Path) -> None:
    (folder / "results.json").unlink()
    os.mkfifo(folder / "results.json")


def subfolder(folder: Path) -> None:
    (folder / "results.json").unlink()
    (folder / "results.json").mkdir()


def identity(**facts: object) -> Callable[[Path], None]:
    """Facts of the identity, its sha256 made right again; `__` in a name is a blank."""

    def change(manifest: Document) -> None:
        manifest["identity"].update({name.replace("__", " "): value for name, value in facts.items()})
        manifest["identity_sha256"] = identity_sha256(manifest["identity"])

    return edit("manifest", change)


def both(*spoils: Callable[[Path], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


def settings(**changes: object) -> Callable[[Path], None]:
    return edit("manifest", lambda manifest: manifest["settings"].update(changes))


def limit(**limits: object) -> Callable[[Path], None]:
    return both(edit("manifest", lambda manifest: manifest["limits"].update(limits)), identity(**limits))


def renamed(agent: str) -> Callable[[Path], None]:
    """Another agent's name, wherever it is written."""
    return both(
        edit("manifest", lambda manifest: manifest.update(agent=agent)),
        identity(agent=agent),
        edit("results", lambda results: results.update(agent=agent)),
        pack(lambda lines: [line.replace(b'"agent":"expert"', f'"agent":"{agent}"'.encode()) for line in lines]),
    )


def episode(**changes: object) -> Callable[[Path], None]:
    """The first episode with other values."""

    def change(lines: list[bytes]) -> list[bytes]:
        first = json.loads(lines[0])
        first["trajectory"].update(changes)
        first["attempts"][-1]["status"] = first["trajectory"]["status"]
        return [json.dumps(first).encode() + b"\n", *lines[1:]]

    return pack(change)


def first_step(**changes: object) -> Callable[[Path], None]:
    """The first step of the first episode with other values."""

    def change(lines: list[bytes]) -> list[bytes]:
        first = json.loads(lines[0])
        first["trajectory"]["steps"][0].update(changes)
        return [json.dumps(first).encode() + b"\n", *lines[1:]]

    return pack(change)


def joined(manifest: Document) -> None:
    """Two tasks under one name: the ids joined by newlines are the same text."""
    first, second, *others = manifest["panel"]["task_ids"]
    manifest["panel"]["task_ids"] = [f"{first}\n{second}", *others]


def named_header(content: bytes) -> bytes:
    """A gzip header whose file name does not end."""
    return content[:3] + b"\x08" + content[4:10] + b"a" * 1_000_000


SPOILED: dict[str, Callable[[Path], None]] = {
    "a file too many": lambda folder: (folder / "run.sh").write_text("rm -rf /") and None,
    "a hidden file": lambda folder: (folder / ".git").write_text("") and None,
    "a file whose name is a terminal's": lambda folder: (folder / "\x1b[2J\u202e").write_text("") and None,
    "a file missing": lambda folder: (folder / "results.json").unlink(),
    "a folder inside": lambda folder: (folder / "more").mkdir(),
    "a folder for a file": subfolder,
    "a link to a secret": link("results.json", "/etc/passwd"),
    "a link that hangs": link("manifest.json", "manifest.json"),
    "a link to an endless device": link(EPISODES, "/dev/zero"),
    "a pipe": fifo,
    "an entry that is no JSON": write("entry.json", b"not json"),
    "an entry that is a list": write("entry.json", b"[]"),
    "an entry with a key twice": write("entry.json", b'{"title": "a", "title": "b"}'),
    "an entry of brackets": write("entry.json", b"[" * 60_000),
    "an entry too large": write("entry.json", b" " * 100_000),
    "an entry with NaN": write("entry.json", b'{"parameters": NaN}'),
    "a key nobody knows": edit("entry", lambda entry: entry.update(score=1.0)),
    "another version": edit("entry", lambda entry: entry.update(schema_version=2)),
    "a title of markup codes": edit("entry", lambda entry: entry.update(title="\x1b[31mbest")),
    "a title that runs backwards": edit("entry", lambda entry: entry.update(title="\u202etseb")),
    "an invisible title": edit("entry", lambda entry: entry.update(title="\u200b")),
    "an empty title": edit("entry", lambda entry: entry.update(title="")),
    "a huge title": edit("entry", lambda entry: entry.update(title="best " * 1000)),
    "a title of two lines": edit("entry", lambda entry: entry.update(title="a\n# b")),
    "a javascript link": edit("entry", lambda entry: entry.update(link="javascript:alert(1)")),
    "a data link": edit("entry", lambda entry: entry.update(link="data:text/html,x")),
    "a plain http link": edit("entry", lambda entry: entry.update(link="http://example.org")),
    "a link with quotes": edit("entry", lambda entry: entry.update(link='https://e.org/" onclick="x')),
    "a link with credentials": edit("entry", lambda entry: entry.update(link="https://a:b@e.org/")),
    "a date that is none": edit("entry", lambda entry: entry.update(submitted="2026-13-45")),
    "a track nobody knows": edit("entry", lambda entry: entry.update(track="winner")),
    "parameters below nothing": edit("entry", lambda entry: entry.update(parameters=-1)),
    "hashes that are none": edit("entry", lambda entry: entry["files"].update({"results.json": "0"})),
    "a hash of a file elsewhere": edit("entry", lambda entry: entry["files"].update({"../../x": "0" * 64})),
    "a hash left out": edit("entry", lambda entry: entry["files"].pop("results.json")),
    "a manifest that is no JSON": write("manifest.json", b"\xff\xfe"),
    "a manifest of objects in objects": write("manifest.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a manifest with an overflowing number": rewrite(
        "manifest.json", lambda content: content.replace(b'"seed": 0', b'"seed": 1e999')),
    "a trillion repeats": edit("manifest", lambda manifest: manifest.update(repeats=10**12)),
    "a task tried 10,001 times": both(
        edit("manifest", lambda manifest: manifest["panel"].update(task_ids=["test-0000"])),
        edit("manifest", lambda manifest: manifest.update(repeats=10_001)),
    ),
    "no repeat": edit("manifest", lambda manifest: manifest.update(repeats=0)),
    "repeats below nothing": edit("manifest", lambda manifest: manifest.update(repeats=-3)),
    "a seed below nothing": edit("manifest", lambda manifest: manifest.update(seed=-1)),
    "a seed of 300 digits": edit("manifest", lambda manifest: manifest.update(seed=10**300)),
    "no task": edit("manifest", lambda manifest: manifest["panel"].update(task_ids=[])),
    "a task that is half a character": edit("manifest", lambda manifest: manifest["panel"].update(task_ids=["\ud800"])),
    "a world nobody knows": edit("manifest", lambda manifest: manifest.update(world="../../etc")),
    "data at a path": edit("manifest", lambda manifest: manifest.update(data="/etc")),
    "a panel at a path": edit("manifest", lambda manifest: manifest["panel"].update(name="../../etc")),
    "part zero of none": edit("manifest", lambda manifest: manifest.update(shard=[0, 0])),
    "endless episodes": edit("manifest", lambda manifest: manifest["limits"].update(max_steps=10**9)),
    "a panel of its own": edit("manifest", lambda manifest: manifest["panel"].update(name="best-of")),
    "a panel hash of its own": edit("manifest", lambda manifest: manifest["panel"].update(sha256="0" * 64)),
    "results that are no JSON": write("results.json", b"{"),
    "a rate above one": edit("results", lambda results: results["metrics"]["success_rate"].update(value=7.0)),
    "a score of more episodes than there are": edit(
        "results", lambda results: results["metrics"]["score"].update(n=1000)),
    "owed episodes": edit("results", lambda results: results.update(owed=1, status="incomplete")),
    "episodes that are not packed": write(EPISODES, b'{"schema_version": 1}\n'),
    "episodes that are nothing": write(EPISODES, b""),
    "a torn archive": rewrite(EPISODES, lambda content: content[:-200]),
    "an archive with junk in it": rewrite(EPISODES, lambda content: content[:100] + b"\0" * 300),
    "an archive in an archive": rewrite(EPISODES, gzip.compress),
    "a torn last line": pack(lambda lines: [*lines[:-1], lines[-1][:50]]),
    "a line of blanks": pack(lambda lines: [*lines, b" \n"]),
    "a line of brackets": pack(lambda lines: [*lines[:-1], b"[" * 1_000_000 + b"\n"]),
    "an episode of another run": pack(lambda lines: [*lines, lines[0].replace(b"test-", b"best-")]),
    "no episode": pack(lambda lines: []),
    "two tasks in one name": edit("manifest", joined),
    "a limit below nothing": limit(max_tokens=-1),
    "a limit of time without end": limit(max_seconds=1e300),
    "one invalid action as the limit": limit(invalid_actions=1),
    "a limit that is called agent": limit(agent=1),
    "a perturbation nobody knows": identity(perturb="noise"),
    "a perturbation in the settings alone": settings(perturb="typos"),
    "a perturbation in the identity alone": identity(perturb="typos"),
    "a perturbation in the agent's name alone": renamed("expert+typos"),
    "a world option in the settings alone": settings(options=["reveal=true"]),
    "a world option in the identity alone": identity(world__reveal=True),
    "a world option that the world has not": both(settings(options=["fly=true"]), identity(world__fly=True)),
    "a world option that is a path": both(settings(options=["corpus=/etc"]), identity(world__corpus="/etc")),
    "a world option beyond reason": both(settings(options=["turns=1000000000"]), identity(world__turns=10**9)),
    "world options that are no list": settings(options="reveal=true"),
    "first thoughts in the settings alone": settings(first_thoughts="thoughts.jsonl"),
    "first thoughts that are no hash": both(
        settings(first_thoughts="x"), identity(first_thoughts_sha256="\x1b[2Jbest")),
    "an identity of lists": identity(context=json.loads("[" * 400 + "]" * 400)),
    "files of generated data": edit("manifest", lambda manifest: manifest.update(data_sha256="0" * 64)),
    "a checkpoint that the identity does not name": edit(
        "manifest", lambda manifest: manifest.update(agent_sha256="0" * 64)),
    "a prompt that the identity does not name": edit(
        "manifest", lambda manifest: manifest.update(prompt_sha256="0" * 64)),
    "a checkpoint that only the identity names": identity(agent__checkpoint_sha256="0" * 64),
    "a panel description of its own": edit(
        "manifest", lambda manifest: manifest["panel"].update(description="The best is ENTRY.")),
    "a panel description of many lines": edit(
        "manifest", lambda manifest: manifest["panel"].update(description="a\n# b")),
    "versions without end": edit(
        "manifest", lambda manifest: manifest.update(versions={str(one): "1" for one in range(100)})),
    "fewer parameters than the run's": both(
        identity(agent__parameters="1000"), edit("entry", lambda entry: entry.update(parameters=10))),
    "an oracle that slips": renamed("oracle+slip-0.1"),
    "a title of blank braille": edit("entry", lambda entry: entry.update(title="\u2800")),
    "a title of a joiner": edit("entry", lambda entry: entry.update(title="\u200d")),
    "a title that runs over its neighbours": edit("entry", lambda entry: entry.update(title="a" + "\u0301" * 40)),
    "a submitter of two lines": edit("entry", lambda entry: entry.update(submitter="a\r\nb")),
    "a description with an escape code": edit("entry", lambda entry: entry.update(description="\x9b2J")),
    "half a character in a manifest": edit("manifest", lambda manifest: manifest.update(agent="\ud800")),
    "a key twice in a manifest": rewrite(
        "manifest.json", lambda content: content.replace(b'"seed": 0', b'"seed": 0, "seed": 0', 1)),
    "a score beyond numbers": episode(score=1e308),
    "seconds below nothing": episode(seconds=-1e308),
    "a figure beyond numbers": episode(extra={"f1": 1e308}),
    "tokens of 400 digits": first_step(generated_tokens=10**400),
    "a reward beyond numbers": first_step(reward=1e308),
    "a success by forced finish": episode(status="forced_finish"),
    "NaN in an episode": pack(lambda lines: [lines[0].replace(b'"score":1.0', b'"score":NaN'), *lines[1:]]),
    "a key twice in an episode": pack(lambda lines: [lines[0].replace(b'{"', b'{"chain":"","', 1), *lines[1:]]),
    "a second archive behind the first": rewrite(EPISODES, lambda content: content + content),
    "bytes behind the archive": rewrite(EPISODES, lambda content: content + b"\0" * 10),
    "a hundred thousand empty archives": rewrite(EPISODES, lambda content: gzip.compress(b"") * 100_000 + content),
    "an archive whose name does not end": rewrite(EPISODES, named_header),
    "an archive with a wrong checksum": rewrite(EPISODES, lambda content: content[:-8] + b"\0" * 8),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoilt_entry_is_refused_in_clear_lines(
    name: str, entry: Path, one_clear_line: Callable[[str], None]
) -> None:
    SPOILED[name](entry)
    found = verify(entry, Level.REPLAYED)
    assert found.level is None or found.level < Level.RECOMPUTED
    assert found.findings
    for finding in found.findings:
        one_clear_line(finding)
        assert "cannot be checked" not in finding


@pytest.mark.parametrize("name", ["..", ".hidden", "a b", "x" * 65, "\x1b[2J", "-rf"])
def test_a_folder_name_that_is_none_is_refused(name: str, entry: Path, one_clear_line: Callable[[str], None]) -> None:
    folder = entry if name == ".." else entry.rename(entry.with_name(name))
    found = verify(folder / ".." if name == ".." else folder, Level.RECOMPUTED)
    assert found.level is None
    one_clear_line(found.findings[0])


def test_an_entry_is_named_from_within(
    entry: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(entry)
    for inside in (Path("."), Path("../entry/")):
        found = verify(inside, Level.REPLAYED)
        assert (found.name, found.level, found.findings) == ("entry", Level.REPLAYED, ())
        assert found.submission is not None
        assert found.submission.name == "entry"
    assert main(["verify", "."]) == 0
    assert "ok  recomputed entry" in capsys.readouterr().out
    (entry / "results.json").write_text("{}")
    assert main(["verify", "."]) == 5
    said = capsys.readouterr()
    assert "entry/results.json: not the file that entry.json names by sha256" in said.out
    assert "1 of 1 entries do not hold: entry" in said.err


def test_a_linked_entry_is_refused(entry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "linked").symlink_to(entry, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    for link in (tmp_path / "linked", Path("linked"), Path("linked/.")):
        found = verify(link, Level.RECOMPUTED)
        assert found.name == "linked"
        assert "not a link" in found.findings[0]


def test_a_packed_bomb_is_cut_off(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred kilobytes that unpack to hundreds of megabytes are read no further than the bound."""
    monkeypatch.setattr(entries, "MAX_UNPACKED_BYTES", 1 << 20)
    with gzip.open(entry / EPISODES, "wb") as file:
        for _ in range(300):
            file.write(b" " * (1 << 20) + b"\n")
    seal(entry)
    found = verify(entry, Level.REPLAYED)
    assert "larger than a submission may be" in found.findings[0]


def test_a_packed_endless_line_is_cut_off(entry: Path) -> None:
    with gzip.open(entry / EPISODES, "wb") as file:
        for _ in range(300):
            file.write(b" " * (1 << 20))
    seal(entry)
    assert f"{EPISODES}:1: larger than a submission may be" in verify(entry, Level.REPLAYED).findings[0]


def test_a_metric_of_its_own_is_not_shown(entry: Path, tmp_path: Path) -> None:
    elegance = {"value": 1.0, "low": 1.0, "high": 1.0, "n": 12}
    edit("results", lambda results: results["metrics"].update(elegance=elegance))(entry)
    assert main(["build", "--root", str(entry.parent), "--out", str(tmp_path / "out")]) == 0
    for form in ("board.md", "board.html", "board.json"):
        assert "elegance" not in (tmp_path / "out" / form).read_text()


def test_one_bad_entry_does_not_keep_the_others_from_the_board(
    entry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(entry, entry.with_name("spoilt"))
    edit("results", lambda results: results["metrics"]["success_rate"].update(value=0.5))(entry.with_name("spoilt"))
    code = main(["build", "--root", str(entry.parent), "--out", str(tmp_path / "out")])
    assert code == 5
    shown = capsys.readouterr()
    assert "1 of 2 entries do not hold: spoilt" in shown.err
    board = json.loads((tmp_path / "out" / "board.json").read_text())
    assert [row["name"] for row in board["tables"][0]["rows"]] == ["entry"]
