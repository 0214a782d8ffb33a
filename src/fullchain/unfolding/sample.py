"""Samples of events at two levels: what happened, and what the detector saw of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

NOMINAL = "nominal"
"""Name of the reconstruction without any shift."""


@dataclass(frozen=True)
class Particles:
    """Particles of n jets.

    Parameters
    ----------
    features
        (particles, features), those of each jet together, by falling pT.
    offsets
        (n + 1) where those of each jet begin.
    names
        Of the features: pt [GeV], deta, dphi (from the axis of the jet), charge, pdgId.
    """

    features: Array
    offsets: Integers
    names: tuple[str, ...]

    def take(self, rows: Integers) -> "Particles":
        """Give the particles of some of the jets, in that order."""
        counts = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        chosen = np.repeat(self.offsets[:-1][rows], counts) + within
        return Particles(self.features[chosen], offsets, self.names)


@dataclass(frozen=True)
class Level:
    """One level of n events.

    Parameters
    ----------
    values
        (n, observables), NaN where the event fails the selection of this level.
    passed
        (n) whether it passes.
    particles
        Of the measured jet, none for an event that fails; None where they are not read.
    """

    values: Array
    passed: Flags
    particles: Particles | None = None

    def take(self, rows: Integers) -> "Level":
        """Give some of the events, in that order."""
        particles = None if self.particles is None else self.particles.take(rows)
        return Level(self.values[rows], self.passed[rows], particles)


@dataclass(frozen=True)
class Simulation:
    """Simulated events that pass the selection of at least one level.

    Parameters
    ----------
    names
        Of the observables, in the order of the columns of all values.
    gen, reco
        Particle level and detector level.
    weight
        (n) weight of each event, finite and not negative.
    ids
        (n, 3) run, luminosity block and event number.
    shifted
        Detector level under each shift, by its name; the same events.
    factors
        (n) factor on the weight under each variation of the theory, by its name.
    group
        (n) number of the sample that each event is of, from 0; None: all of one.
    samples
        Names of the samples by these numbers, for messages; empty where they are not known.
    """

    names: tuple[str, ...]
    gen: Level
    reco: Level
    weight: Array
    ids: Integers
    shifted: Mapping[str, Level] = field(default_factory=dict)
    factors: Mapping[str, Array] = field(default_factory=dict)
    group: Integers | None = None
    samples: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.weight)

    def take(self, rows: Integers) -> "Simulation":
        """Give some of the events, in that order."""
        return Simulation(
            self.names,
            self.gen.take(rows),
            self.reco.take(rows),
            self.weight[rows],
            self.ids[rows],
            {name: level.take(rows) for name, level in self.shifted.items()},
            {name: factor[rows] for name, factor in self.factors.items()},
            None if self.group is None else self.group[rows],
            self.samples,
        )

    def weighted(self, weight: Array) -> "Simulation":
        """Give the same events with other weights."""
        return replace(self, weight=weight)

    def sample(self, number: int) -> str:
        """Name of a sample, or its number where it has none."""
        return (self.samples[number] if number < len(self.samples) else "") or str(number)

    def level(self, shift: str) -> Level:
        """Detector level under a shift, or `nominal`."""
        return self.reco if shift == NOMINAL else self.shifted[shift]


@dataclass(frozen=True)
class Measured:
    """Events that pass the selection of the detector level: data, or simulated background.

    Parameters
    ----------
    names
        Of the observables.
    values
        (m, observables), finite.
    weight
        (m), 1 for recorded data.
    particles
        Of the measured jet, or None.
    ids
        (m, 3) run, luminosity block and event number, or None.
    """

    names: tuple[str, ...]
    values: Array
    weight: Array
    particles: Particles | None = None
    ids: Integers | None = None

    def __len__(self) -> int:
        return len(self.weight)


@dataclass(frozen=True)
class Problem:
    """What a method of unfolding gets.

    Parameters
    ----------
    simulation
        Its weights sum to those of `data` less `background` over events that pass the detector
        level.
    data
        Measured events.
    background
        Simulated events that are in the data and not wanted, weighted as they are expected there;
        None without.
    truth
        Particle level of the data where they are simulated, with the weights of `data`'s sample:
        for tests of closure only, no method looks at it.
    """

    simulation: Simulation
    data: Measured
    background: Measured | None = None
    truth: "Truth | None" = None


@dataclass(frozen=True)
class Truth:
    """Particle level of (pseudo-)data: (k, observables) values of events that pass, (k) weights."""

    names: tuple[str, ...]
    values: Array
    weight: Array


def check_weights(weight: Array, what: str) -> None:
    """Raise InputError where weights are not finite, negative, or sum to nothing.

    Parameters
    ----------
    what
        Whose weights, for the message: "data", "simulation of zmumu".
    """
    bad = ~np.isfinite(weight)
    if bad.any():
        raise InputError(
            f"{what}: {bad.sum()} of {len(weight)} weights are NaN or infinite (first: row "
            f"{int(np.flatnonzero(bad)[0])}); remove these events or mend their weights"
        )
    if (weight < 0).any():
        raise InputError(
            f"{what}: {int((weight < 0).sum())} of {len(weight)} weights are negative; methods "
            "that classify cannot take them, reweight the sample to positive weights first"
        )
    if len(weight) == 0 or weight.sum() <= 0:
        raise InputError(
            f"{what}: no event, or weights that sum to {weight.sum() if len(weight) else 0:g}; "
            "check the selection and the weights"
        )
