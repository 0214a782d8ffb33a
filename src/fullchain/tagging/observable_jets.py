"""Entries of a ROOT file of a table of observables, as jets without particles.

Columns are those of the file, by name. Those that all jets have and the file does not tell are the
same for all: eta and phi 0, weight 1, no label. Observables that a measurement looks for and the
file does not tell are NaN.
"""

from collections.abc import Sequence
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.tagging.class_settings import DECAYS, LABELS
from fullchain.tagging.jetclass_jets import CONSTANT, MEASURED, RATIOS, SOURCE, identity, quotient
from fullchain.tagging.jets_reading import FOUR_MOMENTUM, Jets

Array = npt.NDArray[Any]

ALWAYS = frozenset(
    (*("luminosityBlock", "event", "label", "label_fully_contained"), *FOUR_MOMENTUM, *CONSTANT)
)
"""Columns that can be asked for whether or not the file tells them."""

SOUGHT = frozenset((*MEASURED, *RATIOS, "n_constituents"))
"""Observables that are NaN where the file does not tell them."""

IDENTITY = ("run", "luminosityBlock", "event", "variation", "jet", "label_fully_contained")
"""Columns that are never those of the file."""


def untold(columns: Sequence[str], required: Sequence[str], scalars: frozenset[str]) -> list[str]:
    """Columns that a file with branches `scalars` of one number a jet does not tell.

    Of those that are not `required`, only what is neither the same for all jets nor NaN.
    """
    told = {*scalars, *(name for name, parts in RATIOS.items() if scalars.issuperset(parts))}
    known = told | ALWAYS | SOUGHT
    missing = [name for name in columns if name not in known]
    missing += [name for name in required if name not in told and name not in missing]
    return missing


def branches(columns: Sequence[str], there: frozenset[str]) -> frozenset[str]:
    """Branches to read for columns of jets."""
    wanted = {*FOUR_MOMENTUM, *columns, *SOURCE}
    for name in columns:
        wanted.update(RATIOS.get(name, ()))
    if "label_fully_contained" in columns:
        wanted.add("label")
    return frozenset(wanted & there)


class Entries:
    """Entries of a file, as jets.

    Parameters
    ----------
    path, first
        File that they are from, and number of the first of them there; for messages and identity.
    arrays
        Awkward records (entries,) with the branches that `branches` names.
    """

    def __init__(self, path: str, first: int, arrays: Any) -> None:
        self.path, self.first, self.arrays = path, first, arrays
        self.there = frozenset(ak.fields(arrays))

    def __len__(self) -> int:
        return len(self.arrays)

    def jets(self, columns: Sequence[str], n_constituents: int, fields: Sequence[str]) -> Jets:
        """Make the jets, with `columns`.

        Raises InputError where particles are asked for, a number is infinite, or one of the
        four-momentum or the weight is not finite.
        """
        if n_constituents:
            raise InputError(
                f"{self.path}: is a table of observables, its jets have no particles; take "
                "architecture mlp or trees"
            )
        scalars = {name: self._scalar(name) for name in columns}
        return Jets(scalars, np.zeros((len(self), 0, len(fields)), dtype=np.float32))

    def _scalar(self, name: str) -> Array:
        if name in self.there and name not in IDENTITY:
            return self._stored(name)
        number = len(self)
        if name in ("luminosityBlock", "event"):
            stored = {branch: ak.to_numpy(self.arrays[branch]) for branch in SOURCE & self.there}
            return identity(name, self.path, self.first, number, stored)
        if name == "label":
            return np.full(number, -1, np.int8)
        if name == "label_fully_contained":
            return self._scalar("label") >= 0
        if name in FOUR_MOMENTUM:
            return np.zeros(number, np.float32)
        if name in CONSTANT:
            return np.full(number, CONSTANT[name])
        if name in RATIOS:
            return quotient(*(self._scalar(part) for part in RATIOS[name]))
        return np.full(number, np.nan, np.float32)

    def _stored(self, name: str) -> Array:
        values = ak.to_numpy(self.arrays[name])
        if name == "label":
            known = [number for label, number in LABELS.items() if label not in DECAYS]
            self._check(np.isin(values, known), name, values)
            return values.astype(np.int8)
        values = values.astype(np.float64 if name == "weight" else np.float32)
        exact = name == "weight" or name in FOUR_MOMENTUM
        self._check(np.isfinite(values) if exact else ~np.isinf(values), name, values)
        return values

    def _check(self, good: Array, name: str, values: Array) -> None:
        bad = np.flatnonzero(~good)
        if len(bad):
            raise InputError(
                f"{self.path}: {name} is {values[bad[0]]} in entry {self.first + bad[0]} "
                f"({len(bad)} such near it); correct the jet, or leave it out"
            )
