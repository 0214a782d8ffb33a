"""The Gaussian case: events whose truth, detector and background are known by formula.

Truth is a normal number, the detector adds a normal one, loses events and sees others that are not
of the fiducial volume, and a background lies under the data. It is the case on which OmniFold is
usually shown (1911.09107 and the public codes that followed it).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from fullchain.unfolding.sample import Level, Measured, Problem, Simulation, Truth
from fullchain.unfolding.toy_settings import OBSERVABLE

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Normal:
    """A normal distribution."""

    mean: float
    width: float


@dataclass(frozen=True)
class Detector:
    """What the detector does.

    Parameters
    ----------
    smearing
        Width of the normal number that it adds.
    inefficiency
        Part of the events of the particle level that it does not see.
    fakes
        Part of the events that it sees which are not of the particle level.
    """

    smearing: float
    inefficiency: float
    fakes: float


@dataclass(frozen=True)
class Background:
    """Normal at detector level, and its expected part of the data."""

    shape: Normal
    fraction: float


def signal(
    chance: np.random.Generator, events: int, truth: Normal, detector: Detector
) -> Simulation:
    """Draw events; those that pass neither level are left out, so there are fewer than `events`.

    Passing one level and passing the other are independent.
    """
    gen = chance.normal(truth.mean, truth.width, events)
    reco = gen + chance.normal(0.0, detector.smearing, events)
    seen = chance.random(events) >= detector.inefficiency
    fiducial = chance.random(events) >= detector.fakes
    kept = np.flatnonzero(seen | fiducial)
    return _sample(gen[kept], fiducial[kept], reco[kept], seen[kept], first=0)


def background(chance: np.random.Generator, events: int, shape: Normal) -> Simulation:
    """Draw events of the background, which have a detector level only."""
    none = np.zeros(events)
    values = chance.normal(shape.mean, shape.width, events)
    return _sample(none, none > 0, values, none == 0, first=0)


def data(
    chance: np.random.Generator,
    expected: float,
    truth: Normal,
    detector: Detector,
    below: Background | None,
) -> Simulation:
    """Draw pseudo-data: numbers of signal and background events are Poisson.

    Parameters
    ----------
    expected
        Signal events before the detector.
    below
        The background; None without.
    """
    found = signal(chance, int(chance.poisson(expected)), truth, detector)
    if below is None:
        return found
    seen = expected * (1.0 - detector.inefficiency)
    wanted = seen * below.fraction / (1.0 - below.fraction)
    unwanted = background(chance, int(chance.poisson(wanted)), below.shape)
    return _joined(found, unwanted)


def problem(simulation: Simulation, measured: Simulation, unwanted: Simulation | None,
            fraction: float) -> Problem:  # fmt: skip
    """Pose the unfolding of pseudo-data, of which the expected part `fraction` is background."""
    seen = measured.reco.passed
    total = float(measured.weight[seen].sum())
    found = Measured(measured.names, measured.reco.values[seen], measured.weight[seen])
    below = None
    if unwanted is not None:
        weight = unwanted.weight * (fraction * total / unwanted.weight.sum())
        below = Measured(unwanted.names, unwanted.reco.values, weight)
    signal_part = total * (1.0 - (0.0 if unwanted is None else fraction))
    scale = signal_part / simulation.weight[simulation.reco.passed].sum()
    fiducial = measured.gen.passed
    truth = Truth(measured.names, measured.gen.values[fiducial], measured.weight[fiducial])
    return Problem(simulation.weighted(simulation.weight * scale), found, below, truth)


def expected_counts(edges: Array, truth: Normal, events: float) -> Array:
    """Expected numbers of events (bins) of the particle level in bins with these edges."""
    below: Array = norm.cdf(edges, truth.mean, truth.width)
    return events * np.diff(below)


def _sample(
    gen: Array,
    fiducial: npt.NDArray[np.bool_],
    reco: Array,
    seen: npt.NDArray[np.bool_],
    first: int,
) -> Simulation:
    events = len(gen)
    ids = np.ones((events, 3), dtype=np.int64)
    ids[:, 2] = first + np.arange(events)
    return Simulation(
        (OBSERVABLE,),
        Level(np.where(fiducial, gen, np.nan)[:, None], fiducial),
        Level(np.where(seen, reco, np.nan)[:, None], seen),
        np.ones(events),
        ids,
    )


def _joined(one: Simulation, other: Simulation) -> Simulation:
    ids = other.ids.copy()
    ids[:, 2] += len(one)

    def level(first: Level, second: Level) -> Level:
        return Level(
            np.concatenate([first.values, second.values]),
            np.concatenate([first.passed, second.passed]),
        )

    return replace(
        one,
        gen=level(one.gen, other.gen),
        reco=level(one.reco, other.reco),
        weight=np.concatenate([one.weight, other.weight]),
        ids=np.concatenate([one.ids, ids]),
    )
