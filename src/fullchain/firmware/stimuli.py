"""Test vectors: inputs that every implementation is given, and what the network makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import atomic
from fullchain.errors import InputError
from fullchain.firmware.fixed_network import FixedPointNetwork

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
    network: FixedPointNetwork, vectors: int, generator: np.random.Generator
) -> Array:
    """Give inputs drawn uniformly from all values of their formats, (vectors, *input_shape)."""
    numbers = network.inputs.format
    low = np.round(numbers.lowest / numbers.step).astype(np.int64)
    high = np.round(numbers.highest / numbers.step).astype(np.int64)
    drawn = generator.integers(low, high + 1, size=(vectors, *network.input_shape))
    return np.asarray(drawn * numbers.step)


def extreme_inputs(
    network: FixedPointNetwork, vectors: int, generator: np.random.Generator
) -> Array:
    """Give inputs that are lowest or highest at random, the first two all lowest, all highest.

    The shape is (vectors, *input_shape).
    """
    numbers = network.inputs.format
    top = generator.random((vectors, *network.input_shape)) < 0.5
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
        The file is not there, or not one of test vectors.
    """
    try:
        with h5py.File(path, "r") as file:
            if file.attrs["format"] != VERSION:
                raise InputError(f"{path}: format {file.attrs['format']}; run firmware stimulate")
            return Stimuli(
                file["inputs"][:],
                file["outputs"][:],
                file["origin"][:],
                {name: file[f"columns/{name}"][:] for name in file["columns"]},
                tuple(str(name) for name in file.attrs["samples"]),
            )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run firmware stimulate") from None
    except (OSError, KeyError) as problem:
        raise InputError(
            f"{path}: not a file of test vectors ({problem}); run firmware stimulate again"
        ) from None


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
        The file is not there, or not one of outputs.
    """
    try:
        with h5py.File(path, "r") as file:
            return file["outputs"][:], str(file.attrs["implementation"])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; emulate first") from None
    except (OSError, KeyError) as problem:
        raise InputError(f"{path}: not a file of outputs ({problem}); emulate again") from None


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
