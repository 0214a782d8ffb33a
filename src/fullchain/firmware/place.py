"""Place and route a Verilog project on an ECP5, where it is small enough."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain.atomic import write_text
from fullchain.firmware import nextpnr, rtl_ports, rtl_project, yosys
from fullchain.firmware.synthesis_settings import PlacementSettings, SynthesisSettings
from fullchain.step import Given, Input, Output


def main(
    *,
    archive: Annotated[Path, Input("Verilog project, tar.gz")],
    rtl: Annotated[Path, Input("what is known of the project, JSON")],
    report: Annotated[Path, Output("whether it fits, clock and utilisation, JSON")],
    settings: Given,
) -> None:
    """Map to an ECP5, place where it is small enough, write."""
    chosen = settings.model("firmware.synthesis", SynthesisSettings).placement
    top = rtl_ports.read(rtl).top
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = rtl_project.unpack(archive, top, folder)
        yosys.execute(
            [
                *yosys.read_commands(project.sources),
                f"synth_ecp5 -top {top} -json ecp5.json",
                yosys.write_statistics("statistics.json"),
            ],
            folder,
            str(archive),
        )
        cells, synthesised = yosys.statistics(folder / "statistics.json")
        content = {
            "tool": "nextpnr",
            "label": f"nextpnr, ECP5-{chosen.device}, out of context",
            "version": nextpnr.version(folder),
            "synthesis": f"Yosys {synthesised}",
            "device": chosen.device,
            "package": chosen.package,
            "speed": chosen.speed,
            "cells": cells,
            "lut4": cells.get("LUT4", 0),
            "ff": cells.get("TRELLIS_FF", 0),
            **_placed(folder, chosen, cells.get("LUT4", 0), str(archive)),
        }
    write_text(report, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _placed(folder: Path, chosen: PlacementSettings, luts: int, what: str) -> dict[str, Any]:
    """Place with each seed; the first one that does not fit ends it."""
    nothing: dict[str, Any] = {
        "tried": False,
        "fits": None,
        "reason": None,
        "target_mhz": chosen.target,
        "seeds": [],
        "fmax_mhz": [],
        "fmax_mean_mhz": None,
        "fmax_spread_mhz": None,
        "used": {},
        "available": {},
    }
    if luts > chosen.luts:
        limit = f"not tried: {luts} LUT4 are more than firmware.synthesis.placement.luts"
        return {**nothing, "reason": f"{limit}, {chosen.luts}"}
    seeds = list(range(chosen.seed, chosen.seed + chosen.seeds))
    tried = {**nothing, "tried": True, "seeds": seeds}
    found = []
    for seed in seeds:
        placed = nextpnr.place(
            "ecp5.json", folder, seed, what, device=chosen.device, package=chosen.package,
            speed=chosen.speed, target=chosen.target,
        )  # fmt: skip
        if placed.problem is not None:
            return {**tried, "fits": False, "reason": placed.problem}
        found.append(placed)
    clocks = [placed.frequency for placed in found if placed.frequency is not None]
    return {
        **tried,
        "fits": True,
        "fmax_mhz": clocks,
        "fmax_mean_mhz": float(np.mean(clocks)) if clocks else None,
        "fmax_spread_mhz": float(np.std(clocks, ddof=1)) if len(clocks) > 1 else None,
        "used": found[0].used,
        "available": found[0].available,
    }
