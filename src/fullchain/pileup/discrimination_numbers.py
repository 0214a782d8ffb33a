"""All numbers of a pair of samples from its table of jets, each with its uncertainty."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.pileup.discrimination_jets import KINDS, OBSERVABLES
from fullchain.pileup.discrimination_settings import DiscriminationSettings
from fullchain.pileup.discrimination_table import JetTable
from fullchain.pileup.performance import agreement, number, response
from fullchain.pileup.quantities import Pairs
from fullchain.pileup.restoration import difference, peak
from fullchain.pileup.separation import NOT_FOUND, areas, crossfitted
from fullchain.seeds import derive
from fullchain.tagging.performance import tau32_score

Array = NDArray[Any]
Statistic = Callable[[Pairs, Array], dict[str, Array]]

TRUTH = "truth"
TAGGERS = ("cut", "trained", "transferred")
"""Cut on tau32 in a window of mass; trees fitted to jets of the method; to those of the truth."""

BESIDE = ("none", "puppi")
"""Methods beside which the areas of the others are set, with the same replicas."""

HISTOGRAMS = {"msoftdrop": np.linspace(0.0, 400.0, 51), "tau32": np.linspace(0.0, 1.2, 31)}


class Measurement:
    """The numbers of one pair.

    Parameters
    ----------
    table
        Jets of both samples.
    settings
        `pileup.discrimination`.
    seed
        Of the parts of the events and the replicas.

    Attributes
    ----------
    left_out
        What has too few jets, in words.
    """

    def __init__(self, table: JetTable, settings: DiscriminationSettings, seed: int) -> None:
        self.left_out: list[str] = []
        self._table = table
        self._settings = settings
        self._seed = seed
        self._weights = table.replicas(settings.replicas, derive(seed, "replicas"))
        self._kind = {name: table.kind == place for place, name in enumerate(KINDS)}
        self._inside = {
            (low, high): (table.interactions >= low) & (table.interactions < high)
            for low, high in pairwise(settings.interactions)
        }

    def numbers(self) -> dict[str, Any]:
        """Give all numbers, by method."""
        found: dict[str, Any] = {method: {} for method in self._table.values}
        for kind, chosen in self._kind.items():
            if self._enough(f"{kind} jets", kind):
                for method, entries in found.items():
                    entries[kind] = self._restored(method, kind, chosen)
        if self._enough("areas under ROC curves", "top", "qcd"):
            for tagger, scores in self._scores().items():
                for method, area in self._areas(tagger, scores).items():
                    found[method].setdefault("auc", {})[tagger] = area
        return found

    def _enough(self, what: str, *kinds: str) -> bool:
        """Tell whether there are jets enough of these kinds, and note it if not."""
        for kind in kinds:
            jets = int(self._kind[kind].sum())
            if jets < self._settings.min_entries:
                self.left_out.append(f"{what}: {jets} {kind} jets")
                return False
        return True

    def _restored(self, method: str, kind: str, chosen: Array) -> dict[str, Any]:
        """Masses beside particle level, all observables beside those of true weights, peak."""
        table, weights = self._table, self._weights[:, chosen]
        values, truth = table.values[method], table.values[TRUTH]
        least = self._settings.reference_mass_min
        share = weights @ table.found[method][chosen] / weights.sum(axis=1)
        entries: dict[str, Any] = {"jets": int(chosen.sum()), "found": number(share)}
        reference = _above(table.reference, least)
        entries["msoftdrop"] = self._binned(response, chosen, values[:, 0], reference)
        if method != "none":
            without = self._raw(response, chosen, table.values["none"][:, 0], reference)
            with_it = self._raw(response, chosen, values[:, 0], reference)
            if with_it and without:
                gain = with_it["resolution"] / without["resolution"]
                entries["msoftdrop"]["gain"] = number(gain)
        if kind != "qcd":
            entries["peak"] = self._binned(peak, chosen, values[:, 0], values[:, 0])
        if method != TRUTH:
            against = _above(truth[:, 0], least)
            compared = self._raw(agreement, chosen, values[:, 0], against) or {}
            entries["msoftdrop"] |= _numbers(compared)
            for place, name in enumerate(OBSERVABLES[1:], start=1):
                own, wanted = values[:, place], truth[:, place]
                entries[name] = self._binned(difference, chosen, own, wanted)
                compared = self._raw(agreement, chosen, own, wanted) or {}
                entries[name] |= {
                    key: one for key, one in _numbers(compared).items() if key == "correlation"
                }
        return {name: entry for name, entry in entries.items() if entry}

    def _raw(
        self, statistic: Statistic, chosen: Array, value: Array, reference: Array
    ) -> dict[str, Array] | None:
        """Give a statistic for each replica; None with too few jets."""
        known = np.flatnonzero(chosen & np.isfinite(value) & np.isfinite(reference))
        if len(known) < self._settings.min_entries:
            return None
        return statistic(Pairs(value[known], reference[known], known), self._weights)

    def _binned(
        self, statistic: Statistic, chosen: Array, value: Array, reference: Array
    ) -> dict[str, Any]:
        """Give a statistic of all jets and in bins of the number of interactions."""
        whole = self._raw(statistic, chosen, value, reference)
        if whole is None:
            return {}
        bins = []
        for edges, inside in self._inside.items():
            own = self._raw(statistic, chosen & inside, value, reference)
            if own is not None:
                bins.append(self._bin(edges, chosen & inside) | _numbers(own))
        return {**_numbers(whole), "bins": bins}

    def _bin(self, edges: tuple[float, float], chosen: Array) -> dict[str, Any]:
        table = self._table
        mean = np.average(table.interactions[chosen], weights=table.weight[chosen])
        return {"interactions": float(mean), "edges": list(edges)}

    def _scores(self) -> dict[str, dict[str, Array]]:
        """Score the top and QCD jets, by tagger and method; (n), others have no score."""
        table, settings = self._table, self._settings
        used = np.flatnonzero(self._kind["top"] | self._kind["qcd"])
        is_signal = self._kind["top"][used]
        values = {method: columns[used] for method, columns in table.values.items()}
        mass, tau32 = OBSERVABLES.index("msoftdrop"), OBSERVABLES.index("tau32")
        cut = {}
        for method, columns in values.items():
            score = tau32_score(
                columns[:, tau32], columns[:, mass], settings.mass_min, settings.mass_max
            )
            cut[method] = np.where(table.found[method][used], score, NOT_FOUND)

        def fitted(training: Array, applied: Mapping[str, Array]) -> dict[str, Array] | None:
            return crossfitted(
                training, applied, is_signal, table.weight[used], table.identity[used],
                settings.discriminant, derive(self._seed, "parts"),
            )  # fmt: skip

        found = {"cut": cut}
        transferred = fitted(values[TRUTH], values)
        own = {TRUTH: transferred} | {
            method: fitted(columns, {method: columns})
            for method, columns in values.items()
            if method != TRUTH
        }
        if transferred is None or any(scores is None for scores in own.values()):
            self.left_out.append("trees: a part of the events without top jets or QCD jets")
        else:
            found["trained"] = {method: (own[method] or {})[method] for method in values}
            found["transferred"] = transferred
        return {
            tagger: {method: self._spread(score, used) for method, score in scores.items()}
            for tagger, scores in found.items()
        }

    def _spread(self, score: Array, used: Array) -> Array:
        everywhere = np.full(len(self._table), NOT_FOUND)
        everywhere[used] = score
        return everywhere

    def _areas(self, tagger: str, scores: Mapping[str, Array]) -> dict[str, Any]:
        """Give the area of each method, its differences, and areas in bins."""
        chosen = self._kind["top"] | self._kind["qcd"]
        found = self._compared(scores, chosen)
        for one in found.values():
            one["bins"] = []
        for edges, inside in self._inside.items():
            here = chosen & inside
            jets = {kind: int((here & self._kind[kind]).sum()) for kind in ("top", "qcd")}
            if min(jets.values()) < self._settings.min_entries:
                if tagger == "cut" and max(jets.values()):
                    self.left_out.append(
                        f"areas at {edges[0]:g} to {edges[1]:g} interactions: {jets['top']} top "
                        f"jets, {jets['qcd']} qcd jets"
                    )
                continue
            for method, one in self._compared(scores, here).items():
                found[method]["bins"].append(self._bin(edges, here) | jets | one)
        return found

    def _compared(self, scores: Mapping[str, Array], chosen: Array) -> dict[str, Any]:
        """Give areas, and how much they are above those of no mitigation and of PUPPI."""
        weights, is_signal = self._weights[:, chosen], self._kind["top"][chosen]
        raw = {method: areas(score[chosen], is_signal, weights) for method, score in scores.items()}
        return {
            method: {
                "area": number(area),
                **{
                    f"over_{other}": number(area - raw[other])
                    for other in BESIDE
                    if other in raw and other != method
                },
            }
            for method, area in raw.items()
        }

    def histograms(self) -> dict[str, Any]:
        """Give distributions by method and kind, as parts of all jets of the kind."""
        found: dict[str, Any] = {}
        for method, values in self._table.values.items():
            found[method] = {
                kind: {
                    name: self._histogram(values[:, OBSERVABLES.index(name)], edges, chosen)
                    for name, edges in HISTOGRAMS.items()
                }
                for kind, chosen in self._kind.items()
                if chosen.sum() >= self._settings.min_entries
            }
        return found

    def _histogram(self, column: Array, edges: Array, chosen: Array) -> dict[str, list[float]]:
        weight = self._table.weight
        total = weight[chosen].sum()
        inside = chosen & np.isfinite(column)
        content, _ = np.histogram(column[inside], edges, weights=weight[inside])
        squares, _ = np.histogram(column[inside], edges, weights=weight[inside] ** 2)
        return {
            "content": (content / total).tolist(),
            "deviation": (np.sqrt(squares) / total).tolist(),
        }


def _numbers(results: Mapping[str, Array]) -> dict[str, Any]:
    """Give values with their uncertainty; not those that are not defined."""
    return {name: number(result) for name, result in results.items() if np.isfinite(result[0])}


def _above(reference: Array, least: float) -> Array:
    """Give the references above `least`; NaN for the others, to which no ratio is taken."""
    return np.where(reference > least, reference, np.nan)
