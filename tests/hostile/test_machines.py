"""Machines as they are: terminals that are not UTF-8, no home folder, full disks, other systems."""

from __future__ import annotations

import importlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sad_env.data import data_root
from sad_env.errors import ConfigError
from sad_env.files import exclusive, write_text
from sad_env.json_lines import JsonLinesWriter

# Many programs are started: with the other slow tests.
pytestmark = pytest.mark.slow


COMMANDS = {
    "sad-data": "sad_env.data_command",
    "sad-collect": "sad_agents.collect_command",
    "sad-distill": "sad_distill.commands.main",
    "sad-eval": "sad_eval.commands.evaluate",
    "sad-play": "sad_eval.commands.play",
    "sad-study": "sad_eval.study.command",
    "sad-leaderboard": "sad_leaderboard.command",
}
TOY = ("--env", "toy", "--agent", "expert", "--episodes", "2", "--workers", "0")


def run(
    command: str, *words: str, before: str = "", cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    code = f"import sys; {before}\nfrom {COMMANDS[command]} import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("cp1252", marks=pytest.mark.slow), "cp932"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_printed_in_any_encoding(command: str, encoding: str) -> None:
    done = run(command, "--help", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert command.encode() in done.stdout or b"usage" in done.stdout


@pytest.mark.parametrize("columns", [1, 20, 43])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_printed_in_any_width(
    command: str, columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    main = importlib.import_module(COMMANDS[command]).main
    with pytest.raises(SystemExit) as ended:
        main(["add", "--help"] if command == "sad-leaderboard" else ["--help"])
    assert ended.value.code == 0
    assert "usage" in capsys.readouterr().out


@pytest.mark.parametrize("stream", [0, 1, 2])
@pytest.mark.parametrize("words", [("sad-eval", *TOY), ("sad-collect", *TOY)])
def test_a_closed_standard_stream_is_an_empty_one(words: tuple[str, ...], stream: int, tmp_path: Path) -> None:
    """What is opened next had its number: with standard output closed, that was the lock of the run."""
    code = f"import os, sys; os.close({stream}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    flags = ("-m", COMMANDS[words[0]], *words[1:], "--out", "kept")
    done = subprocess.run(
        [sys.executable, "-c", code, *flags], capture_output=True, cwd=tmp_path, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert all(path.stat().st_size == 0 for path in tmp_path.rglob("*.lock"))


@pytest.mark.parametrize("words", [("ls",), ("--out", "run", *TOY)])
def test_a_reader_that_has_seen_enough_is_no_failure(words: tuple[str, ...], tmp_path: Path) -> None:
    code = "import sys; from sad_eval.commands.evaluate import main; sys.exit(main(sys.argv[1:]))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("--out", "run"), ("ls",)])
def test_an_evaluation_is_printed_in_ascii(words: tuple[str, ...], tmp_path: Path) -> None:
    flags = TOY if words[0].startswith("-") else ()
    done = run("sad-eval", *words, *flags, cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    done.stdout.decode("ascii")


def test_no_home_folder_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("SAD_ENV_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(ConfigError, match="set HOME, or SAD_ENV_DATA"):
        data_root()


FULL = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
FULL += "resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0}))"


@pytest.mark.parametrize(("command", "size"), [("sad-eval", 0), ("sad-eval", 4000), ("sad-collect", 300)])
def test_a_full_disk_is_one_line_with_the_files_name(command: str, size: int, tmp_path: Path) -> None:
    done = run(command, *TOY, "--out", "kept", before=FULL.format(size), cwd=tmp_path)
    assert done.returncode == (3 if size == 4000 else 2)  # an evaluation that had begun owes the rest
    (said,) = [line for line in done.stderr.decode().splitlines() if line.startswith(f"{command}: cannot ")]
    assert "kept" in said
    assert b"Traceback" not in done.stderr
    assert run(command, *TOY, "--out", "kept", "--quiet", cwd=tmp_path).returncode == 0


def test_a_full_standard_output_is_one_line(tmp_path: Path) -> None:
    code = "import sys; from sad_eval.commands.evaluate import main; sys.exit(main(['ls']))"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == [
        "sad-eval ls: cannot write standard output or a file: No space left on device"
    ]


def test_a_failed_write_names_its_file_and_keeps_what_was_there(tmp_path: Path) -> None:
    import signal

    path, lines = tmp_path / "x.txt", tmp_path / "x.jsonl"
    write_text(path, "before")
    with JsonLinesWriter(lines) as out:
        out.append('"first"')
    old, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, old[1]))
    try:
        with pytest.raises(OSError, match=r"x\.txt"):
            write_text(path, "after" * 100)
        with JsonLinesWriter(lines) as out, pytest.raises(OSError, match=r"x\.jsonl"):
            out.append('"second"')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "before"
    assert lines.read_text() == '"first"\n'
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x.jsonl", "x.txt"]


def test_a_lock_is_free_once_its_process_is_killed(tmp_path: Path) -> None:
    code = "import sys, time; from sad_env.files import exclusive\nwith exclusive(sys.argv[1], 'it'):\n"
    code += "    print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(ConfigError, match="another process is at work on it"), exclusive(tmp_path / "lock", "it"):
        pass
    holder.kill()
    holder.communicate()
    with exclusive(tmp_path / "lock", "it"):
        pass


def test_modules_can_be_imported_where_there_is_no_fcntl() -> None:
    code = (
        "import sys; sys.modules['fcntl'] = None; import sad_env.files, sad_env.json_lines, sad_env.data, sad_env.http"
    )
    # filelock itself falls back on another kind of lock there.
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 always imports from the current folder there")
def test_workers_run_no_module_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sad_eval.commands.evaluate import main

    for name in ("json", "random", "toy", "typing"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    assert main([*TOY[:-1], "1", "--out", "run", "--quiet"]) == 0
