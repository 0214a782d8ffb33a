"""Collect the numbers of the stage: each method on each sample, and stored weights beside ours."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fullchain.metrics import Metric, write_metrics
from fullchain.pileup.discrimination_metrics import pair_metrics
from fullchain.saved_numbers import read_numbers
from fullchain.step import Given, Input, Output

_QUANTITIES = {
    "jet_pt": "pT of {jets} jets",
    "jet_mass": "mass of {jets} jets",
    "dijet_mass": "mass of two {jets} jets",
    "n95": "N95 of {jets} jets",
    "ecf2": "ECF2 of {jets} jets",
    "ecf3": "ECF3 of {jets} jets",
    "central_jet_pt": "pT of central AK4 jets",
    "forward_jet_pt": "pT of forward AK4 jets",
    "met": "missing pT",
    "met_along": "missing pT along the neutrinos",
}
_STATISTICS = {
    "response": ("median response", ""),
    "resolution": ("resolution", ""),
    "gain": ("resolution over that {baseline}", ""),
    "error_median": ("median error against true weights", "%"),
    "error_iqr": ("IQR of the error against true weights", "%"),
    "correlation": ("correlation with true weights", ""),
    "iqr_over_puppi": ("IQR of the error over PUPPI's", ""),
}
_BEYOND = 0.1  # tails of the numbers of interactions lie beyond even where the mean is the same
_BASELINES = {"none": "without mitigation", "chs": "of CHS"}


def main(
    *,
    numbers: Annotated[Path, Input("numbers of 'pileup evaluate'")],
    comparisons: Annotated[list[Path], Input("numbers of 'pileup compare'")] = [],  # noqa: B006
    pairs: Annotated[list[Path], Input("numbers of 'pileup discriminate'")] = [],  # noqa: B006
    metrics: Annotated[Path, Output("numbers of the stage, metrics.json")],
    settings: Given,
) -> None:
    """Write the metrics.

    Raises
    ------
    InputError
        A file does not hold the numbers it should.
    """
    rows: list[Metric] = []
    for sample, content in read_numbers(numbers, "pileup", "samples").items():
        for method in content["methods"]:
            rows += method_metrics(sample, method, content)
    for path in comparisons:
        rows += comparison_metrics(
            read_numbers(path, "pileup", "sample"), read_numbers(path, "pileup")
        )
    for path in pairs:
        rows += pair_metrics(read_numbers(path, "pileup"))
    write_metrics(metrics, "pileup", [row for row in rows if math.isfinite(row.uncertainty)])


def method_metrics(sample: str, method: str, content: dict[str, Any]) -> Iterator[Metric]:
    """Give the metrics of one method on one sample, of which `content` holds the numbers."""
    entries = content["methods"][method]
    baseline = content["baseline"]
    note = _beyond(entries)
    for quantity, words_of_quantity in _QUANTITIES.items():
        text = words_of_quantity.format(jets=content["jets"])
        numbers = entries.get(quantity, {})
        for statistic, (words, unit) in _STATISTICS.items():
            if statistic not in numbers or (statistic == "gain" and method == baseline):
                continue
            if quantity == "met" and statistic == "resolution":
                words, unit = "resolution of a component", "GeV"
            yield _bootstrap(
                f"{sample}.{method}.{quantity}.{statistic}",
                numbers[statistic],
                f"{sample}, {method}: {words.format(baseline=_BASELINES[baseline])}, {text}",
                unit,
                note,
            )
        if "iqr_over_puppi_by_seed" in numbers:
            yield _over_seeds(
                f"{sample}.{method}.{quantity}", numbers["iqr_over_puppi_by_seed"],
                f"{sample}, {method}: {_STATISTICS['iqr_over_puppi'][0]}, {text}", note,
            )  # fmt: skip
    if method in ("none", "truth"):
        return  # keep everything, and what is to be kept
    for category, kept in entries.get("kept", {}).items():
        for origin, value in kept.items():
            what = "the hard collision" if origin == "hard" else "pile-up"
            yield _bootstrap(
                f"{sample}.{method}.kept.{category}.{origin}",
                value,
                f"{sample}, {method}: part of the {category} pT of {what} that is kept",
            )


def _beyond(entries: dict[str, Any]) -> str | None:
    """Say which part of the events has densities that the weights were not trained on."""
    if entries.get("beyond", 0.0) < _BEYOND:
        return None
    low, high = entries["trained"]
    return (
        f"{entries['beyond']:.0%} of the events have numbers of interactions outside of "
        f"{low:.0f} to {high:.0f}, which the weights were trained on"
    )


def _over_seeds(name: str, found: dict[str, Any], label: str, note: str | None) -> Metric:
    """Give the mean over trainings; its uncertainty has that of the events and their spread."""
    value, events = found["mean"]
    parts = (
        f"{found['trainings']} trainings; uncertainty of the events {events:.3f}, standard "
        f"deviation of the trainings {found['spread']:.3f}; 0.8 is a fifth better than PUPPI"
    )
    return Metric(
        f"{name}.iqr_over_puppi_by_seed",
        value,
        math.hypot(events, found["spread"]),
        "bootstrap and seeds",
        f"{label}, mean of single trainings",
        note=f"{parts}; {note}" if note else parts,
    )


def comparison_metrics(sample: str, content: dict[str, Any]) -> Iterator[Metric]:
    """Give the metrics of a comparison with stored weights."""
    for region, found in content["regions"].items():
        for name, words in (
            ("correlation", "correlation of our weights with those of the file"),
            ("close", "neutral candidates whose weights agree within 0.1"),
            ("kept_pt_ratio", "pT kept by our weights over that by those of the file"),
        ):
            if name in found:
                label = f"{sample}: {words}, |eta| {region}"
                yield _bootstrap(f"{sample}.stored.eta_{region}.{name}", found[name], label)
    for quantity in ("pt", "mass"):
        if quantity not in content["jets"]:
            continue
        for name, words in (("median", "median"), ("half_width", "half width of the")):
            yield _bootstrap(
                f"{sample}.stored.jet_{quantity}.{name}",
                content["jets"][quantity][name],
                f"{sample}: {words} ratio of AK8 jet {quantity}, our weights over the file's",
            )


def _bootstrap(
    name: str, value: list[float], label: str, unit: str = "", note: str | None = None
) -> Metric:
    return Metric(name, value[0], value[1], "bootstrap", label, unit, note=note)
