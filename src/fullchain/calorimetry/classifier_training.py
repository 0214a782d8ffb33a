"""Training of a classifier on simulated and generated showers, and its calibration.

As the CaloChallenge does (2410.21611), with one difference: the best epoch is that of the best loss
on the validation part, which also calibrates, and the AUC is of the test part, which does neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from torch import Tensor, nn

from fullchain.calorimetry.classifier_network import ShowerClassifier
from fullchain.calorimetry.classifier_settings import OFFICIAL_LAYERS, ClassifierSettings
from fullchain.errors import InputError
from fullchain.learning.device import repeatable
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import History, initialised, train, weighted_mean
from fullchain.seeds import derive

Array = NDArray[Any]

OFFICIAL_TRAINING = {
    "epochs": 50,
    "batch_size": 1000,
    "optimiser": "adam",
    "learning_rate": 2e-4,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warmup": 0.0,
    "gradient_clip": None,
    "patience": 50,
    "min_improvement": 0.0,
    "precision": "float32",
}
"""Precision is that of the network and of the rows, double; this says that none is dropped."""

BLOCK = 10_000
"""Rows that a network sees at once outside the training."""

CERTAIN = 1e-6
"""Distance from 0 and 1 that calibrated probabilities keep."""


@dataclass(frozen=True)
class Rows:
    """Inputs of showers of both kinds, with weights.

    Parameters
    ----------
    values
        (n, inputs).
    simulated
        1 for a simulated shower, 0 for a generated one, (n).
    weight
        Not negative, of mean one in each kind, (n).
    """

    values: Array
    simulated: Array
    weight: Array

    @classmethod
    def joined(cls, simulated: Array, generated: Array, weight: Array | None = None) -> "Rows":
        """Put both kinds together; `weight` is that of generated showers.

        Raises
        ------
        InputError
            Inputs differ in number, a kind is missing, or weights have no positive sum.
        """
        if not len(simulated) or not len(generated):
            missing = "generated" if len(simulated) else "simulated"
            raise InputError(f"no {missing} showers: a classifier needs both kinds")
        if simulated.shape[1] != generated.shape[1]:
            raise InputError(
                f"{simulated.shape[1]} inputs for simulated showers and {generated.shape[1]} for "
                "generated ones: the files are of different geometries"
            )
        own = np.ones(len(generated)) if weight is None else np.asarray(weight, dtype=float)
        if own.shape != (len(generated),) or not np.isfinite(own).all() or (own < 0).any():
            raise InputError("weights must be finite and not negative, one for each shower")
        if own.sum() <= 0:
            raise InputError("the weights of all generated showers are zero")
        return cls(
            np.concatenate([simulated, generated]),
            np.repeat([1.0, 0.0], [len(simulated), len(generated)]),
            np.concatenate([np.ones(len(simulated)), own * (len(own) / own.sum())]),
        )

    def __len__(self) -> int:
        return len(self.values)

    def select(self, chosen: Array) -> "Rows":
        """Give some of the rows."""
        return Rows(self.values[chosen], self.simulated[chosen], self.weight[chosen])

    def columns(self, kind: torch.dtype) -> dict[str, Tensor]:
        """Give the named columns that a training loop takes."""
        return {
            "rows": torch.from_numpy(self.values).to(kind),
            "simulated": torch.from_numpy(self.simulated).to(kind),
            "weight": torch.from_numpy(self.weight).to(kind),
        }


def parts(
    simulated: int, generated: int, validation: float, test: float, random: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Divide rows at random, each kind by itself.

    Parameters
    ----------
    simulated, generated
        Numbers of showers; the simulated rows come first.
    validation, test
        Parts of each kind.

    Returns
    -------
    Numbers of the rows for training, validation and test.

    Raises
    ------
    InputError
        A part has no shower of a kind.
    """
    found: tuple[list[Array], list[Array], list[Array]] = ([], [], [])
    for first, number in ((0, simulated), (simulated, generated)):
        edges = [round(number * (1.0 - validation - test)), round(number * (1.0 - test))]
        for own, some in zip(
            found, np.split(first + random.permutation(number), edges), strict=True
        ):
            if not len(some):
                raise InputError(
                    f"{number} showers cannot be divided with validation {validation:g} and test "
                    f"{test:g}: a part is empty"
                )
            own.append(some)
    return np.concatenate(found[0]), np.concatenate(found[1]), np.concatenate(found[2])


@dataclass(frozen=True)
class Isotonic:
    """Rising map from a learned to a calibrated probability: straight lines between knots.

    A step of n rows of one kind does not say that there are none of the other: by the rule of
    succession one in n + 2. Calibrated probabilities stay between `lowest` and `highest`.
    """

    learned: Array
    right: Array
    lowest: float = CERTAIN
    highest: float = 1.0 - CERTAIN

    @classmethod
    def fitted(cls, probability: Array, simulated: Array, weight: Array) -> "Isotonic":
        """Fit by isotonic regression to rows that did not train."""
        kept = weight > 0
        learned, place = np.unique(probability[kept], return_inverse=True)
        own = np.bincount(place, weight[kept])
        mean = np.bincount(place, weight[kept] * simulated[kept]) / own
        right = isotonic_regression(mean, weights=own).x
        # Of a step only its ends are needed.
        inner = np.zeros(len(right), dtype=bool)
        inner[1:-1] = (right[1:-1] == right[:-2]) & (right[1:-1] == right[2:])
        between = right[(right > 0.0) & (right < 1.0)]
        lowest, highest = CERTAIN, 1.0 - CERTAIN
        # Kept beyond all other steps: their order does not change.
        if right[0] == 0.0:
            lowest = min(1.0 / (own[right == 0.0].sum() + 2.0), *between[:1], 0.5)
        if right[-1] == 1.0:
            highest = max(1.0 - 1.0 / (own[right == 1.0].sum() + 2.0), *between[-1:], 0.5)
        return cls(learned[~inner], right[~inner], float(lowest), float(highest))

    def __call__(self, probability: Array) -> Array:
        """Calibrate probabilities."""
        mapped = np.interp(probability, self.learned, self.right)
        return np.clip(mapped, self.lowest, self.highest)


@dataclass(frozen=True)
class Trained:
    """A classifier, what calibrates it, and how its training went."""

    network: ShowerClassifier
    calibration: Isotonic
    history: History


def plan(settings: ClassifierSettings) -> tuple[tuple[int, ...], TrainingSettings, torch.dtype]:
    """Give hidden layers, training and precision of the mode."""
    if settings.mode == "official":
        return (
            OFFICIAL_LAYERS,
            settings.training.model_copy(update=OFFICIAL_TRAINING),
            torch.float64,
        )
    return tuple(settings.layers), settings.training, torch.float32


def learn(
    training: Rows, validation: Rows, settings: ClassifierSettings, seed: int, what: str
) -> Trained:
    """Train a classifier and calibrate it with the validation rows.

    Parameters
    ----------
    what
        Said with the progress.

    Raises
    ------
    InputError
        As `fullchain.learning.training.train`.
    """
    layers, how, kind = plan(settings)
    columns = training.columns(kind)
    network = initialised(
        derive(seed, "classifier"), lambda: ShowerClassifier(training.values.shape[1], layers)
    )
    assert isinstance(network, ShowerClassifier)
    network.to(kind)
    if settings.mode == "lite":
        network.standardise(columns["rows"])
    history = train(
        network,
        cross_entropy,
        columns,
        validation.columns(kind),
        how,
        seed=derive(seed, "training"),
        description=what,
    )
    learned = _probability(logits(network, validation.values, how.threads))
    calibration = Isotonic.fitted(learned, validation.simulated, validation.weight)
    return Trained(network, calibration, history)


def cross_entropy(network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weighted cross-entropy, in natural units."""
    losses = nn.functional.binary_cross_entropy_with_logits(
        network(batch["rows"]), batch["simulated"], reduction="none"
    )
    return {"loss": weighted_mean(losses, batch["weight"])}


@torch.no_grad()
def logits(network: ShowerClassifier, values: Array, threads: int) -> Array:
    """Give logits of rows (n, inputs), (n), float64."""
    kind = network.mean.dtype
    with repeatable(threads):
        found = [
            network(torch.from_numpy(values[first : first + BLOCK]).to(kind)).double().numpy()
            for first in range(0, len(values), BLOCK)
        ]
    return np.concatenate(found)


def probability(trained: Trained, values: Array, threads: int) -> tuple[Array, Array]:
    """Give probabilities of a simulated shower as learned and as calibrated, (n) each."""
    learned = _probability(logits(trained.network, values, threads))
    return learned, trained.calibration(learned)


def _probability(found: Array) -> Array:
    from scipy.special import expit

    return np.asarray(expit(found))
