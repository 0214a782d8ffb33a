"""A network on observables that learns what another network says of a jet."""

import numpy as np
import torch
from torch import Tensor, nn

from fullchain.learning.settings import TrainingSettings
from fullchain.learning.standardise import measure
from fullchain.learning.training import Batch, initialised, train, weighted_mean
from fullchain.tagging.association import Array
from fullchain.tagging.high_level import HighLevelNetwork

LAYERS = (64, 64)


def log_odds_error(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Mean squared error of the log-odds of a batch (`features`, `target`, `weight`)."""
    error = (model(batch["features"])[:, 0] - batch["target"]) ** 2
    return {"loss": weighted_mean(error, batch["weight"])}


def fit(
    training: tuple[Array, Array, Array],
    validation: tuple[Array, Array, Array],
    *,
    epochs: int,
    threads: int,
    seed: int,
) -> HighLevelNetwork:
    """Train on observables (jets, observables), log-odds (jets,) and weights (jets,)."""

    def build() -> nn.Module:
        scale = measure(training[0], training[2])
        return HighLevelNetwork(
            training[0].shape[1], 1, layers=LAYERS, dropout=(0.0,), standardisation=scale
        )

    model = initialised(seed, build)
    train(
        model,
        log_odds_error,
        _batch(*training),
        _batch(*validation),
        TrainingSettings(epochs=epochs, batch_size=128, learning_rate=3e-3, threads=threads),
        seed=seed,
        description="network on observables",
    )
    assert isinstance(model, HighLevelNetwork)
    return model


@torch.no_grad()
def log_odds(model: HighLevelNetwork, features: Array) -> Array:
    """Log-odds of the signal, (jets,), from observables (jets, observables)."""
    return model(torch.from_numpy(features.astype(np.float32)))[:, 0].double().numpy()


def _batch(features: Array, target: Array, weight: Array) -> dict[str, Tensor]:
    columns = {"features": features, "target": target, "weight": weight / weight.mean()}
    return {name: torch.from_numpy(rows.astype(np.float32)) for name, rows in columns.items()}
