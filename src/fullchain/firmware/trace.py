"""Make pipelined Verilog of a fixed-point network."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import numpy as np

from fullchain.atomic import atomic, write_text
from fullchain.firmware import distributed_arithmetic, fixed_network, stimuli, verilog_project
from fullchain.firmware.distributed_arithmetic import Method
from fullchain.firmware.rtl_settings import RtlSettings
from fullchain.firmware.verilog_project import Target
from fullchain.seeds import stream
from fullchain.step import Given, Input, Output

EXTREME = 16
"""Vectors of lowest and highest inputs among those that are checked."""


def main(
    *,
    network: Annotated[Path, Input("fixed-point network, JSON")],
    archive: Annotated[Path, Output("Verilog project, tar.gz")],
    report: Annotated[Path, Output("formats of the ports, stages, estimate of the cost, JSON")],
    settings: Given,
) -> None:
    """Read a network, make logic, compare it with the network, write Verilog."""
    chosen = settings.model("firmware.rtl", RtlSettings)
    fixed, _ = fixed_network.read(network)
    method = Method(
        chosen.delay_constraint, chosen.adder_size, chosen.carry_size, chosen.table_bits
    )
    logic = distributed_arithmetic.combinational(fixed, method)
    pipeline, cutoff = distributed_arithmetic.pipelined(
        logic, chosen.latency_cutoff, chosen.stages_at_most
    )
    generator = stream(settings.seed, "firmware", "trace")
    formats, shape = fixed.inputs.format, fixed.input_shape
    inputs = np.concatenate(
        [
            stimuli.extreme_inputs(formats, shape, EXTREME, generator),
            stimuli.random_inputs(formats, shape, chosen.checked, generator),
        ]
    )
    distributed_arithmetic.check(fixed, pipeline, inputs, method)
    numbers = distributed_arithmetic.numbers(pipeline)
    target = Target(chosen.top, chosen.part, chosen.clock_period, chosen.clock_uncertainty)
    content = {
        "top": chosen.top,
        "part": chosen.part,
        "clock_period": chosen.clock_period,
        "latency_cutoff": cutoff,
        "latency_cutoff_asked": chosen.latency_cutoff,
        **numbers,
        "output_names": list(fixed.outputs),
        "checked": len(inputs),
        "da4ml": version("da4ml"),
    }
    packed = verilog_project.archive(pipeline, target, numbers)
    with atomic(archive) as temporary:
        temporary.write_bytes(packed)
    write_text(report, json.dumps(content, allow_nan=False) + "\n")
