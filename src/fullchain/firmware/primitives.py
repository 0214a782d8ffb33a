"""What the cells of Xilinx FPGAs do: lookup tables of their inputs, and delays by clocks.

The meaning is that of the simulation models in Yosys (`xilinx/cells_sim.v`), and of the vendor's
library guides (UG953, UG974).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fullchain.errors import InputError

Net = int | str
"""Number of a net, a constant "0", "1" or "x", or the name of a net within a cell."""


@dataclass(frozen=True)
class Cell:
    """A cell of a netlist: name, type, parameters (bits or text), nets at each port."""

    name: str
    type: str
    parameters: Mapping[str, str]
    ports: Mapping[str, tuple[Net, ...]]

    def nets(self, port: str) -> tuple[Net, ...]:
        """Give the nets at a port, from the lowest bit.

        Raises
        ------
        InputError
            The port is not connected.
        """
        if port not in self.ports:
            raise InputError(f"cell {self.name} ({self.type}): port {port} is not connected")
        return self.ports[port]

    def net(self, port: str) -> Net:
        """Give the net at a port of one bit; raises as `nets`."""
        return self.nets(port)[0]

    def number(self, parameter: str, default: int) -> int:
        """Give a parameter as a number; an unknown bit is 0.

        Raises
        ------
        InputError
            It is no number.
        """
        text = self.parameters.get(parameter)
        if text is None:
            return default
        try:
            return int(text.lower().replace("x", "0"), 2)
        except ValueError:
            raise InputError(
                f"cell {self.name} ({self.type}): parameter {parameter} is {text!r}"
            ) from None


@dataclass(frozen=True)
class Lookup:
    """`output` is bit `inputs[0] + 2 inputs[1] + ...` of `table`."""

    output: Net
    table: int
    inputs: tuple[Net, ...]


@dataclass(frozen=True)
class Delay:
    """`output` is `source` some `cycles` ago."""

    output: Net
    source: Net
    cycles: int


Part = Lookup | Delay

COPY, NOT, AND_NOT, OR, XOR, CHOICE = 0b10, 0b01, 0b0010, 0b1110, 0b0110, 0b11001010
"""Tables; CHOICE of (a, b, s) is b where s is 1, else a."""


def parts(cell: Cell) -> Iterator[Part]:
    """Say what a cell does.

    Raises
    ------
    InputError
        The cell is of a type that cannot be simulated here, or uses its clock enable, an
        asynchronous reset or an inverted pin (names the cell).
    """
    if cell.type not in _KINDS:
        raise InputError(
            f"cell {cell.name}: {cell.type} cannot be simulated here; known are "
            f"{', '.join(sorted(_KINDS))}"
        )
    for name in cell.parameters:
        if name.startswith("IS_") and name.endswith("_INVERTED") and cell.number(name, 0):
            raise InputError(f"cell {cell.name} ({cell.type}): {name} cannot be simulated here")
    yield from _KINDS[cell.type](cell)


def clocks(cell: Cell) -> Iterator[Net]:
    """Give the net of the clock of a cell that has one."""
    if cell.type in (*_REGISTERS, "SRL16E", "SRLC32E"):
        yield cell.net("C" if cell.type in _REGISTERS else "CLK")


def _lookup(cell: Cell) -> Iterator[Part]:
    size = int(cell.type[3])
    inputs = tuple(cell.net(f"I{number}") for number in range(size))
    yield Lookup(cell.net("O"), cell.number("INIT", 0), inputs)


def _double_lookup(cell: Cell) -> Iterator[Part]:
    inputs = tuple(cell.net(f"I{number}") for number in range(6))
    table = cell.number("INIT", 0)
    if "O6" in cell.ports:
        yield Lookup(cell.net("O6"), table, inputs)
    if "O5" in cell.ports:
        yield Lookup(cell.net("O5"), table & 0xFFFFFFFF, inputs[:5])


def _copy(cell: Cell) -> Iterator[Part]:
    yield Lookup(cell.net("O"), COPY, (cell.net("I"),))


def _inverter(cell: Cell) -> Iterator[Part]:
    yield Lookup(cell.net("O"), NOT, (cell.net("I"),))


def _multiplexer(cell: Cell) -> Iterator[Part]:
    yield Lookup(cell.net("O"), CHOICE, (cell.net("I0"), cell.net("I1"), cell.net("S")))


def _carry(cell: Cell) -> Iterator[Part]:
    """Sums and carries of 4 or 8 bits."""
    width = 4 if cell.type == "CARRY4" else 8
    begin: dict[int, Net] = {0: cell.net("CI")}
    if width == 4:
        begin[0] = f"{cell.name}/CIN"
        yield Lookup(begin[0], OR, (cell.net("CI"), cell.net("CYINIT")))
    elif cell.parameters.get("CARRY_TYPE", "SINGLE_CY8") == "DUAL_CY4":
        begin[4] = cell.net("CI_TOP")
    given, select = cell.nets("DI"), cell.nets("S")
    carries, sums = cell.ports.get("CO", ()), cell.ports.get("O", ())
    carry = begin[0]
    for bit in range(width):
        carry = begin.get(bit, carry)
        if bit < len(sums):
            yield Lookup(sums[bit], XOR, (select[bit], carry))
        following: Net = carries[bit] if bit < len(carries) else f"{cell.name}/CO{bit}"
        yield Lookup(following, CHOICE, (given[bit], carry, select[bit]))
        carry = following


_REGISTERS = {"FDRE": ("R", AND_NOT), "FDSE": ("S", OR), "FDCE": ("CLR", 0), "FDPE": ("PRE", 0)}
"""Port that resets or sets, and what it does with D at the clock; 0: it does not wait for it."""


def _register(cell: Cell) -> Iterator[Part]:
    port, table = _REGISTERS[cell.type]
    _only(cell, "CE", "1")
    source, reset = cell.net("D"), cell.net(port)
    if reset != "0":
        if not table:
            raise InputError(
                f"cell {cell.name} ({cell.type}): an asynchronous {port} cannot be simulated here"
            )
        within = f"{cell.name}/D"
        yield Lookup(within, table, (source, reset))
        source = within
    yield Delay(cell.net("Q"), source, 1)


def _shift_register(cell: Cell) -> Iterator[Part]:
    _only(cell, "CE", "1")
    wide = cell.type == "SRLC32E"
    address = cell.nets("A") if wide else tuple(cell.net(f"A{bit}") for bit in range(4))
    if any(bit not in ("0", "1") for bit in address):
        raise InputError(f"cell {cell.name} ({cell.type}): its address is not constant")
    cycles = 1 + sum(1 << place for place, bit in enumerate(address) if bit == "1")
    if "Q" in cell.ports:
        yield Delay(cell.net("Q"), cell.net("D"), cycles)
    if "Q31" in cell.ports:
        yield Delay(cell.net("Q31"), cell.net("D"), 32)


def _constant(port: str, value: int) -> Callable[[Cell], Iterator[Part]]:
    def part(cell: Cell) -> Iterator[Part]:
        yield Lookup(cell.net(port), value, ())

    return part


def _only(cell: Cell, port: str, wanted: str) -> None:
    if cell.net(port) != wanted:
        raise InputError(
            f"cell {cell.name} ({cell.type}): {port} is not constant {wanted}; a pipeline that "
            "stalls cannot be simulated here"
        )


_KINDS: dict[str, Callable[[Cell], Iterator[Part]]] = {
    **{f"LUT{size}": _lookup for size in range(1, 7)},
    **dict.fromkeys(("IBUF", "OBUF", "BUFG"), _copy),
    **dict.fromkeys(("MUXF7", "MUXF8", "MUXF9"), _multiplexer),
    **dict.fromkeys(("CARRY4", "CARRY8"), _carry),
    **dict.fromkeys(_REGISTERS, _register),
    **dict.fromkeys(("SRL16E", "SRLC32E"), _shift_register),
    "LUT6_2": _double_lookup,
    "INV": _inverter,
    "VCC": _constant("P", 1),
    "GND": _constant("G", 0),
}
