"""Numbers of a tagger between two generators for the tables."""

from typing import Any

from fullchain.metrics import Metric

NOTE = "r is the part of the second generator in the mixture that the score is best for"


def between_metrics(name: str, between: dict[str, Any]) -> list[Metric]:
    """Metrics of a tagger from the section `between` of its performance.json."""
    grid, point = between["r"], between["working_point"]
    at = grid.index(point)
    rule = between["rule"]
    rows = []
    if rule["deviation"] is not None:
        rows.append(
            Metric(
                f"{name}.between.best_r",
                rule["value"],
                rule["deviation"],
                "bootstrap",
                f"{name}: r of least regret (the score is at r = {point:g})",
                note=f"{rule['text']}; {NOTE}",
            )
        )
    for simulation, found in between["simulations"].items():
        samples = ", ".join(between["samples"][simulation].values())
        start = f"{name}.between.{simulation}"
        for where, index in (("", at), ("_r0", 0), ("_r1", len(grid) - 1)):
            auc = found["points"][index]["auc"]
            text = f"{name}: AUC on {samples} at r = {grid[index]:g}"
            rows += _known(f"{start}.auc{where}", auc, text)
        rows += _quality(name, start, samples, found["points"][at])
        rows += _variation(name, start, samples, found["variation"])
    for one in between["resilience"][at]["working_points"]:
        percent = f"{100 * one['signal_efficiency']:g}"
        for side in ("signal", "background"):
            rows += _known(
                f"{name}.between.{side}_difference_{percent}",
                one[side],
                f"{name}: {side} efficiency of the second generator less that of the first, over "
                f"their mean, for the cut with {percent} % signal",
            )
    return rows


def _quality(name: str, start: str, samples: str, point: dict[str, Any]) -> list[Metric]:
    error = point["calibration_error"]
    text = f"{name}: expected calibration error on {samples}"
    note = f"perfect probabilities would give {error['if_perfect']:.2g} for as many jets"
    rows = _known(f"{start}.ece", error, text, note)
    for one in point["working_points"]:
        percent, value = f"{100 * one['signal_efficiency']:g}", one["rejection"]
        limit = "no background jet passes: lower limit at 95 % CL" if value["is_limit"] else None
        rows.append(
            Metric(
                f"{start}.rejection_{percent}",
                value["value"],
                value["uncertainty"],
                "limit" if limit else "bootstrap",
                f"{name}: 1/background efficiency at {percent} % signal on {samples}",
                note=limit,
                limit="lower" if limit else None,
            )
        )
    return rows


def _variation(name: str, start: str, samples: str, variation: dict[str, Any]) -> list[Metric]:
    """Half of the range over all r: what the choice of r may be worth."""
    text = f"{name}: half range over r of"
    rows = _known(
        f"{start}.auc_from_r", variation["auc"]["uncertainty"], f"{text} the AUC on {samples}", NOTE
    )
    for one in variation["working_points"]:
        percent = f"{100 * one['signal_efficiency']:g}"
        for side in ("signal", "background"):
            rows += _known(
                f"{start}.{side}_from_r_{percent}",
                one[side]["uncertainty"],
                f"{text} the {side} efficiency on {samples}, relative, for the cut with {percent} "
                "% signal of the first generator",
                NOTE,
            )
    return rows


def _known(name: str, value: dict[str, Any], label: str, note: str | None = None) -> list[Metric]:
    """Give a metric, or none where a sample was too small for the number."""
    if value["value"] is None:
        return []
    return [Metric(name, value["value"], value["deviation"], "bootstrap", label, note=note)]
