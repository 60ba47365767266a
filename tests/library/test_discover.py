from __future__ import annotations

import os
from pathlib import Path

import pytest

from tagger.errors import NothingToDoError
from tagger.library.discover import Found, Walk, WalkOptions, is_gone

LINK = "link; --follow-links follows it"
FOLDER_LINK = "link to a folder; --follow-links follows it"
SAME = "the same file as another, by a link"


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def walk(
    *paths: Path, exclude: tuple[str, ...] = (), follow: bool = False
) -> dict[str, str | None]:
    """Return the problem of each entry by its path below the first of ``paths``."""
    options = WalkOptions(exclude, follow)
    found = list(Walk([os.fspath(path) for path in paths], options))
    names = [os.path.relpath(each.path, paths[0]) for each in found]
    assert len(set(names)) == len(names)
    return {name: each.problem for name, each in zip(names, found, strict=True)}


def test_every_file_comes_once_however_paths_overlap(tmp_path: Path) -> None:
    make(tmp_path, "a/1.mp3", "a/b/2.mp3", "ab/3.mp3")
    paths = [tmp_path, tmp_path / "a", tmp_path / "a" / "1.mp3", tmp_path / "a" / ".." / "ab"]
    assert list(walk(*paths)) == ["a/1.mp3", "a/b/2.mp3", "ab/3.mp3"]


def test_files_come_before_folders_in_order_of_their_bytes(tmp_path: Path) -> None:
    make(tmp_path, "b/1.mp3", "B/1.mp3", "z.mp3", "é.mp3", "10.mp3", "9.mp3")
    assert list(walk(tmp_path)) == ["10.mp3", "9.mp3", "z.mp3", "é.mp3", "B/1.mp3", "b/1.mp3"]


def test_a_named_file_is_meant_whatever_it_is_called(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt", ".hidden")
    (tmp_path / "link").symlink_to("notes.txt")
    for name in ("notes.txt", ".hidden", "link"):
        assert walk(tmp_path / name) == {".": None}


@pytest.mark.parametrize("name", ["nowhere", "file/below"])
def test_a_path_that_is_not_there(tmp_path: Path, name: str) -> None:
    make(tmp_path, "file")
    with pytest.raises(NothingToDoError) as caught:
        walk(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name} does not exist"


def test_folders_nested_deeper_than_pythons_stack(tmp_path: Path) -> None:
    depth, here = 1_200, Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(depth):
            os.mkdir("d")  # noqa: PTH102
            os.chdir("d")
        Path("a.mp3").touch()
        found = walk(tmp_path)
    finally:  # pytest can't remove them
        Path("a.mp3").unlink(missing_ok=True)
        while Path("..").stat().st_ino != tmp_path.stat().st_ino:
            os.chdir("..")
            os.rmdir("d")  # noqa: PTH106
        os.chdir(here)
    assert list(found.values()) == [None]


IGNORE = "excluded by .taggerignore"
EXCLUDE = "excluded by --exclude"


@pytest.mark.parametrize(
    ("patterns", "left_out"),
    [
        (["*.mp3"], {"a.mp3", "sub/a.mp3"}),
        (["/a.mp3"], {"a.mp3"}),
        (["sub/"], {"sub"}),
        (["sub"], {"sub"}),
        (["*.mp3", "!a.mp3"], set()),
        (["# a.mp3", "", "   "], set()),
        (["sub/**/b.flac"], {"sub/deep/b.flac"}),
        (["[ab].*"], {"a.mp3", "sub/a.mp3", "sub/deep/b.flac"}),
    ],
)
def test_patterns_are_those_of_gitignore(
    tmp_path: Path, patterns: list[str], left_out: set[str]
) -> None:
    make(tmp_path, "a.mp3", "sub/a.mp3", "sub/deep/b.flac")
    by_option = walk(tmp_path, exclude=tuple(patterns))
    assert {name for name, problem in by_option.items() if problem == EXCLUDE} == left_out
    (tmp_path / ".taggerignore").write_text("\n".join(patterns), encoding="utf-8")
    by_file = walk(tmp_path)
    assert {name for name, problem in by_file.items() if problem == IGNORE} == left_out


def test_the_innermost_rule_decides(tmp_path: Path) -> None:
    make(tmp_path, "a.mp3", "sub/a.mp3", "sub/b.mp3")
    (tmp_path / ".taggerignore").write_text("*.mp3\n", encoding="utf-8")
    (tmp_path / "sub" / ".taggerignore").write_text("!a.mp3\n", encoding="utf-8")
    assert walk(tmp_path) == {"a.mp3": IGNORE, "sub/a.mp3": None, "sub/b.mp3": IGNORE}


def test_an_ignore_file_of_odd_bytes(tmp_path: Path) -> None:
    make(tmp_path, "a.mp3")
    odd = os.fsencode(tmp_path) + b"/caf\xe9.mp3"
    with open(odd, "wb") as file:  # noqa: PTH123
        file.write(b"x")
    (tmp_path / ".taggerignore").write_bytes(b"caf\xe9.mp3\r\n")
    assert walk(tmp_path) == {"a.mp3": None, os.fsdecode(b"caf\xe9.mp3"): IGNORE}


def test_an_exclude_that_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(NothingToDoError, match="^--exclude can't be understood: "):
        walk(tmp_path, exclude=("!",))


def test_an_ignore_file_that_makes_no_sense_keeps_its_folder_closed(tmp_path: Path) -> None:
    make(tmp_path, "a.mp3", "sub/b.mp3")
    (tmp_path / "sub" / ".taggerignore").write_text("!", encoding="utf-8")
    found = walk(tmp_path)
    assert found.pop("a.mp3") is None
    assert str(found["sub"]).startswith("its .taggerignore can't be understood: ")


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    make(tmp_path, "in/a.mp3", "out/b.mp3")
    folder = tmp_path / "in"
    (folder / "inside.mp3").symlink_to("a.mp3")
    (folder / "outside.mp3").symlink_to("../out/b.mp3")
    (folder / "folder").symlink_to("../out")
    (folder / "loop").symlink_to(".")
    (folder / "up").symlink_to("..")
    (folder / "broken.mp3").symlink_to("nothing.mp3")
    (folder / "round.mp3").symlink_to("round.mp3")
    return folder


def test_links_are_not_followed_by_default(linked: Path) -> None:
    assert walk(linked) == {
        "a.mp3": None, "broken.mp3": "broken link", "inside.mp3": LINK, "outside.mp3": LINK,
        "round.mp3": "link that leads nowhere",
        "folder": FOLDER_LINK, "loop": FOLDER_LINK, "up": FOLDER_LINK,
    }  # fmt: skip


def test_links_are_followed_once_when_asked(linked: Path) -> None:
    assert walk(linked, follow=True) == {
        "a.mp3": None, "broken.mp3": "broken link", "inside.mp3": SAME, "outside.mp3": None,
        "round.mp3": "link that leads nowhere", "folder/b.mp3": SAME,
    }  # fmt: skip


def test_hard_links_are_heard_once(tmp_path: Path) -> None:
    make(tmp_path, "b.mp3")
    (tmp_path / "a.mp3").hardlink_to(tmp_path / "b.mp3")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "d.mp3").hardlink_to(tmp_path / "b.mp3")
    assert walk(tmp_path) == {"a.mp3": None, "b.mp3": SAME, "c/d.mp3": SAME}


def test_other_files_are_counted(tmp_path: Path) -> None:
    make(tmp_path, "a.mp3", "b.jpg", "c.txt", "sub/d.cue", ".e")
    found = Walk([os.fspath(tmp_path)])
    assert len(list(found)) == 1
    assert found.not_audio == 4


def test_a_file_is_gone_only_where_its_file_system_still_is(tmp_path: Path) -> None:
    make(tmp_path, "a.mp3", "sub/b.mp3")
    device = tmp_path.stat().st_dev
    found = {Path(each.path).name: each for each in Walk([os.fspath(tmp_path)])}
    assert found["a.mp3"] == Found(
        os.fspath(tmp_path / "a.mp3"), 1, (tmp_path / "a.mp3").stat().st_mtime_ns, device
    )
    there, gone = os.fspath(tmp_path / "a.mp3"), os.fspath(tmp_path / "x" / "y" / "z.mp3")
    assert not is_gone(there, device)
    assert is_gone(gone, device)
    assert not is_gone(gone, device + 1)
    assert not is_gone(gone, None)
    assert is_gone(os.fspath(tmp_path / "a.mp3" / "below"), device)
