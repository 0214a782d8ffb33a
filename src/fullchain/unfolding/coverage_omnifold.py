"""OmniFold in pseudo-experiments of the Gaussian case."""

from collections.abc import Sequence

import numpy as np

from fullchain.errors import InputError
from fullchain.learning import device
from fullchain.seeds import derive
from fullchain.unfolding import omnifold
from fullchain.unfolding.coverage_fits import Replicated, Unfold
from fullchain.unfolding.fits import fits_of
from fullchain.unfolding.omnifold_settings import OmnifoldSettings
from fullchain.unfolding.sample import Array, Problem
from fullchain.unfolding.unfolded import DATA, ENSEMBLE, SIMULATION


def reweighted(settings: OmnifoldSettings, edges: Array, replicas: int, seed: int) -> Unfold:
    """OmniFold: nominal ensemble and replicas of one experiment are trained together.

    Raises InputError where the settings ask for weights of each observable by itself.
    """
    if settings.inputs != "multifold":
        raise InputError(
            f"unfolding.coverage: inputs {settings.inputs} of OmniFold make no sense for the one "
            "observable of the Gaussian case; take multifold"
        )

    def one(number: int, problem: Problem, many: int) -> Replicated:
        fits = fits_of(
            problem,
            seed,
            f"coverage_{number}",
            ensemble=settings.ensemble,
            data_replicas=many,
            simulation_replicas=many,
            shifts=False,
        )
        start = derive(seed, "omnifold", number)
        weights = omnifold.unfold(problem, fits, settings, start).weights
        values = problem.simulation.gen.values[problem.simulation.gen.passed, 0]

        def counts(source: str) -> Array:
            chosen = [weight for name, weight in weights.items() if name.startswith(f"{source}_")]
            return np.array([np.histogram(values, edges, weights=weight)[0] for weight in chosen])

        ensemble = counts(ENSEMBLE)
        nominal: Array = ensemble.mean(axis=0)
        sources = [counts(DATA), counts(SIMULATION)] if many else []
        if many and len(ensemble) > 1:
            # Their mean is the result, whose variance is smaller by their number.
            sources.append(nominal + (ensemble - nominal) / np.sqrt(len(ensemble)))
        return Replicated(nominal, sources)

    def unfold(problems: Sequence[Problem], with_replicas: Sequence[int]) -> list[Replicated]:
        with device.repeatable(settings.threads), device.keeping_memory():
            return [
                one(number, problem, replicas if number in with_replicas else 0)
                for number, problem in enumerate(problems)
            ]

    return unfold
