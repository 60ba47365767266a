"""Makes the pictures in ``docs/`` anew: ``python -m benchmarks.pictures SONG CLIP FOLDER...``.

Scans the folders into a database of its own, writes the page and takes its picture in light and
in dark, and draws what ``tagger inspect`` shows of a whole song and of a clip.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.browser.conftest import ARGUMENTS, CHROMIUM_NAMES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DOCS = Path(__file__).resolve().parents[1] / "docs"
COLOURS = 128  # enough for charts; keeps each picture under 200 KB


def tagger(*arguments: object) -> None:
    """Run the command line; files that fail are part of the picture."""
    subprocess.run([sys.executable, "-m", "tagger", *map(str, arguments)], check=False)


def take(browser: Browser, page_path: Path, scheme: Literal["light", "dark"]) -> None:
    """Take the page's overview in light, and its table with an open track in dark."""
    page = browser.new_page(viewport={"width": 1180, "height": 1270}, color_scheme=scheme)
    page.goto(page_path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    if scheme == "dark":
        page.locator("th[data-key=seconds] button").dblclick()
        page.locator(".track").nth(3).click()
        page.locator("#table").evaluate("section => section.scrollIntoView()")
        page.wait_for_timeout(1000)  # the scrolling is smooth
    picture = DOCS / f"page-{scheme}.png"
    page.screenshot(path=picture)
    page.close()
    shrink(picture)


def shrink(picture: Path, width: int | None = None) -> None:
    """Reduce a picture's colours, and its width if asked."""
    from PIL import Image

    with Image.open(picture) as image:
        small = image.convert("RGB")
    if width is not None:
        small = small.resize((width, round(small.height * width / small.width)))
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


def main() -> None:
    """Make them all."""
    from playwright.sync_api import sync_playwright

    song, clip, *folders = sys.argv[1:]
    executable = next(filter(None, map(shutil.which, CHROMIUM_NAMES)))
    with tempfile.TemporaryDirectory() as folder:
        database, page = Path(folder) / "a.db", Path(folder) / "library.html"
        tagger("scan", *folders, "--db", database)
        tagger("report", "--format", "html", "-o", page, "--db", database)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
            take(browser, page, "light")
            take(browser, page, "dark")
            browser.close()
    for track, name in ((song, "inspect-song.png"), (clip, "inspect-clip.png")):
        tagger("inspect", track, "-o", DOCS / name)
        shrink(DOCS / name, width=880)


if __name__ == "__main__":
    main()
