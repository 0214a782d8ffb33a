r"""A network that infers the mass from the score, as a penalty: adversarial decorrelation.

In the manner of 1611.01046 and 1703.03507: the adversary gives the density p(m|s) of what the score
is decorrelated against as a mixture of Gaussians, whose weights, means and widths are functions of
the score s of background jets. The penalty is what it gains over a mixture q(m) that does not
see the score,

    <ln p(m|s)> - <ln q(m)>,

in nats. For the best p and q it is the mutual information of score and mass, zero for independent
ones only; for any p, and the best q, it is a lower bound. The tagger goes down this gain while the
adversary goes up: both take their steps at once with the gradient of one loss, which is reversed on
the way into the adversary (1409.7495).

An adversary that lags behind makes a tagger look better than it is, so that its loss cannot tell
which epoch is best. In evaluation the penalty is therefore the mutual information itself, measured
in bins of score and mass, less its expectation for independent ones.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from fullchain.decorrelation.background import checked, mean_and_spread
from fullchain.decorrelation.method_settings import AdversarySettings
from fullchain.decorrelation.mutual_information import binned_information, inner_edges
from fullchain.learning.training import weighted_mean

SMALLEST = 50
"""Background jets of a batch: with fewer the direction of a step is mostly chance."""

_LARGEST_LOGIT = 12.0
_SMALLEST_WIDTH = 1e-2
"""In standard deviations of the variable: below the resolution of any mass."""


class Adversary(nn.Module):
    """Gain of a mixture that sees the score over one that does not.

    Parameters
    ----------
    settings
        Size and learning rate of the adversary.
    against, weight
        Of the training background, shapes (jets, k) and (jets,): the scale, and the bins of the
        measured information.

    Raises
    ------
    InputError
        See `background.checked`.
    """

    subtract: Tensor
    multiply: Tensor

    def __init__(
        self,
        settings: AdversarySettings,
        against: npt.NDArray[Any],
        weight: npt.NDArray[Any],
        names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        against, weight = checked(against, weight, names)
        mean, spread = mean_and_spread(against, weight)
        self.register_buffer("subtract", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("multiply", torch.tensor(1.0 / spread, dtype=torch.float32))
        for number, inner in enumerate(inner_edges(against, weight)):
            self.register_buffer(f"edges{number}", torch.tensor(inner, dtype=torch.float32))
        self.columns, self.components = against.shape[1], settings.components
        outputs = settings.components * (1 + 2 * self.columns)
        scale = settings.learning_rate_factor
        modules: list[nn.Module] = []
        size = 1
        for width in settings.layers:
            modules += [_Rescaled(size, width, scale), nn.Tanh()]
            size = width
        last = _Rescaled(size, outputs, scale)
        self.layers = nn.Sequential(*modules, last)
        # Of a constant input it makes the same mixture for all.
        self.blind = _Rescaled(1, outputs, scale)
        means = slice(self.components, self.components * (1 + self.columns))
        for layer in (last, self.blind):
            # Gaussians that begin in one place would long stay there together.
            nn.init.normal_(layer.bias.data[means], std=1.0 / scale)

    def forward(self, score: Tensor, against: Tensor, weight: Tensor) -> Tensor:
        """Give the penalty of scores (n,) of jets with `against` (n, k) and `weight` (n,)."""
        weight = weight.clamp(min=0.0)
        if not bool(weight.sum() > 0):
            return score.sum() * 0.0
        if not self.training:
            edges = [getattr(self, f"edges{number}") for number in range(self.columns)]
            return binned_information(score, against, weight, edges)
        weight = weight / weight.mean()
        values = (against - self.subtract) * self.multiply
        seen = torch.logit(score, eps=1.0 / (1.0 + math.exp(_LARGEST_LOGIT)))[:, None] / 2.0
        # Reversed twice, so that the tagger goes down the penalty and the adversary up.
        mixture = reversed_gradient(self.layers(reversed_gradient(seen)))
        blind = self.blind(torch.ones_like(seen))
        gain = self._log_density(mixture, values) - self._log_density(blind, values)
        return weighted_mean(gain, weight)

    def _log_density(self, outputs: Tensor, values: Tensor) -> Tensor:
        """Logarithm of the density of values (n, k) in mixtures (n, outputs), shape (n,)."""
        shape = (len(outputs), self.components, self.columns)
        weights, means, widths = outputs.split(
            [self.components, *2 * [self.components * self.columns]], dim=1
        )
        width = nn.functional.softplus(widths.view(shape)) + _SMALLEST_WIDTH
        pulls = (values[:, None] - means.view(shape)) / width
        logs = -0.5 * pulls.square() - width.log() - 0.5 * math.log(2.0 * math.pi)
        return torch.logsumexp(weights.log_softmax(dim=1) + logs.sum(2), dim=1)


class _Rescaled(nn.Linear):
    """Dense layer whose weights are `scale` times its parameters.

    A step of Adam has the size of the learning rate whatever the size of the gradient: a factor on
    the loss of the adversary would not change its rate, and one on its parameters does.
    """

    def __init__(self, inputs: int, outputs: int, scale: float) -> None:
        super().__init__(inputs, outputs)
        self.scale = scale
        with torch.no_grad():
            self.weight.div_(scale)
            self.bias.div_(scale)

    def forward(self, values: Tensor) -> Tensor:
        """Give (n, outputs) of (n, inputs)."""
        return self.scale * super().forward(values)


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def reversed_gradient(values: Tensor) -> Tensor:
    """Give the values themselves, with a gradient of the other sign (1409.7495)."""
    result: Tensor = _Reversed.apply(values)
    return result
