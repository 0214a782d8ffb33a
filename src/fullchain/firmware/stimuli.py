"""Test vectors: inputs that every implementation is given, and what the network makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import atomic
from fullchain.firmware.array_files import opened
from fullchain.firmware.fixed_point import Format

Array = NDArray[np.float64]

VERSION = 1
JET, RANDOM, EXTREME = 0, 1, 2
ORIGINS = ("jets", "random", "extreme")
"""Names of the origins of vectors, by their number."""


@dataclass(frozen=True)
class Stimuli:
    """Test vectors.

    Parameters
    ----------
    inputs
        (vectors, inputs) fixed-point values, those of candidates one after the other.
    outputs
        (vectors, outputs) what the network makes of them.
    origin
        (vectors) numbers of `ORIGINS`; the vectors of jets are the first ones.
    columns
        Columns of the jets, each (jets): `target`, `sample` (number), and those of `trigger_jets`.
    samples
        Names of the samples.
    """

    inputs: Array
    outputs: Array
    origin: NDArray[np.int8]
    columns: Mapping[str, NDArray[Any]]
    samples: tuple[str, ...]

    @property
    def jets(self) -> int:
        """Number of vectors that are jets."""
        return int((self.origin == JET).sum())


def random_inputs(
    numbers: Format, shape: tuple[int, ...], vectors: int, generator: np.random.Generator
) -> Array:
    """Give inputs drawn uniformly from all values of their formats.

    Parameters
    ----------
    numbers
        Formats of the inputs.
    shape
        Of the inputs of one vector, the last axis that of `numbers`.
    vectors
        How many.
    generator
        Source of random numbers.

    Returns
    -------
    array
        (vectors, *shape).
    """
    low = np.round(numbers.lowest / numbers.step).astype(np.int64)
    high = np.round(numbers.highest / numbers.step).astype(np.int64)
    drawn = generator.integers(low, high + 1, size=(vectors, *shape))
    return np.asarray(drawn * numbers.step)


def extreme_inputs(
    numbers: Format, shape: tuple[int, ...], vectors: int, generator: np.random.Generator
) -> Array:
    """Give inputs that are lowest or highest at random, the first two all lowest, all highest.

    Parameters and shape are those of `random_inputs`.
    """
    top = generator.random((vectors, *shape)) < 0.5
    top[:1], top[1:2] = False, True
    return np.where(top, numbers.highest, numbers.lowest)


def write(path: Path, stimuli: Stimuli) -> None:
    """Write vectors, whole or not at all."""
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = VERSION
        file.attrs["samples"] = list(stimuli.samples)
        for name in ("inputs", "outputs", "origin"):
            values = getattr(stimuli, name)
            file.create_dataset(name, data=values, compression="gzip", compression_opts=1)
        columns = file.create_group("columns")
        for name, values in stimuli.columns.items():
            columns.create_dataset(name, data=values)


def read(path: Path) -> Stimuli:
    """Read what `write` wrote.

    Raises
    ------
    InputError
        The file is not there, not one of test vectors, or damaged.
    """
    with opened(path, VERSION, "test vectors", "run firmware stimulate") as file:
        return Stimuli(
            file["inputs"][:],
            file["outputs"][:],
            file["origin"][:],
            {name: file[f"columns/{name}"][:] for name in file["columns"]},
            tuple(str(name) for name in file.attrs["samples"]),
        )


def write_outputs(path: Path, outputs: Array, implementation: str) -> None:
    """Write what an implementation made of the vectors: (vectors, outputs)."""
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = VERSION
        file.attrs["implementation"] = implementation
        file.create_dataset("outputs", data=outputs, compression="gzip", compression_opts=1)


def read_outputs(path: Path) -> tuple[Array, str]:
    """Read what `write_outputs` wrote: outputs, and the name of the implementation.

    Raises
    ------
    InputError
        The file is not there, not one of outputs, or damaged.
    """
    remedy = "run the step that emulates (firmware convert, verilate or convert_trees)"
    with opened(path, VERSION, "outputs", remedy) as file:
        return file["outputs"][:], str(file.attrs["implementation"])


def comparison(expected: Array, found: Array, origin: NDArray[np.int8]) -> dict[str, Any]:
    """Compare outputs bit by bit.

    Gives `vectors` and `mismatches` (rows with any difference), both in all and by origin, and the
    `largest_difference`.
    """
    differs = (expected != found).any(axis=1)
    return {
        "vectors": len(expected),
        "mismatches": int(differs.sum()),
        "largest_difference": float(np.abs(expected - found).max(initial=0.0)),
        "by_origin": {
            name: {
                "vectors": int((origin == number).sum()),
                "mismatches": int(differs[origin == number].sum()),
            }
            for number, name in enumerate(ORIGINS)
        },
    }
