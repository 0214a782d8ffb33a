"""Train and calibrate the ensembles of one loss."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fullchain.inference import likelihood_ratio, ratio_methods
from fullchain.inference.likelihood_ratio import Link
from fullchain.inference.ratio_file import LearnedRatio
from fullchain.inference.ratio_methods import Correction, HeldOut, Pair, Weights
from fullchain.inference.ratio_settings import Loss, RatioSettings
from fullchain.inference.ratio_source import Simulated, Source
from fullchain.learning.training import History
from fullchain.seeds import derive

RELIABILITY_BINS = 15
PROFILE_BINS = 12
POINTS = 400

LEAST_LOG_RATIO = math.log(0.01)
"""Background further from the signal than this tells nothing of it, however wrong its ratio."""


@dataclass(frozen=True)
class Trained:
    """What came of one loss.

    Parameters
    ----------
    ratio
        The calibrated ensemble.
    members
        Corrections of each network alone.
    report
        For ratio.json.
    """

    ratio: LearnedRatio
    members: list[Correction]
    report: dict[str, Any]


LEAST_SHOWN = -8.0
"""Log ratios below this are not kept for figures."""


def train(
    loss: Loss,
    training: Simulated,
    validation: Simulated,
    settings: RatioSettings,
    seed: int,
) -> tuple[Pair, dict[str, History]]:
    """Train both ensembles of a loss."""
    how, reach = settings.network, settings.model.reach
    link: Link = "exponential" if loss == "cross_entropy" else how.link
    pieces = {}
    histories = {}
    for name, degree in (("signal", 0), ("nuisance", how.degree)):
        # All losses start from equal networks.
        mine = derive(seed, "inference", "ratio", name)
        ofs = {"training": training, "validation": validation}
        networks = likelihood_ratio.build(
            how.members, how.layers, training.nominal, link, mine, degree, reach
        )
        varied = name == "nuisance"
        histories[name] = likelihood_ratio.learn(
            {part: one.varied if varied else one.signal for part, one in ofs.items()},
            {part: one.nominal for part, one in ofs.items()},
            {part: one.nuisance for part, one in ofs.items()} if varied else None,
            networks,
            loss,
            settings.training,
            mine,
            f"{loss} {name} ratio",
        )
        pieces[name] = networks
    return Pair(pieces["signal"], pieces["nuisance"]), histories


def calibrate(
    loss: Loss,
    pair: Pair,
    histories: dict[str, History],
    source: Source,
    settings: RatioSettings,
    features: tuple[str, ...],
    nodes: Tensor,
) -> Trained:
    """Calibrate the mean of the members and each of them, and test it with other events."""
    events, other = source.events("calibration"), source.events("check")
    reach = settings.model.reach
    single = ratio_methods.held_out(pair, events, nodes)
    together = ratio_methods.mean_held_out(single)
    weights = Weights.of(events)

    def correct(values: HeldOut, weights: Weights) -> Correction:
        return ratio_methods.correct(values, weights, nodes, reach, settings.calibration, loss)

    correction = correct(together, weights)
    # Each alone with other events, so that their spread is of training and of calibration.
    alone = [
        correct(one.slice(number, len(single)), weights.slice(number, len(single)))
        for number, one in enumerate(single)
    ]
    raw = ratio_methods.mean_held_out(ratio_methods.held_out(pair, other, nodes))
    right = ratio_methods.corrected(raw, correction, nodes, other.nuisance[:, 0])
    others = Weights.of(other)
    report: dict[str, Any] = {
        "training": {name: _history(one) for name, one in histories.items()},
        "before": ratio_methods.quality(raw, others, nodes, RELIABILITY_BINS, loss),
        "after": ratio_methods.quality(right, others, nodes, RELIABILITY_BINS, loss),
    }
    exact = _exact(source, other, nodes)
    if exact is not None:
        for name, values in (("before", raw), ("after", right)):
            report[name]["exact"] = against_exact(values, exact, others)
        report["points"] = _points(right, exact)
    return Trained(LearnedRatio(pair, correction, nodes, features), alone, report)


def _history(history: History) -> dict[str, Any]:
    return {
        "train": [one["loss"] for one in history.train],
        "validation": [one["loss"] for one in history.validation],
        "best_epoch": history.best_epoch,
        "stopped_early": history.stopped_early,
    }


@dataclass(frozen=True)
class Exact:
    """Exact log ratios: signal ratio of signal and nominal events, nuisance ratio at a node."""

    signal: Tensor
    nominal: Tensor
    nominal_varied: Tensor


def _exact(source: Source, events: Simulated, nodes: Tensor) -> Exact | None:
    nominal = source.exact(events.nominal.x[:, 0], nodes)
    signal = source.exact(events.signal.x[:, 0], nodes)
    if nominal is None or signal is None:
        return None
    return Exact(signal[0], nominal[0], nominal[1])


def against_exact(values: HeldOut, exact: Exact, weights: Weights) -> dict[str, Any]:
    """Mean and root mean square of the difference of log ratios, each with its error.

    Of background events, those with a ratio above 0.01 count.
    """
    # At three quarters of the range, about.
    place = values.nominal.background.shape[1] // 4
    near = exact.nominal > LEAST_LOG_RATIO
    pairs = {
        "signal_events": (values.signal - exact.signal, weights.signal),
        "background_events": (
            (values.nominal.signal - exact.nominal)[near],
            weights.nominal[near],
        ),
        "nuisance": (
            values.nominal.background[:, place] - exact.nominal_varied[:, place],
            weights.nominal,
        ),
    }
    found = {}
    for name, (difference, weight) in pairs.items():
        share = (weight / weight.sum()).numpy()
        delta = difference.numpy()
        mean = float((share * delta).sum())
        square = float((share * delta**2).sum())
        root = float(np.sqrt(square))
        found[name] = {
            "mean": [mean, float(np.sqrt((share**2 * (delta - mean) ** 2).sum()))],
            "rms": [
                root,
                float(np.sqrt((share**2 * (delta**2 - square) ** 2).sum()) / (2 * root))
                if root > 0
                else 0.0,
            ],
        }
    return found


def _points(values: HeldOut, exact: Exact) -> dict[str, Any]:
    """Some events, and mean and spread of the difference in bins of the exact log ratio."""
    place = values.nominal.background.shape[1] // 4
    found: dict[str, Any] = {}
    for name, learned, right in (
        ("signal", torch.cat([values.signal, values.nominal.signal]),
         torch.cat([exact.signal, exact.nominal])),
        ("nuisance", values.nominal.background[:, place], exact.nominal_varied[:, place]),
    ):  # fmt: skip
        x, y = right.numpy(), (learned - right).numpy()
        low, high = np.quantile(x, [0.002, 0.998])
        low = max(low, LEAST_SHOWN)
        edges = np.linspace(low, high, PROFILE_BINS + 1)
        number = np.digitize(x, edges) - 1
        rows = []
        for one in range(PROFILE_BINS):
            inside = y[number == one]
            if len(inside) >= 20:
                centre = float(0.5 * (edges[one] + edges[one + 1]))
                quantiles = np.quantile(inside, [0.16, 0.5, 0.84])
                rows.append([centre, *(float(value) for value in quantiles)])
        x, y = x[x > low], y[x > low]
        step = max(len(x) // POINTS, 1)
        found[name] = {
            "exact": np.round(x[::step], 4).tolist(),
            "learned": np.round((x + y)[::step], 4).tolist(),
            "differences": rows,
        }
    return found
