"""Emulate the Verilog of a network clock by clock on all test vectors, and compare to the bit."""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.firmware import rtl_ports, rtl_project, verilator
from fullchain.firmware.pipeline_emulation import emulate
from fullchain.firmware.rtl_settings import RtlSettings
from fullchain.firmware.stimuli import comparison, write_outputs
from fullchain.firmware.stimuli import read as read_stimuli
from fullchain.step import Given, Input, Output

HELD = 64
"""Vectors at most that are also held for many clocks."""

FIRST = 5
"""Vectors that differ and are named."""


def main(
    *,
    archive: Annotated[Path, Input("Verilog project, tar.gz")],
    rtl: Annotated[Path, Input("formats of its ports, JSON")],
    stimuli: Annotated[Path, Input("inputs and expected outputs, HDF5")],
    outputs: Annotated[Path, Output("what the Verilog makes of the inputs, HDF5")],
    report: Annotated[Path, Output("comparison, latency, versions of tools, JSON")],
    settings: Given,
) -> None:
    """Read Verilog and vectors, emulate, compare, write outputs and report."""
    chosen = settings.model("firmware.rtl", RtlSettings)
    tools = verilator.find()
    ports = rtl_ports.read(rtl)
    if ports.clock_period is None:
        raise InputError(
            f"{rtl}: no clock_period [ns], which the latency in ns is made of; write it there, or "
            "run firmware trace again"
        )
    vectors = read_stimuli(stimuli)
    inputs = rtl_ports.to_words(vectors.inputs, ports.inputs)
    if vectors.outputs.shape[1] != len(ports.outputs):
        raise InputError(
            f"{stimuli} has {vectors.outputs.shape[1]} outputs and the Verilog has "
            f"{len(ports.outputs)}: they are of different networks; run firmware stimulate again"
        )
    with tempfile.TemporaryDirectory() as name:
        project, work = Path(name, "project"), Path(name, "work")
        for folder in (project, work):
            folder.mkdir()
        root = rtl_project.unpack(archive, ports.top, project).root
        program = verilator.build(tools, ports, root, work)
        emulated = emulate(
            inputs,
            _held(vectors.outputs),
            lambda given: verilator.run(program, ports, given),
        )
    found = rtl_ports.from_words(emulated.outputs, ports.outputs)
    content = {
        **comparison(vectors.outputs, found, vectors.origin),
        "differing": _differing(vectors.outputs, found, ports.names),
        "latency_cycles": emulated.latency,
        "latency": emulated.latency * ports.clock_period,
        "initiation_interval": 1 if not emulated.disturbed else None,
        "held": emulated.held,
        "disturbed": emulated.disturbed,
        **tools.versions,
    }
    if chosen.require_equal:
        _require(archive, content, ports.stages)
    write_outputs(outputs, found, "rtl")
    write_text(report, json.dumps(content, allow_nan=False) + "\n")


def _held(expected: NDArray[np.float64]) -> NDArray[np.intp]:
    """Choose vectors with different outputs to be held, at most `HELD`."""
    _, first = np.unique(expected, axis=0, return_index=True)
    chosen = np.linspace(0, len(first) - 1, min(HELD, len(first))).round().astype(int)
    return np.asarray(np.sort(first[chosen]), dtype=np.intp)


def _differing(
    expected: NDArray[np.float64], found: NDArray[np.float64], names: tuple[str, ...]
) -> dict[str, Any]:
    """Give how often each output differs, where any does, and the numbers of the first vectors."""
    different = expected != found
    counts = different.sum(axis=0)
    return {
        "outputs": {name: int(count) for name, count in zip(names, counts, strict=True) if count},
        "first_vectors": np.flatnonzero(different.any(axis=1))[:FIRST].tolist(),
    }


def _require(archive: Path, content: dict[str, Any], stages: int) -> None:
    if content["mismatches"]:
        differing = content["differing"]
        raise InputError(
            f"{archive}: {content['mismatches']} of {content['vectors']} vectors differ from the "
            f"network (outputs {', '.join(differing['outputs'])}; first vectors "
            f"{', '.join(map(str, differing['first_vectors']))}): Verilog and vectors are of "
            "different networks, or the Verilog is wrong; run firmware trace and stimulate again, "
            "or set firmware.rtl.require_equal to false to look at the differences"
        )
    if content["latency_cycles"] != stages or content["disturbed"]:
        raise InputError(
            f"{archive}: outputs come after {content['latency_cycles']} clocks and not {stages}, "
            f"and {content['disturbed']} of {content['held']} vectors are disturbed by the next "
            "one: Verilog and report are of different networks; run firmware trace again"
        )
