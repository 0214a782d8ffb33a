"""Collect the numbers of the stage: each method on each sample, and stored weights beside ours."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fullchain.errors import InputError
from fullchain.metrics import Metric, write_metrics
from fullchain.step import Given, Input, Output

_QUANTITIES = {
    "jet_pt": "pT of AK8 jets",
    "jet_mass": "mass of AK8 jets",
    "dijet_mass": "mass of two AK8 jets",
    "central_jet_pt": "pT of central AK4 jets",
    "forward_jet_pt": "pT of forward AK4 jets",
    "met": "missing pT",
    "met_along": "missing pT along the neutrinos",
}
_STATISTICS = {
    "response": ("median response", ""),
    "resolution": ("resolution", ""),
    "gain": ("resolution over that without mitigation", ""),
    "error_iqr": ("IQR of the error against true weights", "%"),
    "correlation": ("correlation with true weights", ""),
}


def main(
    *,
    numbers: Annotated[Path, Input("numbers of 'pileup evaluate'")],
    comparisons: Annotated[list[Path], Input("numbers of 'pileup compare'")] = [],  # noqa: B006
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
    for sample, content in read_json(numbers, "samples").items():
        for method, entries in content["methods"].items():
            rows += method_metrics(sample, method, entries)
    for path in comparisons:
        rows += comparison_metrics(read_json(path, "sample"), read_json(path, ""))
    write_metrics(metrics, "pileup", [row for row in rows if math.isfinite(row.uncertainty)])


def read_json(path: Path, key: str) -> Any:
    """Give what a file has under a key, or all of it.

    Raises
    ------
    InputError
        The file is not what a step of this stage wrote.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return content[key] if key else content
    except (ValueError, KeyError, TypeError) as problem:
        raise InputError(f"{path}: not numbers of the stage pileup ({problem}); rerun it") from None


def method_metrics(sample: str, method: str, entries: dict[str, Any]) -> Iterator[Metric]:
    """Give the metrics of one method on one sample."""
    for quantity, text in _QUANTITIES.items():
        for statistic, (words, unit) in _STATISTICS.items():
            value = entries.get(quantity, {}).get(statistic)
            if value is None or (statistic == "gain" and method == "none"):
                continue
            if quantity == "met" and statistic == "resolution":
                words, unit = "resolution of a component", "GeV"
            yield _bootstrap(
                f"{sample}.{method}.{quantity}.{statistic}",
                value,
                f"{sample}, {method}: {words}, {text}",
                unit,
            )
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


def _bootstrap(name: str, value: list[float], label: str, unit: str = "") -> Metric:
    return Metric(name, value[0], value[1], "bootstrap", label, unit)
