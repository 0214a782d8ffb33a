"""From observables to numbers of width one that a density can be learned of, and back.

continuous: standardised. integer: smeared by a uniform number from -1/2 to 1/2, and standardised;
back, rounded. groomed: jets without two branches have one value, a spike at the floor, and the
others have a continuous one. A uniform number in (0, 1) is made of both: the spike becomes uniform
below the part p of the events that it holds; the continuous value, or its logarithm where it is
positive, is brought from its range to (p, 1). The quantile of the normal distribution of this
number has no edges. This is what is done for z_g with the spike at U(.097, .1) and a continuous
part from .1 to .5, except for p, which there is .019 whatever the number of events in the spike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from fullchain.errors import InputError
from fullchain.learning.standardise import weighted_quantiles
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.sample import Array

EDGE = 1e-3
"""Part of the uniform range of the spike, and of the continuous part, that is kept clear of its
ends: the quantiles stay finite, and the way back cannot mistake one for the other."""

LEAST_SPIKE = 2
"""Events at the smallest value that make it a floor: of a continuous value there is one."""

MIDDLE = 0.5


@dataclass(frozen=True)
class Column:
    """How one observable is transformed.

    Parameters
    ----------
    kind
        continuous, integer or groomed, see the module.
    low, high
        Range in the simulation, of the continuous part if groomed.
    floor
        Value of the spike, None without one.
    spike
        Part of the events in the spike.
    shift, scale
        Subtracted from, and divided by, at last.
    """

    kind: str
    low: float
    high: float
    floor: float | None = None
    spike: float = 0.0
    shift: float = 0.0
    scale: float = 1.0

    def forward(self, values: Array, chance: Array) -> Array:
        """Give transformed values; all (n). `chance` in [0, 1) smears what is not continuous."""
        return (self._raw(values, chance) - self.shift) / self.scale

    def inverse(self, transformed: Array) -> Array:
        """Undo `forward`, (n); integer and groomed observables come back in their range."""
        raw = self.shift + self.scale * transformed
        if self.kind == "integer":
            return np.clip(np.rint(raw), self.low, self.high)
        if self.kind == "groomed":
            return self._groomed(ndtr(raw))
        return raw

    def _raw(self, values: Array, chance: Array) -> Array:
        if self.kind == "integer":
            return values + chance - 0.5
        if self.kind != "groomed":
            return values
        uniform = self.spike + (1.0 - self.spike) * _inside(self._part(values))
        if self.floor is not None:
            uniform = np.where(values <= self.floor, self.spike * _inside(chance), uniform)
        return np.asarray(ndtri(uniform))

    @property
    def _logarithmic(self) -> bool:
        return self.low > 0

    def _part(self, values: Array) -> Array:
        """Place of a continuous value in its range, from 0 to 1."""
        low, high = self.low, self.high
        values = np.clip(values, low, high)
        if high == low:
            return np.full(len(values), MIDDLE)
        if self._logarithmic:
            return np.asarray(np.log(values / low) / np.log(high / low))
        return np.asarray((values - low) / (high - low))

    def _groomed(self, uniform: Array) -> Array:
        part = (uniform - self.spike) / max(1.0 - self.spike, EDGE)
        part = np.clip((part - EDGE) / (1.0 - 2 * EDGE), 0.0, 1.0)
        if self._logarithmic:
            values = self.low * (self.high / self.low) ** part
        else:
            values = self.low + (self.high - self.low) * part
        if self.floor is None:
            return np.asarray(values)
        return np.where(uniform < self.spike, self.floor, values)


@dataclass(frozen=True)
class Preprocessing:
    """The columns of one level."""

    columns: tuple[Column, ...]

    def forward(self, values: Array, rng: np.random.Generator) -> Array:
        """Transform values (n, observables), smearing what is not continuous."""
        chance = rng.random(values.shape)
        return self._stacked(values, chance)

    def certain(self, values: Array) -> Array:
        """Transform values (n, observables) without chance: for conditions and classifiers."""
        return self._stacked(values, np.full(values.shape, MIDDLE))

    def inverse(self, transformed: Array) -> Array:
        """Undo `forward`, (n, observables)."""
        pairs = zip(self.columns, transformed.T, strict=True)
        return np.stack([column.inverse(values) for column, values in pairs], axis=1)

    def _stacked(self, values: Array, chance: Array) -> Array:
        triples = zip(self.columns, values.T, chance.T, strict=True)
        return np.stack([column.forward(*pair) for column, *pair in triples], axis=1)

    def outside(self, values: Array) -> Array:
        """Whether events (n, observables) lie beyond the range of the simulation, (n)."""
        result = np.zeros(len(values), dtype=bool)
        for column, own in zip(self.columns, values.T, strict=True):
            low = column.low if column.floor is None else min(column.low, column.floor)
            result |= (own < low) | (own > column.high)
        return result


def measured(
    values: Array,
    weight: Array,
    names: Sequence[str],
    observables: Mapping[str, ObservableSettings],
    what: str,
) -> Preprocessing:
    """Measure the transformation of simulated events that pass.

    Parameters
    ----------
    values
        (n, observables), finite.
    weight
        (n), none negative.
    names, observables
        Of the columns, and their settings.
    what
        Whose values, for messages: "particle level".

    Raises
    ------
    InputError
        A value is not finite, an observable is constant or has no settings.
    """
    columns = []
    for number, name in enumerate(names):
        if name not in observables:
            raise InputError(f"unfolding.observables has no {name!r}, which is unfolded")
        own = values[:, number]
        bad = int((~np.isfinite(own)).sum())
        if bad:
            raise InputError(f"{what}: {name!r} is not finite for {bad} of {len(own)} events")
        if not own.max() > own.min():
            raise InputError(
                f"{what}: {name!r} is {own[0]:g} for all {len(own)} simulated events; nothing can "
                "be unfolded of it, leave it out"
            )
        columns.append(_column(own, weight, observables[name].kind))
    return Preprocessing(tuple(columns))


def _column(values: Array, weight: Array, kind: str) -> Column:
    column = Column(kind, float(values.min()), float(values.max()))
    if kind == "groomed":
        column = _with_spike(values, weight)
    # Quantiles would be those of the smearing if an integer hardly varies.
    raw = column.forward(values, np.full(len(values), MIDDLE))
    low, middle, high = weighted_quantiles(raw, weight, [0.16, 0.5, 0.84])
    deviation = float(np.sqrt(np.average((raw - middle) ** 2, weights=weight)))
    scale = 0.5 * (high - low) if high - low > 0.2 * deviation else deviation
    return Column(
        column.kind, column.low, column.high, column.floor, column.spike, float(middle), scale
    )


def _with_spike(values: Array, weight: Array) -> Column:
    floor = values.min()
    at_floor = values <= floor
    if at_floor.sum() < LEAST_SPIKE:
        return Column("groomed", float(floor), float(values.max()))
    others = values[~at_floor]
    spike = float(weight[at_floor].sum() / weight.sum())
    return Column("groomed", float(others.min()), float(others.max()), float(floor), spike)


def _inside(part: Array) -> Array:
    return EDGE + (1.0 - 2 * EDGE) * part
