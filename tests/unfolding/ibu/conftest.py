"""The Gaussian case, in as many events as a test needs."""

import numpy as np
import pytest

from fullchain.unfolding.sample import Level, Measured, Problem, Simulation

SMEARING = 0.5
MISSED, FAKE, BACKGROUND = 0.1, 0.1, 0.1


def _sample(chance, events, mean, width, dimensions):
    """Events of which a tenth fails each level, independently of all else."""
    gen = chance.normal(mean, width, (events, dimensions))
    reco = gen + chance.normal(0.0, SMEARING, (events, dimensions))
    pass_gen, pass_reco = chance.random(events) > FAKE, chance.random(events) > MISSED
    gen[~pass_gen] = np.nan
    reco[~pass_reco] = np.nan
    names = ("x", "y", "z")[:dimensions]
    ids = np.stack([np.ones(events), np.ones(events), np.arange(events)], axis=1)
    return Simulation(
        names,
        Level(gen, pass_gen),
        Level(reco, pass_reco),
        np.ones(events),
        ids.astype(np.int64),
    )


@pytest.fixture(scope="session")
def gaussian():
    """Give a function that makes a problem with its true values at the particle level."""

    def make(
        events=20_000,
        data_events=20_000,
        *,
        seed=1,
        mean=0.2,
        width=0.8,
        dimensions=1,
        background=True,
    ):
        chance = np.random.default_rng(seed)
        simulated = _sample(chance, events, 0.0, 1.0, dimensions)
        happened = _sample(chance, data_events, mean, width, dimensions)
        values = happened.reco.values[happened.reco.passed]
        unwanted = None
        if background:
            number = round(len(values) * BACKGROUND / (1 - BACKGROUND))

            def draw(count):
                true = chance.normal(0.0, 1.2, (count, dimensions))
                return true + chance.normal(0.0, SMEARING, (count, dimensions))

            values = np.concatenate([values, draw(number)])
            unwanted = Measured(simulated.names, draw(5 * number), np.full(5 * number, 0.2))
        data = Measured(simulated.names, values, np.ones(len(values)))
        return Problem(simulated, data, unwanted), happened.gen.values[happened.gen.passed]

    return make
