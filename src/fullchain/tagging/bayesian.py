r"""Networks whose weights have a distribution: variational inference as in 1904.10004.

The posterior of the weights w is approximated by a Gaussian without correlations,
q(w) = \prod_i N(\mu_i, \sigma_i), whose means and widths are trained. The loss per jet is the
cross entropy for weights drawn from q, plus KL(q | prior) / N with N training jets: the negative
evidence lower bound over N (Hinton, van Camp 1993; Graves 2011; 1505.05424).

In training, a layer that is called once for each jet draws its outputs instead of its weights, for
each jet anew (local reparametrisation, 1506.02557): the same distribution for one jet, and
gradients that fluctuate less. A layer that is called for each particle or each edge must have the
same weights for all particles of a jet: it draws them, once for each batch.

In evaluation the weights are their means, or one or several of a fixed sequence of samples, which
follows from a seed that is saved with the layer. So the probability of a jet does not depend on
the jets beside it, nor on the file that it stands in.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fullchain.seeds import stream
from fullchain.tagging.bayesian_settings import BayesianSettings

MEAN = -1
"""Number that stands for the means of the weights where numbers of samples are asked for."""

_TINY = 1e-12
"""Variance that is added so that the square root has a gradient where all inputs are zero."""


class VariationalLinear(nn.Module):
    """Linear layer whose weights are independent Gaussians.

    It has the properties `weight` (out, in) and `bias` (out,) of `torch.nn.Linear`, for networks
    that read them. In training each reading is a new draw.

    Parameters
    ----------
    linear
        Layer whose weights are the first means.
    prior_width, initial_width
        Standard deviations of the prior, whose mean is zero, and of the weights at first.
    per_jet
        Whether a row of the input is a jet, so that the outputs may be drawn.
    """

    seed: Tensor

    def __init__(
        self, linear: nn.Linear, *, prior_width: float, initial_width: float, per_jet: bool
    ) -> None:
        super().__init__()
        weight, bias = self._first_means(linear)
        start = math.log(initial_width)
        self.weight_mean = nn.Parameter(weight)
        self.weight_log_width = nn.Parameter(torch.full_like(weight, start))
        self.bias_mean = None if bias is None else nn.Parameter(bias)
        self.bias_log_width = None if bias is None else nn.Parameter(torch.full_like(bias, start))
        self.prior_width = prior_width
        self.per_jet = per_jet
        self.register_buffer("seed", torch.randint(2**62, ()))
        self._noise: tuple[Tensor, Tensor] | None = None

    def _first_means(self, linear: nn.Linear) -> tuple[Tensor, Tensor | None]:
        bias = linear.bias
        return linear.weight.detach().clone(), None if bias is None else bias.detach().clone()

    @property
    def weight(self) -> Tensor:
        """Weights: a draw in training, in evaluation as `fix` says; (samples x out, in)."""
        noise = None if self._noise is None else self._noise[0]
        return self._value(self.weight_mean, self.weight_log_width, noise)

    @property
    def bias(self) -> Tensor | None:
        """Biases, as the weights; (samples x out,)."""
        if self.bias_mean is None or self.bias_log_width is None:
            return None
        noise = None if self._noise is None else self._noise[1]
        return self._value(self.bias_mean, self.bias_log_width, noise)

    def _value(self, mean: Tensor, log_width: Tensor, noise: Tensor | None) -> Tensor:
        if self.training:
            return mean + log_width.exp() * torch.randn_like(mean)
        if noise is None:
            return mean
        return (mean + log_width.exp() * noise).flatten(0, 1)

    def fix(self, numbers: Sequence[int]) -> None:
        """Choose the samples of the weights in evaluation, by number; none for the means."""
        self._noise = None
        if not numbers:
            return
        pieces = [self._draw(number) for number in numbers]
        place = self.weight_mean.device
        weight, bias = (
            torch.from_numpy(np.stack(piece)).to(place) for piece in zip(*pieces, strict=True)
        )
        self._noise = weight, bias

    def _draw(self, number: int) -> tuple[Any, Any]:
        """Give the deviations of weights and biases in a sample, in units of their widths."""
        shape = tuple(self.weight_mean.shape)
        if number == MEAN:
            return np.zeros(shape, np.float32), np.zeros(shape[0], np.float32)
        generator = stream(int(self.seed), "weights", number)
        weight = generator.standard_normal(shape, dtype=np.float32)
        return weight, generator.standard_normal(shape[0], dtype=np.float32)

    def forward(self, x: Tensor) -> Tensor:
        """From (..., in) to (..., samples x out)."""
        if not (self.training and self.per_jet):
            return functional.linear(x, self.weight, self.bias)
        mean = functional.linear(x, self.weight_mean, self.bias_mean)
        # Squares leave the range of float16, and the precision of bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            spread = None if self.bias_log_width is None else (2 * self.bias_log_width).exp()
            squares = x.float().square()
            variance = functional.linear(squares, (2 * self.weight_log_width).exp(), spread)
            noise = (variance + _TINY).sqrt() * torch.randn_like(variance)
        return mean + noise.to(mean.dtype)

    def divergence(self) -> Tensor:
        """Kullback-Leibler divergence of the weights' distribution from the prior, in nats."""
        pairs = [(self.weight_mean, self.weight_log_width), (self.bias_mean, self.bias_log_width)]
        return torch.stack(
            [
                _divergence(mean, log_width, self.prior_width)
                for mean, log_width in pairs
                if mean is not None and log_width is not None
            ]
        ).sum()

    def as_linear(self) -> nn.Linear:
        """Give the layer as it is in evaluation, without a distribution."""
        weight, bias = self._plain()
        outputs, inputs = weight.shape
        linear = nn.Linear(inputs, outputs, bias=bias is not None).to(weight.device)
        linear.weight.data.copy_(weight)
        if bias is not None:
            linear.bias.data.copy_(bias)
        return linear

    def _plain(self) -> tuple[Tensor, Tensor | None]:
        if self.training:
            raise RuntimeError("a network in training has no fixed weights")
        return self.weight, self.bias


class VariationalOutput(VariationalLinear):
    """Last layer: the logits of all classes but the last, which is zero.

    A softmax does not see a sum that is common to all logits. With a weight for every class, the
    data would leave this sum to the prior, and a posterior without correlations would be too wide
    in what matters: by a factor of the square root of two for two classes.

    The outputs of several samples stand one after the other, (..., samples x classes).
    """

    def _first_means(self, linear: nn.Linear) -> tuple[Tensor, Tensor | None]:
        weight, bias = super()._first_means(linear)
        return weight[:-1] - weight[-1:], None if bias is None else bias[:-1] - bias[-1:]

    def forward(self, x: Tensor) -> Tensor:
        """From (..., in) to (..., samples x classes)."""
        return self._with_last(super().forward(x), dimension=-1)

    def _plain(self) -> tuple[Tensor, Tensor | None]:
        weight, bias = super()._plain()
        weight = self._with_last(weight, dimension=0)
        return weight, None if bias is None else self._with_last(bias, dimension=0)

    def _with_last(self, values: Tensor, dimension: int) -> Tensor:
        """Put the zero of the last class after the others of each sample."""
        moved = values.movedim(dimension, -1).unflatten(-1, (-1, self.weight_mean.shape[0]))
        return functional.pad(moved, (0, 1)).flatten(-2).movedim(-1, dimension)


def _divergence(mean: Tensor, log_width: Tensor, prior_width: float) -> Tensor:
    r"""Sum of ln(s_p / \sigma) + (\sigma^2 + \mu^2) / (2 s_p^2) - 1/2 for a prior N(0, s_p)."""
    relative = ((2 * log_width).exp() + mean.square()) / prior_width**2
    return (math.log(prior_width) - log_width + 0.5 * relative - 0.5).sum()


def make_bayesian(
    network: nn.Module, example: Sequence[Any], classes: int, how: BayesianSettings
) -> None:
    """Give weights of `network` a distribution, in place.

    The linear layers are found by calling the network once. 1x1 convolutions are linear layers in
    the networks of this stage. Norms, the maps of vectors of an equivariant network and the
    embedding of pairs keep weights of one value.

    Parameters
    ----------
    network
        Its logits come from a linear layer, which is the last that it calls.
    example
        Arguments of the network for two jets.
    classes
        Number of classes.
    how
        Which layers, and the widths.

    Raises
    ------
    ValueError
        The last linear layer does not give the logits.
    """
    linears = {
        name: module
        for name, module in network.named_modules()
        if type(module) is nn.Linear and module.weight.requires_grad
    }
    last, per_jet = _called(network, linears, example)
    if last is None or linears[last].out_features != classes:
        raise ValueError("the logits of this network do not come from a linear layer")
    for name, linear in linears.items():
        if name != last and how.layers == "last":
            continue
        kind = VariationalOutput if name == last else VariationalLinear
        layer = kind(
            linear,
            prior_width=how.prior_width,
            initial_width=how.initial_width,
            per_jet=name in per_jet,
        )
        _put(network, name, layer)


def _called(
    network: nn.Module, linears: dict[str, nn.Linear], example: Sequence[Any]
) -> tuple[str | None, set[str]]:
    """Name the layer that is called last, and those whose rows are jets."""
    calls: list[tuple[str, bool]] = []

    def listen(name: str) -> Any:
        def heard(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            # Of two jets with more than one particle each, only a row per jet makes two rows.
            calls.append((name, inputs[0].dim() == 2 and len(inputs[0]) == 2))

        return heard

    handles = [linear.register_forward_pre_hook(listen(name)) for name, linear in linears.items()]
    before = network.training
    try:
        with torch.no_grad():
            network.eval()(*example)
    finally:
        network.train(before)
        for handle in handles:
            handle.remove()
    other = {name for name, rows_are_jets in calls if not rows_are_jets}
    return (calls[-1][0] if calls else None), {name for name, _ in calls} - other


def _put(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, layer)


def layers(model: nn.Module) -> list[VariationalLinear]:
    """Layers of `model`, or of what wraps it, whose weights have a distribution."""
    return [module for module in model.modules() if isinstance(module, VariationalLinear)]


def divergence(model: nn.Module) -> Tensor:
    """Kullback-Leibler divergence of all weights of `model` from their prior, in nats."""
    return torch.stack([layer.divergence() for layer in layers(model)]).sum()


def only_last(model: nn.Module) -> bool:
    """Whether nothing but the last layer has a distribution: samples then share what is before."""
    return all(isinstance(layer, VariationalOutput) for layer in layers(model))


@contextmanager
def fixed(model: nn.Module, numbers: Sequence[int]) -> Iterator[None]:
    """Evaluate with samples of the weights inside the block, and with their means after it."""
    try:
        for layer in layers(model):
            layer.fix(numbers)
        yield
    finally:
        for layer in layers(model):
            layer.fix([])


def sampled_logits(model: nn.Module, tensors: Any, numbers: Sequence[int]) -> Tensor:
    """Logits for samples of the weights, shape (samples, jets, classes).

    Parameters
    ----------
    model
        Tagger in evaluation.
    tensors
        What the tagger takes.
    numbers
        Numbers of the samples, from 0, or `MEAN`.
    """
    if only_last(model):
        with fixed(model, numbers):
            return model(tensors).unflatten(1, (len(numbers), -1)).transpose(0, 1)
    found = []
    for number in numbers:
        with fixed(model, [number]):
            found.append(model(tensors))
    return torch.stack(found)


class Predictive(nn.Module):
    """Tagger with fixed weights that gives the logarithm of its probabilities, for an export.

    Where the last layer alone has a distribution, the probabilities are their mean over all
    samples, as in `posterior`, which costs one product more. Otherwise they are those at the means
    of the weights: a graph with a network for each sample would be too large to be of use.

    Parameters
    ----------
    tagger
        A Bayesian tagger; it is copied.
    samples
        Number of samples.
    """

    def __init__(self, tagger: Any, samples: int) -> None:
        super().__init__()
        self.view = tagger.view
        numbers = range(samples) if only_last(tagger) else [MEAN]
        self.samples = len(numbers)
        self.tagger = copy.deepcopy(tagger).eval()
        with fixed(self.tagger, numbers):
            plain = {
                name: module.as_linear()
                for name, module in self.tagger.named_modules()
                if isinstance(module, VariationalLinear)
            }
        for name, linear in plain.items():
            _put(self.tagger, name, linear)

    def forward(self, tensors: Any) -> Tensor:
        """Give the logarithms of the probabilities, shape (jets, classes)."""
        logits = self.tagger(tensors).unflatten(1, (self.samples, -1))
        return logits.log_softmax(dim=2).logsumexp(dim=1) - math.log(self.samples)
