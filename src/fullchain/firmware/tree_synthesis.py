"""Resources of conifer's VHDL: Verilog by GHDL, then cells by Yosys, without placing."""

from pathlib import Path
from typing import Any

from fullchain.firmware import ghdl, xilinx_synthesis
from fullchain.firmware.rtl_project import Project


def synthesise(folder: Path, family: str, what: str) -> dict[str, Any]:
    """Map the analysed VHDL in `folder` to the cells of a family.

    Gives the report of `xilinx_synthesis.synthesise` with `front_end`, which is GHDL.

    Raises
    ------
    InputError
        GHDL or Yosys is not there, or refuses the design.
    """
    ghdl.verilog(folder, "design.v")
    project = Project(folder, folder, "BDTTop", ("design.v",))
    report, _ = xilinx_synthesis.synthesise(project, family, what)
    return {**report, "front_end": f"GHDL {ghdl.version()}"}
