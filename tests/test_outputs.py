"""Where output may go: never onto an input, whatever it is called, and never onto what nobody offered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tconv.errors import ImageFileError
from tconv.outputs import check_file, check_folder, wholly, write


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photograph in a folder, with links to it beside and elsewhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    path = Path("photos") / "a.png"
    path.write_bytes(b"photo")
    Path("soft.png").symlink_to(path)
    os.link(path, "hard.png")
    Path("link").symlink_to("photos", target_is_directory=True)
    Path("other.png").write_bytes(b"other")
    return path


@pytest.mark.parametrize("name", ["photos/a.png", "soft.png", "hard.png", "link/a.png", "./photos/../photos/a.png"])
def test_an_input_is_never_written_to(photo: Path, name: str) -> None:
    for again in (False, True):
        with pytest.raises(ImageFileError) as raised:
            check_file(name, [photo], again)
        assert str(raised.value) == f"{Path(name)} is the input itself; write to another name"


def test_an_input_that_a_link_leads_to(photo: Path) -> None:
    with pytest.raises(ImageFileError, match="is the input itself"):
        check_file(photo, ["soft.png"])


@pytest.mark.parametrize(("arguments", "said"), [
    ({"target": "other.png"}, "other.png is there already; write to another name, or let --again replace it"),
    ({"target": "photos"}, "photos is a folder; give a file name"),
    ({"target": "photos/new.png", "apart": True},
     "photos holds the inputs; write to another folder, so that none of them is replaced"),
    ({"target": "link/new.png", "apart": True},
     "link holds the inputs; write to another folder, so that none of them is replaced"),
    ({"target": "other.png", "cure": "take care"}, "other.png is there already; take care"),
])  # fmt: skip
def test_files_that_are_refused(photo: Path, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ImageFileError) as raised:
        check_file(inputs=[photo], **arguments)
    assert str(raised.value) == said


def test_files_that_may_be_written(photo: Path) -> None:
    assert check_file("new.png", [photo]) == Path("new.png")
    assert check_file("photos/new.png", [photo]) == Path("photos/new.png")
    assert check_file("other.png", [photo], again=True) == Path("other.png")


def test_folders(photo: Path) -> None:
    for folder in ("photos", "link", "photos/."):
        with pytest.raises(ImageFileError, match="holds the inputs; write to another folder"):
            check_folder(folder, [photo])
        with pytest.raises(ImageFileError, match="holds the inputs; write to another folder"):
            check_folder(folder, ["photos"])
    with pytest.raises(ImageFileError, match=r"^other\.png is a file; give a folder to write to$"):
        check_folder("other.png", [photo])
    assert check_folder("photos/masks", [photo]) == Path("photos/masks")
    assert check_folder("new", [photo, "photos"]) == Path("new")


def test_a_file_appears_whole_or_not_at_all(photo: Path) -> None:
    with pytest.raises(RuntimeError, match="stopped"), wholly(photo) as part:
        part.write_bytes(b"half")
        raise RuntimeError("stopped")
    assert photo.read_bytes() == b"photo" and [path.name for path in Path("photos").iterdir()] == ["a.png"]
    write("new/text.txt", "\u00e4")
    write("new/text.txt", b"bytes")
    assert Path("new/text.txt").read_bytes() == b"bytes" and len(list(Path("new").iterdir())) == 1
    with pytest.raises(ImageFileError, match=r"^hard.png/x cannot be written: .*; what was there before is untouched$"):
        write("hard.png/x", "")


def test_what_is_no_file_is_written_to_as_it_is(photo: Path) -> None:
    write("/dev/null", "nothing")
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    write("pipe", "a page")
    assert os.read(reader, 99) == b"a page" and Path("pipe").is_fifo()
    os.close(reader)
