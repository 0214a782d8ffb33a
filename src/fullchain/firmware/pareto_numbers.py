"""Accuracy against resources, for the metrics and tables of the stage."""

from collections.abc import Sequence

from fullchain.firmware.pareto import ALLOWED_LOSS, Design, front, labels, smallest
from fullchain.firmware.published_points import POINTS, SOURCE, UNLIKE
from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

CHOSEN = "the design is chosen on the validation part"


def metrics(found: Sequence[Design]) -> list[Metric]:
    """Give the smallest design at float accuracy less 1 %, and the size of the front.

    The design is chosen on the validation part; its accuracy and what it loses are of the test
    part.
    """
    rows: list[Metric] = []
    best = smallest(found)
    loss = f"{100 * ALLOWED_LOSS:g} %"
    if best is not None:
        text = f"smallest design within {loss} of the best float accuracy, {best.name}: "
        for name, value, label, unit in [
            ("lut", best.lut, "LUTs", ""),
            ("ff", best.ff, "flip-flops", ""),
            ("dsp", best.dsp, "DSPs", ""),
            ("stages", best.stages, "stages of the pipeline", ""),
        ]:
            if value is not None:
                rows.append(
                    Metric(
                        f"pareto.smallest.{name}", float(value), 0.0, "count", text + label, unit,
                        note=f"{best.label}; {CHOSEN}" if name != "stages" else CHOSEN,
                    )
                )  # fmt: skip
        for name, pair, label in (
            ("balanced_accuracy", best.accuracy, "balanced accuracy"),
            ("less_float", best.loss, "less float"),
        ):
            rows.append(
                Metric(
                    f"pareto.smallest.{name}", *pair, "bootstrap", text + label,
                    note=f"on the test part; {CHOSEN}",
                )
            )  # fmt: skip
    if known := front(found):
        rows.append(
            Metric(
                "pareto.front", float(len(known)), 0.0, "count",
                "designs than which no other is both smaller and more accurate",
                note=f"of {len(found)} designs",
            )
        )  # fmt: skip
    return rows


def tables(found: Sequence[Design]) -> list[Table]:
    """Give a table of designs by LUTs, and one of published points."""
    if not found:
        return []
    best = front(found)
    ordered = sorted(found, key=lambda one: (one.lut is None, one.lut or 0, one.name))
    rows: list[list[Cell]] = [
        [
            one.name,
            "yes" if one in best else None,
            Number(100 * one.accuracy[0], 100 * one.accuracy[1]),
            Number(100 * one.loss[0], 100 * one.loss[1]),
            *(
                None if value is None else Number(float(value), 0.0)
                for value in (one.ebops, one.estimate, one.lut, one.ff, one.dsp, one.stages)
            ),
            None if not one.lut or one.estimate is None else f"{one.estimate / one.lut:.2f}",
        ]
        for one in ordered
    ]
    published: list[list[Cell]] = [
        [
            one.method,
            one.data,
            Number(one.accuracy, None, decimals=1),
            *(Number(float(value), 0.0) for value in (one.lut, one.ff, one.dsp)),
            Number(one.latency, None, decimals=1),
        ]
        for one in POINTS
    ]
    return [
        Table(
            "pareto",
            "Accuracy against resources",
            f"Designs by LUTs ({labels(found)}). Front: no other design is both smaller and more "
            "accurate, on these jets. Less float: paired difference of balanced accuracies. "
            "Estimate: of the program that wrote the Verilog, and its ratio to that of synthesis.",
            ["design", "front", "balanced accuracy [%]", "less float [%]", "EBOPs", "estimate",
             "LUT", "FF", "DSP", "stages", "estimate / LUT"],
            rows,
            [number for number, one in enumerate(ordered) if one in best],
        ),
        Table(
            "published_points",
            "Published firmware for jet substructure",
            f"Source: {SOURCE}. {UNLIKE}.",
            ["method", "data set", "accuracy [%]", "LUT", "FF", "DSP", "latency [ns]"],
            published,
        ),
    ]  # fmt: skip
