"""All numbers of a sample, as a whole and in bins of pile-up, each with its uncertainty."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.pileup.classical_settings import EvaluationSettings
from fullchain.pileup.collected import Collected
from fullchain.pileup.densities import Range, method_of_training, range_of
from fullchain.pileup.performance import (
    agreement,
    difference,
    known_ratio,
    number,
    replicas,
    response,
)
from fullchain.pileup.quantities import CATEGORIES, SHAPES, Kept, Pairs

Array = NDArray[Any]

TRUTH = "truth"
"""The method that knows the truth: what can be reached at best."""

PUPPI = "puppi"
"""The method that learned ones are to beat."""

_STATISTICS = {
    "jet_pt": response,
    "jet_mass": response,
    "dijet_mass": response,
    "central_jet_pt": response,
    "forward_jet_pt": response,
    "met_along": response,
    "met": difference,
}
_AGAINST_TRUTH = ("jet_mass", "dijet_mass", "jet_pt", *SHAPES)
_QUANTITIES = (*_STATISTICS, *SHAPES)

Results = dict[str, dict[str, dict[str, Array]]]
"""Statistics by method and quantity: the value of the sample and those of the replicas."""


@dataclass(frozen=True)
class _Measured:
    """Columns of a sample: pairs by method and quantity, sums of pT by method, events."""

    pairs: Mapping[str, Mapping[str, Pairs]]
    kept: Mapping[str, Kept]
    interactions: Array
    drawn: Array
    settings: EvaluationSettings

    def results(self, inside: Array) -> tuple[Results, dict[str, dict[str, int]]]:
        """Give statistics of the events in a mask, and how many pairs each has."""
        found: Results = {}
        entries: dict[str, dict[str, int]] = {}
        for method, quantities in self.pairs.items():
            found[method], entries[method] = {}, {}
            for name in _QUANTITIES:
                pairs = quantities[name].of_events(inside)
                numbers, used = self._statistics(method, name, pairs, inside)
                if numbers:
                    found[method][name], entries[method][name] = numbers, used
        _compare(found, self.settings.baseline)
        return found, entries

    def _statistics(
        self, method: str, name: str, pairs: Pairs, inside: Array
    ) -> tuple[dict[str, Array], int]:
        """Give statistics of one quantity, none where it has too few entries; and how many."""
        numbers: dict[str, Array] = {}
        used = 0
        known = pairs.known()
        if name in _STATISTICS and len(known.value) >= self.settings.min_entries:
            numbers |= _STATISTICS[name](known, self.drawn)
            used = len(known.value)
        if name in _AGAINST_TRUTH and method != TRUTH:
            truth = self.pairs[TRUTH][name].of_events(inside).value
            reference = np.where(truth > 0, truth, np.nan)
            matched = Pairs(pairs.value, reference, pairs.event).known()
            if len(matched.value) >= self.settings.min_entries:
                numbers |= agreement(matched, self.drawn)
                used = used or len(matched.value)
        return numbers, used

    def kept_parts(self, method: str, inside: Array) -> dict[str, Any]:
        """Give the parts of the pT that are kept, of the hard collision and of pile-up."""
        kept, drawn = self.kept[method], self.drawn[:, inside]
        found: dict[str, Any] = {category: {} for category in CATEGORIES}
        for origin in ("hard", "pileup"):
            below = drawn @ getattr(kept, origin)[inside]
            share = known_ratio(drawn @ getattr(kept, f"{origin}_kept")[inside], below)
            for place, category in enumerate(CATEGORIES):
                if np.isfinite(share[0, place]):
                    found[category][origin] = number(share[:, place])
        return found

    def bins(self) -> Iterator[tuple[list[float], Array]]:
        """Give edges and events of the bins of pile-up that have enough events."""
        for low, high in pairwise(self.settings.interactions):
            inside = (self.interactions >= low) & (self.interactions < high)
            if np.sum(inside) >= self.settings.min_entries:
                yield [low, high], inside


def describe(
    sample: str,
    collected: Collected,
    trained: Mapping[str, Range],
    settings: EvaluationSettings,
    seed: int,
) -> dict[str, Any]:
    """Give all numbers of a sample, each with its uncertainty.

    Parameters
    ----------
    trained
        Numbers of interactions that learned methods were trained on: what lies beyond is marked.
    """
    interactions = np.concatenate(collected.interactions)
    drawn = replicas(
        collected.events, settings.replicas, np.concatenate(collected.weight),
        seed, "pileup", sample,
    )  # fmt: skip
    measured = _Measured(collected.joined(), collected.joined_kept(), interactions, drawn, settings)
    every = np.ones(len(interactions), bool)
    results, used = measured.results(every)
    methods: dict[str, dict[str, Any]] = {}
    for method, quantities in results.items():
        methods[method] = {name: _numbers(one) for name, one in quantities.items()}
        for name, entry in methods[method].items():
            entry["entries"] = used[method][name]
            entry["matched"] = used[method][name] / len(measured.pairs[method][name].value)
            entry["bins"] = []
        methods[method] |= {"kept": measured.kept_parts(method, every), "kept_bins": []}
        limits = range_of(method, trained)
        if limits:
            beyond = (interactions < limits[0]) | (interactions > limits[1])
            methods[method] |= {"trained": list(limits), "beyond": float(np.mean(beyond))}
    for edges, inside in measured.bins():
        _add_bin(methods, measured, edges, inside)
    return {
        "events": collected.events,
        "interactions": float(np.mean(interactions)),
        "jets": settings.leading_jets,
        "baseline": settings.baseline,
        "methods": methods,
    }


def _add_bin(
    methods: dict[str, dict[str, Any]], measured: _Measured, edges: list[float], inside: Array
) -> None:
    """Add the numbers of a bin of pile-up to those of each method."""
    results, used = measured.results(inside)
    for method, entries in methods.items():
        mean = float(np.mean(measured.interactions[inside]))
        place: dict[str, Any] = {"interactions": mean, "edges": edges}
        if "trained" in entries:
            low, high = entries["trained"]
            place["beyond"] = bool(mean < low or mean > high)
        kept = measured.kept_parts(method, inside)
        entries["kept_bins"].append(place | {"events": int(np.sum(inside)), "kept": kept})
        for name, one in results[method].items():
            # a quantity with enough entries in a bin has enough in the whole sample
            entries[name]["bins"].append(place | {"entries": used[method][name]} | _numbers(one))


def _compare(results: Results, baseline: str) -> None:
    """Add the ratios of methods, from the same replicas, and the means over trainings."""
    for name in _QUANTITIES:
        first = results[baseline].get(name, {}).get("resolution")
        iqr = results.get(PUPPI, {}).get(name, {}).get("error_iqr")
        for method, quantities in results.items():
            found = quantities.get(name, {})
            if first is not None and "resolution" in found:
                found["gain"] = known_ratio(found["resolution"], first)
            if iqr is not None and "error_iqr" in found and method != PUPPI:
                found["iqr_over_puppi"] = known_ratio(found["error_iqr"], iqr)
    for method, quantities in results.items():
        members = [one for one in results if method_of_training(one) == method]
        for name, found in quantities.items():
            ratios = [
                results[one][name]["iqr_over_puppi"]
                for one in members
                if "iqr_over_puppi" in results[one].get(name, {})
            ]
            if len(ratios) > 1:
                found["iqr_over_puppi_by_seed"] = np.stack(ratios)


def _numbers(results: Mapping[str, Array]) -> dict[str, Any]:
    """Give each statistic with its uncertainty; the mean over trainings with its spread, too."""
    found: dict[str, Any] = {}
    for name, values in results.items():
        if values.ndim == 2:
            found[name] = {
                "trainings": len(values),
                "mean": number(values.mean(axis=0)),
                "spread": float(np.std(values[:, 0], ddof=1)),
            }
        elif np.isfinite(values[0]):
            found[name] = number(values)
    return found
