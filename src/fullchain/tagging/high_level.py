"""Taggers on high-level features: their inputs from the columns of the jets, and a dense network.

Some observables do not exist for some jets (tau32 where tau2 is zero, n2 of a groomed jet with one
particle) and are NaN. The network sees the median of the training jets there, and boosted trees
learn on which side of a cut such jets belong.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning.standardise import Standardisation, Standardise, weighted_quantiles

Array = NDArray[Any]

CLIP = 5.0
"""Largest absolute value of a standardised feature: d2 has a long tail."""

_QUOTIENTS = {
    "tau43": ("tau4", "tau3"),
    "mass_over_pt": ("mass", "pt"),
    "msoftdrop_over_pt": ("msoftdrop", "pt"),
}


def columns(features: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of the jets that features are made of, each once."""
    wanted = [column for name in features for column in _QUOTIENTS.get(name, (name,))]
    return tuple(dict.fromkeys(wanted))


def inputs(
    scalars: Mapping[str, Array],
    features: Sequence[str],
    named: Callable[[int], str] = "jet {}".format,
) -> NDArray[np.float32]:
    """Features of jets, shape (jets, features); NaN where one does not exist.

    Parameters
    ----------
    scalars
        Columns of the jets, each of shape (jets,).
    features
        Names, as in `mlp_settings.Feature`.
    named
        Says which jet the one at a place is, for messages.

    Raises
    ------
    InputError
        A column is missing, or a feature is infinite (names feature and jet).
    """
    missing = [name for name in columns(features) if name not in scalars]
    if missing:
        raise InputError(f"the jets have no column {', '.join(missing)}; make the jets again")
    result = np.stack([_feature(scalars, name) for name in features], axis=1)
    wrong = np.argwhere(np.isinf(result))
    if len(wrong):
        jet, index = wrong[0]
        raise InputError(
            f"{named(int(jet))}: {features[index]} is {result[jet, index]} ({len(wrong)} such "
            "values in this batch); correct the jets, or make them again"
        )
    return result


def _feature(scalars: Mapping[str, Array], name: str) -> NDArray[np.float32]:
    if name not in _QUOTIENTS:
        return np.asarray(scalars[name], dtype=np.float32)
    above, below = (np.asarray(scalars[column], np.float64) for column in _QUOTIENTS[name])
    quotient = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient.astype(np.float32)


def measure(values: Array, weights: Array, features: Sequence[str]) -> Standardisation:
    """Shift and scale of features, as `learning.standardise.measure`, from what is not NaN.

    `values` has shape (jets, features) and `weights` (jets,). Raises InputError where a feature
    exists for no jet that has a weight.
    """
    subtract, multiply = [], []
    for name, column in zip(features, values.T, strict=True):
        exists = ~np.isnan(column) & (weights > 0)
        if not exists.any():
            raise InputError(f"{name} is NaN for all training jets; leave it out of the features")
        low, median, high = weighted_quantiles(column[exists], weights[exists], [0.16, 0.5, 0.84])
        half_width = 0.5 * (high - low)
        subtract.append(float(median))
        multiply.append(1.0 / float(half_width) if half_width > 0 else 1.0)
    return Standardisation(tuple(subtract), tuple(multiply))


class HighLevelNetwork(nn.Module):
    """Dense network on features of the jet.

    Parameters
    ----------
    features
        Number of features.
    classes
        Number of classes.
    layers
        Sizes of the layers, each followed by ReLU and dropout.
    dropout
        After each layer; one number is for all.
    standardisation
        Shift and scale of the features. Without, features are taken to be standardised already.
    """

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        layers: Sequence[int] = (64, 64, 64),
        dropout: Sequence[float] = (0.1,),
        standardisation: Standardisation | None = None,
    ) -> None:
        super().__init__()
        nothing = Standardisation((0.0,) * features, (1.0,) * features)
        self.standardise = Standardise(standardisation or nothing, CLIP)
        rates = tuple(dropout) * (len(layers) if len(dropout) == 1 else 1)
        size, modules = features, []
        for outputs, rate in zip(layers, rates, strict=True):
            modules += [_he_uniform(nn.Linear(size, outputs)), nn.ReLU(), nn.Dropout(rate)]
            size = outputs
        self.layers = nn.Sequential(*modules, nn.Linear(size, classes))

    def forward(self, features: Tensor) -> Tensor:
        """Give logits, shape (jets, classes); `features` (jets, features) may hold NaN."""
        return self.layers[-1](self.latent(features))

    def latent(self, features: Tensor) -> Tensor:
        """Give what the last layer sees, shape (jets, width)."""
        # before the clipping, because runtimes differ in what they make of NaN there
        known = torch.where(torch.isnan(features), self.standardise.subtract, features)
        return self.layers[:-1](self.standardise(known))


def _he_uniform(linear: nn.Linear) -> nn.Linear:
    nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
    nn.init.zeros_(linear.bias)
    return linear
