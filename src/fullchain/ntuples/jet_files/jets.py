"""Jets of a published set as flat arrays, and whether they can be jets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError

Array = NDArray[Any]


@dataclass(frozen=True)
class Jets:
    """Consecutive jets of one file.

    Parameters
    ----------
    first
        Number of the first jet in its file, from 0.
    counts
        (jets) number of particles of each.
    momenta
        (particles, 4) px, py, pz, E [GeV], float32, jet by jet in the order of the file.
    pdg_id
        (particles) PDG codes, or None where the set does not tell them.
    classes
        Branch of the class -> (jets) whether the jet belongs to it.
    """

    first: int
    counts: Array
    momenta: Array
    pdg_id: Array | None
    classes: dict[str, Array]


class JetFile(Protocol):
    """An open file of a published set; closed by `close`."""

    @property
    def rows(self) -> int:
        """Number of jets."""
        ...

    def read(self, start: int, stop: int) -> Jets:
        """Jets from ``start`` up to ``stop``; InputError names file and jet where one is bad."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def check_rows(path: str, first: int, bad: Array, what: str, advice: str) -> None:
    """Raise InputError where a jet is bad.

    Parameters
    ----------
    first
        Number of the first jet in the file.
    bad
        (jets, ...) whether something of the jet is bad.
    what, advice
        What is wrong with it, and what to do.
    """
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
    if len(rows):
        more = f" ({len(rows)} such jets near it)" if len(rows) > 1 else ""
        raise InputError(f"{path}: jet {first + rows[0]}: {what}{more}; {advice}")


DAMAGED = (
    "the file is damaged or not as it was published: compare its checksum with that on its page, "
    "and get it again, or correct or remove the jet"
)


def check_labels(path: str, first: int, labels: Array, name: str) -> None:
    """Raise InputError unless all ``labels`` are 0 or 1."""
    check_rows(path, first, ~np.isin(labels, (0, 1)), f"{name} is neither 0 nor 1", DAMAGED)
