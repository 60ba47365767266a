"""The page's text and columns, without a browser (see ``tests/browser``)."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tagger.genres import GENRES
from tagger.library.store import Store
from tagger.report.columns import columns, folder_link
from tagger.report.overview import agrees, decade_of, overview
from tagger.report.page import PageOptions, render_page, script_json
from tests.conftest import run_cli
from tests.report.library import (
    HOSTILE_NAMES,
    HOSTILE_TEXTS,
    MODEL_ID,
    failure,
    plain_tracks,
    track,
    write_database,
)


def rows_of(tmp_path: Path, results: list[Any]) -> list[dict[str, Any]]:
    with Store(write_database(tmp_path / "a.db", results)) as store:
        return list(store.rows())


def render(tmp_path: Path, results: list[Any], **options: Any) -> str:
    with Store(write_database(tmp_path / "a.db", results)) as store:
        return render_page(store.rows(), store.genres(), store.models(), PageOptions(**options))


def test_the_overview_counts_everything_once(tmp_path: Path) -> None:
    results = [
        *plain_tracks(60),
        track(3, "/copy.flac"),
        failure("/a.mp3", "empty file"),
        failure("/b.mp3", "empty file"),
        failure("/c.wav", "silence", "skipped"),
    ]
    facts = overview(rows_of(tmp_path, results), 0.5)
    assert (facts.files, facts.classified) == (64, 61)
    assert sum(facts.histogram) == 61
    assert sum(fact.tracks for fact in facts.genres) == 61
    assert sum(fact.sure for fact in facts.genres) == facts.sure
    heard = [max(result.probabilities.values()) for result in results if result.probabilities]
    assert facts.sure == sum(confidence >= 0.5 for confidence in heard)
    assert facts.problems == [("failed", "empty file", 2), ("skipped", "silence", 1)]
    assert sum(total for _, _, total, _ in facts.matrix.counts) == 61
    assert sum(group.tracks for group in facts.decades) == 61
    assert [len(group) for group in facts.duplicates] == [2]
    assert {group.name for group in facts.artists} == {"Artist 0", "Artist 1"}
    assert facts.album_count == 6


def test_rare_existing_genres_go_together(tmp_path: Path) -> None:
    results = [track(n, f"/{n}", existing_genre=f"Genre {n}") for n in range(40)]
    results += [track(n, f"/{n}", existing_genre=None) for n in range(40, 45)]
    matrix = overview(rows_of(tmp_path, results), 0.5).matrix
    names = [name for name, *_ in matrix.counts]
    assert len(names) == 17
    assert names[-2:] == ["(no genre tag)", "(other)"]
    assert sum(total for _, _, total, _ in matrix.counts) == 45
    assert matrix.tagged == 40


@pytest.mark.parametrize(
    ("existing", "genre", "expected"),
    [
        ("Rock", "rock", True),
        ("hard rock", "rock", True),
        ("Hip Hop/Rap", "hiphop", True),
        ("HIP-HOP", "hiphop", True),
        ("Jazz; Blues", "blues", True),
        ("Jazz", "rock", False),
        ("Classic Rock", "classical", False),
    ],
)
def test_agreement(existing: str, genre: str, expected: bool) -> None:
    assert agrees(existing, genre) is expected


@pytest.mark.parametrize(
    ("date", "decade"),
    [
        ("1994-05-01", "1990s"),
        ("2003", "2000s"),
        ("01/02/1987", "1980s"),
        ("20111", None),
        ("", None),
        (None, None),
        ("unknown", None),
    ],
)
def test_decades(date: str | None, decade: str | None) -> None:
    assert decade_of(date) == decade


@pytest.mark.parametrize("text", [*HOSTILE_TEXTS, "\u2029", "]]>", "&lt;"])
def test_embedded_json_can_not_end_its_script(text: str) -> None:
    embedded = script_json({"text": text})
    assert json.loads(embedded) == {"text": text}
    assert not re.search("[<>&\u2028\u2029]", embedded)


def test_hostile_texts_are_escaped_wherever_they_stand(tmp_path: Path) -> None:
    results = [
        track(n, os.fsdecode(b"/" + name), title=text, artist=text, album=text,
              album_artist=text, existing_genre=text)
        for n, name in enumerate(HOSTILE_NAMES) for text in [HOSTILE_TEXTS[n % 2]]
    ]  # fmt: skip
    results += [failure(f"/failed {n}", text) for n, text in enumerate(HOSTILE_TEXTS)]
    page = render(tmp_path, results, title=HOSTILE_TEXTS[0])
    assert "<img" not in page
    assert page.count("<script") == page.count("</script>") == 6  # columns, four blobs, script
    assert "\ufffd" not in page


def test_probabilities_come_back_in_the_models_own_order(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, plain_tracks(5))
    order = list(reversed(GENRES))
    values, blobs = columns(rows, order, {MODEL_ID: list(GENRES)}, None)
    shares = np.frombuffer(base64.b64decode(blobs["track"]), np.uint8).reshape(5, 10)
    slices = np.frombuffer(base64.b64decode(blobs["slices"]), np.uint8).reshape(5, 10, 10)
    starts = np.frombuffer(base64.b64decode(blobs["starts"]), "<u2").reshape(5, 10)
    for number, row in enumerate(rows):
        assert order[values["genre"][number]] == row["genre"]
        assert order[int(shares[number].argmax())] == row["genre"]
        stored = np.frombuffer(row["slice_probabilities"], np.uint8).reshape(10, 10)
        assert (slices[number] == stored[:, ::-1]).all()
        seconds = starts[number] / 65_535 * row["duration_seconds"]
        assert seconds == pytest.approx(json.loads(row["slice_seconds"]), abs=0.01)


def test_slices_that_make_no_sense_are_left_out(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, [track(1, "/a", slice_probabilities=b"\x00" * 13), failure("/b", "x")])
    _, blobs = columns(rows, list(GENRES), {MODEL_ID: list(GENRES)}, None)
    assert (blobs["slices"], base64.b64decode(blobs["count"])) == ("", b"\x00\x00")


@pytest.mark.parametrize(
    ("folder", "page_folder", "link"),
    [
        (b"/music/a b", b"/music", "./a%20b/"),
        (b"/music", b"/music", "./"),
        (b"/musical", b"/music", "file:///musical/"),
        (b"/", b"/music", "file:///"),
        (b"/caf\xe9", None, "file:///caf%E9/"),
        (b"/a?b#c%", b"/x", "file:///a%3Fb%23c%25/"),
        (b"/a", b"/", "./a/"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")
def test_links(folder: bytes, page_folder: bytes | None, link: str) -> None:
    assert folder_link(folder, page_folder) == link


def test_a_thousand_tracks_are_a_small_page(tmp_path: Path) -> None:
    assert len(render(tmp_path, plain_tracks(1000)).encode()) < 3_000_000


def test_files_that_are_gone_are_not_counted(tmp_path: Path) -> None:
    gone = track(3, "/gone.flac", status="missing", reason="the file is gone", probabilities={})
    page = render(tmp_path, [*plain_tracks(5), gone])
    assert "<title>Music library: 5 tracks</title>" in page
    assert "1 file that was known is gone from the disk, and not counted here." in page
    assert "gone.flac" not in page
    assert "No two files hold the same audio." in page


def test_the_threshold_decides_what_is_sure(tmp_path: Path) -> None:
    write_database(tmp_path / "a.db", plain_tracks(20))
    output = tmp_path / "page.html"
    for threshold, sure in (("0", 20), ("1", 0)):
        run_cli("report", "--db", tmp_path / "a.db", "--format", "html", "-o", output,
                "--min-confidence", threshold)  # fmt: skip
        assert f">{sure}</button>" in output.read_text().split("above)")[1].split("</div>")[0]
        assert f'"sure":"{"1" * sure}{"0" * (20 - sure)}"' in output.read_text()
