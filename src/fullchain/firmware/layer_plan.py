"""What layers an architecture has: the same for networks of floating and of fixed point."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from fullchain.firmware.network_settings import ArchitectureSettings

Kind = Literal["dense", "sum", "flatten", "squared_norm"]


@dataclass(frozen=True)
class LayerPlan:
    """One layer.

    Parameters
    ----------
    name, kind
        As in `fixed_network`.
    inputs, outputs
        Channels.
    relu
        Whether a dense layer ends with ReLU.
    rounded
        Whether the outputs have a format.
    copies
        How many times the layer is there in parallel: once for each candidate, or once.
    """

    name: str
    kind: Kind
    inputs: int
    outputs: int
    relu: bool = False
    rounded: bool = True
    copies: int = 1


def plan(
    architecture: ArchitectureSettings, quantities: int, outputs: int, last: tuple[Kind, ...] = ()
) -> tuple[LayerPlan, ...]:
    """Give the layers from inputs to outputs.

    Parameters
    ----------
    architecture
        Sizes.
    quantities
        Number of features, or of quantities of a candidate.
    outputs
        Outputs of the last dense layer.
    last
        Layers behind it, which are not trained (`squared_norm`); the outputs of the last dense
        layer are rounded if there are any, and kept exactly if not.
    """
    candidates = architecture.used_candidates
    found: list[LayerPlan] = []
    width = quantities
    if candidates:
        for number, (below, above) in enumerate(pairwise([quantities, *architecture.shared]), 1):
            found.append(
                LayerPlan(f"shared{number}", "dense", below, above, True, copies=candidates)
            )
            width = above
        if architecture.pool == "sum":
            found.append(LayerPlan("sum", "sum", width, width))
        else:
            found.append(LayerPlan("flatten", "flatten", width, candidates * width, rounded=False))
            width *= candidates
    for number, (below, above) in enumerate(pairwise([width, *architecture.layers]), 1):
        found.append(LayerPlan(f"dense{number}", "dense", below, above, True))
        width = above
    found.append(LayerPlan("output", "dense", width, outputs, rounded=bool(last)))
    for kind in last:
        found.append(LayerPlan(kind, kind, outputs, 1, rounded=False))
    return tuple(found)
