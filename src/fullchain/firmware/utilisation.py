"""What cells of Xilinx FPGAs a design takes, by kind."""

import re
from collections.abc import Mapping
from typing import Any

LOGIC = {**{f"LUT{size}": size for size in range(1, 7)}, "INV": 1, "LUT6_2": 6}
"""Inputs of cells that are one LUT each. An inverter that is left over takes a LUT with one."""

MEMORY = {
    "SRL16E": 1,
    "SRLC16E": 1,
    "SRLC32E": 1,
    "RAM16X1S": 1,
    "RAM16X1D": 2,
    "RAM32X1S": 1,
    "RAM32X2S": 2,
    "RAM64X1S": 1,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1S": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
    "RAM256X1D": 8,
    "RAM512X1S": 8,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
}
"""LUTs that a memory or shift register takes."""

REGISTERS = ("FDRE", "FDSE", "FDCE", "FDPE")
LATCHES = ("LDCE", "LDPE")


def utilisation(cells: Mapping[str, int]) -> dict[str, Any]:
    """Count cells by kind.

    Parameters
    ----------
    cells
        Number of cells of each type.

    Returns
    -------
    dict
        `lut` (all, of which `lut_memory` are memories and shift registers), `lut_by_size` (of
        logic, by inputs), `ff`, `latch`, `dsp`, `carry` (cells; `carry_type` says of how many
        bits), `wide_mux`, `bram` (blocks of 36 kbit) and `uram`. All are exact counts but `bram`,
        which may end in .5.
    """
    by_size = {str(size): 0 for size in range(1, 7)}
    for name, size in LOGIC.items():
        by_size[str(size)] += cells.get(name, 0)
    memory = sum(number * cells.get(name, 0) for name, number in MEMORY.items())
    carries = [name for name in ("CARRY4", "CARRY8") if cells.get(name, 0)]
    return {
        "lut": sum(by_size.values()) + memory,
        "lut_by_size": by_size,
        "lut_memory": memory,
        "ff": sum(cells.get(name, 0) for name in REGISTERS),
        "latch": sum(cells.get(name, 0) for name in LATCHES),
        "dsp": _matching(cells, r"DSP(48|58)\w*"),
        "carry": sum(cells[name] for name in carries),
        "carry_type": " and ".join(carries) or None,
        "wide_mux": _matching(cells, r"MUXF[789]"),
        "bram": _matching(cells, r"RAMB36\w*") + _matching(cells, r"RAMB18\w*") / 2,
        "uram": _matching(cells, r"URAM\w*"),
    }


def _matching(cells: Mapping[str, int], pattern: str) -> int:
    return sum(number for name, number in cells.items() if re.fullmatch(pattern, name))
