"""Expected events with the uncertainties that a covariance of the parameters gives them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.inference.differentiable import HistFactory

Array = NDArray[np.float64]

ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class BinYields:
    """Expected events of each sample and of the sum, with linearly propagated uncertainties.

    `values` is (samples + 1, bins), the sum last; `totals` is (samples + 1, channels).
    """

    samples: tuple[str, ...]
    values: Array
    uncertainties: Array
    totals: Array
    total_uncertainties: Array


def jacobian(model: HistFactory, values: Array) -> tuple[Array, Array]:
    """Give events (samples, bins) and their derivatives (samples, bins, parameters).

    As the model takes many points at once, one backward pass serves as many derivatives: row by row
    the same point, and of each row another yield.
    """
    point = torch.as_tensor(values)
    with torch.no_grad():
        central = model.expected_by_sample(point)
    rows = []
    for wanted in torch.arange(central.numel()).split(ROWS_AT_ONCE):
        with torch.enable_grad():
            many = point.expand(len(wanted), -1).clone().requires_grad_(True)
            found = model.expected_by_sample(many).flatten(1)
            (slope,) = torch.autograd.grad(found.gather(1, wanted[:, None]).sum(), many)
        rows.append(slope)
    return central.numpy(), torch.cat(rows).unflatten(0, central.shape).numpy()


def yields(model: HistFactory, values: Array, covariance: Array) -> BinYields:
    """Propagate a covariance of the parameters to the yields, by exact first derivatives.

    Parameters
    ----------
    model
        The likelihood.
    values, covariance
        Parameters and their covariance; for prefit yields the nominal values and the diagonal of
        the squared prefit uncertainties.
    """
    central, slopes = jacobian(model, values)
    # Sums over samples, and over the bins of each channel, are linear.
    central = np.concatenate([central, central.sum(axis=0, keepdims=True)])
    slopes = np.concatenate([slopes, slopes.sum(axis=0, keepdims=True)])
    channels = list(model.channel_slices.values())
    totals = np.stack([central[:, one].sum(axis=1) for one in channels], axis=1)
    total_slopes = np.stack([slopes[:, one].sum(axis=1) for one in channels], axis=1)
    return BinYields(
        samples=model.samples,
        values=central,
        uncertainties=_propagated(slopes, covariance),
        totals=totals,
        total_uncertainties=_propagated(total_slopes, covariance),
    )


def _propagated(slopes: Array, covariance: Array) -> Array:
    variance = np.sum((slopes @ covariance) * slopes, axis=-1)
    return np.asarray(np.sqrt(np.clip(variance, 0.0, None)))
