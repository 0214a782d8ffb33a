"""Which layer of hls4ml is which layer of a network, and with which types."""

from dataclasses import dataclass
from typing import Any

from hls4ml.model.types import FixedPrecisionType, RoundingMode

from fullchain.errors import InputError
from fullchain.firmware.fixed_network import FixedPointNetwork, Layer
from fullchain.firmware.fixed_point import Format
from fullchain.firmware.hls_emulation import Emulation
from fullchain.firmware.hls_modules import step_name
from fullchain.firmware.hls_project import Project


@dataclass(frozen=True)
class Step:
    """A layer of a network in a project of hls4ml.

    Parameters
    ----------
    layer
        The layer of the network.
    name
        Its name in hls4ml.
    traced
        The layer of hls4ml whose outputs are those of this layer; None where hls4ml needs no code
        for it, as for a flattening of registers.
    rounded_later
        Whether hls4ml builds the rounding into the layer after it, so that what is traced here is
        not rounded yet.
    types
        Formats of everything that holds values of the layer, by what they are: `weight`, `bias`,
        `accum`, `result` (before the ReLU), `activation`.
    """

    layer: Layer
    name: str
    traced: str | None
    rounded_later: bool
    types: dict[str, Format]


def steps(
    network: FixedPointNetwork, project: Project, emulation: Emulation, *, by_hand: bool
) -> list[Step]:
    """Find every layer of a network in its project.

    With precision chosen `by_hand`, the formats of the network are nowhere in the project.

    Raises
    ------
    InputError
        The project has no outputs of a layer.
    """
    graph = project.graph.graph
    found = []
    for number, layer in enumerate(network.layers, start=1):
        name = step_name(number, layer)
        names = [f"{name}_format", f"{name}_relu", name]
        traced = next((one for one in names if one in emulation.layers), None)
        if traced is None and layer.kind != "flatten":
            raise InputError(
                f"layer {layer.name}: hls4ml left no outputs of it to compare (looked for "
                f"{', '.join(names)}); take another io_type or backend"
            )
        later = False
        formatted = traced is not None and layer.output is not None and not by_hand
        if formatted and traced != names[0]:
            mode = graph[traced].get_output_variable().type.precision.rounding_mode
            later = mode != RoundingMode.RND
        types: dict[str, Format] = {}
        if name in graph:
            for what in ("weight", "bias", "accum", "result"):
                _add(types, what, graph[name].get_attr(f"{what}_t"))
        if names[1] in graph:
            _add(types, "activation", graph[names[1]].get_attr("result_t"))
        found.append(Step(layer, name, traced, later, types))
    return found


def _add(types: dict[str, Format], what: str, kind: Any) -> None:
    precision = getattr(kind, "precision", None)
    if isinstance(precision, FixedPrecisionType):
        types[what] = Format.uniform(
            1,
            signed=bool(precision.signed),
            integer=int(precision.integer) - bool(precision.signed),
            fractional=int(precision.width - precision.integer),
        )
