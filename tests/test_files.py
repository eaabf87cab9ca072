"""Files are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graspling.errors import InputError
from graspling.files import atomic_path, check_writable, write_bytes, write_text


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.txt"
    write_text(path, "one – two")
    assert path.read_text(encoding="utf-8") == "one – two"
    write_bytes(path, b"three")
    assert path.read_bytes() == b"three"
    assert list(path.parent.iterdir()) == [path]


def test_a_failing_block_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        assert temporary.suffix == ".png"
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    full = OSError(28, "No space left on device")
    complaint = pytest.raises(InputError, match=r"cannot write .*a\.bin: No space left")
    with complaint as caught, atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise full
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / "file" / "a.txt", "text")


def test_what_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for fine in (tmp_path / "a.txt", tmp_path / "new" / "folder" / "a.txt", tmp_path / "file"):
        check_writable(fine)
    with pytest.raises(InputError, match="file is a file, not a folder"):
        check_writable(tmp_path / "file" / "a.txt")
    with pytest.raises(InputError, match="file is no folder"):
        write_text(tmp_path / "file" / "a.txt", "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    for place in (tmp_path / "a.txt", tmp_path / "a.txt" / ".", Path("."), Path("/")):
        with pytest.raises(InputError, match="it is a folder; give the name of a file"):
            write_text(place, "text")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_pipe_is_refused_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="a device or a pipe"):
        write_text(pipe, "x")
    assert pipe.is_fifo()


def test_a_link_is_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(real)
    write_text(link, "new")
    assert link.is_symlink() and real.read_text() == "new"


def test_files_have_the_usual_rights(tmp_path: Path) -> None:
    path, usual = tmp_path / "ours", tmp_path / "usual"
    with atomic_path(path) as temporary:
        temporary.write_text("x")
        temporary.chmod(0o600)  # as some writers leave it
    usual.write_text("x")
    assert path.stat().st_mode == usual.stat().st_mode
