"""Imitated experiments: bins and auxiliary measurements drawn from a HistFactory model."""

import numpy as np
import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.inference.differentiable import HistFactory

LARGEST_RATE = 1e15
"""Poisson numbers of larger rates cannot be drawn."""


def draw(model: HistFactory, truth: Tensor, toys: int, random: np.random.Generator) -> Tensor:
    """Draw toys of a model at true parameters.

    Both the bins and the auxiliary measurements scatter about their expectation, so that the toys
    are repetitions of the whole experiment with nature as it is.

    Parameters
    ----------
    truth
        Parameters (P,), or (toys, P) for a different truth of each toy.

    Returns
    -------
    torch.Tensor
        Data (toys, bins + auxiliary).

    Raises
    ------
    InputError
        A rate is negative or too large.
    """
    main = _poisson(model, model.expected(truth), toys, random)
    auxiliary = model.expected_auxiliary(truth)
    if not auxiliary.shape[-1]:
        return main
    expected = auxiliary.expand(toys, -1).numpy()
    scale, poisson = model.auxiliary_scale.numpy(), model.auxiliary_poisson.numpy()
    counted = random.poisson(np.where(poisson, expected, 0.0).clip(min=0.0))
    measured = random.normal(np.where(poisson, 0.0, expected), np.where(poisson, 0.0, scale))
    return torch.cat([main, torch.as_tensor(np.where(poisson, counted, measured))], dim=1)


def draw_main(model: HistFactory, truth: Tensor, toys: int, random: np.random.Generator) -> Tensor:
    """Draw the bins alone; the auxiliary measurements stay as they are at the nominal values.

    With true parameters from `draw_truth` this averages over what is not known of them.
    """
    main = _poisson(model, model.expected(truth), toys, random)
    nominal = model.expected_auxiliary(model.init).expand(toys, -1)
    return torch.cat([main, nominal], dim=1)


def draw_truth(
    model: HistFactory, centre: Tensor, toys: int, random: np.random.Generator
) -> Tensor:
    """Draw true parameters (toys, P) from their constraints about `centre` (P,).

    Normal, or for a Poisson constraint of n counts a gamma distribution of shape n; within the
    limits of the parameters. Free and held parameters stay.
    """
    truth = centre.expand(toys, -1).numpy().copy()
    scale, poisson = model.auxiliary_scale.numpy(), model.auxiliary_poisson.numpy()
    for entry, place in enumerate(model.auxiliary_parameter.tolist()):
        if model.held[place]:
            continue
        value = float(centre[place])
        if poisson[entry]:
            drawn = random.gamma(value * scale[entry], 1.0 / scale[entry], size=toys)
        else:
            drawn = random.normal(value, scale[entry], size=toys)
        truth[:, place] = drawn.clip(float(model.lower[place]), float(model.upper[place]))
    return torch.as_tensor(truth)


def _poisson(model: HistFactory, rate: Tensor, toys: int, random: np.random.Generator) -> Tensor:
    wrong = ~((rate >= 0) & (rate < LARGEST_RATE))
    if wrong.any():
        place = int(torch.nonzero(wrong)[0][-1])
        channel, bins = next(
            (name, one) for name, one in model.channel_slices.items() if one.stop > place
        )
        raise InputError(
            f"region {channel}, bin {place - bins.start}: toys cannot be drawn where "
            f"{float(rate[..., place].min()):g} events are expected; merge bins or cap the "
            "variation"
        )
    drawn = random.poisson(rate.expand(toys, -1).numpy())
    return torch.as_tensor(drawn.astype(np.float64))
