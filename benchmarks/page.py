"""How large and how quick the page is: ``python -m benchmarks.page [ROWS ...]``.

Writes a page of made-up tracks for each number of rows (1,000 and 50,000 unless told), opens it
in headless Chromium and prints a table. "Interactive" is from opening the page to where its
script has drawn the table and answers; a keystroke is timed from the event to the next frame
after the table was drawn again.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.library.store import Store
from tagger.report.page import render_page
from tests.browser.conftest import ARGUMENTS, CHROMIUM_NAMES
from tests.report.library import plain_tracks, write_database

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SEARCHES = ("album 12 song", "artist 900", "zzz")

# Types into the search box as a person does, one letter at a time; milliseconds of each.
TYPE = """async (text) => {
    const box = document.getElementById("search");
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    const taken = [];
    for (let length = 1; length <= text.length; length++) {
        await frame();
        const began = performance.now();
        box.value = text.slice(0, length);
        box.dispatchEvent(new InputEvent("input", {bubbles: true}));
        document.body.offsetHeight;
        taken.push(performance.now() - began);
        await frame();
    }
    return taken;
}"""
CLICK = """(selector) => {
    const began = performance.now();
    document.querySelector(selector).click();
    document.body.offsetHeight;
    return performance.now() - began;
}"""


def make_page(rows: int, folder: Path) -> tuple[Path, float]:
    """Return a page of made-up tracks, and the seconds that rendering took."""
    database = write_database(folder / f"{rows}.db", plain_tracks(rows))
    with Store(database) as store:
        began = time.perf_counter()
        text = render_page(store.rows(), store.genres(), store.models())
        seconds = time.perf_counter() - began
    path = folder / f"{rows}.html"
    path.write_text(text, "utf-8")
    return path, seconds


def open_page(browser: Browser, path: Path) -> tuple[Page, float]:
    """Return the open page, and the seconds until it was interactive."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    began = time.perf_counter()
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector("html[data-ready]", state="attached")
    page.locator("#next").click()
    return page, time.perf_counter() - began


def measure(browser: Browser, rows: int, folder: Path) -> str:
    """Return a line of the table."""
    path, rendered = make_page(rows, folder)
    page, interactive = open_page(browser, path)
    at_once = max(page.evaluate(TYPE, "s"))
    page.wait_for_timeout(1000)
    keystrokes = [taken for text in SEARCHES for taken in page.evaluate(TYPE, text)]
    page.locator("button[type=reset]").click()
    heads = [f"th[data-key={key}] button" for key in ("title", "confidence")]
    sort = max(page.evaluate(CLICK, head) for head in heads)
    turn = max(page.evaluate(CLICK, "#next") for _ in range(5))
    opened = page.evaluate(CLICK, ".track")
    page.close()
    return (
        f"{rows:>7,} {path.stat().st_size / 1e6:>7.2f} {rendered:>9.2f} {interactive:>13.2f}"
        f" {at_once:>9.0f} {statistics.median(keystrokes):>10.0f} {max(keystrokes):>8.0f}"
        f" {sort:>6.0f} {turn:>6.0f} {opened:>6.0f}"
    )


def main() -> None:
    """Print the table."""
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    print(
        f"{'rows':>7} {'MB':>7} {'render/s':>9} {'interactive/s':>13} {'first/ms':>9}"
        f" {'key/ms':>10} {'worst/ms':>8} {'sort':>6} {'page':>6} {'open':>6}"
    )
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        for rows in [int(text) for text in sys.argv[1:]] or [1_000, 50_000]:
            print(measure(browser, rows, Path(folder)), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
