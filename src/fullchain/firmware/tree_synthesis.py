"""Resources of conifer's VHDL: Verilog by GHDL, then cells by Yosys, without placing."""

from pathlib import Path
from typing import Any

from fullchain.firmware import ghdl, yosys
from fullchain.firmware.utilisation import utilisation


def synthesise(folder: Path, family: str, what: str) -> dict[str, Any]:
    """Map the analysed VHDL in `folder` to the cells of a family; same report as of networks.

    Raises
    ------
    InputError
        GHDL or Yosys is not there, or refuses the design.
    """
    ghdl.verilog(folder, "design.v")
    yosys.execute(
        [
            *yosys.read_commands(["design.v"]),
            f"synth_xilinx -family {family} -top BDTTop -flatten -noiopad -noclkbuf",
            yosys.write_statistics("statistics.json"),
        ],
        folder,
        what,
    )
    cells, version = yosys.statistics(folder / "statistics.json")
    return {
        "tool": "Yosys",
        "label": "Yosys, unplaced",
        "version": version,
        "front_end": f"GHDL {ghdl.version()}",
        "family": family,
        "top": "BDTTop",
        "cells": cells,
        **utilisation(cells),
    }
