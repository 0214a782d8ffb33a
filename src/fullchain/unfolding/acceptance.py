"""Events that pass one level only, and background, in a generative unfolding.

A posterior is learned of simulated events that pass both levels. Of measured events at x the part
that passes the particle level is 1 - fake(x); an event at z is one of 1/efficiency(z) that passed
the particle level. Both are probabilities that classifiers learn of the simulation. The efficiency
does not depend on the prior. The part of fakes does; as in OmniFold, simulated events that fail
the particle level share the mean weight of those at their x that pass it, which leaves it as it is.
Background is subtracted as weights of the measured events: 1 - b(x)/d(x), where the ratio of its
density to that of the data is again f/(1-f) of a classifier.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.learning import split
from fullchain.seeds import derive, stream
from fullchain.unfolding import acceptance_classifier
from fullchain.unfolding.acceptance_classifier import Classifier
from fullchain.unfolding.generative_settings import SmallClassifierSettings
from fullchain.unfolding.generative_variations import Levels, Variation
from fullchain.unfolding.preprocessing import Preprocessing
from fullchain.unfolding.sample import Measured, Simulation

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LEAST_EFFICIENCY = 0.02
"""Below it an event would stand for more than fifty that nobody saw; it counts as this."""


@dataclass(frozen=True)
class Acceptance:
    """Fitted probabilities of all variations.

    Parameters
    ----------
    efficiency
        To pass the detector level, given the particle level; a fit for each variation.
    genuine
        To pass the particle level, given the detector level; a fit for each variation.
    particle, detector
        Transformations of the two levels.
    """

    efficiency: Classifier
    genuine: Classifier
    particle: Preprocessing
    detector: Preprocessing

    def inverse_efficiency(self, values: Array) -> tuple[Array, float]:
        """Give 1/efficiency (rows, variations) of particle-level values, and the clipped part."""
        found = self.efficiency.probabilities(self.particle.certain(values))
        return 1.0 / np.maximum(found, LEAST_EFFICIENCY), float((found < LEAST_EFFICIENCY).mean())

    def genuine_part(self, values: Array) -> Array:
        """Give 1 - fake (rows, variations) of detector-level values."""
        inputs = self.detector.certain(values)
        sets = max(self.genuine.network.which) + 1
        return self.genuine.probabilities(np.repeat(inputs[:, None], sets, axis=1))


def fit(
    simulation: Simulation,
    chosen: Sequence[Variation],
    levels: Levels,
    particle: Preprocessing,
    detector: Preprocessing,
    settings: SmallClassifierSettings,
    seed: int,
) -> Acceptance:
    """Fit the probabilities to the simulation.

    Raises InputError where no event passes both levels, or weights under a variation are unusable
    (names it).
    """
    weight = np.stack([simulation.weight * one.factor for one in chosen], axis=1)
    held = held_back(simulation, settings.validation, seed)
    passed = levels.passed[:, list(levels.which)]
    gen = simulation.gen.passed
    if not (weight * passed * gen[:, None]).any():
        raise InputError("no simulated event passes both levels; check the selections")
    efficiency = acceptance_classifier.fit(
        particle.certain(simulation.gen.values[gen]),
        passed[gen].astype(float),
        weight[gen],
        held[gen],
        settings,
        seed=derive(seed, "efficiency"),
        names=[one.name for one in chosen],
        description="efficiency",
    )
    inputs = conditions(simulation, levels, detector)
    seen = levels.passed.any(axis=1)
    genuine = acceptance_classifier.fit(
        inputs[seen],
        gen[seen].astype(float)[:, None],
        (weight * passed)[seen],
        held[seen],
        settings,
        seed=derive(seed, "genuine"),
        which=levels.which,
        names=[one.name for one in chosen],
        description="fakes",
    )
    return Acceptance(efficiency, genuine, particle, detector)


def conditions(simulation: Simulation, levels: Levels, detector: Preprocessing) -> Array:
    """Transformed detector levels (events, levels, observables), 0 where an event fails."""
    columns = []
    for number, name in enumerate(levels.names):
        passed = levels.passed[:, number]
        values = np.zeros((len(simulation), len(simulation.names)))
        values[passed] = detector.certain(simulation.level(name).values[passed])
        columns.append(values)
    return np.stack(columns, axis=1)


def held_back(simulation: Simulation, part: float, seed: int) -> Flags:
    """Choose events (n) for validation, by a hash of their identity."""
    run, block, event = simulation.ids.T
    folds = split.fold(run, block, event, derive(seed, "validation"))
    return np.asarray(folds < part)


@dataclass(frozen=True)
class Kept:
    """What is left of each measured event without the background.

    Parameters
    ----------
    part
        (m) from 0 to 1.
    clipped
        Part of the events at which more background was expected than there are data.
    learned
        Whether the shape of the background was learned; else, of too few events, only its part.
        None without background.
    """

    part: Array
    clipped: float
    learned: bool | None


def subtracted(
    data: Measured,
    background: Measured | None,
    detector: Preprocessing,
    settings: SmallClassifierSettings,
    seed: int,
) -> Kept:
    """Give what is left of the data; the sum is that of the data less that of the background."""
    if background is None:
        return Kept(np.ones(len(data)), 0.0, None)
    rows = len(data) + len(background)
    found = acceptance_classifier.fit(
        detector.certain(np.concatenate([data.values, background.values])),
        np.repeat([0.0, 1.0], [len(data), len(background)])[:, None],
        np.concatenate([data.weight, background.weight])[:, None],
        stream(seed, "background").random(rows) < settings.validation,
        settings,
        seed=derive(seed, "background"),
        description="background",
    )
    left = 1.0 - np.exp(found.logits(detector.certain(data.values))[:, 0])
    part = np.clip(left, 0.0, 1.0)
    total = data.weight.sum()
    if (data.weight * part).sum() <= 0:
        raise InputError("background: nothing of the data is left; check its expected part")
    part = part * (total - background.weight.sum()) / (data.weight * part).sum()
    return Kept(part, float((left < 0).mean()), bool(found.learned[0]))
