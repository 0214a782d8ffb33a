"""Numbers of boosted trees for the metrics and tables of the stage: from `conifer.json`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.firmware.model_kinds import TREE_EMULATIONS
from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Table

Content = Mapping[str, Any]


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the metrics, all exact counts."""
    return [metric for one in contents for metric in _of(one)]


def _of(one: Content) -> Iterator[Metric]:
    key, words = f"{one['model']}.{one['point']}", f"{one['model']}, {one['point']}: "
    for name, text in (("trees", "trees"), ("cuts", "cuts of all trees")):
        yield _count(f"{key}.{name}", one[name], words + text)
    for name, found in one["emulations"].items():
        text = f"{words}{TREE_EMULATIONS[name]}, "
        yield _count(f"{key}.conifer.{name}.vectors", found["vectors"], f"{text}vectors compared")
        yield _count(f"{key}.conifer.{name}.mismatches", found["mismatches"], f"{text}mismatches")
    if "latency" in one.get("vhdl", {}):
        yield _count(
            f"{key}.conifer.latency", one["vhdl"]["latency"], f"{words}latency of VHDL", "cycles"
        )
    if "synthesis" in one:
        label = one["synthesis"]["label"]
        for name in ("lut", "ff", "dsp"):
            yield _count(
                f"{key}.conifer.{name}",
                one["synthesis"][name],
                f"{words}{name.upper()} of VHDL, {label}",
            )


def _count(name: str, value: float, label: str, unit: str = "") -> Metric:
    return Metric(name, value, 0.0, "count", label, unit)


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give one table: rows are fixed-point versions."""
    if not contents:
        return []
    rows: list[list[Cell]] = []
    for one in contents:
        synthesis, vhdl = one.get("synthesis", {}), one.get("vhdl", {})
        compared = [
            f"{TREE_EMULATIONS[name]}: {found['mismatches']} of {found['vectors']}"
            for name, found in one["emulations"].items()
        ]
        numbers = (vhdl.get("latency"), *(synthesis.get(name) for name in ("lut", "ff", "dsp")))
        rows.append(
            [
                f"{one['model']}, {one['point']}",
                f"{one['trees']} ({one['depth']})",
                str(one["input_bits"]),
                str(one["score_bits"]),
                "; ".join(compared),
                *(None if number is None else str(number) for number in numbers),
            ]
        )
    return [
        Table(
            "trees",
            "Boosted trees in firmware",
            "Trees (cuts from root to leaf), bits of inputs and of scores, vectors in which an "
            "emulation differs from the fixed-point trees, latency in cycles at one event per "
            "cycle (measured in GHDL), cells of conifer's VHDL (Yosys, unplaced). Exact counts.",
            ["model", "trees", "inputs", "scores", "differing", "cycles", "LUT", "FF", "DSP"],
            rows,
        )
    ]
