"""An unfolded sample with everything that a method can give, and the settings of its steps."""

import numpy as np
import pytest

from fullchain.step import Given
from fullchain.unfolding.unfolded import Unfolded

OBSERVABLES = {
    "mass": {"label": "$m$", "unit": "GeV", "low": 0.0, "high": 60.0, "bins": 24},
    "multiplicity": {
        "label": "$M$",
        "low": -0.5,
        "high": 39.5,
        "bins": 40,
        "edges": [-0.5, 9.5, 19.5, 39.5],
        "kind": "integer",
    },
}


def make(n=400, seed=1, *, replicas=25, alternative=""):
    """Weights of a result tilt both observables; `replicas` of each kind.

    With an alternative, its name, there is the nominal result only.
    """
    chance = np.random.default_rng(seed)
    values = np.stack([chance.gamma(4.0, 6.0, n), chance.poisson(15, n).astype(float)], axis=1)
    weight = chance.random(n) + 0.5
    weights = {"nominal": weight}
    if not alternative:
        for source in ("data", "simulation", "ensemble"):
            for k in range(replicas):
                tilt = chance.normal(scale=0.05, size=2) @ (values / values.mean(axis=0)).T
                weights[f"{source}_{k}"] = weight * np.exp(tilt - tilt.mean())
        for name, sign in (("up", 1), ("down", -1)):
            weights[f"shift_jes_{name}"] = weight * (1 + 0.002 * sign * (values[:, 0] - 24))
    ids = np.stack([np.ones(n), np.ones(n), np.arange(n)], axis=1).astype(np.int64)
    about = {"method": "multifold", "alternative": alternative, "units": {"mass": "GeV"}}
    return Unfolded(("mass", "multiplicity"), values, ids, np.ones(n), weights, about)


def give(**publication):
    values = {"observables": OBSERVABLES, "publication": publication}
    return Given({"seed": 1, "unfolding": values})


@pytest.fixture(scope="session")
def observables():
    """Settings of the observables."""
    return OBSERVABLES


@pytest.fixture(scope="session")
def sample():
    """Function that makes an unfolded sample."""
    return make


@pytest.fixture(scope="session")
def settings():
    """Function that gives the settings of a step, with those of the publication."""
    return give
