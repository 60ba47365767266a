"""The page as a person uses it, in a real browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

from tests.browser.conftest import Visit
from tests.conftest import chord, run_cli, write_wav
from tests.report.library import (
    HOSTILE_NAMES,
    HOSTILE_TEXTS,
    failure,
    plain_tracks,
    track,
    write_database,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Scheme = Literal["light", "dark"]
TRACKS = 450
ROWS_PER_PAGE = 50


@pytest.fixture(scope="module")
def library_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a library with every kind of file."""
    folder = tmp_path_factory.mktemp("page")
    results = [
        *plain_tracks(TRACKS),
        track(3, "/music/copy.flac", title="A copy"),
        track(TRACKS + 1, "/music/Björk/Jóga.flac", title="Jóga", artist="Björk"),
        failure("/music/broken.mp3", "not an audio file: web page"),
        failure("/music/silence.wav", "silence", "skipped"),
    ]
    database = write_database(folder / "a.db", results)
    page = folder / "library.html"
    assert run_cli("report", "--db", database, "--format", "html", "-o", page).exit_code == 0
    return page


def column(page: Page, number: int) -> list[str]:
    """Return the texts of a column of the rows that are shown."""
    return page.locator(f"#body > tr > td:nth-child({number})").all_inner_texts()


def found(page: Page) -> str:
    return page.locator("#found").inner_text()


def test_nothing_is_loaded_from_elsewhere(visit: Visit, library_page: Path) -> None:
    page = visit.open(library_page)
    page.locator(".track").first.click()
    assert visit.requests == [library_page.as_uri()]


def test_search_takes_every_word_in_any_case_and_accent(visit: Visit, library_page: Path) -> None:
    page = visit.open(library_page)
    assert found(page) == f"{TRACKS + 4} tracks, page 1 of 10"
    page.locator("#search").press_sequentially("ARTIST song 44")
    assert found(page) == f"14 of {TRACKS + 4} tracks"
    numbers = (44, 144, 244, 344, *range(440, 450))
    assert set(column(page, 1)) == {f"Song {n}" for n in numbers}
    page.locator("#search").fill("bjork joga")
    assert column(page, 1) == ["Jóga"]
    page.locator("#search").fill("no such thing")
    assert found(page) == f"0 of {TRACKS + 4} tracks"


def test_columns_sort_both_ways_and_what_is_unknown_comes_last(
    visit: Visit, library_page: Path
) -> None:
    page = visit.open(library_page)
    head = page.locator("th[data-key=confidence]")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    rising = [int(text.split()[-2]) for text in column(page, 5)]
    assert rising == sorted(rising)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    falling = [int(text.split()[-2]) for text in column(page, 5)]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] > rising[-1]
    page.locator("#last").click()
    assert column(page, 4)[-2:] == ["failed", "skipped"]
    page.locator("th[data-key=title] button").click()
    assert column(page, 1)[:4] == ["A copy", "broken.mp3", "Jóga", "silence.wav"]
    assert column(page, 1)[4:8] == ["Song 0", "Song 1", "Song 2", "Song 3"]  # by number


def test_paging(visit: Visit, library_page: Path) -> None:
    page = visit.open(library_page)
    seen = column(page, 1)
    while page.locator("#next").is_enabled():
        page.locator("#next").click()
        seen += column(page, 1)
    assert len(seen) == TRACKS + 4
    assert len(set(seen)) == TRACKS + 4
    assert "page 10 of 10" in found(page)
    page.locator("#page").fill("2")
    page.locator("#page").press("Enter")
    assert column(page, 1) == seen[ROWS_PER_PAGE : 2 * ROWS_PER_PAGE]
    page.locator("#first").click()
    assert page.locator("#previous").is_disabled()


def test_filters(visit: Visit, library_page: Path) -> None:
    page = visit.open(library_page)
    page.locator("#genre").select_option("jazz")
    assert {text.rstrip("?") for text in column(page, 4)} == {"Jazz"}
    page.locator("#low").fill("40")
    page.locator("#high").fill("60")
    shares = [int(text.split()[-2]) for text in column(page, 5)]
    assert shares
    assert all(40 <= share <= 60 for share in shares)
    page.locator("button[type=reset]").click()
    page.locator("#folder").fill("artist 7/")
    assert found(page) == f"30 of {TRACKS + 4} tracks"
    page.locator("button[type=reset]").click()
    page.locator("#status").select_option("disagrees")
    against = list(zip(column(page, 4), column(page, 6), strict=True))
    assert against
    assert not any(heard.rstrip("?").lower() in tag.lower() for heard, tag in against)
    page.locator("#status").select_option("copy")
    assert sorted(column(page, 1)) == ["A copy", "Song 3"]
    page.locator("#status").select_option("problem")
    assert column(page, 4) == ["failed", "skipped"]
    page.locator("#status").select_option("unsure")
    assert all(text.endswith("?") for text in column(page, 4))


def test_the_overview_leads_into_the_table(visit: Visit, library_page: Path) -> None:
    page = visit.open(library_page)
    page.locator("#problems button.find", has_text="web page").click()
    assert column(page, 1) == ["broken.mp3"]
    cell = page.locator(".matrix tbody tr", has_text="Hip Hop").locator("td button").first
    tracks = int(cell.inner_text())
    cell.click()
    assert found(page) == f"{tracks} of {TRACKS + 4} tracks"
    assert set(column(page, 6)) == {"Hip Hop"}


def test_a_track_opens_by_keyboard_and_shows_its_genres_over_time(
    visit: Visit, library_page: Path
) -> None:
    page = visit.open(library_page)
    page.keyboard.press("/")
    page.keyboard.type("Song 212")
    page.locator(".track").focus()
    page.keyboard.press("Enter")
    assert page.locator(".track").get_attribute("aria-expanded") == "true"
    expected = track(212, "x")
    slices = np.frombuffer(expected.slice_probabilities, np.uint8).reshape(10, -1) / 255
    genres = list(expected.probabilities)
    times = page.locator(".strip thead button").all_inner_texts()
    assert times[0] == "0:06"  # 12 s in ten parts, the first in the middle of its part
    assert len(times) == 10
    for number, genre in enumerate(genres):
        cells = page.locator(".strip tbody tr").nth(number).locator("td").all_inner_texts()
        shown = ["" if share < 0.05 else f"{100 * share:.0f}" for share in slices[:, number]]
        assert cells == shown, genre
    best = max(expected.probabilities, key=lambda genre: expected.probabilities[genre])
    row = page.locator(".more .chart tr").first
    assert row.locator("th").inner_text() == best.capitalize().replace("Hiphop", "Hip-Hop")
    assert row.locator("td").last.inner_text() == f"{100 * expected.probabilities[best]:.0f} %"
    page.locator(".track").press("Enter")
    assert page.locator(".more").count() == 0


def test_hostile_names_are_text_and_their_files_play(visit: Visit, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    paths = [os.fsdecode(os.fsencode(music) + b"/" + name) for name in HOSTILE_NAMES]
    for path in paths:
        write_wav(Path(path), chord(1.0))
    results = [
        track(number, path, title=None, artist=HOSTILE_TEXTS[number % 4],
              album=HOSTILE_TEXTS[(number + 1) % 4], existing_genre=HOSTILE_TEXTS[number % 4])
        for number, path in enumerate(paths)
    ]  # fmt: skip
    results += [failure(f"/x/{n}", text) for n, text in enumerate(HOSTILE_TEXTS)]
    database = write_database(tmp_path / "a.db", results)
    # Below the page's folder links are relative; from elsewhere they are whole addresses.
    for output in (tmp_path / "library.html", tmp_path / "elsewhere" / "library.html"):
        output.parent.mkdir(exist_ok=True)
        run_cli("report", "--db", database, "--format", "html", "-o", output)
        page = visit.open(output)
        shown = column(page, 1)
        assert "<script>window.hacked=1;.wav" in shown
        assert "<img src=x onerror=window.hacked=1>.wav" in shown
        assert "line\\nend.wav" in shown
        assert "latin-1 caf\\xe9.wav" in shown
        assert "\\u202egnp.wav" in shown
        assert page.evaluate("window.hacked") is None
        for button in page.locator(".track").all()[: len(paths)]:
            button.click()
        assert page.locator("audio").count() == len(paths)
        lengths = page.evaluate(
            """() => Promise.all(Array.from(document.querySelectorAll("audio"), (audio) =>
                new Promise((resolve) => {
                    audio.onloadedmetadata = () => resolve(audio.duration);
                    audio.onerror = () => resolve(audio.src);
                    audio.preload = "metadata";
                })))"""
        )
        assert lengths == [pytest.approx(1.0, abs=0.01)] * len(paths)
    sources = page.locator("audio").evaluate_all("all => all.map((audio) => audio.src)")
    assert all(source.startswith("file://") for source in sources)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_that_axe_knows(browser: Browser, library_page: Path, scheme: Scheme) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    page.goto(library_page.as_uri())
    page.locator("#search").fill("artist 14")  # fewer rows say the same, sooner
    page.locator(".track").first.click()
    found = axe.run(page).response["violations"]
    context.close()
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_sticks_out_at_the_side(visit: Visit, library_page: Path, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 800})
    page = visit.open(library_page)
    page.locator(".track").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_print_shows_the_table_without_its_controls(visit: Visit, library_page: Path) -> None:
    page = visit.open(library_page)
    page.emulate_media(media="print")
    assert page.locator("form").is_hidden()
    assert page.locator(".pages").is_hidden()
    assert page.locator("#tracks-table").is_visible()
    assert page.locator("#genres").is_visible()


def test_an_empty_library_has_a_page(visit: Visit, tmp_path: Path) -> None:
    database = write_database(tmp_path / "a.db", [])
    run_cli("report", "--db", database, "--format", "html", "-o", tmp_path / "library.html")
    page = visit.open(tmp_path / "library.html")
    assert found(page) == "0 tracks"
