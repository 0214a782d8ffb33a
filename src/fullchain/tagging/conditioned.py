"""A view with one number more for each jet, which says for what the network shall be best."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fullchain.learning.standardise import Standardisation, Standardise
from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.jets_reading import Jets
from fullchain.tagging.views import Array, Arrays, Tensors, View

PARAMETER = "between"
"""Name of the tensor (jets, 1), from 0 to 1, and of the feature that it becomes."""


class Conditioned(View):
    """The view of a jet, and a parameter as the last feature of all that the network sees.

    The parameter comes in the tensor `between` (jets, 1), which is not among the examples: a model
    that is written has it fixed. The network sees 4/pi arcsin(sqrt(parameter)) - 1, from -1 to 1,
    the same for all particles or declusterings of a jet: what a part of a mixture changes, it
    changes fastest where the part is small or nearly all, and there this coordinate is stretched.

    Parameters
    ----------
    view
        What is seen without it.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.columns, self.fields = view.columns, view.fields
        self.n_constituents, self.examples = view.n_constituents, view.examples
        self.published, self.clip = view.published, view.clip
        self.features = (*view.features, PARAMETER)

    def arrays(self, jets: Jets) -> Arrays:
        """Give the tensors of some jets, as arrays, without the parameter."""
        return self.view.arrays(jets)

    def blanked(self, values: Tensor, tensors: Tensors) -> Tensor:
        """Put NaN where a jet has nothing to look at."""
        return self.view.blanked(values, tensors)

    def augmented(self, tensors: Tensors) -> Tensors:
        """Give the tensors of jets that are as likely as these."""
        return self.view.augmented(tensors)

    def measured(self, tensors: Tensors) -> tuple[Tensor, Tensor]:
        """Give features before standardisation, and their mask, without the parameter."""
        return self.view.measured(tensors)

    def scale(self, values: Array, weights: Array) -> Standardisation:
        """Measure the scale of features; that of the parameter is fixed."""
        return self.view.scale(values, weights)

    def prepared(self, tensors: Tensors, standardise: Standardise) -> tuple[Any, ...]:
        """Give the arguments of the network, the first of them with the parameter."""
        first, *rest = self.view.prepared(tensors, standardise)
        parameter = torch.asin(torch.sqrt(tensors[PARAMETER])) * (4.0 / math.pi) - 1.0
        if isinstance(first, ParticleCloud):
            seen: Any = first._replace(features=_appended(first.features, parameter))
        else:
            seen = _appended(first, parameter)
        return (seen, *rest)


def at_parameter(arrays: Arrays, value: float) -> Arrays:
    """Give the arrays of jets with the parameter at `value` for all of them."""
    jets = len(next(iter(arrays.values())))
    return {**arrays, PARAMETER: np.full((jets, 1), value, dtype=np.float32)}


def _appended(features: Tensor, parameter: Tensor) -> Tensor:
    """Append (jets, 1) to features (jets, ..., features)."""
    if features.dim() == 3:
        parameter = parameter[:, None].expand(-1, features.shape[1], -1)
    return torch.cat((features, parameter.to(features.dtype)), dim=-1)
