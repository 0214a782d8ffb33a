"""Netlists of primitives, as lookups and delays in the order of evaluation."""

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from fullchain.errors import InputError
from fullchain.firmware import yosys
from fullchain.firmware.primitives import Cell, Delay, Net, Part, clocks, parts


@dataclass(frozen=True)
class Netlist:
    """A netlist without feedback.

    Parameters
    ----------
    inputs, outputs
        Nets at each port but the clock, from the lowest bit.
    parts
        In an order in which inputs are known before they are used.
    cycles
        Registers on the longest way from the inputs to each net; None where it depends on none.
    """

    inputs: Mapping[str, tuple[Net, ...]]
    outputs: Mapping[str, tuple[Net, ...]]
    parts: tuple[Part, ...]
    cycles: Mapping[Net, int | None]

    def latency(self, port: str) -> int:
        """Clocks from the inputs to an output; 0 where it is constant."""
        return max((self.cycles.get(net) or 0 for net in self.outputs[port]), default=0)


def read(path: Path, top: str, folder: Path) -> Netlist:
    """Read a netlist in Verilog, compressed by gzip; Yosys parses it in `folder`.

    Raises
    ------
    InputError
        The file is not there or is no netlist of `top`, or it has a cell that cannot be simulated,
        feedback, a net without a driver or several clocks; names file and cell.
    """
    try:
        (folder / "netlist.v").write_bytes(gzip.decompress(path.read_bytes()))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run firmware synthesise") from None
    except (OSError, EOFError) as problem:
        raise InputError(
            f"{path}: not a netlist ({problem}); run firmware synthesise again"
        ) from None
    yosys.execute(["read_verilog netlist.v", "write_json netlist.json"], folder, str(path))
    modules = json.loads((folder / "netlist.json").read_text(encoding="utf-8"))["modules"]
    if top not in modules:
        raise InputError(
            f"{path}: no module {top}, only {', '.join(sorted(modules))}; run firmware synthesise "
            "again"
        )
    try:
        return assemble(modules[top])
    except InputError as problem:
        raise InputError(f"{path}: {problem}") from None


def assemble(module: Mapping[str, Any]) -> Netlist:
    """Order the cells of a module, as `write_json` of Yosys gives it.

    Raises
    ------
    InputError
        As `read`, without the file.
    """
    cells = [
        Cell(name, one["type"], one["parameters"], _ports(one["connections"]))
        for name, one in sorted(module["cells"].items())
        if one["type"] not in yosys.NOTES
    ]
    ticking = {net for cell in cells for net in clocks(cell)}
    if len(ticking) > 1:
        raise InputError(f"{len(ticking)} clocks, and only one can be simulated")
    inputs, outputs = (_of_direction(module["ports"], one, ticking) for one in ("input", "output"))
    every = [part for cell in cells for part in parts(cell)]
    ordered = _ordered(every, {net for nets in inputs.values() for net in nets} | ticking, outputs)
    return Netlist(inputs, outputs, ordered, _cycles(ordered, inputs.values()))


def _ports(connections: Mapping[str, Sequence[Net]]) -> dict[str, tuple[Net, ...]]:
    return {port: tuple(nets) for port, nets in connections.items() if nets}


def _of_direction(
    ports: Mapping[str, Any], direction: str, without: set[Net]
) -> dict[str, tuple[Net, ...]]:
    chosen = {
        name: tuple(one["bits"]) for name, one in ports.items() if one["direction"] == direction
    }
    return {name: nets for name, nets in chosen.items() if not without.intersection(nets)}


def _sources(part: Part) -> tuple[Net, ...]:
    return (part.source,) if isinstance(part, Delay) else part.inputs


def _ordered(
    every: Sequence[Part], given: set[Net], outputs: Mapping[str, tuple[Net, ...]]
) -> tuple[Part, ...]:
    driver: dict[Net, Part] = {}
    for part in every:
        if part.output in driver or part.output in given:
            raise InputError(f"net {part.output} has two drivers")
        driver[part.output] = part
    known = given | {"0", "1", "x", "z"}
    for net in (*(net for part in every for net in _sources(part)), *sum(outputs.values(), ())):
        if net not in driver and net not in known:
            raise InputError(f"net {net} has no driver")
    graph = {net: [one for one in _sources(part) if one in driver] for net, part in driver.items()}
    try:
        return tuple(driver[net] for net in TopologicalSorter(graph).static_order())
    except CycleError as problem:
        raise InputError(
            f"there is feedback through {len(problem.args[1]) - 1} nets, which cannot be simulated "
            "here"
        ) from None


def _cycles(ordered: Iterable[Part], inputs: Iterable[tuple[Net, ...]]) -> dict[Net, int | None]:
    cycles: dict[Net, int | None] = {net: 0 for nets in inputs for net in nets}
    for part in ordered:
        before = [known for net in _sources(part) if (known := cycles.get(net)) is not None]
        own = part.cycles if isinstance(part, Delay) else 0
        cycles[part.output] = max(before) + own if before else None
    return cycles
