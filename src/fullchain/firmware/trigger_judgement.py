"""What triggers on given scores do: thresholds, efficiencies, curves, turn-ons, and differences."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware import turn_on
from fullchain.firmware.trigger_events import Events, Normalised
from fullchain.firmware.trigger_rates import (
    Areas,
    Ranked,
    cut,
    efficiency,
    replicas,
)
from fullchain.firmware.trigger_settings import TriggerSettings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """The jets that triggers see, and the events that they are in.

    Parameters
    ----------
    events
        Of the jets.
    background
        Numbers of the background events, and their weights or rates.
    normalised
        Weights of the background events.
    signals
        Numbers of the events of each signal.
    signal_jets
        Numbers of the jets whose turn-on is looked at, for each signal.
    pt, weight
        (jets) offline pT [GeV] and weight.
    """

    events: Events
    background: NDArray[np.intp]
    normalised: Normalised
    signals: Mapping[str, NDArray[np.intp]]
    signal_jets: Mapping[str, NDArray[np.intp]]
    pt: Array
    weight: Array


@dataclass(frozen=True)
class Ranking:
    """A trigger: events of background and signals in order of their scores."""

    background: Ranked
    signals: Mapping[str, Ranked]


@dataclass(frozen=True)
class Replicas:
    """Bootstrap samples of one trigger.

    `efficiency` (replicas, signals, targets), `curve` (replicas, signals, points) and `area`
    (replicas, signals): with thresholds found anew each time.
    """

    efficiency: Array
    curve: Array
    area: Array


def targets(settings: TriggerSettings, rate: float | None) -> list[float]:
    """Give the parts of the background events at which thresholds are set.

    Raises
    ------
    InputError
        A rate is not below that of all events with a jet: no threshold has it.
    """
    found = list(settings.fractions)
    if rate is not None:
        beyond = [one for one in settings.rates if one >= rate]
        if beyond:
            raise InputError(
                f"firmware.trigger.rates: {beyond[0]:g} Hz is not below the"
                f" {rate:.3g} Hz of all background events with a jet; take lower rates, or "
                "background samples of a wider pTHat window"
            )
        found += [one / rate for one in settings.rates]
    return sorted(found)


def curve_targets(settings: TriggerSettings, events: int) -> Array:
    """Give the parts of the background of a curve, from one event to all."""
    return np.geomspace(1.0 / events, 1.0, settings.curve_points)


def ranking(scores: Array, candidates: Candidates) -> Ranking:
    """Put the events in order; `scores` of the jets, (jets), an event has its largest."""
    largest = candidates.events.largest(scores)
    weight = candidates.events.weight
    return Ranking(
        Ranked(largest[candidates.background], candidates.normalised.weight),
        {name: Ranked(largest[one], weight[one]) for name, one in candidates.signals.items()},
    )


def resample(
    trigger: Ranking, fractions: Sequence[float], curve: Array, number: int, seed: int
) -> Replicas:
    """Find thresholds and efficiencies anew with Poisson factors on all events.

    Parameters
    ----------
    trigger
        Events.
    fractions, curve
        Parts of the background: those wanted, and those of the curve.
    number, seed
        Of the bootstrap samples.
    """
    signals = list(trigger.signals.values())
    areas = [Areas(trigger.background, signal) for signal in signals]
    wanted = np.concatenate([fractions, curve])
    found, area = [], []
    sizes = [len(signal) for signal in signals]
    for first, rest in replicas(len(trigger.background), sizes, number, seed):
        thresholds = trigger.background.thresholds(wanted, first)
        pairs = list(zip(signals, rest, areas, strict=True))
        found.append([signal.above(thresholds, factor) for signal, factor, _ in pairs])
        area.append([one.area((first, factor)) for _, factor, one in pairs])
    values = np.array(found)
    split = len(fractions)
    return Replicas(values[..., :split], values[..., split:], np.array(area))


def judge(
    scores: Array,
    candidates: Candidates,
    trigger: Ranking,
    resampled: Replicas,
    settings: TriggerSettings,
) -> dict[str, Any]:
    """Give the numbers of a trigger, for JSON.

    Parameters
    ----------
    scores
        (jets).
    candidates, trigger, resampled
        Of the same scores.
    settings
        What to look at.
    """
    rate = candidates.normalised.rate
    points = []
    for number, fraction in enumerate(targets(settings, rate)):
        chosen = cut(trigger.background, fraction)
        point: dict[str, Any] = {
            "fraction": fraction,
            "threshold": chosen.value if np.isfinite(chosen.value) else None,
            "background": _part(trigger.background, chosen.value),
            "looser": chosen.looser,
            "signals": {},
        }
        for place, name in enumerate(trigger.signals):
            point["signals"][name] = {
                **_part(trigger.signals[name], chosen.value),
                "deviation": float(np.std(resampled.efficiency[:, place, number], ddof=1)),
                "turn_on": _turn_on(scores, candidates, name, chosen.value, settings),
            }
        points.append(point)
    return {
        "distinct_scores": len(trigger.background.values),
        "points": points,
        "areas": {
            name: [
                Areas(trigger.background, signal).area(),
                float(np.std(resampled.area[:, place], ddof=1)),
            ]
            for place, (name, signal) in enumerate(trigger.signals.items())
        },
        "curve": _curve(trigger, resampled, settings),
        "distributions": _distributions(trigger, settings.histogram_bins),
    }


def _part(events: Ranked, threshold: float) -> dict[str, Any]:
    """Give the part of the events above a threshold, with its interval and counts."""
    found = efficiency(events.falling >= threshold, events.weight)
    assert found is not None  # The weights of Ranked are positive.
    return asdict(found)


def _turn_on(
    scores: Array,
    candidates: Candidates,
    name: str,
    threshold: float,
    settings: TriggerSettings,
) -> dict[str, Any]:
    """Give the efficiency of the jets of a signal, each by its own score, against offline pT."""
    jets = candidates.signal_jets[name]
    pt, passed, weight = candidates.pt[jets], scores[jets] >= threshold, candidates.weight[jets]
    fitted, reason = turn_on.fit(pt, passed, weight, settings.turn_on_edges)
    return {
        "bins": turn_on.binned(pt, passed, weight, settings.turn_on_edges),
        "fit": None if fitted is None else asdict(fitted),
        "no_fit": reason,
    }


def _curve(trigger: Ranking, resampled: Replicas, settings: TriggerSettings) -> dict[str, Any]:
    wanted = curve_targets(settings, len(trigger.background))
    thresholds = trigger.background.thresholds(wanted)
    errors = np.std(resampled.curve, axis=0, ddof=1)
    return {
        "background": trigger.background.above(thresholds).tolist(),
        "signals": {
            name: [signal.above(thresholds).tolist(), errors[place].tolist()]
            for place, (name, signal) in enumerate(trigger.signals.items())
        },
    }


def _distributions(trigger: Ranking, bins: int) -> dict[str, Any]:
    """Give histograms of the scores of events: parts of each sample, and errors.

    Bins end at quantiles of background and signals; what lies beyond is in the outermost ones.
    """
    everything = {"background": trigger.background, **trigger.signals}
    spans = [np.quantile(one.falling, [0.005, 0.995]) for one in everything.values()]
    low, high = min(span[0] for span in spans), max(span[1] for span in spans)
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    found = {}
    for name, one in everything.items():
        place = np.clip(np.searchsorted(edges, one.falling, side="right") - 1, 0, bins - 1)
        total = one.weight.sum()
        values = np.bincount(place, one.weight, bins) / total
        errors = np.sqrt(np.bincount(place, one.weight**2, bins)) / total
        found[name] = [values.tolist(), errors.tolist()]
    return {"edges": edges.tolist(), "of": found}


def differences(
    first: tuple[Ranking, Replicas], second: tuple[Ranking, Replicas], fractions: Sequence[float]
) -> list[dict[str, Any]]:
    """Compare two implementations of one trigger: efficiencies of the second less the first.

    Each has its own threshold at the same part of the background. Errors are paired: both had the
    same events in each bootstrap sample. Where all efficiencies agree in all of them the error is
    0.
    """
    found = []
    for number, fraction in enumerate(fractions):
        cuts = [cut(one.background, fraction) for one, _ in (first, second)]
        for place, name in enumerate(first[0].signals):
            values = [
                float(one.signals[name].above(np.array([chosen.value]))[0])
                for (one, _), chosen in zip((first, second), cuts, strict=True)
            ]
            spread = second[1].efficiency[:, place, number] - first[1].efficiency[:, place, number]
            found.append(
                {
                    "fraction": fraction,
                    "achieved": [chosen.achieved for chosen in cuts],
                    "signal": name,
                    "difference": [values[1] - values[0], float(np.std(spread, ddof=1))],
                }
            )
    return found
