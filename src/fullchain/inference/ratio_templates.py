"""Histograms of a classifier score as templates: the binned fit beside the unbinned one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.inference import unbinned
from fullchain.inference.ratio_source import Experiments, TemplateEvents

LEAST_ROWS = 5
"""Simulated events of the signal, and of the background at each value, in a bin at least."""


@dataclass(frozen=True)
class Templates:
    """Histograms of the classifier score.

    Parameters
    ----------
    signal
        (bins) part of the signal in each.
    background
        (bins, powers) coefficients of the log of the part of the background.
    merged
        (bins of equal width) the bin that each is part of.
    """

    signal: Tensor
    background: Tensor
    merged: Tensor

    def at(self, scaled: float) -> tuple[Tensor, Tensor]:
        """Parts of the background (bins) at nuisance/reach, and the slopes of their logs in it."""
        exponents = torch.arange(self.background.shape[1], dtype=torch.float64)
        powers = torch.tensor(scaled, dtype=torch.float64) ** exponents
        slopes = torch.cat([torch.zeros(1).double(), exponents[1:] * powers[:-1]])
        return torch.exp(self.background @ powers), self.background @ slopes

    def data(self, log_ratio: Tensor, experiments: Experiments) -> unbinned.Data:
        """Count the events of each data set in the bins; `log_ratio` is (events)."""
        bins, sets = len(self.signal), len(experiments.sizes)
        row = torch.repeat_interleave(torch.arange(sets), experiments.sizes)
        place = row * bins + self.merged[_bin(log_ratio, len(self.merged))]
        counts = torch.bincount(place, minlength=sets * bins).double().reshape(sets, bins)
        return unbinned.Data(
            counts, self.signal[None], self.background[None], experiments.auxiliary
        )


def _bin(log_ratio: Tensor, bins: int) -> Tensor:
    """Bins of equal width of the score r/(1+r)."""
    return (torch.sigmoid(log_ratio.double()) * bins).long().clamp(max=bins - 1)


def fill(
    log_ratios: Mapping[float | str, Tensor], events: TemplateEvents, bins: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Fill the histograms.

    Parameters
    ----------
    log_ratios
        Those of the events, under "signal" and under each value of the nuisance parameter.
    bins
        Of equal width of the score. Those with too few simulated events are merged with their
        neighbours.

    Returns
    -------
    Parts of the signal (merged bins), of the background (values, merged bins), and the merged bin
    of each bin.

    Raises
    ------
    InputError
        All bins had to be merged, or a weight is not positive where there are events.
    """
    weights: dict[float | str, Tensor] = {"signal": events.signal[1]}
    weights |= {value: weight for value, _, weight in events.background}
    places = {name: _bin(log_ratios[name], bins) for name in weights}
    rows = torch.stack(
        [torch.bincount(one[weights[name] > 0], minlength=bins) for name, one in places.items()]
    )
    merged = torch.zeros(bins, dtype=torch.long)
    current, held = 0, torch.zeros(len(rows), dtype=torch.long)
    for place in range(bins):
        merged[place] = current
        held = held + rows[:, place]
        if (held >= LEAST_ROWS).all():
            current, held = current + 1, torch.zeros_like(held)
    # What is left at the end joins the last whole bin.
    if current < 2:
        fewest = list(places)[int(rows.sum(1).argmin())]
        words = "signal" if fewest == "signal" else f"background at nuisance parameter {fewest:g}"
        raise InputError(
            f"templates: of {bins} bins of the score, fewer than two, even merged, have simulated "
            f"events of signal and background; the fewest events are {words}: take more "
            "(events.templates), or look why the score does not separate the classes"
        )
    merged = merged.clamp(max=current - 1)
    parts = {}
    for name, place_of in places.items():
        content = torch.bincount(merged[place_of], weights[name].double(), minlength=current)
        parts[name] = content / content.sum()
    background = torch.stack([parts[value] for value, _, _ in events.background])
    return parts["signal"], background, merged


def templates(
    signal: Tensor,
    background: Tensor,
    merged: Tensor,
    values: list[float],
    nodes: Tensor,
    reach: float,
) -> Templates:
    """Interpolate templates: log parts are parabolas in the nuisance parameter, normalised.

    The parabola is the closest one to the templates at all values, and right at zero.
    """
    at = np.array(values) / reach
    centre = int(np.argmin(np.abs(at)))
    logs = torch.log(background)
    change = (logs - logs[centre]).numpy()
    degree = min(2, len(values) - 1)
    powers = at[:, None] ** np.arange(1, degree + 1)
    found = np.linalg.lstsq(powers, change, rcond=None)[0]
    scaled = (nodes.numpy() / reach)[:, None] ** np.arange(1, degree + 1)
    parts = torch.exp(logs[centre] + torch.from_numpy(scaled @ found))
    parts = parts / parts.sum(1, keepdim=True)
    return Templates(signal, unbinned.polynomial(torch.log(parts).T), merged)
