"""Writing files so that nothing half-written is ever left behind."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from graspling.errors import InputError

# Files get the rights that any other program would give them.
_UMASK = os.umask(0)
os.umask(_UMASK)


def check_writable(path: str | Path) -> None:
    """Find out early that a file or folder could not be written there; nothing is made.

    Raises:
        InputError: a parent is a file, or the nearest one that exists may not be written to.
    """
    place = Path(path)
    for parent in place.absolute().parents:
        if parent.exists():
            if not parent.is_dir():
                raise InputError(f"cannot write {path}: {parent} is a file, not a folder")
            if not os.access(parent, os.W_OK) and not place.exists():
                raise InputError(f"cannot write {path}: {parent} may not be written to")
            return


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    The temporary name keeps the suffix, because image and model writers choose their format
    by it. When the block fails, the temporary file is removed and ``path`` is as it was.

    A link is followed: what it points to is replaced.

    Raises:
        InputError: the folder cannot be made or the file cannot be written (full disk,
            missing permission, a folder in the way), or ``path`` is a device or a pipe, which
            renaming would destroy.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; give the name of a file")
    if target.is_symlink():
        target = Path(os.path.realpath(target))
    if target.exists() and not target.is_file() and not target.is_dir():
        raise InputError(f"cannot write {path}: it is a device or a pipe; give the name of a file")
    temporary = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.chmod(temporary, 0o666 & ~_UMASK)
        os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or str(error)
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = f"{target.parent} is no folder"
        raise InputError(f"cannot write {target}: {reason}; nothing was changed there") from error
    finally:
        # What went wrong is said above; a failing clean-up must not hide it.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path`` whole or not at all (see :func:`atomic_path`)."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path`` whole or not at all (see :func:`atomic_path`)."""
    write_bytes(path, text.encode("utf-8"))


def counting_order(path: Path) -> tuple[list[tuple[int, str]], ...]:
    """A key to sort files by: folders first, and 2 before 10, as people and cameras count."""

    def parts(text: str) -> list[tuple[int, str]]:
        words = re.split(r"([0-9]+)", text)
        return [(int(word), "") if word.isdecimal() else (-1, word) for word in words]

    return parts(str(path.parent)), parts(path.stem), parts(path.name)
