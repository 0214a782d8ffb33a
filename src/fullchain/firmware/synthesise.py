"""Synthesise a Verilog project: count its cells, and keep its netlist."""

import gzip
import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fullchain.atomic import atomic, write_text
from fullchain.firmware import rtl_ports, rtl_project, vivado, xilinx_synthesis
from fullchain.firmware.synthesis_settings import SynthesisSettings
from fullchain.step import Given, Input, Output


def main(
    *,
    archive: Annotated[Path, Input("Verilog project, tar.gz")],
    rtl: Annotated[Path, Input("what is known of the project, JSON")],
    netlist: Annotated[Path, Output("netlist of primitives, Verilog, gzip")],
    report: Annotated[Path, Output("cells, with tool and label, JSON")],
    settings: Given,
) -> None:
    """Read the project, synthesise, write netlist and report."""
    chosen = settings.model("firmware.synthesis", SynthesisSettings)
    top = rtl_ports.read(rtl).top
    with tempfile.TemporaryDirectory() as folder:
        project = rtl_project.unpack(archive, top, Path(folder))
        content: dict[str, Any]
        if chosen.tool == "vivado":
            content, verilog = vivado.implement(project, str(archive))
        else:
            content, verilog = xilinx_synthesis.synthesise(project, chosen.family, str(archive))
            content["further"] = [
                xilinx_synthesis.synthesise(project, family, str(archive))[0]
                for family in chosen.further
            ]
    with atomic(netlist) as temporary:
        # No time in the header: two runs give the same bytes.
        temporary.write_bytes(gzip.compress(verilog.encode(), 6, mtime=0))
    write_text(report, json.dumps(content, indent=1, allow_nan=False) + "\n")
