"""Numbers of flow matching with different solvers, for the metrics and tables of the stage."""

from collections.abc import Mapping, Sequence
from typing import Any

from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the metrics; no times, which differ from run to run."""
    found = []
    for one in contents:
        for point in [{**one["exact"], "method": "exact"}, *one["points"]]:
            key = f"matching.{one['model']}.{_key(point)}"
            text = f"{one['model']}, {_words(point)}: "
            if point["method"] != "exact":
                value, error = point["distance"]
                found.append(
                    Metric(
                        f"{key}.distance", value, error, "bootstrap",
                        text + "distance to the exact solution",
                        note="root mean square, in widths of the numbers; same start for all",
                    )
                )  # fmt: skip
            for name, words in (
                ("E_tot", "of E_tot/E_inc"),
                ("E_layer", "of energies of layers, mean"),
                ("EC_r", "of mean radii in layers, mean"),
            ):
                value, error = point["separations"][name]
                found.append(
                    Metric(
                        f"{key}.separation.{name}", value, error, "bootstrap",
                        f"{text}separation {words}",
                        note=f"{one['showers']} showers, without subtraction of the floor",
                    )
                )  # fmt: skip
            value, error = point["profile"]
            found.append(
                Metric(
                    f"{key}.profile", value, error, "bootstrap",
                    text + "distance of the mean showers, relative",
                )
            )  # fmt: skip
    return found


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give a table for each model."""
    return [_table(one) for one in contents]


def _table(one: Content) -> Table:
    rows: list[list[Cell]] = [
        [
            _words(point),
            Number(point["evaluations"], 0.0),
            Number(*point["distance"]),
            *(Number(*point["separations"][name]) for name in ("E_tot", "E_layer", "EC_r")),
            Number(*point["ms"]),
        ]
        for point in [{**one["exact"], "method": "exact"}, *one["points"]]
    ]
    marked = [
        place for place, point in enumerate(one["points"], 1) if point["method"].startswith("bes")
    ]
    return Table(
        f"matching_solvers_{one['model']}",
        f"Solvers of {one['model']}",
        f"Showers at the energies of {one['showers']} test showers, from the same normal numbers "
        "for all solvers: evaluations of the velocity of voxels, root mean square distance to the "
        "exact solution, separations from the test showers (means over layers, floor not "
        f"subtracted), and CPU time with {one['threads']} thread(s) at batches of {one['batch']}.",
        ["solver", "evaluations", "distance", "$E_{tot}/E_{inc}$", "$E_{layer}$", "radius",
         "ms per shower"],
        rows,
        marked,
    )  # fmt: skip


def _key(point: Content) -> str:
    if point["method"] == "exact":
        return "exact"
    method = point["method"].replace(":", ".")
    if method == "dopri5":
        return f"dopri5.tolerance_{point['setting']:g}"
    return f"{method}.{point['setting']:g}"


def _words(point: Content) -> str:
    if point["method"] == "exact":
        return "exact"
    if point["method"] == "dopri5":
        return f"dopri5, tolerance {point['setting']:g}"
    name = point["method"].replace("bespoke:", "bespoke ")
    return f"{name}, {point['setting']:g} evaluations"
