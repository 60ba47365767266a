"""One file: what may be replaced, what the new one inherits, and what stops a write."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tagger.tags import apply, batch, write
from tagger.tags.renderers import VorbisTags
from tests.tags.library import Library
from tests.tags.sounds import add_tags, read_genres

Maker = Callable[[str, Path], Path]


@pytest.fixture
def song(sounds: Maker, library: Library, music: Path) -> Path:
    path = sounds("flac", music)
    library.add(path)
    return path


def refused(library: Library, path: Path | str) -> str | None:
    """Plan and write; returns why a file was left alone, having checked that it was."""
    before = Path(path).read_bytes() if Path(path).is_file() else None
    folder = Path(os.path.realpath(path)).parent
    names = sorted(folder.iterdir()) if folder.is_dir() else []
    [decision] = [d for d in library.plan() if d.candidate.path == os.fspath(path)]
    reason = decision.reason
    if reason is None:
        [outcome] = [o for o in library.write() if o.path == os.fspath(path)]
        reason = outcome.reason
    if before is not None:
        assert Path(path).read_bytes() == before
        assert sorted(folder.iterdir()) == names
    return reason


def test_mode_times_and_attributes_are_kept(song: Path, library: Library) -> None:
    song.chmod(0o640)
    os.utime(song, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
    try:
        os.setxattr(song, "user.note", b"mine")
    except OSError:
        pytest.skip("needs a file system with extended attributes")
    if os.geteuid() == 0:
        os.chown(song, 1234, 1234)
    library.add(song)
    before = song.stat()
    library.write()
    after = song.stat()
    assert read_genres(song) == ["Rock"]
    assert after.st_mtime_ns == before.st_mtime_ns
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode, before.st_uid, before.st_gid,
    )  # fmt: skip
    assert os.getxattr(song, "user.note") == b"mine"


def test_mtime_may_move_and_undo_takes_it_back(song: Path, library: Library) -> None:
    os.utime(song, ns=(0, 1_500_000_000_000_000_000))
    library.add(song)
    library.write(keep_mtime=False)
    assert song.stat().st_mtime > 1_600_000_000
    assert library.is_unchanged(song)
    library.undo()
    assert song.stat().st_mtime_ns == 1_500_000_000_000_000_000


def test_a_link_stays_and_its_target_changes(song: Path, library: Library, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    link = other / "link.flac"
    link.symlink_to(os.path.relpath(song, other))
    library.add(link)
    outcomes = [o for o in library.write() if o.reason is None]
    assert len(outcomes) == 1  # the two paths are one file: it is written once
    assert link.is_symlink()
    assert read_genres(link) == ["Rock"]


def test_name_of_255_bytes(song: Path, library: Library, music: Path) -> None:
    long = song.rename(music / ("x" * 250 + ".flac"))
    library.add(long)
    assert [o.reason for o in library.write() if o.path == str(long)] == [None]
    assert read_genres(long) == ["Rock"]


def test_name_that_is_no_text(song: Path, library: Library, music: Path) -> None:
    odd = os.fsdecode(os.fsencode(music) + b"/\xff\n.flac")
    song.rename(odd)
    library.add(odd)
    assert [o.reason for o in library.write() if o.path == odd] == [None]
    assert library.is_unchanged(odd)


def test_hard_links(song: Path, library: Library, tmp_path: Path) -> None:
    os.link(song, tmp_path / "second name")
    assert refused(library, song) == (
        "has 2 names (hard links): the others would keep the old genre"
    )


def test_read_only_file(song: Path, library: Library) -> None:
    song.chmod(0o444)
    assert refused(library, song) == "read-only"


def test_read_only_folder(song: Path, library: Library, music: Path) -> None:
    music.chmod(0o555)
    try:
        assert refused(library, song) == "its folder is read-only"
    finally:
        music.chmod(0o755)


def test_vanished_file(song: Path, library: Library) -> None:
    song.unlink()
    assert refused(library, song) == "no longer there"


def test_vanished_folder(song: Path, library: Library, music: Path) -> None:
    song.unlink()
    music.rmdir()
    music.write_text("a file now")
    assert refused(library, song) == "no longer there"


def test_pipe(song: Path, library: Library) -> None:
    song.unlink()
    os.mkfifo(song)
    assert refused(library, song) == "not a plain file"


def test_folder_in_its_place(song: Path, library: Library) -> None:
    song.unlink()
    song.mkdir()
    assert refused(library, song) == "not a plain file"


def test_changed_since_the_scan(song: Path, library: Library) -> None:
    add_tags(song, [])
    assert refused(library, song) == "changed since it was scanned: scan it again"


def test_touched_since_the_scan(song: Path, library: Library) -> None:
    os.utime(song)
    assert refused(library, song) == "changed since it was scanned: scan it again"


def test_damaged_tag(song: Path, library: Library) -> None:
    song.write_bytes(b"fLaC" + song.read_bytes()[4:30])
    state = song.stat()
    library.store.connection.execute(
        "update files set size = ?, mtime_ns = ?", (state.st_size, state.st_mtime_ns)
    )
    reason = refused(library, song)
    assert reason is not None
    assert reason.startswith("its tag")


def test_container_without_a_genre(song: Path, library: Library) -> None:
    library.add(song, container="matroska", codec="opus")
    assert refused(library, song) == "a genre can't be written into this kind of file (matroska)"


def test_text_that_is_not_utf8(song: Path, library: Library) -> None:
    add_tags(song, [])
    song.write_bytes(song.read_bytes().replace(b"TITLE=Title", b"TITLE=T\xeftle"))
    library.add(song)
    assert refused(library, song) == (
        "its comments hold text that is not UTF-8, which would be lost"
    )


@pytest.mark.parametrize("name", [write.TEMP_PREFIX])
def test_a_file_in_the_way_is_not_touched(
    name: str, song: Path, library: Library, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "temp_name", lambda *_: f"{name}mine.tmp")
    (music / f"{name}mine.tmp").write_text("precious")
    assert refused(library, song) == "a temporary copy of another run is in the way"
    assert (music / f"{name}mine.tmp").read_text() == "precious"


def test_a_copy_that_may_not_grow(song: Path, library: Library) -> None:
    """The limit on file sizes stands for a full disk: both make a write fail half way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = song.stat().st_size
    large = max(size, (library.database.with_name("tagger.db-wal")).stat().st_size)
    song.write_bytes(song.read_bytes() + bytes(4 * large))
    library.add(song)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * large, hard))
    try:
        reason = refused(library, song)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert reason == "the copy would be larger than a file may be here (ulimit -f)"
    assert list(library.states()) == ["failed"]


def test_full_disk(sounds: Maker, tmp_path: Path) -> None:
    """On a real file system that is full, where one can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs to mount a small tmpfs")
    try:
        path = sounds("wav", disk)
        (disk / "filler").write_bytes(bytes(280_000))
        library = Library(tmp_path / "tagger.db")
        library.add(path)
        assert refused(library, path) == "no space left on its disk"
        (disk / "filler").unlink()
        assert [o.reason for o in library.write()] == [None]
        library.store.connection.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def break_save(monkeypatch: pytest.MonkeyPatch, harm: Callable[[BinaryIO], None]) -> None:
    """Let every save of Vorbis comments do some harm to the copy."""
    save = VorbisTags.save

    def saved(tags: Any) -> None:
        save(tags)
        harm(tags._file)

    monkeypatch.setattr(VorbisTags, "save", saved)


def flip(file: BinaryIO) -> None:
    file.seek(-1000, os.SEEK_END)
    [byte] = file.read(1)
    file.seek(-1, os.SEEK_CUR)
    file.write(bytes([byte ^ 1]))


def cut(file: BinaryIO) -> None:
    file.truncate(file.seek(-1000, os.SEEK_END))


def empty(file: BinaryIO) -> None:
    file.truncate(0)


def extend(file: BinaryIO) -> None:
    file.seek(0, os.SEEK_END)
    file.write(bytes(5000))


def forget_title(file: BinaryIO) -> None:
    file.seek(0)
    data = file.read()
    file.seek(data.index(b"TITLE=") + 6)
    file.write(b"Wrong")


def forget_genre(file: BinaryIO) -> None:
    file.seek(0)
    data = file.read()
    file.seek(data.index(b"Rock"))
    file.write(b"Roll")


HARMS: dict[Callable[[BinaryIO], None], str] = {
    flip: "the audio would have changed; the file was left alone",
    cut: "the audio would have changed; the file was left alone",
    empty: "its tag can't be read",
    extend: "the audio would have changed; the file was left alone",
    forget_title: "other tags would have changed (comments); the file was left alone",
    forget_genre: "the genre can't be read back as Rock",
}


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("kind", ["flac", "ogg", "opus"])
def test_a_harmful_edit_never_reaches_the_file(
    kind: str, harm: Callable[[BinaryIO], None], sounds: Maker, library: Library, music: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = sounds(kind, music)
    add_tags(path, [])
    library.add(path)
    if harm is extend and kind != "flac":
        pytest.skip("what follows the last Ogg page is no audio")
    break_save(monkeypatch, harm)
    reason = refused(library, path)
    if kind != "flac" and harm is not flip:
        assert reason  # a damaged page: which check finds it first depends on the page
    else:
        assert reason is not None
        assert reason.startswith(HARMS[harm])


@pytest.mark.usefixtures("song")
def test_what_mutagen_raises_stays_with_its_file(
    library: Library, sounds: Maker, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(sounds("wv", music))

    def fail(_: object) -> None:
        raise ZeroDivisionError("in the depths")

    monkeypatch.setattr(VorbisTags, "save", fail)
    assert [o.reason for o in library.write()] == [
        None,
        "its tag is damaged (ZeroDivisionError: in the depths)",
    ]
    assert len(list(music.iterdir())) == 2


def test_a_change_at_the_last_moment(
    song: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program writes the file while its copy is being made."""
    stage = write.stage

    def staged(*arguments: Any, **more: Any) -> Any:
        made = stage(*arguments, **more)
        with song.open("ab") as file:
            file.write(b"!")
        return made

    monkeypatch.setattr(batch, "stage", staged)
    [outcome] = library.write()
    assert outcome.reason == "changed at this moment"
    assert song.read_bytes().endswith(b"!")
    assert list(song.parent.iterdir()) == [song]


def test_one_bad_file_stops_nothing(
    song: Path, library: Library, sounds: Maker, music: Path
) -> None:
    others = [sounds(kind, music) for kind in ("mp3", "wav", "wv")]
    for path in others:
        library.add(path)
    song.chmod(0o444)
    decisions = library.plan()
    assert [d.reason for d in decisions] == ["read-only", None, None, None]
    assert [o.reason for o in library.write()] == [None] * 3
    assert all(read_genres(path) == ["Rock"] for path in others)


def test_stopping_between_batches(sounds: Maker, library: Library, music: Path) -> None:
    for number in range(batch.BATCH_FILES + 3):
        path = sounds("mp3", music).rename(music / f"{number:02}.mp3")
        library.add(path)
    asked = iter([False] * (batch.BATCH_FILES + 1) + [True] * 99)
    outcomes = library.write(stopped=lambda: next(asked))
    assert len(outcomes) == batch.BATCH_FILES
    states = list(library.states())
    assert states.count("done") == batch.BATCH_FILES
    assert states.count("not written") == 3
    assert all(".tmp" not in path.name for path in music.iterdir())


def test_plain_copying_where_the_system_has_no_better(
    song: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "copy_file_range", raising=False)
    before = song.read_bytes()
    assert [o.reason for o in library.write()] == [None]
    assert [o.reason for o in library.undo()] == [None]
    assert song.read_bytes() == before


@pytest.mark.parametrize("kind", ["flac", "ogg", "m4a", "wma"])
def test_proof_by_every_packet(
    kind: str, sounds: Maker, library: Library, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where places alone do not prove it, the digests of all packets do."""
    from tagger.tags import proof

    monkeypatch.setattr(proof, "_lie_outside", lambda *_: False)
    path = sounds(kind, music)
    library.add(path)
    assert [o.reason for o in library.write()] == [None]


def test_threads_find_everything_imported() -> None:
    """Mutagen's modules import one another in a circle, in which two threads can lock up."""
    code = (
        "import sys; from tagger.tags import batch, containers; containers.load_libraries()\n"
        "before = {name for name in sys.modules if name.startswith(('mutagen', 'av.'))}\n"
        "from pathlib import Path; from tagger.tags.proof import describe\n"
        "for key in containers.CONTAINERS:\n"
        "    try: containers.open_tags(open(sys.argv[1], 'rb'), key)\n"
        "    except Exception: pass\n"
        "after = {name for name in sys.modules if name.startswith(('mutagen', 'av.'))}\n"
        "print(sorted(after - before))"
    )
    command = [sys.executable, "-c", code, __file__]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_undo_of_nothing(library: Library) -> None:
    assert list(apply.undo_all(library.journal, [])) == []


def test_tags_load_nothing_heavy() -> None:
    code = "import sys, tagger.tags.plan; print('av' in sys.modules, 'mutagen' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False False\n"
