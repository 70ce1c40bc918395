"""The shape of the code: no circle of files, files and functions of a readable size, one class to a name."""

from __future__ import annotations

import ast
import collections
import functools
import runpy
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "sad_env": ROOT / "sad_env",
    "sad_agents": ROOT / "agents" / "sad_agents",
    "sad_distill": ROOT / "distill" / "sad_distill",
    "sad_eval": ROOT / "eval" / "sad_eval",
    "sad_leaderboard": ROOT / "leaderboard" / "sad_leaderboard",
}
LONGEST_FILE, MEDIAN_FILE, LONGEST_FUNCTION = 400, 130, 40

# What is still too long, or has the name of another class. Nothing may be added; an entry goes when its cause does.
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
SHARED_NAMES: set[str] = set()


@functools.cache
def modules() -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return found


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(name: str) -> Iterator[str]:
    """Modules of ours that a module imports anywhere, also in functions and for the type checker alone.

    Those are counted too: a reader who follows the code goes the same way round.
    """
    for node in ast.walk(tree(modules()[name])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules())
        elif isinstance(node, ast.ImportFrom) and node.module in modules():
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else str(node.module)


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one node (Tarjan 1972), or a node that points to itself."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = [stack.pop()]
            while component[-1] != node:
                component.append(stack.pop())
            if len(component) > 1 or node in arrows.get(node, ()):
                found.append(sorted(component))

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "e": {"e"}}) == [["b", "c"], ["e"]]


def test_no_files_import_one_another_in_a_circle() -> None:
    arrows = {name: set(imported(name)) for name in modules()}
    assert sum(map(len, arrows.values())) > 500
    assert circles(arrows) == []


def test_files_are_short() -> None:
    files = [*modules().values(), *ROOT.glob("benchmarks/*.py"), *ROOT.glob("docs/*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert len(lengths) > 200
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE and path not in LONG_FILES} == {}
    assert statistics.median(lengths.values()) < MEDIAN_FILE


def test_functions_are_short() -> None:
    long = {
        f"{name}.{node.name}": length
        for name, path in modules().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (length := body_lines(node)) >= LONGEST_FUNCTION
    }
    assert {name: length for name, length in long.items() if name not in LONG_FUNCTIONS} == {}


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's code, without its signature and its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_two_classes_share_a_name() -> None:
    places = collections.defaultdict(list)
    for name, path in modules().items():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name)
    shared = {name: where for name, where in places.items() if len(where) > 1 and name not in SHARED_NAMES}
    assert shared == {}


def test_make_bench_runs_every_benchmark() -> None:
    scripts = [path for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text(encoding="utf-8")]
    assert {path.stem for path in scripts} - {"all"} == set(runpy.run_path(str(ROOT / "benchmarks/all.py"))["SMALL"])
