"""Gates, bits of ports, and netlists that cannot be simulated."""

import gzip
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fullchain.errors import InputError
from fullchain.firmware import netlist, yosys
from fullchain.firmware.gate_simulation import delayed, looked_up, simulate
from fullchain.firmware.rtl_ports import Number, from_bits, to_bits


def _module(cells: Mapping[str, Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    return {
        "ports": {
            "in": {"direction": "input", "bits": list(inputs)},
            "out": {"direction": "output", "bits": list(outputs)},
            "clk": {"direction": "input", "bits": [1]},
        },
        "cells": cells,
    }


def _cell(kind: str, ports: Mapping[str, Sequence[Any]], **parameters: str) -> Any:
    return {"type": kind, "parameters": parameters, "connections": ports}


def _register(source: Any, output: Any, **other: Sequence[Any]) -> Any:
    ports = {"C": [1], "CE": ["1"], "D": [source], "Q": [output], "R": ["0"]}
    return _cell("FDRE", {**ports, **other})


def _all_inputs(size: int) -> np.ndarray:
    return np.array(list(itertools.product([False, True], repeat=size)))[:, ::-1]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 6])
def test_a_lookup_table_gives_the_bit_of_its_inputs(size: int) -> None:
    generator = np.random.default_rng(size)
    numbers = generator.integers(0, 2**size, 128)
    inputs = [
        np.packbits((numbers >> bit) & 1, bitorder="little").view(np.uint64) for bit in range(size)
    ]
    tables = [int.from_bytes(generator.bytes(8), "little") % 2**2**size for _ in range(40)]
    for table in [0, 2**2**size - 1, *tables]:
        found = looked_up(table, inputs, np.zeros(2, dtype=np.uint64))
        bits = np.unpackbits(found.view(np.uint8), bitorder="little")
        assert bits.tolist() == [(table >> int(number)) & 1 for number in numbers]


@pytest.mark.parametrize("cycles", [0, 1, 63, 64, 65, 128, 200, 400])
def test_a_delay_crosses_words(cycles: int) -> None:
    bits = np.random.default_rng(1).integers(0, 2, 256).astype(np.uint8)
    words = np.packbits(bits, bitorder="little").view(np.uint64)
    later = np.unpackbits(delayed(words, min(cycles, 255)).view(np.uint8), bitorder="little")
    wanted = np.concatenate([np.zeros(min(cycles, 255), dtype=np.uint8), bits])[:256]
    assert np.array_equal(later, wanted)


def test_numbers_become_bits_in_twos_complement() -> None:
    formats = (Number(1, 1, 2), Number(0, 0, 0), Number(0, 2, -1), Number(1, -1, 3))
    values = np.array([[-0.25, 0.0, 2.0, 0.125], [1.75, 0.0, 0.0, -0.5]])
    bits = to_bits(values[:, :3], formats[:3])
    assert bits.astype(int).tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    values[1, 3] = -0.25
    assert np.array_equal(from_bits(to_bits(values, formats), formats), values)
    with pytest.raises(InputError, match="4 inputs and the Verilog has 3"):
        to_bits(values, formats[:3])
    with pytest.raises(InputError, match="5 bits for numbers of 8 bits"):
        from_bits(bits, formats)


MODELS = {
    "CARRY4": ({"CI": 1, "CYINIT": 1, "DI": 4, "S": 4}, {"CO": 4, "O": 4}, {}),
    "LUT6_2": (
        {f"I{number}": 1 for number in range(6)}, {"O5": 1, "O6": 1},
        {"INIT": f"{0x9E3779B97F4A7C15:064b}"},
    ),
    "LUT3": ({"I0": 1, "I1": 1, "I2": 1}, {"O": 1}, {"INIT": "01100010"}),
    "MUXF7": ({"I0": 1, "I1": 1, "S": 1}, {"O": 1}, {}),
    "INV": ({"I": 1}, {"O": 1}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", list(MODELS))
def test_cells_do_what_the_models_of_yosys_say(name: str, tmp_path: Path) -> None:
    """All inputs of a cell, against the simulation models that come with Yosys."""
    inputs, outputs, parameters = MODELS[name]
    chosen = [f"chparam -set {key} {len(text)}'b{text} {name}" for key, text in parameters.items()]
    log = yosys.execute(
        [
            "read_verilog +/xilinx/cells_sim.v",
            *chosen,
            f"hierarchy -top {name}",
            "proc",
            "opt_clean",
            f"eval -table {','.join(inputs)}" + "".join(f" -show {port}" for port in outputs),
        ],
        tmp_path,
        name,
    )
    rows = [line.split() for line in log.splitlines() if "'" in line and " | " in line]
    rows = [row for row in rows if all("'" in word or word == "|" for word in row)]
    ports, nets = {}, itertools.count(2)
    for port, width in {**inputs, **outputs}.items():
        ports[port] = [next(nets) for _ in range(width)]
    entering = [net for port in inputs for net in ports[port]]
    leaving = [net for port in outputs for net in ports[port]]
    made = netlist.assemble(_module({"u": _cell(name, ports, **parameters)}, entering, leaving))
    values = _all_inputs(len(entering))
    found = simulate(made, {"clk": np.zeros((len(values), 1), dtype=bool), "in": values}, "out")
    table = {tuple(row.tolist()): out.tolist() for row, out in zip(values, found, strict=True)}
    assert len(rows) == 2 ** len(entering)
    for row in rows:
        middle = row.index("|")
        keys, wanted = (
            [bit == "1" for word in words for bit in word.split("'")[1][::-1]]
            for words in (row[:middle], row[middle + 1 :])
        )
        assert table[tuple(keys)] == wanted, (name, row)


def test_a_carry_of_eight_bits_adds() -> None:
    a, b = list(range(2, 10)), list(range(10, 18))
    sums, carries, select = list(range(20, 28)), list(range(30, 38)), list(range(40, 48))
    cells = {
        f"x{bit}": _cell("LUT2", {"I0": [a[bit]], "I1": [b[bit]], "O": [select[bit]]}, INIT="0110")
        for bit in range(8)
    }
    ports = {"CI": ["0"], "CI_TOP": ["0"], "DI": a, "S": select, "O": sums, "CO": carries}
    cells["c"] = _cell("CARRY8", ports)
    made = netlist.assemble(_module(cells, [*a, *b], [*sums, carries[7]]))
    values = np.random.default_rng(3).integers(0, 256, (500, 2)).astype(float)
    bits = to_bits(values, (Number(0, 8, 0),) * 2)
    found = simulate(made, {"in": bits, "clk": np.zeros((500, 1), dtype=bool)}, "out")
    assert np.array_equal(from_bits(found, (Number(0, 9, 0),))[:, 0], values.sum(axis=1))


def test_registers_and_shift_registers_delay_and_reset() -> None:
    """A register that is reset by data, then a shift register of 3: 4 clocks in all."""
    cells = {
        "r": _register(2, 4, R=[3]),
        "s": _cell(
            "SRL16E",
            {"CLK": [1], "CE": ["1"], "D": [4], "Q": [5],
             "A0": ["0"], "A1": ["1"], "A2": ["0"], "A3": ["0"]},
        ),
    }  # fmt: skip
    made = netlist.assemble(_module(cells, [2, 3], [5]))
    assert made.latency("out") == 4
    assert list(made.inputs) == ["in"]
    values = np.random.default_rng(5).random((1000, 2)) < 0.5
    wanted = values[:, 0] & ~values[:, 1]
    for block in (1000, 77):
        assert np.array_equal(simulate(made, {"in": values}, "out", block)[:, 0], wanted)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"u": _cell("DSP48E2", {})}, "cell u: DSP48E2 cannot be simulated here"),
        ({"u": _register(2, 3, CE=[2])}, r"cell u \(FDRE\): CE is not constant 1"),
        ({"u": _register(2, 3), "v": _register(2, 4, C=[2])}, "2 clocks"),
        ({"u": _register(9, 3)}, "net 9 has no driver"),
        ({"u": _register(2, 3), "v": _register(2, 3)}, "net 3 has two drivers"),
        ({"u": _register(3, 3)}, "feedback through 1 nets"),
        (
            {"u": _cell("LUT1", {"I0": [2], "O": [3]}, INIT="no")},
            "cell u .LUT1.: parameter INIT is 'no'",
        ),
        (
            {"u": _cell("FDCE", {"C": [1], "CE": ["1"], "D": [2], "Q": [3], "CLR": [2]})},
            "an asynchronous CLR cannot",
        ),
        (
            {"u": _cell("FDRE", {"C": [1], "CE": ["1"], "D": [2], "Q": [3], "R": ["0"]},
                        IS_D_INVERTED="1")},
            "IS_D_INVERTED cannot",
        ),
        ({"u": _cell("INV", {"O": [3]})}, "cell u .INV.: port I is not connected"),
    ],
)  # fmt: skip
def test_what_cannot_be_simulated_is_named(cells: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        netlist.assemble(_module(cells, [2], [3]))


def test_ports_of_another_design_are_named() -> None:
    made = netlist.assemble(_module({"u": _register(2, 3)}, [2], [3]))
    with pytest.raises(InputError, match="ports are in, out, not other, out"):
        simulate(made, {"other": np.zeros((1, 1), dtype=bool)}, "out")
    with pytest.raises(InputError, match="port in has 1 bits, and 2 are given"):
        simulate(made, {"in": np.zeros((1, 2), dtype=bool)}, "out")


def test_bad_netlists_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.gz: no such file; run firmware synthesise"):
        netlist.read(tmp_path / "none.gz", "jet", tmp_path)
    bad = tmp_path / "bad.gz"
    bad.write_text("no archive")
    with pytest.raises(InputError, match=r"bad\.gz: not a netlist"):
        netlist.read(bad, "jet", tmp_path)
    bad.write_bytes(gzip.compress(b"module other(input a); endmodule"))
    with pytest.raises(InputError, match=r"bad\.gz: no module jet, only other"):
        netlist.read(bad, "jet", tmp_path)
    bad.write_bytes(gzip.compress(b"module other(input a; endmodule"))
    with pytest.raises(InputError, match=r"bad\.gz: Yosys says .*ERROR"):
        netlist.read(bad, "jet", tmp_path)


def test_statistics_are_read(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    design = {"num_cells_by_type": {"LUT2": 3, "FDRE": 1, "$scopeinfo": 4}}
    path.write_text(json.dumps({"creator": "Yosys 0.70 (git)", "design": design}))
    assert yosys.statistics(path) == ({"FDRE": 1, "LUT2": 3}, "0.70")
    path.write_text("{}")
    with pytest.raises(InputError, match=r"s\.json: not statistics of Yosys"):
        yosys.statistics(path)
