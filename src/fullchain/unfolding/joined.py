"""Several samples of events as one."""

from collections.abc import Sequence

import numpy as np

from fullchain.unfolding.sample import Level, Particles, Simulation


def joined(parts: Sequence[Simulation]) -> Simulation:
    """Give the events of all parts in their order.

    Parameters
    ----------
    parts
        At least one, with the same observables and shifts. Variations of the weight that a part
        lacks are left out.
    """
    first = parts[0]
    common = [name for name in first.factors if all(name in part.factors for part in parts)]
    return Simulation(
        first.names,
        _levels([part.gen for part in parts]),
        _levels([part.reco for part in parts]),
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.ids for part in parts]),
        {name: _levels([part.shifted[name] for part in parts]) for name in first.shifted},
        {name: np.concatenate([part.factors[name] for part in parts]) for name in common},
    )


def _levels(levels: Sequence[Level]) -> Level:
    particles = [level.particles for level in levels if level.particles is not None]
    return Level(
        np.concatenate([level.values for level in levels]),
        np.concatenate([level.passed for level in levels]),
        _particles(particles) if len(particles) == len(levels) else None,
    )


def _particles(parts: Sequence[Particles]) -> Particles:
    counts = np.concatenate([np.diff(part.offsets) for part in parts])
    return Particles(
        np.concatenate([part.features for part in parts]),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        parts[0].names,
    )
