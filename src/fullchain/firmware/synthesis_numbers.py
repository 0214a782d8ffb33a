"""Numbers of synthesis, netlists and placements for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]

KINDS = (
    ("lut", "LUTs"),
    ("ff", "flip-flops"),
    ("dsp", "DSP blocks"),
    ("carry", "carry cells"),
)


@dataclass(frozen=True)
class Synthesised:
    """What is known of one design: contents of its JSON files, None where there is no such file.

    Parameters
    ----------
    model, point
        Names.
    rtl, synthesis, netlist, placement
        Of `trace`, `synthesise`, `resimulate` and `place`.
    """

    model: str
    point: str
    rtl: Content
    synthesis: Content
    netlist: Content | None = None
    placement: Content | None = None


def ratio(one: Synthesised, kind: str) -> float | None:
    """Give da4ml's estimate over what synthesis took, `kind` lut or ff; None without either."""
    estimate = one.rtl.get("estimate") or {}
    if kind not in estimate or not one.synthesis[kind]:
        return None
    return float(estimate[kind]) / float(one.synthesis[kind])


def metrics(designs: Sequence[Synthesised]) -> list[Metric]:
    """Give exact counts of cells, estimate over synthesis, mismatches of the netlist, the clock.

    A clock is a metric where several placements give its spread; that of one placement, as
    Vivado's, stands in the tables alone, without an uncertainty.
    """
    return [metric for one in designs for metric in _metrics(one)]


def _metrics(one: Synthesised) -> Iterator[Metric]:
    key, text = f"{one.model}.{one.point}", f"{one.model}, {one.point}: "
    label = one.synthesis["label"]
    where = f"{label}, {one.synthesis['family']}"
    for name, words in KINDS:
        yield Metric(
            f"{key}.synthesis.{name}", float(one.synthesis[name]), 0.0, "count",
            f"{text}{words} ({label})", note=where,
        )  # fmt: skip
    for name, words in KINDS[:2]:
        value = ratio(one, name)
        if value is not None:
            yield Metric(
                f"{key}.estimate.{name}", value, 0.0, "ratio of counts",
                f"{text}{words} that da4ml estimates over those of synthesis ({label})",
                note=where,
            )  # fmt: skip
    if one.netlist is not None:
        compared = f"of {one.netlist['vectors']} vectors, netlist ({label}) against RTL"
        yield Metric(
            f"{key}.netlist.mismatches", float(one.netlist["mismatches"]), 0.0, "count",
            f"{text}vectors with any wrong bit, {compared}", note=where,
        )  # fmt: skip
    placed = one.placement
    if placed is not None and placed["fmax_spread_mhz"] is not None:
        yield Metric(
            f"{key}.placement.fmax", placed["fmax_mean_mhz"], placed["fmax_spread_mhz"], "seeds",
            f"{text}largest clock ({placed['label']})", "MHz",
            note="not to be compared with UltraScale+",
        )  # fmt: skip


def tables(designs: Sequence[Synthesised]) -> list[Table]:
    """Give the table of synthesis, and where there are placements on an ECP5 that of them."""
    if not designs:
        return []
    placed = [one for one in designs if one.placement is not None]
    return [_cells_table(designs), *([_placement_table(placed)] if placed else [])]


def _name(one: Synthesised) -> str:
    return f"{one.model}, {one.point}"


def _cells_table(designs: Sequence[Synthesised]) -> Table:
    rows: list[list[Cell]] = []
    for one in designs:
        for content in (one.synthesis, *one.synthesis.get("further", [])):
            own = content is one.synthesis
            row: list[Cell] = [_name(one), content["label"], content["family"]]
            row += [Number(float(content[name]), 0.0) for name, _ in KINDS]
            shown = ratio(one, "lut") if own else None
            row.append(None if shown is None else Number(shown, 0.0, 2))
            compared = one.netlist if own else None
            row.append(
                None if compared is None else f"{compared['mismatches']} of {compared['vectors']}"
            )
            timing = content.get("timing")
            row.append(None if not timing else Number(timing["fmax_mhz"], None))
            rows.append(row)
    return Table(
        "synthesis",
        "Synthesis",
        "Cells of each design after synthesis. A LUT is one cell with up to 6 inputs, so that two "
        "that a placer would put into one place count twice; an inverter that is left over counts "
        "as a LUT. The ratio is the number of LUTs that da4ml estimates over that of synthesis. "
        "Mismatches are vectors with any bit in which the netlist differs from the RTL. The clock "
        "is that of one placement, whose spread is not known; Yosys places nothing.",
        ["design", "tool", "family", "LUT", "FF", "DSP", "carry", "estimate / LUT", "mismatches",
         "largest clock [MHz]"],
        rows,
    )  # fmt: skip


def _placement_table(designs: Sequence[Synthesised]) -> Table:
    rows: list[list[Cell]] = []
    for one in designs:
        content = one.placement or {}
        clock = content["fmax_mean_mhz"]
        fits = {True: "yes", False: "no", None: "not tried"}[content["fits"]]
        rows.append(
            [
                _name(one),
                content["label"],
                Number(float(content["lut4"]), 0.0),
                Number(float(content["ff"]), 0.0),
                fits,
                None if clock is None else Number(clock, content["fmax_spread_mhz"]),
            ]
        )
    return Table(
        "placement",
        "Placed and routed on an ECP5",
        "Designs placed and routed by open tools on an FPGA of another family than that of the "
        "table of synthesis: neither cells nor clock can be compared with UltraScale+. The error "
        "of the clock is the spread of placements with several seeds, where there are some.",
        ["design", "tool", "LUT4", "FF", "fits", "largest clock [MHz]"],
        rows,
    )
