"""Errors that a user is meant to read.

Each message is one line that says what was given, what was expected and what to do.
The command line prints that line and exits with a non-zero status; a traceback is a bug.
"""

from __future__ import annotations


class GrasplingError(Exception):
    """Base of every error that graspling raises on purpose."""


class InputError(GrasplingError, ValueError):
    """Something handed in (a file, an array, a setting) is not what was expected."""


class MissingExtraError(GrasplingError, ImportError):
    """A feature needs an optional dependency; the message names the extra to install."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package {package!r}, which is not installed; "
            f"install it with: pip install 'graspling[{extra}]'"
        )
