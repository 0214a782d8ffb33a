"""Compare the netlist of a synthesised design with its Verilog, bit by bit."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware import netlist as netlists
from fullchain.firmware import rtl_ports
from fullchain.firmware import stimuli as test_vectors
from fullchain.firmware.gate_simulation import simulate
from fullchain.firmware.rtl_ports import from_bits, to_bits
from fullchain.firmware.synthesis_settings import SynthesisSettings
from fullchain.step import Given, Input, Output

IN, OUT = "model_inp", "model_out"
"""Ports of the modules that da4ml writes."""


def main(
    *,
    netlist: Annotated[Path, Input("netlist of primitives, Verilog, gzip")],
    rtl: Annotated[Path, Input("what is known of the Verilog project, JSON")],
    stimuli: Annotated[Path, Input("test vectors, HDF5")],
    verilator: Annotated[Path, Input("outputs of the Verilog for them, HDF5")],
    report: Annotated[Path, Output("vectors, mismatches and latency, JSON")],
    settings: Given,
) -> None:
    """Simulate the netlist, compare, write."""
    chosen = settings.model("firmware.synthesis", SynthesisSettings)
    ports = rtl_ports.read(rtl)
    given = test_vectors.read(stimuli)
    expected, implementation = test_vectors.read_outputs(verilator)
    if len(expected) != len(given.inputs):
        raise InputError(
            f"{verilator}: outputs of {len(expected)} vectors, and {stimuli} has "
            f"{len(given.inputs)}; run firmware verilate again"
        )
    number = slice(chosen.vectors)
    with tempfile.TemporaryDirectory() as folder:
        gates = netlists.read(netlist, ports.top, Path(folder))
    try:
        bits = {IN: to_bits(given.inputs[number], ports.inputs)}
        made = simulate(gates, bits, OUT, chosen.vectors_at_once)
        outputs = from_bits(made, ports.outputs)
    except InputError as problem:
        raise InputError(f"{netlist} and {rtl}: {problem}; run firmware synthesise again") from None
    cycles = gates.latency(OUT)
    # 0: outputs that do not depend on the inputs.
    if cycles not in (0, ports.stages + 1):
        raise InputError(
            f"{netlist}: results take {cycles} clocks, and the Verilog has {ports.stages} stages "
            f"between registers, that is {ports.stages + 1}: synthesis moved registers, or the two "
            "are of different networks; run firmware trace and synthesise again"
        )
    found = test_vectors.comparison(expected[number], outputs, given.origin[number])
    content = {
        "implementation": "netlist",
        "against": implementation,
        "simulator": "bit-parallel, all clocks",
        "cycles": cycles,
        **found,
    }
    if chosen.require_equal and found["mismatches"]:
        raise InputError(
            f"{netlist}: {found['mismatches']} of {found['vectors']} vectors differ from "
            f"{verilator}, by {found['largest_difference']:g} at most: synthesis changed the "
            "design, or the two are of different networks; run firmware trace again, or set "
            "firmware.synthesis.require_equal to false to keep the comparison"
        )
    write_text(report, json.dumps(content, indent=1, allow_nan=False) + "\n")
