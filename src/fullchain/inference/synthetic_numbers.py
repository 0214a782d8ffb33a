"""Numbers of the synthetic benchmark of INFERNO, beside the published ones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fullchain.inference import synthetic_published as published
from fullchain.inference.synthetic_settings import CLASSIFIER
from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Numbers = Mapping[str, Any]

QUANTITY = "expected uncertainty of s"


def median(values: Sequence[float]) -> tuple[float, float | None]:
    """Median over trainings, and its standard error for normal numbers; None of a single one."""
    found = float(np.median(values))
    if len(values) < 2:
        return found, None
    # The median of two is their mean.
    factor = 1.0 if len(values) == 2 else float(np.sqrt(np.pi / 2.0))
    return found, factor * float(np.std(values, ddof=1)) / len(values) ** 0.5


def over_seeds(one: Numbers, case: str) -> tuple[float, float | None]:
    """Median over the trainings of a summary, evaluated for a case, with its error."""
    return median([seed["expected"][case] for seed in one["seeds"]])


def metrics(known: Numbers, learned: Sequence[Numbers]) -> list[Metric]:
    """Give all numbers: of known.json, and of the file of each summary."""
    return [*_known(known), *(metric for one in learned for metric in _learned(one))]


def _known(known: Numbers) -> Iterator[Metric]:
    for case, value in known["likelihood"].items():
        yield Metric(
            f"synthetic.likelihood.{case}", value, 0.0, "numerical integration",
            f"{case}, likelihood: {QUANTITY}", unit="events",
            published=published.LIKELIHOOD[case], source=published.SOURCE,
        )  # fmt: skip
    for case, value in known["best_classifier"].items():
        yield Metric(
            f"synthetic.best_classifier.{case}", value, 0.0, "numerical integration",
            f"{case}, density ratio in {known['bins']} bins: {QUANTITY}", unit="events",
            published=published.BEST_CLASSIFIER[case], source=published.SOURCE,
        )  # fmt: skip


def _learned(one: Numbers) -> Iterator[Metric]:
    classifier = one["summary"] == CLASSIFIER
    stated = published.CLASSIFIER if classifier else published.INFERNO
    name = "classifier" if classifier else "INFERNO"
    for case in published.CASES if classifier else (one["summary"],):
        value, error = over_seeds(one, case)
        yield Metric(
            f"synthetic.{name.lower()}.{case}",
            value,
            error or 0.0,
            "single training, spread unknown" if error is None else "seeds",
            f"{case}, {name}: {QUANTITY}",
            unit="events",
            published=stated[case],
            source=published.SOURCE,
            note=f"median of {len(one['seeds'])} trainings of {one['epochs']} epochs; paper: 200",
        )


def tables(known: Numbers, learned: Sequence[Numbers]) -> list[Table]:
    """Give the table of the paper: summaries by cases, ours beside the published."""
    rows: list[list[Cell]] = []
    marked: list[int] = []

    def add(name: str, cells: Mapping[str, Cell], stated: Mapping[str, float]) -> None:
        marked.append(len(rows))
        rows.append([name, *(cells.get(case) for case in published.CASES), "ours"])
        beside = [Number(stated[case], None, 2) for case in published.CASES]
        rows.append([f"{name}, published", *beside, published.SOURCE])

    classifier = [one for one in learned if one["summary"] == CLASSIFIER]
    inferno = [one for one in learned if one["summary"] != CLASSIFIER]
    for one in classifier:
        found = {case: _number(one, case) for case in published.CASES}
        add("classifier (cross-entropy)", found, published.CLASSIFIER)
    if inferno:
        found = {one["summary"]: _number(one, one["summary"]) for one in inferno}
        add("INFERNO of the case", found, published.INFERNO)
    for name, key, stated in (
        ("density ratio", "best_classifier", published.BEST_CLASSIFIER),
        ("likelihood", "likelihood", published.LIKELIHOOD),
    ):
        add(name, {case: Number(value, None, 2) for case, value in known[key].items()}, stated)
    sizes = "; ".join(
        f"{one['summary']}: {len(one['seeds'])} trainings of {one['epochs']} epochs"
        for one in learned
    )
    return [
        Table(
            "synthetic_uncertainties",
            "Synthetic benchmark of INFERNO",
            f"Expected uncertainty of the signal yield, 50 events over 1000: median over "
            f"trainings and its standard error, with the templates of events not trained on, in "
            f"{known['bins']} bins. {sizes}. Density ratio and likelihood: by integration. The "
            "paper trains for 200 epochs and states the median of 100 initialisations.",
            ["Summary", *published.CASES, "Source"],
            rows,
            marked,
        )
    ]


def _number(one: Numbers, case: str) -> Number:
    value, error = over_seeds(one, case)
    return Number(value, error, 2 if error is None else None)
