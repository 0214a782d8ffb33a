"""Division of events into training, validation and test by their identity.

A hash of the identity, and no random stream, decides: an event stays in its part whatever the
number of files, the order of reading or the selection, and all jets and all systematic variations
of one event stay together.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

TRAIN, VALIDATION, TEST = "train", "validation", "test"


def fold(
    run: npt.ArrayLike, luminosity_block: npt.ArrayLike, event: npt.ArrayLike, seed: int
) -> npt.NDArray[np.float64]:
    """Map each event identity to a number in [0, 1), uniform over events.

    The arguments are integer arrays of one shape, which is the shape of the answer.
    """
    columns = [np.asarray(column) for column in (run, luminosity_block, event)]
    state = np.full(columns[0].shape, _as_uint64(seed), dtype=np.uint64)
    for column in columns:
        state = _mix(state ^ _mix(column.astype(np.uint64)))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def parts(folds: npt.NDArray[np.float64], validation: float, test: float) -> npt.NDArray[np.str_]:
    """Name the part of each fold value: "train", then "validation", then "test".

    `validation` and `test` are fractions of the events; what is left trains.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        raise ValueError(f"no events left to train on: validation {validation}, test {test}")
    names = np.array([TRAIN, VALIDATION, TEST])
    edges = [1.0 - validation - test, 1.0 - test]
    return names[np.searchsorted(edges, folds, side="right")]


def _as_uint64(value: int) -> np.uint64:
    return np.uint64(value % 2**64)


def _mix(values: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Finaliser of SplitMix64 (Steele, Lea, Flood 2014): one flipped bit flips half of the rest."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
