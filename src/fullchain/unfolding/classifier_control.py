r"""Control of a generative unfolding by a classifier, on the simulation.

For events of the simulation the truth is known. A discriminator D learns to tell it (1) from what
is generated (0); w = D/(1-D) is the ratio of the two densities as far as D sees a difference, and
would make the generated events as the true ones (Das et al. 2305.16774). A perfect generator has
w = 1 for all; a tail of large weights shows where events are missing. Given both levels D judges
each posterior, given the particle level alone their sum.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.learning.bootstrap import event_factors
from fullchain.learning.standardise import weighted_quantiles
from fullchain.seeds import derive
from fullchain.unfolding import acceptance_classifier
from fullchain.unfolding.acceptance_classifier import Classifier
from fullchain.unfolding.counting import effective_sample_size, none_or_all
from fullchain.unfolding.generative_settings import ControlSettings, SmallClassifierSettings

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

TAIL = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
"""Quantiles of the weights that are reported."""

LARGE = 3.0
"""Weights above it, and below its inverse, are counted."""

EDGES = np.linspace(-1.5, 1.5, 31)
"""Bins of log10 of the weights."""

SUMMARIES = ("large_fraction", "small_fraction", "mean", "effective_part")
"""Parts above `LARGE` and below its inverse, mean, effective sample size over that without w."""

BOOTSTRAPS = 100
"""Replicas behind the errors."""


@dataclass(frozen=True)
class Control:
    """A fitted discriminator.

    Parameters
    ----------
    classifier
        Truth (1) against generated (0).
    given
        See `ControlSettings`.
    record
        Weights on events that the discriminator was not trained on: quantiles, effective sample
        size, area under the curve, with errors; largest; histogram of log10 w. `learned` is false
        where events are too few, and w is 1 for all.
    """

    classifier: Classifier
    given: str
    record: dict[str, Any]

    def log_weights(self, particle: Array, detector: Array) -> Array:
        """Logarithm of w, (rows), for transformed values (rows, observables) of both levels."""
        logits: Array = self.classifier.logits(_inputs(particle, detector, self.given))[:, 0]
        return logits


def control(
    truth: Array,
    generated: Array,
    detector: Array,
    weight: Array,
    validation: Flags,
    settings: ControlSettings,
    classifier: SmallClassifierSettings,
    seed: int,
) -> Control:
    """Fit the discriminator and judge the generated events.

    Parameters
    ----------
    truth
        (events, observables), transformed without chance.
    generated
        (events, samples, observables), likewise.
    detector
        (events, observables) of the detector level, likewise.
    weight
        (events).
    validation
        (events) which judge; truth and samples of an event are on one side.
    """
    samples = generated.shape[1]
    values = np.concatenate(
        [
            _inputs(truth, detector, settings.given),
            _inputs(
                generated.reshape(-1, truth.shape[1]),
                np.repeat(detector, samples, axis=0),
                settings.given,
            ),
        ]
    )
    weights = np.concatenate([weight, np.repeat(weight / samples, samples)])
    held = np.concatenate([validation, np.repeat(validation, samples)])
    labels = np.repeat([1.0, 0.0], [len(truth), len(truth) * samples])
    event = np.concatenate([np.arange(len(truth)), np.repeat(np.arange(len(truth)), samples)])
    found = acceptance_classifier.fit(
        values,
        labels[:, None],
        weights[:, None],
        held,
        classifier,
        seed=seed,
        description="control",
    )
    logits = found.logits(values)[:, 0]
    record = _record(logits[held], labels[held], weights[held], event[held], derive(seed, "errors"))
    about = {
        "given": settings.given,
        "reweights": settings.reweights,
        "learned": bool(found.learned[0]),
    }
    return Control(found, settings.given, {**about, **record})


def _inputs(particle: Array, detector: Array, given: str) -> Array:
    return np.concatenate([particle, detector], axis=1) if given == "both" else particle


def _record(
    logits: Array, labels: Array, weight: Array, event: Integers, seed: int
) -> dict[str, Any]:
    generated = labels == 0
    own, log_ratio = weight[generated], logits[generated]
    ratio, total = np.exp(log_ratio), own.sum()
    # Bins at the ends hold all that lies beyond them.
    shown = np.clip(log_ratio / np.log(10), EDGES[0], EDGES[-1])
    counts, _ = np.histogram(shown, EDGES, weights=own)
    squares, _ = np.histogram(shown, EDGES, weights=own**2)
    area, error = _area(logits, labels, weight)
    found = _tail(ratio, own)
    spread = _spread(ratio, own, event[generated], seed)
    events = len(np.unique(event))
    for place in (len(TAIL), len(TAIL) + 1):
        # Of a part of none or all events no replica has another.
        if found[place] in (0.0, 1.0):
            spread[place] = none_or_all(events)
    parts = [f"{part:g}" for part in TAIL]
    return {
        "events": events,
        "effective_events": float(effective_sample_size(own)),
        "auc": area,
        "auc_error": error,
        "quantiles": dict(zip(parts, found.tolist(), strict=False)),
        "quantile_errors": dict(zip(parts, spread.tolist(), strict=False)),
        "largest": float(ratio.max()),
        **{
            name: {"value": float(value), "error": float(deviation)}
            for name, value, deviation in zip(
                SUMMARIES, found[len(TAIL) :], spread[len(TAIL) :], strict=True
            )
        },
        "log10_edges": EDGES.tolist(),
        "log10_counts": (counts / total).tolist(),
        "log10_errors": (np.sqrt(squares) / total).tolist(),
    }


def _tail(ratio: Array, weight: Array) -> Array:
    """Quantiles at `TAIL` of weights w (rows), then `SUMMARIES`."""
    total, both = weight.sum(), weight * ratio
    summaries = (
        weight[ratio > LARGE].sum() / total,
        weight[ratio < 1 / LARGE].sum() / total,
        both.sum() / total,
        effective_sample_size(both) / effective_sample_size(weight),
    )
    return np.concatenate([weighted_quantiles(ratio, weight, TAIL), summaries])


def _spread(ratio: Array, weight: Array, event: Integers, seed: int) -> Array:
    """Standard deviations of `_tail` over bootstrap replicas of the events."""
    place = np.unique(event, return_inverse=True)[1]
    drawn = (weight * factor for factor in event_factors(place, BOOTSTRAPS, seed))
    # A replica of few events may have none of them.
    found = [_tail(ratio, several) for several in drawn if several.any()]
    deviation: Array = np.std(found, axis=0, ddof=1)
    return deviation


def _area(score: Array, labels: Array, weight: Array) -> tuple[float, float]:
    """Area under the curve, and its error (Hanley and McNeil, Radiology 143 (1982) 29)."""
    one, zero = labels == 1, labels == 0
    order = np.argsort(score[zero], kind="stable")
    reached = np.concatenate([[0.0], np.cumsum(weight[zero][order])])
    first = np.searchsorted(score[zero][order], score[one], side="left")
    last = np.searchsorted(score[zero][order], score[one], side="right")
    below = 0.5 * (reached[first] + reached[last]) / reached[-1]
    area = float(np.average(below, weights=weight[one]))
    worth = [weight[part].sum() ** 2 / (weight[part] ** 2).sum() for part in (one, zero)]
    squares = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    variance = (area * (1 - area) + (worth[0] - 1) * squares[0] + (worth[1] - 1) * squares[1]) / (
        worth[0] * worth[1]
    )
    return area, float(np.sqrt(max(variance, 0.0)))
