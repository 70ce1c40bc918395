"""Files, terminal text, downloads and the ends of commands."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.server
import importlib.metadata
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sad_env import cli, config_files, data_command
from sad_env.data import DataPack, RemoteFile, fetch, resolve
from sad_env.errors import ConfigError, DataError, InfrastructureError, UnknownNameError
from sad_env.files import atomic_text, below, exclusive, refuse_foreign, safe_name
from sad_env.safe_text import console, one_line, safe_text, visible
from sad_env.search import build_index

CONTENT = bytes(range(256)) * 4096


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; the first answers fail as the path says."""

    faults: dict[str, int]

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Range")))  # type: ignore[attr-defined]
        left = self.server.faults.get(self.path, 0)  # type: ignore[attr-defined]
        if left:
            self.server.faults[self.path] = left - 1  # type: ignore[attr-defined]
            if "cut" in self.path:
                self.send_response(200)
                self.send_header("Content-Length", str(len(CONTENT)))
                self._tag()
                self.end_headers()
                self.wfile.write(CONTENT[: len(CONTENT) // 2])
                return
            self.send_error(503)
            return
        if self.path == "/gone":
            self.send_error(404)
            return
        if self.path == "/page":
            body = b"<html>Quota exceeded</html>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self._tag()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _tag(self) -> None:
        if "tag" in self.path:
            self.send_header("ETag", 'W/"v1"' if "weak" in self.path else '"v1"')

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as one:
        one.seen, one.faults = [], {}  # type: ignore[attr-defined]
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def remote(server: http.server.ThreadingHTTPServer, path: str, sha256: str | None = None) -> RemoteFile:
    digest = hashlib.sha256(CONTENT).hexdigest() if sha256 is None else sha256
    return RemoteFile("x.bin", (f"http://127.0.0.1:{server.server_port}/{path}",), digest, len(CONTENT))


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_text(tmp_path / "link") as file:
        file.write("a")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "a"
    os.mkfifo(tmp_path / "pipe")
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    with atomic_text(tmp_path / "pipe") as file:
        file.write("b")
    reader.join(10)
    assert got == ["b"]
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "target"]


def test_a_download_is_checked_and_not_repeated(server: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    assert fetch(remote(server, "ok"), tmp_path).read_bytes() == CONTENT
    fetch(remote(server, "ok"), tmp_path)
    assert len(server.seen) == 1  # type: ignore[attr-defined]


def test_a_cut_download_goes_on_where_it_stopped(server: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    server.faults["/cut"] = 1  # type: ignore[attr-defined]
    assert fetch(remote(server, "cut"), tmp_path, pause=0).read_bytes() == CONTENT
    assert server.seen == [("/cut", None), ("/cut", f"bytes={len(CONTENT) // 2}-")]  # type: ignore[attr-defined]


def test_a_busy_server_is_asked_again(server: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    server.faults["/busy"] = 2  # type: ignore[attr-defined]
    assert fetch(remote(server, "busy"), tmp_path, pause=0).read_bytes() == CONTENT


def test_wrong_content_is_refused_and_not_kept(server: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing was kept"):
        fetch(remote(server, "ok", "0" * 64), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".x.bin.lock"]


def test_a_file_without_published_checksum_is_pinned_at_first_sight(
    server: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    path = fetch(remote(server, "ok", ""), tmp_path)
    path.write_bytes(b"changed")
    assert fetch(remote(server, "ok", ""), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["x.json", "x.zip"])
def test_a_page_in_place_of_the_file_is_no_file(
    name: str, server: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    file = RemoteFile(name, (f"http://127.0.0.1:{server.server_port}/page",))
    with pytest.raises(InfrastructureError, match=r"the answer is no x\.\w+ but text/html"):
        fetch(file, tmp_path, pause=0)
    assert len(server.seen) == 1  # type: ignore[attr-defined]
    assert not (tmp_path / name).exists()


def test_what_is_not_there_is_asked_for_once(server: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="404"):
        fetch(remote(server, "gone"), tmp_path, pause=0)
    assert len(server.seen) == 1  # type: ignore[attr-defined]


def test_without_a_checksum_only_a_part_of_the_same_version_is_resumed(
    server: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    (tmp_path / "x.bin.part").write_bytes(b"another version")
    assert fetch(remote(server, "ok", ""), tmp_path).read_bytes() == CONTENT
    seen: list[tuple[str, str | None]] = [("/ok", None)]
    # Only a server that names versions, and names them to the byte, can say that the part is of the same one.
    for path, resumed in (("/cut", None), ("/cut-weak-tag", None), ("/cut-tag", f"bytes={len(CONTENT) // 2}-")):
        server.faults[path] = 1  # type: ignore[attr-defined]
        file = RemoteFile("y.bin", (f"http://127.0.0.1:{server.server_port}{path}",))
        assert fetch(file, tmp_path, pause=0).read_bytes() == CONTENT
        (tmp_path / "y.bin").unlink()
        (tmp_path / "y.bin.sha256").unlink()
        seen += [(path, None), (path, resumed)]
    assert server.seen == seen  # type: ignore[attr-defined]
    fetch(RemoteFile("y.bin", (f"http://127.0.0.1:{server.server_port}/ok",)), tmp_path)
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["x.bin", "x.bin.sha256", "y.bin", "y.bin.sha256"]


def test_fetch_says_what_a_checksum_was_compared_with(
    server: http.server.ThreadingHTTPServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = remote(server, "ok")
    files = (RemoteFile("new.bin", known.urls), known, RemoteFile("by_hand.bin", known.urls, known.sha256))

    class Data:
        packs = (DataPack("p", "", "", files),)

    monkeypatch.setenv("SAD_ENV_DATA", str(tmp_path))
    monkeypatch.setattr(data_command, "_data", lambda world: Data)
    folder = tmp_path / "webshop" / "p"
    folder.mkdir(parents=True)
    (folder / "by_hand.bin").write_bytes(CONTENT)
    assert data_command.main(["fetch", "webshop", "--quiet"]) == 0
    said = [line.partition("sha256 ")[2] for line in capsys.readouterr().out.splitlines()]
    assert said == [f"{known.sha256[:12]}…, recorded when it was first seen", "ok", "ok"]


def test_two_cannot_fetch_one_file(server: http.server.ThreadingHTTPServer, tmp_path: Path) -> None:
    with exclusive(tmp_path / ".x.bin.lock", "it"), pytest.raises(ConfigError, match="another process"):
        fetch(remote(server, "ok"), tmp_path)


def test_only_an_empty_folder_or_our_own_is_built_over(tmp_path: Path) -> None:
    refuse_foreign(tmp_path / "missing", "index.json")
    refuse_foreign(tmp_path, "index.json")
    (tmp_path / "precious.html").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        refuse_foreign(tmp_path, "index.json")
    with pytest.raises(ConfigError, match="holds other files"):
        build_index(tmp_path, [("a", "b")], fingerprint="f")
    assert (tmp_path / "precious.html").read_text() == "mine"
    (tmp_path / "index.json").write_text("{}")
    refuse_foreign(tmp_path, "index.json")


def test_a_dead_address_says_so_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"could not fetch x\.bin"):
        fetch(RemoteFile("x.bin", ("http://127.0.0.1:9/",), "0"), tmp_path, attempts=1)


PACKS = (DataPack("small", "", "MIT", ()), DataPack("full", "", "MIT", ()))


def test_data_arguments_are_resolved_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAD_ENV_DATA", str(tmp_path))
    (tmp_path / "shop" / "full").mkdir(parents=True)
    assert resolve("shop", "generated", PACKS) == ("generated", None)
    assert resolve("shop", "official:full", PACKS) == ("official", tmp_path / "shop" / "full")
    assert resolve("shop", str(tmp_path), PACKS) == ("given", tmp_path)
    with pytest.raises(DataError, match="run `sad-data fetch shop`"):
        resolve("shop", "official", PACKS)
    with pytest.raises(ConfigError, match="known: small, full"):
        resolve("shop", "official:huge", PACKS)
    for nowhere in (str(tmp_path / "nowhere"), "x" * 5000):
        with pytest.raises(DataError, match="no folder"):
            resolve("shop", nowhere, PACKS)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("old")

    def write() -> None:
        with atomic_text(path) as file:
            file.write("half")  # type: ignore[arg-type]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_an_atomic_write_replaces_and_carries_surrogates(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.txt"
    with atomic_text(path) as file:
        file.write("a\ud800b")  # type: ignore[arg-type]
    assert path.read_text() == "a\\ud800b"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "\0"])
def test_a_path_cannot_leave_its_root(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError):
        below(tmp_path, name)


def test_a_link_cannot_leave_its_root(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    with pytest.raises(DataError, match="leads outside"):
        below(tmp_path / "root", "link/secret")


@pytest.mark.parametrize("name", ["", ".hidden", "a b", "x" * 65, "é", "a/b", "a\n"])
def test_names_of_files_are_plain(name: str) -> None:
    with pytest.raises(ConfigError, match="use letters"):
        safe_name(name)


def test_two_cannot_hold_one_lock(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", "the run"), pytest.raises(ConfigError, match="another process is at work"):  # noqa: SIM117
        with exclusive(tmp_path / "lock", "the run"):
            pass
    with exclusive(tmp_path / "lock", "the run"):
        pass


@given(st.text(st.characters()))
def test_visible_text_holds_no_control_and_can_be_encoded(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert not any(0x202A <= ord(c) <= 0x202E or 0x2066 <= ord(c) <= 0x2069 for c in shown)
    assert visible(shown) == shown


@pytest.mark.parametrize("text", ["search[red shoes]", "[/REASON]", "[link=file:///etc/passwd]x[/link]", ":smile:"])
def test_bracketed_text_reaches_the_terminal_as_it_is(text: str) -> None:
    out = io.StringIO()
    one = console(out, width=200)
    one.print(safe_text(text))
    one.print(text)
    assert out.getvalue() == f"{text}\n{text}\n"


def test_escape_sequences_never_reach_the_terminal() -> None:
    out = io.StringIO()
    console(out).print(safe_text("\x1b]0;title\x07\x9b2J\x1bc"))
    assert not {"\x1b", "\x07", "\x9b"} & set(out.getvalue())


def test_one_line_is_one_short_line() -> None:
    assert one_line("a\n\tb" + "c" * 500, 10) == "a bcccccc…"


@dataclasses.dataclass(frozen=True)
class Settings:
    """An example."""

    env: str
    """World."""
    batch_size: int = 4
    """Rows."""


def test_flags_beat_the_file_and_the_file_beats_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('env = "toy"\nbatch-size = 8\n')
    assert cli.parse(Settings, ["--config", str(path)], prog="x") == Settings("toy", 8)
    assert cli.parse(Settings, ["--config", str(path), "--batch-size", "2"], prog="x") == Settings("toy", 2)
    assert cli.parse(Settings, ["--env", "toy"], prog="x") == Settings("toy", 4)


@pytest.mark.parametrize("line", ['batch_size = "4"', "batch_size = 2.5", "batch_size = true", "env = 5", "env = []"])
def test_a_value_of_another_kind_in_the_file_is_an_error(line: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f"{line}\n")
    with pytest.raises(ConfigError, match=rf"x\.toml: {line.split()[0]} = .* is not valid"):
        cli.parse(Settings, ["--config", str(path)], prog="x")


def test_every_command_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.parse(Settings, ["--version"], prog="x")
    assert end.value.code == 0
    assert capsys.readouterr().out == f"x {importlib.metadata.version('sad-env')}\n"
    commands = [one for one in importlib.metadata.entry_points(group="console_scripts") if one.name.startswith("sad-")]
    assert len(commands) >= 6
    for command in commands:
        with contextlib.suppress(SystemExit):
            assert command.load()(["--version"]) == 0
        assert capsys.readouterr().out == f"{command.name} {importlib.metadata.version('sad-env')}\n"


def test_a_file_may_leave_a_required_setting_to_the_flags(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("batch_size = 8\n")
    assert cli.parse(Settings, [f"--config={path}", "--env", "a"], prog="x") == Settings("a", 8)


def test_an_unknown_key_in_the_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("bach_size = 8\n")
    with pytest.raises(UnknownNameError, match="did you mean 'batch_size'"):
        cli.parse(Settings, ["--config", str(path)], prog="x")


@pytest.mark.parametrize("content", [b"a = [", b"\xff"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not TOML"):
        config_files.read_toml(path)


def test_a_command_ends_with_one_safe_line_and_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise DataError("bad \x1b[2J\nfile")

    def interrupted() -> int:
        raise KeyboardInterrupt

    assert cli.run("sad-x", fail) == 5
    assert capsys.readouterr().err == "sad-x: bad ␛[2J file\n"
    assert cli.run("sad-x", interrupted) == 130
    assert cli.run("sad-x", lambda: None) == 0
