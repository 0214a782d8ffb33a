"""What can be known of the synthetic benchmark without training: by numerical integration.

The expected uncertainty with the unbinned likelihood, from the Fisher information of the extended
likelihood, and that with the best possible classifier, the density ratio, in uniform bins.
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from fullchain.inference import synthetic_model as model
from fullchain.inference.synthetic_model import Case

Array = npt.NDArray[np.float64]

STEPS = {"r": 0.2, "rate": 0.5}
"""Distance of the templates of a nuisance from the nominal one, as published."""


def uncertainty(information: Array, case: Case) -> float:
    """Expected uncertainty of s, of information (parameters, parameters) without constraints."""
    inverse = np.linalg.inv(information + np.diag(case.precision))
    return float(np.sqrt(inverse[0, 0]))


def binned_uncertainty(
    signal: Array, background: Array, variations: dict[str, tuple[Array, Array]], case: Case
) -> float:
    """Expected uncertainty of s from expected counts in bins, with the Asimov Hessian.

    Parameters
    ----------
    signal, background
        (bins) parts of all events of each.
    variations
        Parts of background with a nuisance moved down and up by its step; between them the
        templates are interpolated by parabolas, whose slope at the nominal point is that of the
        outer two.
    """
    yields = model.SIGNAL * signal + model.BACKGROUND * background
    derivatives = [signal]
    for name in case.nuisances:
        if name == "b":
            derivatives.append(background)
        else:
            down, up = variations[name]
            derivatives.append(model.BACKGROUND * (up - down) / (2.0 * STEPS[name]))
    stacked = np.stack(derivatives)
    filled = yields > 0
    stacked = stacked[:, filled]
    return uncertainty((stacked / yields[filled]) @ stacked.T, case)


def unbinned_uncertainties(points: int = 160) -> dict[str, float]:
    """Expected uncertainty of s in each case with the likelihood itself.

    Parameters
    ----------
    points
        Of the grid in each dimension.
    """
    x0, w0 = _gauss(-9.0, 15.0, points)
    x1, w1 = _gauss(0.0, 20.0, points)
    x2, w2 = _gauss(0.0, 14.0, points)
    found = np.zeros((4, 4))
    for slab, weight in zip(x0, w0, strict=True):
        x = np.stack(np.broadcast_arrays(slab, x1[:, None], x2[None, :]), axis=-1)
        # Symmetric in the second dimension.
        volume = 2.0 * weight * w1[:, None] * w2[None, :]
        signal = np.exp(model.log_density_signal(x))
        background = np.exp(model.log_density_background(x))
        shift = (slab - model.MEAN) / model.VARIANCES[0]
        rate = 1.0 / model.RATE - x[..., 2]
        derivatives = np.stack(
            [
                signal,
                model.BACKGROUND * background * shift,
                model.BACKGROUND * background * rate,
                background,
            ]
        ).reshape(4, -1)
        density = (model.SIGNAL * signal + model.BACKGROUND * background).ravel()
        found += (derivatives * (volume.ravel() / density)) @ derivatives.T
    places = ("s", *model.NUISANCES)
    result = {}
    for name, case in model.CASES.items():
        rows = [places.index(one) for one in ("s", *case.nuisances)]
        result[name] = uncertainty(found[np.ix_(rows, rows)], case)
    return result


def classifier_bins(
    edges: Array, r: float = model.SHIFT, rate: float = model.RATE, points: int = 400
) -> tuple[Array, Array]:
    """Parts (bins) of signal and background in bins of the best classifier, p_s / (p_s + p_b).

    For given x0 and x1 it rises with x2, whose part in each bin has a closed form; the other two
    are integrated on a grid.
    """
    x0, w0 = _gauss(-9.0, 15.0, points)
    x1, w1 = _gauss(0.0, 20.0, points)
    at_zero = np.stack(np.broadcast_arrays(x0[:, None], x1[None, :], 0.0), axis=-1)
    ratio = model.log_density_signal(at_zero) - model.log_density_background(at_zero)
    with np.errstate(divide="ignore"):
        wanted = np.log(edges) - np.log1p(-edges)
    threshold = np.clip((wanted - ratio[..., None]) / (model.RATE - model.SIGNAL_RATE), 0.0, np.inf)

    def parts(mean: float, variances: tuple[float, float], exponent: float) -> Array:
        weight = (
            w0[:, None] * norm.pdf(x0, mean, variances[0] ** 0.5)[:, None]
            * 2.0 * w1 * norm.pdf(x1, 0.0, variances[1] ** 0.5)
        )  # fmt: skip
        above = np.einsum("ij,ijk->k", weight, np.exp(-exponent * threshold))
        return above[:-1] - above[1:]

    signal = parts(0.0, (1.0, 1.0), model.SIGNAL_RATE)
    return signal, parts(model.MEAN + r, model.VARIANCES, rate)


def best_classifier_uncertainties(bins: int = 10) -> dict[str, float]:
    """Expected uncertainty of s in each case with the best classifier in uniform bins."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    signal, background = classifier_bins(edges)
    variations = {
        "r": tuple(classifier_bins(edges, r=sign * STEPS["r"])[1] for sign in (-1, 1)),
        "rate": tuple(
            classifier_bins(edges, rate=model.RATE + sign * STEPS["rate"])[1] for sign in (-1, 1)
        ),
    }
    return {
        name: binned_uncertainty(signal, background, variations, case)  # type: ignore[arg-type]
        for name, case in model.CASES.items()
    }


def _gauss(low: float, high: float, points: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(points)
    half = 0.5 * (high - low)
    return low + half * (nodes + 1.0), half * weights
