"""cINN and flow matching in pseudo-experiments of the Gaussian case."""

from collections.abc import Sequence

import numpy as np

from fullchain.errors import InputError
from fullchain.learning import device
from fullchain.seeds import derive
from fullchain.unfolding import generative_samples, generative_unfolding
from fullchain.unfolding.coverage_fits import Replicated, Unfold
from fullchain.unfolding.generative_settings import Generative
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.sample import Array, Problem
from fullchain.unfolding.toy_settings import OBSERVABLE
from fullchain.unfolding.unfolded import DATA, ENSEMBLE, NOMINAL, SIMULATION


def generated(
    settings: Generative, observable: ObservableSettings, edges: Array, replicas: int, seed: int
) -> Unfold:
    """A generative method: all members of one experiment are trained together.

    Raises InputError where the settings ask for medians of batches.
    """
    if settings.median_of is not None:
        raise InputError(
            f"unfolding.coverage: the median of {settings.median_of} (median_of) is the same in "
            "all simulated events of the Gaussian case; take a method without it"
        )

    def one(number: int, problem: Problem, many: int) -> Replicated:
        name = f"coverage_{number}"
        fitted = generative_unfolding.fitted(
            problem,
            {OBSERVABLE: observable},
            _of_an_experiment(settings, many),
            seed=derive(seed, settings.kind, number),
            measurement=name,
            replica_seed=seed,
        )
        sample, _ = generative_samples.unfolded(fitted, name, seed, many)
        values = sample.values[:, 0]

        def counts(source: str) -> Array:
            chosen = [
                weight for key, weight in sample.weights.items() if key.startswith(f"{source}_")
            ]
            return np.array([np.histogram(values, edges, weights=weight)[0] for weight in chosen])

        nominal: Array = np.histogram(values, edges, weights=sample.weights[NOMINAL])[0]
        sources = [counts(DATA), counts(SIMULATION)] if many else []
        if many and settings.ensemble > 1:
            # Their mean is the result, whose variance is smaller by their number.
            ensemble = counts(ENSEMBLE)
            sources.append(nominal + (ensemble - nominal) / np.sqrt(len(ensemble)))
        return Replicated(nominal, sources)

    def unfold(problems: Sequence[Problem], with_replicas: Sequence[int]) -> list[Replicated]:
        with device.repeatable(settings.training.threads), device.keeping_memory():
            return [
                one(number, problem, replicas if number in with_replicas else 0)
                for number, problem in enumerate(problems)
            ]

    return unfold


def _of_an_experiment(settings: Generative, replicas: int) -> Generative:
    """Settings of one experiment, without what changes no result."""
    control = settings.control
    return settings.model_copy(
        update={
            "data_replicas": replicas,
            "simulation_replicas": replicas,
            # Toys have neither shifts nor factors.
            "variations": False,
            # Only one that reweights is more than a diagnostic.
            "control": control if control is not None and control.reweights else None,
        }
    )
