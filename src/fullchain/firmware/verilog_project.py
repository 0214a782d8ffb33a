"""Verilog projects: sources, constraints, scripts for vendor tools, and how to use them."""

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from da4ml.codegen.rtl import RTLModel
from da4ml.types import Pipeline

from fullchain.firmware import project_archive

README = """\
{top}: a neural network in Verilog, stages of the pipeline: {stages}, a new input with each clock

Made by distributed arithmetic (da4ml): adders, selections and small tables, no multiplier.

src/{top}.v              the pipeline: clk, model_inp [{last_input}:0], model_out [{last_output}:0]
src/{top}_stage*.v       the logic between registers
src/static/*.v           adders and selections that they use
src/table_*.v            tables, where there are any
src/{top}.xdc, .sdc      constraints: clock of {period:g} ns
src/{top}_wrapper.v      the same with all inputs, and all outputs, in words of one width
model/pipeline.json      the logic as da4ml reads it (da4ml.types.Pipeline.load)
sim/                     da4ml's own binder for Verilator

Bits of the ports, lowest first: inputs {inputs}
outputs {outputs}
(sign bit, bits left of the point, bits right of the point; two's complement, the first one lowest).
An input is taken at a rising edge of clk. Rising edges until its output is in the register
model_out: {stages}. There is no reset: the pipeline holds no state.

Vivado    vivado -mode batch -source build_vivado_prj.tcl
Quartus   quartus_sh -t build_quartus_prj.tcl
Both run synthesis, placement and routing for {part}
and write output_{top}/, which their graphical interfaces open. For another FPGA change the name of
the part at the beginning of the script; Quartus needs one of Intel's.

Simulation, with Verilator 5:
    verilator --cc --exe --build -Isrc -Isrc/static src/{top}.v YOUR_BENCH.cpp
Yosys:
    read_verilog -defer src/*.v src/static/*.v; synth_xilinx -family xcup -top {top} -flatten
"""


TABLE = re.compile(r'lookup_table #\((\d+), (\d+), "(table_[0-9a-f-]+)\.mem"\)')
"""How da4ml uses a table: bits of the input, bits of the output, name of the file of numbers."""


@dataclass(frozen=True)
class Target:
    """What a project is made for; the fields are those of `RtlSettings` of the same name."""

    top: str
    part: str
    clock_period: float
    clock_uncertainty: float


def archive(pipeline: Pipeline, target: Target, numbers: Mapping[str, Any]) -> bytes:
    """Give a Verilog project as tar.gz, the same bytes for the same pipeline.

    Parameters
    ----------
    numbers
        From `distributed_arithmetic.numbers`, for the text that explains the project.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = RTLModel(
            pipeline,
            target.top,
            folder,
            flavor="verilog",
            print_latency=False,
            part_name=target.part,
            clock_period=target.clock_period,
            clock_uncertainty=target.clock_uncertainty,
        )
        model.write()
        _tables_as_logic(Path(folder))
        text = README.format(
            top=target.top,
            part=target.part,
            period=target.clock_period,
            stages=numbers["stages"],
            inputs=numbers["inputs"],
            outputs=numbers["outputs"],
            last_input=numbers["input_bits"] - 1,
            last_output=numbers["output_bits"] - 1,
        )
        Path(folder, "README.txt").write_text(text, encoding="utf-8")
        return project_archive.packed(Path(folder))


def _tables_as_logic(folder: Path) -> None:
    """Write tables as Verilog, in place of files of numbers that the Verilog reads.

    Where such files are searched for depends on the tool, and Yosys has no memory for them.
    """
    source = folder / "src"
    for path in sorted(source.glob("*.v")):
        text = path.read_text(encoding="utf-8")
        for inputs, outputs, name in TABLE.findall(text):
            numbers = (source / "memfiles" / f"{name}.mem").read_text(encoding="ascii").split()
            module = name.replace("-", "_")
            table = _table(module, int(inputs), int(outputs), numbers)
            (source / f"{module}.v").write_text(table, encoding="utf-8")
        path.write_text(TABLE.sub(lambda found: found[3].replace("-", "_"), text), encoding="utf-8")
    shutil.rmtree(source / "memfiles")
    (source / "static" / "lookup_table.v").unlink()


def _table(module: str, inputs: int, outputs: int, numbers: Sequence[str]) -> str:
    """Give a module; `numbers` are hexadecimal, X for an input that does not occur."""
    rows = [
        f"            {inputs}'d{address}: out = {outputs}'h{number};"
        for address, number in enumerate(numbers)
        if "X" not in number
    ]
    return "\n".join(
        [
            f"module {module} (input [{inputs - 1}:0] in, output reg [{outputs - 1}:0] out);",
            "    always @(*)",
            "        case (in)",
            *rows,
            f"            default: out = {outputs}'bx;",
            "        endcase",
            "endmodule",
            "",
        ]
    )
