"""How well images tell the two photons of a pi0 from a single photon.

By a classifier, and by the second maximum of the image, both at a fixed efficiency for single
photons of the same energies. What is drawn from a coarse image and nothing else knows no more of
the photons than the coarse image: the best classifier of super-resolved images cannot be better
than the best one of coarse images (data-processing inequality), so that the latter is the
reference. A method that is not the best one, such as looking for maxima, may well gain.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter
from torch import Tensor, nn

from fullchain.calorimetry.refinement_settings import PhotonClassifierSettings
from fullchain.learning.bootstrap import event_factors
from fullchain.learning.roc import Sorted, area

Array = NDArray[Any]

SCORED = 2000
"""Images that are classified at once."""


class PhotonClassifier(nn.Module):
    """Convolutions over coarse cells, the first one over the inside of each.

    Parameters
    ----------
    factor
        Cells of the image on each side of a coarse cell: 1 for coarse images.
    coarse
        Coarse cells on each side.
    settings
        Sizes.

    Notes
    -----
    In training each batch is turned and reflected by chance: a photon knows no direction.
    """

    def __init__(self, factor: int, coarse: int, settings: PhotonClassifierSettings) -> None:
        super().__init__()
        wide = settings.channels
        self.network = nn.Sequential(
            nn.Conv2d(2, wide, factor, stride=factor),
            nn.SiLU(),
            nn.Conv2d(wide, wide, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(wide, wide, 3, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(wide * coarse**2, settings.dense),
            nn.SiLU(),
            nn.Linear(settings.dense, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Give logits of two photons (n) of energies [MeV] (n, side, side)."""
        if self.training:
            turns, mirrored = divmod(int(torch.randint(8, (1,))), 2)
            images = torch.rot90(images.mT if mirrored else images, turns, (1, 2))
        total = images.sum(dim=(1, 2), keepdim=True).clamp_min(1e-6)
        channels = torch.stack([2.0 * (images / total).sqrt(), images.log1p() / 4.0], dim=1)
        logits: Tensor = self.network(channels)
        return logits[:, 0]


def objective(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cross-entropy of one photon and two."""
    logits = model(batch["images"])
    return {"loss": nn.functional.binary_cross_entropy_with_logits(logits, batch["label"])}


@torch.no_grad()
def scores(model: nn.Module, images: Array) -> Array:
    """Give the logits of a trained classifier."""
    model.eval()
    parts = torch.from_numpy(images).split(SCORED)
    return np.concatenate([np.asarray(model(part)) for part in parts])


def second_maximum(images: Array, smooth: int = 1) -> Array:
    """Give the energy at the second highest local maximum, as a part of the highest one.

    Parameters
    ----------
    images
        [MeV], (n, side, side).
    smooth
        Side of the square over which energies are summed first, 1 for none: with fine cells each
        fluctuation is a maximum.

    Returns
    -------
    (n), from 0 (one maximum) to 1.

    Examples
    --------
    >>> second_maximum(np.array([[[4.0, 1.0, 2.0, 0.0]] * 1 + [[0.0] * 4] * 3]))
    array([0.5])
    """
    window = (1, smooth, smooth)
    sums = uniform_filter(images.astype(float), size=window, mode="constant")
    highest = maximum_filter(sums, size=(1, 3, 3), mode="constant")
    peaks = np.where((sums >= highest) & (sums > 1e-9), sums, 0.0).reshape(len(images), -1)
    # Two cells of one energy side by side are one maximum; energies are continuous, and so rare.
    top = -np.partition(-peaks, 1, axis=1)[:, :2]
    return np.asarray(top[:, 1] / np.maximum(top[:, 0], 1e-300))


def resolved(
    score: Array, twice: Array, bins: Array, number: int, efficiency: float, weights: Array
) -> Array:
    """Give the part of pi0s that are taken for two photons, in bins of the opening angle.

    Parameters
    ----------
    score
        Higher for two photons, (n).
    twice
        Which images are of pi0s, (n).
    bins
        Number of the bin, from 0, (n); that of a single photon is of a decay of its energy.
    number
        Of bins.
    efficiency
        Part of the single photons of the bin that are not taken for two.
    weights
        Of the images, (n).

    Returns
    -------
    (bins), NaN in a bin that lacks one of both.
    """
    found = np.full(number, np.nan)
    for index in range(number):
        here = (bins == index) & (weights > 0)
        single, pair = here & ~twice, here & twice
        if single.any() and pair.any():
            cut = _quantile(score[single], weights[single], efficiency)
            found[index] = np.average(score[pair] > cut, weights=weights[pair])
    return found


def _quantile(values: Array, weights: Array, part: float) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = min(int(np.searchsorted(reached, part * reached[-1])), len(order) - 1)
    return float(values[order][place])


def judged(
    found: Mapping[str, Array],
    twice: Array,
    angle: Array,
    edges: Array,
    efficiency: float,
    replicas: int,
    seed: int,
    reference: str,
) -> dict[str, Any]:
    """Give for each score the resolved parts and the area under the ROC curve, with errors.

    All scores share the replicas of the bootstrap over images, in which the cuts are found anew,
    so that the difference of areas to that of the score `reference` has an error of its own.
    """
    bins = np.clip(np.searchsorted(edges, angle, side="right") - 1, 0, len(edges) - 2)
    settings = (twice, bins, len(edges) - 1, efficiency)
    drawn = list(event_factors(np.arange(len(angle)), replicas, seed, "photon separation"))
    ordered = {name: Sorted(score, twice, np.ones(len(twice))) for name, score in found.items()}
    areas = {
        name: np.array([area(one.curve()), *(area(one.curve(w[one.order])) for w in drawn)])
        for name, one in ordered.items()
    }
    result = {}
    for name, score in found.items():
        parts = np.array([resolved(score, *settings, w) for w in (np.ones(len(twice)), *drawn)])
        difference = areas[name] - areas[reference]
        result[name] = {
            "resolved": [list(one) for one in _pairs(parts)],
            "area": [float(areas[name][0]), float(areas[name][1:].std(ddof=1))],
            "difference": [float(difference[0]), float(difference[1:].std(ddof=1))],
        }
    return result


def _pairs(replicas: Array) -> Iterator[tuple[float | None, float | None]]:
    """Value and error of each column; none where there is no value or no error."""
    for column in replicas.T:
        spread = column[1:][np.isfinite(column[1:])]
        if np.isfinite(column[0]) and len(spread) > 1:
            yield float(column[0]), float(spread.std(ddof=1))
        else:
            yield None, None
