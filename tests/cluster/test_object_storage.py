"""Object storage: an S3 server on loopback, scanned like a folder."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tagger.errors import AudioError, MissingExtraError, StorageError
from tagger.library.classify import classify_file
from tagger.library.discover import Walk
from tagger.model.bundle import find_bundle, load_bundle
from tagger.model.classifier import Classifier
from tagger.sound import remote
from tests.conftest import chord, run_cli, shared, write_wav

for package in ("s3fs", "moto.server"):
    pytest.importorskip(package, reason=f"needs the cluster and dev extras: {package}")


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A server with an empty bucket ``music``; yields an s3fs file system."""
    import fsspec
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        fsspec.filesystem("s3").clear_instance_cache()
        storage = fsspec.filesystem("s3", use_listings_cache=False)
        storage.mkdir("music")
        yield storage
        storage.clear_instance_cache()
    server.stop()


@pytest.fixture(scope="module")
def bucket(s3: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A folder there and its twin here, with good, odd and bad files."""
    folder = tmp_path_factory.mktemp("music")
    (folder / "album").mkdir()
    write_wav(folder / "album" / "long.wav", chord(120.0))
    write_wav(folder / "album" / "ünï #1 100%.wav", chord(6.0, pitch_hz=330.0))
    write_wav(folder / "short.wav", chord(1.0))
    (folder / "bad.mp3").write_bytes(b"not music" * 99)
    (folder / "empty.flac").write_bytes(b"")
    (folder / "notes.txt").write_text("not audio")
    s3.put(f"{folder}/", "music/folder/", recursive=True)
    s3.pipe_file("music/folder/album/", b"")  # as S3's console marks folders
    return "s3://music/folder", folder


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(load_bundle(find_bundle()))


def rows(database: Path, columns: str) -> dict[str, tuple[Any, ...]]:
    """Return columns of files and predictions by file name."""
    query = f"select path_text, {columns} from files left join predictions on file_id = files.id"
    with closing(sqlite3.connect(database)) as connection:
        return {row[0].rsplit("/", 1)[-1]: row[1:] for row in connection.execute(query)}


def scan(path: object, database: Path, *options: object) -> dict[str, Any]:
    result = run_cli("scan", path, "--db", database, "--workers", 2, "--json", *options)
    assert result.exit_code in (0, 1), result.output
    account: dict[str, Any] = json.loads(result.stdout)
    return account


HEARD = (
    "status, reason, size, duration_seconds, container, codec, sample_rate_hz, channels, genre,"
    " probabilities, slice_seconds, slice_probabilities, embedding"
)


def test_a_bucket_is_scanned_like_its_twin_here(bucket: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = bucket
    there = scan(url, tmp_path / "there.db")
    here = scan(folder, tmp_path / "here.db")
    for name in ("found", "classified", "skipped", "failed", "not_audio", "reasons", "genres"):
        assert there[name] == here[name]
    assert (there["found"], there["classified"], there["failed"]) == (5, 3, 2)
    assert rows(tmp_path / "there.db", HEARD) == rows(tmp_path / "here.db", HEARD)
    paths = {path for [path] in rows(tmp_path / "there.db", "path").values()}
    assert f"{url}/album/ünï #1 100%.wav".encode() in paths
    again = scan(url, tmp_path / "there.db")
    assert (again["classified"], again["unchanged"], again["failed"]) == (0, 3, 2)


def test_the_corpus_is_heard_alike_and_not_fetched_whole(s3: Any, classifier: Classifier) -> None:
    files = [path for path in sorted(shared("corpus").iterdir()) if path.suffix != ".md"]
    share: dict[str, float] = {}
    for path in files:
        s3.put_file(str(path), f"music/corpus/{path.name}")
        url = f"s3://music/corpus/{path.name}"
        there, here = classify_file(url, classifier), classify_file(str(path), classifier)
        facts = [vars(one) | {"path": "", "mtime_ns": 0, "identity": ""} for one in (there, here)]
        assert facts[0] == facts[1]
        share[path.name] = remote.fetched(url)[0] / path.stat().st_size
    assert max(share.values()) <= 1.0  # nothing twice
    assert share["m4a_aac128_cover.m4a"] < 0.95


def test_only_the_windows_of_a_long_file_are_fetched(
    bucket: tuple[str, Path], classifier: Classifier
) -> None:
    url = f"{bucket[0]}/album/long.wav"
    assert classify_file(url, classifier).status == "classified"
    bytes_fetched, requests = remote.fetched(url)
    size = (bucket[1] / "album" / "long.wav").stat().st_size
    assert 0.24 < bytes_fetched / size < 0.6  # ten windows of 2.9 s are 24 %
    assert requests < 50


def test_a_changed_object_is_heard_again(s3: Any, tmp_path: Path) -> None:
    write_wav(tmp_path / "x.wav", chord(3.0))
    s3.put_file(str(tmp_path / "x.wav"), "music/changing/x.wav")
    assert scan("s3://music/changing", tmp_path / "a.db")["classified"] == 1
    # Of the same size and, maybe, in the same second: its ETag differs.
    write_wav(tmp_path / "x.wav", chord(3.0, pitch_hz=440.0))
    s3.put_file(str(tmp_path / "x.wav"), "music/changing/x.wav")
    assert scan("s3://music/changing", tmp_path / "a.db")["classified"] == 1
    assert scan("s3://music/changing", tmp_path / "a.db")["unchanged"] == 1


def test_a_change_within_a_second_shows_in_the_time() -> None:
    listed = [
        remote._remote_file("s3://b/x", {"size": 1, "LastModified": "2026-01-02T03:04:05Z"} | tag)
        for tag in ({"ETag": '"a"'}, {"ETag": '"b"'}, {"ETag": '"a"'}, {})
    ]
    assert [file.mtime_ns // 10**9 for file in listed] == [1767323045] * 4
    assert len({file.mtime_ns for file in listed}) == 3
    assert [file.version for file in listed] == ["a", "b", "a", None]


def test_reports_name_objects_by_their_urls(bucket: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = bucket
    scan(url, tmp_path / "a.db")
    options = ("--db", tmp_path / "a.db", "--min-confidence", 0, "-o")
    run_cli("report", "--format", "m3u8", *options, tmp_path / "lists")
    lines = [line for path in (tmp_path / "lists").iterdir() for line in path.open()]
    assert f"{url}/album/long.wav\n" in lines
    run_cli("report", "--format", "html", *options, tmp_path / "page.html")
    assert f'"{url}/album/"' in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_scan_of_one_object_and_what_is_excluded(bucket: tuple[str, Path]) -> None:
    url, _ = bucket
    assert [found.path for found in Walk([f"{url}/notes.txt"])] == [f"{url}/notes.txt"]
    from tagger.library.discover import WalkOptions

    met = {found.path: found.problem for found in Walk([url, url], WalkOptions(("album/",)))}
    assert met[f"{url}/album/long.wav"] == "excluded by --exclude"
    assert met[f"{url}/short.wav"] is None
    assert len(met) == 5


def test_tags_are_not_written_there(bucket: tuple[str, Path], tmp_path: Path) -> None:
    scan(bucket[0], tmp_path / "a.db")
    done = run_cli(
        "write-tags", "--db", tmp_path / "a.db", "--dry-run", "--min-confidence", 0, "--json"
    )
    assert done.exit_code == 0
    assert "on object storage: tags are written into local files only" in done.stdout


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    write_wav(tmp_path / "my song.wav", chord(3.0))
    url = f"{tmp_path.as_uri()}/my%20song.wav"
    assert [found.path for found in Walk([url])] == [str(tmp_path / "my song.wav")]


def test_other_storages_work_too(classifier: Classifier, tmp_path: Path) -> None:
    import fsspec

    data = write_wav(tmp_path / "x.wav", chord(3.0)).read_bytes()
    fsspec.filesystem("memory", use_listings_cache=False).pipe_file("/music/x.wav", data)
    [found] = Walk(["memory://music"])
    assert found.size == len(data)
    assert classify_file(found.path, classifier).status == "classified"


def test_a_file_that_can_only_be_fetched_in_part_is_tried_again(
    bucket: tuple[str, Path], classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{bucket[0]}/album/long.wav"
    remote.look(f"{bucket[0]}/short.wav")  # forget what was fetched of the other
    storage, path = remote._storage(url)

    class BreakingOff:
        info = staticmethod(storage.info)

        def cat_file(self, path: str, start: int, end: int) -> bytes:
            if start > 10**6:
                raise ConnectionError("connection lost")
            return bytes(storage.cat_file(path, start=start, end=end))

    monkeypatch.setattr(remote, "_storage", lambda url: (BreakingOff(), path))
    result = classify_file(url, classifier)
    assert (result.status, result.reason) == ("failed", "can't be read: connection lost")
    # What a scan stores of it does not fit the listing, so the next one hears it.
    assert (result.size, result.mtime_ns) == (0, 0)


def test_what_is_not_there_is_named(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="^s3://music/nothing: there is nothing$"):
        list(Walk(["s3://music/nothing"]))
    with pytest.raises(AudioError, match="^can't be read: No such file$"):
        remote.look("s3://music/nothing.mp3")
    with pytest.raises(MissingExtraError, match="no driver for nonsense:// is installed"):
        list(Walk(["nonsense://x"]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    s3.clear_instance_cache()
    with pytest.raises(StorageError, match="^s3://music/x can't be read: .*127.0.0.1:1"):
        list(Walk(["s3://music/x"]))
    s3.clear_instance_cache()
