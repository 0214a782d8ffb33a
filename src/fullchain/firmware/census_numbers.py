"""Numbers of what the trigger sees for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.metrics import Metric
from fullchain.stage_tables import Number, Table

Content = Mapping[str, Any]

MEASURED = {
    "mass_mmdt": ("mass after the modified mass-drop tagger", "GeV"),
    "multiplicity": ("multiplicity", ""),
    "n2_b1": ("N2, beta = 1", ""),
    "leading_share": ("share of pT in the leading candidates", ""),
}
"""Features that are metrics, with words and unit."""

WHOLE = "multiplicity"
"""Of whole numbers the mean is given: a median of them moves in whole steps, or not at all."""


def centre(name: str, about: Content) -> tuple[str, float, float]:
    """Give the name, value and error of what stands for a feature: median or mean."""
    kind = "mean" if name == WHOLE else "median"
    value, error = about[kind]
    return kind, value, error


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the jets of each class, and what stands for their mass, multiplicity, N2, share."""
    return [metric for one in contents for metric in _metrics(one)]


def _metrics(one: Content) -> Iterator[Metric]:
    for label, about in one["classes"].items():
        yield Metric(
            f"inputs.{label}.jets", about["jets"], 0.0, "count", f"trigger jets of class {label}"
        )
        for name, (words, unit) in MEASURED.items():
            if name in one["features"]:
                found = one["features"][name]["classes"][label]
                kind, value, error = centre(name, found)
                yield Metric(
                    f"inputs.{label}.{name}", value, error, "bootstrap",
                    f"trigger jets of class {label}: {kind} {words}", unit,
                )  # fmt: skip


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give a table of all features by class."""
    return [_table(one) for one in contents]


def _table(one: Content) -> Table:
    classes = list(one["classes"])
    rows: list[list[str | Number | None]] = [
        [name, *(Number(*centre(name, feature["classes"][label])[1:]) for label in classes)]
        for name, feature in one["features"].items()
    ]
    return Table(
        "inputs_features",
        "Features of jets in the trigger",
        "Medians by class, of the multiplicity means; masses are in GeV. Errors are of bootstrap "
        "replicas of the events. "
        f"leading_share is the share of pT in the {one['candidates']} leading candidates.",
        ["feature", *classes],
        rows,
    )
