"""Equal content gives equal bytes, under any name, at any time, in any process."""

import datetime
import subprocess
import sys
import uuid
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from uproot.writing import _cascade

from fullchain import root_files
from fullchain.root_files import recreate


def write(path: Path, first: float = 0.0) -> None:
    """Trees with flat and jagged branches in two pieces, a text and a folder with a histogram."""
    with recreate(path, compression=uproot.ZSTD(3)) as file:
        tree = file.mktree("Events", {"run": "int64", "jet": 'var * {"pt": float32}'})
        for piece in range(2):
            jets = ak.zip({"pt": np.arange(10, dtype=np.float32) + first})
            tree.extend({"run": np.arange(5) + piece, "jet": ak.unflatten(jets, [2] * 5)})
        file["about"] = "text"
        file["signal/mass"] = np.histogram(np.arange(20), bins=4)


def identity(path: Path) -> uuid.UUID:
    with uproot.open(path) as file:
        assert file["Events"]["jet_pt"].array().to_list()[4] == [8.0, 9.0]
        assert file["signal/mass"].values().sum() == 20
        return uuid.UUID(str(file.file.uuid))


class OtherDay(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "OtherDay":
        return cls(2031, 5, 6, 7, 8, 9)


def test_two_writings_of_the_same_are_equal_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (tmp_path / name for name in ("a.root", ".unfinished.42.b.root", "c"))
    write(first)
    monkeypatch.setattr(_cascade.datetime, "datetime", OtherDay)
    write(second)
    assert first.read_bytes() == second.read_bytes()
    monkeypatch.undo()
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); "
        "from test_root_files import write; write(Path(sys.argv[2]))"
    )
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", program, here, str(third)], check=True)
    assert first.read_bytes() == third.read_bytes()


def test_other_content_has_another_identity(tmp_path: Path) -> None:
    paths = [tmp_path / "a.root", tmp_path / "b.root", tmp_path / "c.root"]
    write(paths[0])
    write(paths[1])
    with recreate(paths[2]) as file:
        file["about"] = "other text"
    one = identity(paths[0])
    assert one == identity(paths[1])
    with uproot.open(paths[2]) as other:
        assert uuid.UUID(str(other.file.uuid)) != one
    assert one != root_files._PLACEHOLDER


def test_an_identity_that_is_elsewhere_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_files, "_HEAD", 60)
    with pytest.raises(RuntimeError, match=r"a\.root: uproot wrote its identity elsewhere"):
        write(tmp_path / "a.root")


def test_a_block_that_fails_says_why_itself(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no jets"), recreate(tmp_path / "a.root"):
        raise ValueError("no jets")
