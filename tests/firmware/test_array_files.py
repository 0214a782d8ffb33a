"""HDF5 files of the stage that are missing, old or damaged: each is named, with what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.firmware import stimuli, trigger_jets
from fullchain.firmware.stimuli import Stimuli
from fullchain.firmware.trigger_jets import SCALARS, TriggerJets

ROWS = 2000


def write_vectors(path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(ROWS, 3))
    origin = np.ones(ROWS, dtype=np.int8)
    stimuli.write(path, Stimuli(values, values, origin, {"pt": np.empty(0)}, ("qcd",)))


def write_outputs(path: Path) -> None:
    stimuli.write_outputs(path, np.random.default_rng(1).normal(size=(ROWS, 3)), "rtl")


def write_jets(path: Path) -> None:
    features = np.random.default_rng(1).normal(size=(ROWS, 2)).astype(np.float32)
    scalars = {name: np.zeros(ROWS, dtype=kind) for name, kind in SCALARS.items()}
    candidates = np.zeros((ROWS, 1, 1), dtype=np.float32)
    trigger_jets.write(path, TriggerJets(features, candidates, scalars, ("x", "y"), ("pt",)), "qcd")


KINDS = pytest.mark.parametrize(
    ("write", "read", "dataset", "step"),
    [
        (write_vectors, stimuli.read, "inputs", "firmware stimulate"),
        (write_outputs, stimuli.read_outputs, "outputs", "firmware convert, verilate or"),
        (write_jets, trigger_jets.read, "features", "firmware observe"),
    ],
)


@KINDS
def test_a_file_that_is_not_what_is_read_is_named(
    write: Callable[[Path], None], read: Callable[[Path], Any], dataset: str, step: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    path = tmp_path / "file.h5"
    with pytest.raises(InputError, match=rf"file\.h5: no such file; .*{step}"):
        read(path)
    write(path)
    read(path)
    with h5py.File(path, "a") as file:
        file.attrs["format"] = 7
    with pytest.raises(InputError, match=rf"file\.h5: .* in format 7, not 1; .*{step}"):
        read(path)
    with h5py.File(path, "a") as file:
        file.attrs["format"] = 1
        del file[dataset]
    with pytest.raises(InputError, match=rf"file\.h5: not a file of .*{dataset}.*{step}"):
        read(path)
    path.write_text("no HDF5")
    with pytest.raises(InputError, match=rf"file\.h5: not a file of .*{step}"):
        read(path)


@KINDS
def test_damage_anywhere_in_a_file_is_an_error_that_names_it_or_is_not_seen(
    write: Callable[[Path], None], read: Callable[[Path], Any], dataset: str, step: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Zeros over pieces of the file, and ends that are missing."""
    path = tmp_path / "file.h5"
    write(path)
    whole = path.read_bytes()
    named = 0
    size = max(64, len(whole) // 150)
    pieces = [whole[:start] + bytes(size) + whole[start + size :]
              for start in range(0, len(whole), size)]  # fmt: skip
    for damaged in [*pieces, whole[: len(whole) // 2], whole[:-100], b""]:
        path.write_bytes(damaged)
        try:
            read(path)
        except InputError as problem:
            assert str(problem).startswith(str(path)) and step in str(problem)
            named += 1
    assert named > 10
