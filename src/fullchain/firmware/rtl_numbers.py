"""Numbers of the Verilog and of its emulation, for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.metrics import Metric
from fullchain.stage_tables import Number, Table

Content = Mapping[str, Any]
"""A point: `model` and `point`, `rtl` of firmware trace, `verilator` of firmware verilate."""

ESTIMATE = "estimate of da4ml before synthesis, not a number of a synthesis tool"


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give vectors, mismatches, stages, latency, estimates of LUT and FF of each point."""
    return [metric for one in contents for metric in _metrics(one)]


def _metrics(one: Content) -> Iterator[Metric]:
    key, text = f"rtl.{one['model']}.{one['point']}", f"{one['model']} {one['point']}: "
    rtl, emulated = one["rtl"], one["verilator"]
    held = f"{emulated['held']} vectors were also held: {emulated['disturbed']} differ from those"
    counts = [
        ("vectors", emulated["vectors"], "vectors through the Verilog", "", None),
        (
            "mismatches",
            emulated["mismatches"],
            "vectors whose output differs from the network's",
            "",
            _origins(emulated["by_origin"]),
        ),
        ("stages", rtl["stages"], "stages of the pipeline", "", None),
        (
            "latency_cycles",
            emulated["latency_cycles"],
            "latency, measured in emulation",
            "clocks",
            f"a new input with each clock; {held} in the stream",
        ),
        (
            "latency",
            emulated["latency"],
            "latency at the clock of the constraints",
            "ns",
            f"clock of {rtl['clock_period']:g} ns asked for; no timing of a placed design",
        ),
        ("estimate.lut", rtl["estimate"]["lut"], "LUTs, estimated", "", ESTIMATE),
        ("estimate.ff", rtl["estimate"]["ff"], "flip-flops, estimated", "", ESTIMATE),
    ]
    for name, value, label, unit, note in counts:
        yield Metric(f"{key}.{name}", float(value), 0.0, "count", text + label, unit, note=note)


def _origins(origins: Mapping[str, Mapping[str, int]]) -> str:
    parts = [f"{one['mismatches']} of {one['vectors']} {name}" for name, one in origins.items()]
    return ", ".join(parts)


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give one table of all points; none without points."""
    if not contents:
        return []
    return [
        Table(
            "rtl",
            "Verilog by distributed arithmetic, emulated to the bit",
            "Vectors sent through the Verilog one with each clock, and how many outputs differ "
            "from the fixed-point network in any bit; latency as measured in emulation, and at "
            "the clock that the constraints ask for (no timing of a placed design); levels of "
            "adders between registers at most; da4ml's estimate of LUTs and flip-flops before "
            "synthesis. All are exact counts.",
            [
                "model", "vectors", "mismatches", "latency [clocks]", "latency [ns]", "levels",
                "adders", "tables", "LUT, estimate", "FF, estimate",
            ],
            [_row(one) for one in contents],
        )
    ]  # fmt: skip


def _row(one: Content) -> list[str | Number | None]:
    rtl, emulated = one["rtl"], one["verilator"]
    values = [
        emulated["vectors"],
        emulated["mismatches"],
        emulated["latency_cycles"],
        emulated["latency"],
        rtl["latency_cutoff"],
        rtl["adders"],
        rtl["tables"],
        rtl["estimate"]["lut"],
        rtl["estimate"]["ff"],
    ]
    return [f"{one['model']} {one['point']}", *(Number(float(value), 0.0) for value in values)]
