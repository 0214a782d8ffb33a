"""Numbers of super-resolution for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]

WORDS = {
    "coarse": "coarse images",
    "refined": "super-resolved images",
    "transferred": "super-resolved images, classifier trained on fine ones",
    "fine": "true fine images",
}

METHODS = {"classifier": "classifier", "maxima": "second maximum"}


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the metrics."""
    return [metric for one in contents for metric in _of(one)]


def _of(one: Content) -> Iterator[Metric]:
    key = f"refinement.{one['refinement']}"
    for quantity, words in (("cell", "energies of fine cells"), ("width", "widths of images")):
        for view, name in (("refined", "super-resolved"), ("floor", "second true sample")):
            value, error = one["closure"][quantity]["of"][view]["separation"]
            yield Metric(
                f"{key}.{quantity}.{view}", value, error, "bootstrap",
                f"separation of {words}, {name} against true",
            )  # fmt: skip
    for method, title in METHODS.items():
        for view, judged in one["separation"][method].items():
            value, error = judged["area"]
            yield Metric(
                f"{key}.{method}.{view}.auc", value, error, "bootstrap",
                f"two photons against one, {title}, {WORDS[view]}: AUC",
                note="error of the test images; that of the training is not in it",
            )  # fmt: skip
            if view != "coarse":
                value, error = judged["difference"]
                yield Metric(
                    f"{key}.{method}.{view}.gain", value, error, "bootstrap",
                    f"AUC of {title}, {WORDS[view]}, less that of coarse images",
                    note="same images",
                )  # fmt: skip


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give a table for each refinement: resolved pi0s in bins of the opening angle."""
    return [_table(one) for one in contents]


def _table(one: Content) -> Table:
    edges = one["separation"]["edges"]
    rows: list[list[Cell]] = []
    for method, title in METHODS.items():
        for view, judged in one["separation"][method].items():
            cells: list[Cell] = [
                None if value is None else Number(100 * value, 100 * error)
                for value, error in judged["resolved"]
            ]
            rows.append([f"{title}, {WORDS[view]}", *cells])
    efficiency = 100 * one["settings"]["efficiency"]
    return Table(
        f"refinement_{one['refinement']}",
        "Two photons of a pi0 in coarse, super-resolved and fine images",
        f"Part of the pi0s [%] that are taken for two photons at {efficiency:.0f} % efficiency for "
        "single photons of the same energies, in bins of the opening angle [mrad].",
        ["images", *(f"{low:g}-{high:g}" for low, high in pairwise(edges))],
        rows,
    )
