import re

import pytest

from fullchain import progress as module
from fullchain.progress import progress, track


def test_lines_in_a_file(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0)
    assert list(track([1, 2, 3], "generating", unit="blocks")) == [1, 2, 3]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert re.fullmatch(r"generating: 3 of 3 blocks \(100 %\), 0:00 left, .* blocks/s", lines[-1])
    assert "\x1b" not in "".join(lines)


def test_without_total(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("reading") as advance:
        advance(250)
    assert capsys.readouterr().err.startswith("reading: 250 events, ")
