"""OmniFold on particles, for jets whose particles differ between simulation and truth.

The truth has more particles than the simulation, and shares the pT of a jet among them less evenly.
Networks are given each particle, the pT of the jet and its number of particles. What is looked at
is none of these: how unevenly the pT is shared, in which more particles alone go the wrong way.
"""

import numpy as np
import pytest
import torch

from fullchain.learning import device
from fullchain.unfolding.fits import Fit
from fullchain.unfolding.omnifold import unfold
from fullchain.unfolding.omnifold_settings import OmnifoldSettings
from fullchain.unfolding.sample import Level, Measured, Particles, Problem, Simulation
from fullchain.unfolding.triangular import discriminator

FEATURES = ("pt", "deta", "dphi", "charge", "pdgId")
NAMES = ("dispersion",)
EDGES = np.linspace(0.0, 1.0, 16)
SIMULATED, MEASURED, REPLICAS = 1800, 1500, 8
PFN = (
    {"kind": "pfn", "phi": [24, 24], "f": [24], "typical": 8},
    {"epochs": 10, "learning_rate": 5e-3, "batch_size": 128},
)
TRANSFORMER = (
    {"kind": "transformer", "width": 12, "heads": 2, "blocks": 1, "expansion": 1},
    {"epochs": 12, "learning_rate": 4e-3, "batch_size": 128},
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def clouds(pt, jet, directions, n):
    """Particles of n jets by falling pT, of (particles) pT and number of the jet."""
    order = np.lexsort((-pt, jet))
    rows = [pt, *directions, np.ones(len(pt)), np.full(len(pt), 211.0)]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(jet, minlength=n))])
    return Particles(np.stack(rows, axis=1)[order], offsets, FEATURES)


def dispersion(particles):
    """Root of the sum of squares of the pT over their sum: 1 if one particle has all; (n, 1)."""
    pt, counts = particles.features[:, 0], np.diff(particles.offsets)
    jet = np.repeat(np.arange(len(counts)), counts)
    squares, total = np.bincount(jet, pt**2), np.bincount(jet, pt)
    return (np.sqrt(squares) / total)[:, None]


def jets(n, *, extra, evenness, seed):
    """Particles of n jets at particle level and at detector level.

    Of 2 particles and `extra` more on average; the larger the evenness, the more equal they are.
    The detector loses a tenth of the particles, but none of the hardest ones, and smears pT by a
    tenth.
    """
    chance = np.random.default_rng(seed)
    counts = 2 + chance.poisson(extra, n)
    jet = np.repeat(np.arange(n), counts)
    share = chance.gamma(evenness, size=len(jet)) + 1e-3
    pt = share / np.bincount(jet, share)[jet] * np.exp(chance.normal(4.0, 0.3, n))[jet]
    directions = chance.normal(scale=0.1, size=(2, len(jet)))
    gen = clouds(pt, jet, directions, n)
    hardest = np.zeros(len(jet), dtype=bool)
    hardest[np.lexsort((-pt, jet))[gen.offsets[:-1]]] = True
    kept = hardest | (chance.random(len(jet)) > 0.1)
    smeared = pt * np.exp(chance.normal(scale=0.1, size=len(jet)))
    reco = clouds(smeared[kept], jet[kept], directions[:, kept], n)
    return gen, reco


def posed(gen, reco, data):
    passed = np.ones(SIMULATED, dtype=bool)
    ids = np.stack([passed, passed, np.arange(SIMULATED)], axis=1).astype(np.int64)
    levels = [Level(dispersion(one), passed, one) for one in (gen, reco)]
    simulation = Simulation(NAMES, *levels, np.full(SIMULATED, MEASURED / SIMULATED), ids)
    return Problem(simulation, Measured(NAMES, dispersion(data), np.ones(MEASURED), data))


def spectrum(particles, weight):
    return np.histogram(dispersion(particles)[:, 0], EDGES, weights=weight)[0]


def as_many(gen, true):
    """Weights of the simulation that have the truth's numbers of particles, and no more of it."""
    counts, wanted = np.diff(gen.offsets), np.diff(true.offsets)
    found = np.bincount(counts, minlength=wanted.max() + 1)
    return (np.bincount(wanted, minlength=len(found)) / np.maximum(found, 1))[counts]


@pytest.mark.parametrize(("network", "training"), [PFN, TRANSFORMER], ids=["pfn", "transformer"])
def test_what_no_network_is_told_comes_near_the_truth(network, training):
    true, data = jets(MEASURED, extra=4.4, evenness=0.6, seed=2)
    gen, reco = jets(SIMULATED, extra=4.0, evenness=1.2, seed=1)
    chance = np.random.default_rng(3)
    in_truth = chance.poisson(1.0, (REPLICAS, MEASURED)).astype(float)
    in_simulation = chance.poisson(1.0, (REPLICAS, SIMULATED)).astype(float)
    # What the data are and what is true are the same jets, whose fluctuations cancel.
    fits = [
        Fit(f"data_{k}", data=in_truth[k], simulation=in_simulation[k]) for k in range(REPLICAS)
    ]
    settings = OmnifoldSettings.model_validate(
        {
            "inputs": "particles",
            "particle_network": network,
            "iterations": 2,
            "members_at_once": REPLICAS + 1,
            "training": training,
        }
    )
    with device.repeatable(1):
        fitted = unfold(posed(gen, reco, data), [Fit("ensemble_0"), *fits], settings, 5)

    def apart(weight, factors):
        return float(discriminator(spectrum(gen, weight), spectrum(true, factors), EDGES))

    def distances(fit, truth_factors, simulation_factors):
        return apart(simulation_factors, truth_factors), apart(fitted.weights[fit], truth_factors)

    everything = np.ones(MEASURED)
    before, after = distances("ensemble_0", everything, np.ones(SIMULATED))
    replicas = [distances(one.name, in_truth[k], in_simulation[k]) for k, one in enumerate(fits)]
    error = float(np.diff(replicas, axis=1).std(ddof=1))
    assert apart(as_many(gen, true), everything) > before
    assert before - after > 3 * error
    assert after < before / 2
