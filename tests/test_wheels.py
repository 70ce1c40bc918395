"""Both distributions, built and installed as users get them: what each can do from another folder, and what it says."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import sad_env
from sad_env.tables import read_toml

sys.path.insert(0, str(Path(__file__).parent))
from test_readme import commands

ROOT = Path(__file__).resolve().parents[1]
STUDENT = ROOT / "agents" / "sad_agents" / "students" / "webshop.pt"


def run(command: str, folder: Path, installed: Path) -> subprocess.CompletedProcess[str]:
    """A command of an environment, as somebody types it in another folder; nothing of this checkout is on its path."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SAD_ENV_TEST_DATA")}
    settings = {
        "PATH": f"{installed / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "SAD_ENV_DATA": str(folder / "data"),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "100",
    }
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=kept | settings, capture_output=True, text=True, timeout=600
    )


def pip(installed: Path, *words: str, **settings: str) -> str:
    done = subprocess.run(
        [str(installed / "bin" / "python"), "-m", "pip", *words],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | settings,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, as `make wheels` makes them."""
    folder = tmp_path_factory.mktemp("dist")
    recipe = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "pip wheel" in line)
    words = recipe.partition("pip wheel")[2].replace("--wheel-dir dist", f"--wheel-dir {folder}").split()
    pip(Path(sys.prefix), "wheel", *words, SAD_ENV_RELEASE="1", SAD_ENV_REPOSITORY="git@github.com:someone/sad-env.git")
    return folder


@pytest.fixture(scope="module")
def core(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with sad-env-core and what it needs."""
    folder = tmp_path_factory.mktemp("core") / "venv"
    venv.create(folder, with_pip=True)
    pip(folder, "install", *map(str, wheels.glob("sad_env_core-*.whl")))
    return folder


@pytest.fixture(scope="module")
def both(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with both; torch and the rest are those of this one, for they are large."""
    folder = tmp_path_factory.mktemp("both") / "venv"
    venv.create(folder, with_pip=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    # A folder that a .pth file names is searched, but the .pth files in it, such as this checkout's, are not read.
    (site / "torch_and_others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    pip(folder, "install", "--no-deps", *map(str, wheels.glob("*.whl")))
    return folder


def test_the_halves_agree() -> None:
    full, core = (read_toml(ROOT / folder / "pyproject.toml") for folder in (".", "packaging/core"))
    for key in ("requires-python", "license", "authors"):
        assert full["project"][key] == core["project"][key]
    versions = [
        (ROOT / folder / half["tool"]["hatch"]["version"]["path"]).resolve()
        for folder, half in ((".", full), ("packaging/core", core))
    ]
    assert versions == [ROOT / "sad_env" / "__init__.py"] * 2
    # What the whole passes on is there to be passed on, and no need is stated twice.
    extras = [need for needs in full["project"]["optional-dependencies"].values() for need in needs]
    passed_on = {need[len("sad-env-core[") : -1] for need in extras if need.startswith("sad-env-core[")}
    assert passed_on == set(core["project"]["optional-dependencies"])
    needs = full["tool"]["hatch"]["metadata"]["hooks"]["custom"]["dependencies"]
    assert not {name(need) for need in needs} & {name(need) for need in core["project"]["dependencies"]}
    assert {"torch", "transformers", "tokenizers", "safetensors"} == {name(need) for need in needs}


def name(need: str) -> str:
    """Of the distribution that a requirement is for."""
    return re.split(r"[^\w-]", need)[0]


@pytest.mark.slow
def test_the_wheels_hold_everything_once(wheels: Path) -> None:
    found = {path.name.partition("-")[0]: path for path in wheels.iterdir()}
    assert set(found) == {"sad_env", "sad_env_core"}
    names = {}
    for half, path in found.items():
        with zipfile.ZipFile(path) as opened:
            names[half] = {one for one in opened.namelist() if ".dist-info" not in one}
    assert not names["sad_env"] & names["sad_env_core"]
    with zipfile.ZipFile(found["sad_env"]) as opened:
        told = opened.read(f"sad_env-{sad_env.__version__}.dist-info/METADATA").decode()
    assert f"Requires-Dist: sad-env-core=={sad_env.__version__}\n" in told
    assert {one.partition("/")[0] for one in names["sad_env"]} == {"sad_distill"}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    packages = ("sad_env/", "agents/", "distill/", "eval/", "leaderboard/sad_leaderboard/")
    due = {
        line.partition("/")[2] if not line.startswith("sad_env/") else line
        for line in tracked.splitlines()
        if line.startswith(packages)
    }
    assert names["sad_env"] | names["sad_env_core"] == due


@pytest.mark.slow
def test_what_an_index_shows_leads_to_the_published_repository(wheels: Path) -> None:
    with zipfile.ZipFile(next(wheels.glob("sad_env-*.whl"))) as opened:
        told = opened.read(f"sad_env-{sad_env.__version__}.dist-info/METADATA").decode()
    assert "Project-URL: Source, https://github.com/someone/sad-env\n" in told
    links = re.findall(r"\]\(([^)\s]+)\)", told)
    assert len(links) > 10
    there = "https://github.com/someone/sad-env/"
    for link in links:
        assert link.startswith("https://")
        if link.startswith(there):
            kind, head, path = link.removeprefix(there).partition("#")[0].split("/", 2)
            assert kind in ("raw", "blob")
            assert head == "HEAD"
            assert (ROOT / path).exists(), path
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", told)
    assert len(pictures) >= 5
    assert all(link.startswith(f"{there}raw/HEAD/docs/") for link in pictures)


@pytest.mark.slow
def test_the_core_is_light_and_plays(core: Path, tmp_path: Path) -> None:
    size = sum(path.stat().st_size for path in core.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < 250e6
    assert "torch" not in pip(core, "list")
    for command in (
        "sad-eval doctor",
        "sad-eval ls",
        "sad-eval --agent expert --env hotpotqa --episodes 10 --out runs/expert",
        "sad-eval --agent random --env hotpotqa --episodes 10 --out runs/random",
        "sad-eval compare runs/expert runs/random --reference runs/expert",
        "sad-play runs/expert --plain --episodes 1",
        "sad-eval report runs/expert runs/random --html report.html",
        "sad-leaderboard add runs/expert --title Expert --submitter me --root entries",
        "sad-leaderboard verify --root entries --level replayed",
        "sad-leaderboard build --root entries --out board --level replayed",
        "sad-collect --env alfworld --episodes 5 --out expert.jsonl",
        "sad-collect export expert.jsonl --to messages --out chats.jsonl",
        "sad-data generate alfworld --split valid_seen --count 2 --out games",
        "python -c 'import sad_env, sys; assert \"torch\" not in sys.modules; print(sad_env.__file__)'",
    ):
        done = run(command, tmp_path, core)
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.stdout.startswith(str(core))


OLDEST = (3, 10)


def interpreters() -> dict[tuple[int, int], str]:
    """Pythons of this machine that the packages are for, by version: those on the path, and pyenv's."""
    names = [f"python3.{minor}" for minor in range(OLDEST[1], 20)]
    places = [*filter(None, map(shutil.which, names)), sys.executable]
    places += [str(path) for path in Path.home().glob(".pyenv/versions/*/bin/python")]
    found: dict[tuple[int, int], str] = {}
    for place in places:
        told = subprocess.run([place, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
        if told.returncode == 0 and (version := tuple(map(int, told.stdout.split()))) >= OLDEST:
            found.setdefault((version[0], version[1]), place)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_the_wheels_work_on_the_oldest_and_the_newest_python(which: str, wheels: Path, tmp_path: Path) -> None:
    """The core installed and used from another folder; of the other half, whose torch is large, that it compiles."""
    found = interpreters()
    version = OLDEST if which == "oldest" else max(found)
    if version not in found:
        pytest.skip("no Python 3.10 found")
    folder = tmp_path / "venv"
    subprocess.run([found[version], "-m", "venv", str(folder)], check=True)
    pip(folder, "install", "--quiet", *map(str, wheels.glob("sad_env_core-*.whl")))
    other = tmp_path / "other"
    other.mkdir()
    with zipfile.ZipFile(next(wheels.glob("sad_env-*.whl"))) as opened:
        opened.extractall(other / "unpacked")
    for command in (
        f"python -c 'import sys, sad_env; assert sys.version_info[:2] == {version}; print(sad_env.__file__)'",
        "python -W error -m compileall -q unpacked",
        "sad-eval doctor",
        "sad-eval --agent expert --env hotpotqa --episodes 4 --out runs/expert",
        "sad-eval --agent random --env webshop --episodes 2 --out runs/random",
        "sad-play runs/expert --plain --episodes 1",
        "sad-eval report runs/expert --html report.html",
        "sad-eval view runs",
        "sad-leaderboard add runs/expert --title Expert --submitter me --root entries",
        "sad-leaderboard build --root entries --out board --level replayed",
        "sad-collect --env alfworld --episodes 3 --out expert.jsonl",
    ):
        done = run(command, other, folder)
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.slow
def test_what_the_core_leaves_out_says_what_to_install(core: Path, tmp_path: Path) -> None:
    shutil.copy(STUDENT, tmp_path / "student.pt")
    assert run("sad-collect --env toy --episodes 2 --out toy.jsonl", tmp_path, core).returncode == 0
    assert "pip install sad-env" in run("sad-eval doctor", tmp_path, core).stdout
    for command, advice in (
        ("sad-eval --agent nano --env webshop --episodes 2", "pip install sad-env"),
        ("sad-eval --agent student.pt --env webshop --episodes 2", "pip install sad-env"),
        ("sad-eval --agent hf:gpt2 --env webshop --episodes 2", "pip install sad-env"),
        ("sad-eval --agent expert --env webshop --episodes 2 --tokenizer tokenizer.json", "pip install sad-env"),
        ("sad-eval --agent expert --env webshop --episodes 2 --backend ray", "'sad-env-core[ray]'"),
        ("sad-eval --agent expert --env alfworld --episodes 2 --options backend=textworld", "'sad-env-core[alfworld]'"),
        ("sad-eval doctor student.pt", "pip install sad-env"),
        ("sad-collect --agent student.pt --env webshop --episodes 2 --out x.jsonl", "pip install sad-env"),
        ("sad-collect select toy.jsonl --useful-thoughts student.pt --out x.jsonl", "pip install sad-env"),
        ("sad-collect export toy.jsonl --to parquet --out x", "'sad-env-core[parquet]'"),
        ("sad-collect export toy.jsonl --to inspect --out x.eval", "pip install inspect-ai"),
        ("sad-serve --env toy", "'sad-env-core[openenv]'"),
        ("sad-distill --help", "pip install sad-env"),
        ("sad-distill --trajectories toy.jsonl", "pip install sad-env"),
        ("sad-study demo", "pip install sad-env"),
    ):
        done = run(command, tmp_path, core)
        assert done.returncode == 2, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert len(done.stderr.splitlines()) == 1, f"$ {command}\n{done.stderr[-2000:]}"
        assert advice in done.stderr, f"$ {command}\n{done.stderr[-2000:]}"


@pytest.mark.slow
def test_the_readmes_commands_work_as_printed(both: Path, tmp_path: Path) -> None:
    found = commands()
    assert len(found) >= 10
    where = run(
        "python -c 'import sad_env, sad_distill; print(sad_env.__file__, sad_distill.__file__)'", tmp_path, both
    )
    assert where.stdout.count(str(both)) == 2
    for command in found:
        done = run(command, tmp_path, both)
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_what_is_installed_here_is_this_version() -> None:
    assert importlib.metadata.version("sad-env") == sad_env.__version__
