"""The page of runs in a real browser, and axe-core on the pages that people read.

axe-core lies beside this file: `npm install --prefix tests/eval/report axe-core`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sad_distill.training.page import TrainingPage
from sad_eval.commands.evaluate import main
from sad_eval.report.html import render_html
from sad_eval.runs.run_folder import RunFolder
from sad_leaderboard.add import add
from sad_leaderboard.command import main as leaderboard

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """Chromium that logs its console and its requests."""
    webdriver = pytest.importorskip("selenium.webdriver")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser, service = next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")
    if browser is None or service is None:
        pytest.skip("no chromium or no chromedriver found")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(service))
    made.implicitly_wait(3)
    yield made
    made.quit()


def resize(driver: Any, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def go(driver: Any, page: Path, place: str = "") -> None:
    """Open a page at a place and wait until its script has shown it."""
    driver.get("about:blank")
    driver.get(page.as_uri() + place)
    wait = "const done = arguments[0]; const look = () => document.body.dataset.ready ? done() : setTimeout(look, 20);"
    if driver.execute_script("return document.getElementById('index') !== null"):
        driver.execute_async_script(f"{wait} look()")


def settle(driver: Any) -> None:
    """Wait until the page shows the place that its address names."""
    ready = "document.body.dataset.place === undefined || document.body.dataset.place === location.hash"
    driver.execute_async_script(f"const d = arguments[0], look = () => ({ready}) ? d() : setTimeout(look, 10); look()")


def searched(driver: Any) -> None:
    """Wait until the texts of a run have been searched."""
    ready = "document.querySelector('.bar-line output').textContent.includes('by their texts')"
    driver.execute_async_script(f"const d = arguments[0], look = () => ({ready}) ? d() : setTimeout(look, 10); look()")


def texts(driver: Any, selector: str) -> list[str]:
    found = driver.find_elements("css selector", selector)
    return [one.text for one in found if one.is_displayed()]


def click(driver: Any, selector: str, text: str = "") -> None:
    for one in driver.find_elements("css selector", selector):
        if one.is_displayed() and text in one.text:
            one.click()
            settle(driver)
            return
    raise AssertionError(f"nothing to click: {selector} {text!r}")


def choose(driver: Any, selector: str, text: str) -> None:
    """Choose the option of a list that has the text."""
    for one in driver.find_elements("css selector", f"{selector} option"):
        if text in one.text:
            one.click()
            settle(driver)
            return
    raise AssertionError(f"no option {text!r} in {selector}")


def asked(driver: Any) -> set[str]:
    """Addresses that were requested since the last call, and what the console says."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = {one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"}
    said = {entry["message"] for entry in driver.get_log("browser")}
    return {url for url in urls if not url.startswith(("file:", "about:", "data:"))} | said


@pytest.fixture(scope="module")
def folder(toy_run: Callable[..., RunFolder], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("viewed")
    for name, run in (("good", toy_run()), ("poor", toy_run("random")), ("other", toy_run("random", "--seed", "1"))):
        shutil.copytree(run.path, root / name)
    (root / "train").mkdir()
    lines = [json.dumps({"step": n, "loss": 1 / (1 + n), "act_nll": 2.0, "seconds": n}) for n in range(50)]
    (root / "train" / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    TrainingPage(root / "train", {"steps": 100, "student": "nano-2m"}).write()
    assert main(["view", str(root)]) == 0
    return root


def test_runs_are_filtered_and_sorted(driver: Any, folder: Path) -> None:
    go(driver, folder / "view.html")
    names = "table.filtered tbody th"
    assert sorted(texts(driver, names)) == ["good", "other", "poor"]
    driver.find_element("css selector", "#words").send_keys("expert")
    assert texts(driver, names) == ["good"]
    driver.find_element("css selector", "#words").clear()
    driver.find_element("css selector", "#words").send_keys(" ")
    click(driver, "table.filtered button.sort", "success")
    click(driver, "table.filtered button.sort", "success")
    assert texts(driver, names)[0] == "good"
    assert driver.find_element("css selector", "[aria-sort]").get_attribute("aria-sort") == "descending"
    assert asked(driver) == set()


def test_a_run_an_episode_and_two_agents_beside_each_other(driver: Any, folder: Path) -> None:
    go(driver, folder / "view.html")
    click(driver, "table.filtered a", "good")
    assert texts(driver, "#shown h2") == ["expert on toy"]
    assert len(texts(driver, "#episodes tbody tr")) == 12
    choose(driver, "#episode-kind", "failed")
    assert texts(driver, "#episodes tbody tr") == []
    choose(driver, "#episode-kind", "all")
    click(driver, "#episodes tbody a")
    assert {"R", "A", "O"} <= set(texts(driver, ".letter"))
    assert texts(driver, ".span.R")[0].startswith("R\nReasoning:") or texts(driver, ".span.R")[0].startswith(
        "RReasoning:"
    )
    assert texts(driver, ".known")[0].startswith("What the world knows: These actions solve it:")
    assert "admissible action" in texts(driver, ".step summary")[0]
    click(driver, "#raw")
    assert texts(driver, ".step pre")[0].startswith("Reasoning:")
    choose(driver, "#other", "poor")
    assert [text.split("\n")[0] for text in texts(driver, ".who")] == ["good", "poor"]
    left, right = (driver.find_element("css selector", f".who.{side}").rect["x"] for side in ("first", "second"))
    assert right > left + 200
    click(driver, ".bar-line a", "compare the runs")
    assert any("p = " in text for text in texts(driver, "#shown p"))
    assert any(text.startswith("success rate") for text in texts(driver, "#shown tbody tr"))
    assert asked(driver) == set()


def test_texts_of_a_run_are_searched(driver: Any, folder: Path) -> None:
    go(driver, folder / "view.html")
    click(driver, "table.filtered a", "good")
    box = driver.find_element("css selector", "#episode-words")
    box.send_keys("no such words anywhere\n")
    searched(driver)
    assert texts(driver, ".bar-line output") == ["0 of 12 by their texts"]
    box.clear()
    box.send_keys("reasoning:\n")
    searched(driver)
    assert texts(driver, ".bar-line output") == ["12 of 12 by their texts"]


@pytest.mark.parametrize(
    "place", ["", "#/run/0", "#/run/0/1", "#/pair/0/0/1/0", "#/compare/0/1", "#/run/99", "#/pair/0/0/x"]
)
def test_every_place_fits_a_phone(driver: Any, folder: Path, place: str) -> None:
    resize(driver, 390)
    go(driver, folder / "view.html", place)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
    assert asked(driver) == set()
    resize(driver, 1280)


@pytest.fixture(scope="module")
def pages(folder: Path, toy_run: Callable[..., RunFolder]) -> dict[str, tuple[Path, str]]:
    runs = [toy_run(), toy_run("random", repeats=2)]
    report = folder / "report.html"
    report.write_text("".join(render_html(runs)), encoding="utf-8")
    for run in runs:
        add(run, folder / "entries", run.path.name, title=run.path.name, submitter="tests", submitted="2026-01-01")
    assert leaderboard(["build", "--root", str(folder / "entries"), "--out", str(folder / "board")]) == 0
    places = {
        "view": "",
        "run": "#/run/0",
        "episode": "#/run/0/1",
        "pair": "#/pair/0/0/1/0",
        "compare": "#/compare/0/1",
    }
    return {
        "report": (report, ""),
        "board": (folder / "board" / "board.html", ""),
        "training": (folder / "train" / "training.html", ""),
        **{name: (folder / "view.html", place) for name, place in places.items()},
    }


@pytest.mark.parametrize("name", ["report", "board", "training", "view", "run", "episode", "pair", "compare"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_serious_fault(driver: Any, pages: dict[str, tuple[Path, str]], name: str, width: int) -> None:
    if not AXE.exists():
        pytest.skip("no axe-core: npm install --prefix tests/eval/report axe-core")
    resize(driver, width)
    go(driver, *pages[name])
    for details in driver.find_elements("css selector", "details"):
        driver.execute_script("arguments[0].open = true", details)
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    found = driver.execute_async_script("axe.run().then(arguments[0])")
    serious = [
        (one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"][:200])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert len(found["passes"]) > 10
    assert asked(driver) == set()
    resize(driver, 1280)
