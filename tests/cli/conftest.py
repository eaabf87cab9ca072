from __future__ import annotations

import pytest

from graspling.cli import main


@pytest.fixture
def run(capsys):
    """Run the command line here: status, standard output, standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
