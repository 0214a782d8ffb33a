"""Published firmware of the jet-substructure benchmark, to set ours beside it.

Two data sets go by that name and must not be mixed: that on OpenML and an older one on CERNBox. Our
jets are of neither: other generator, other detector, other transverse momenta. Accuracies of
different data sets cannot be compared; published points show what resources such taggers take.
"""

from dataclasses import dataclass
from typing import Literal

SOURCE = "table of KANELÉ (arXiv:2512.12850), read in a public copy"
UNLIKE = (
    "Published points are of other data sets (OpenML and CERNBox, which differ from each other "
    "too) and of placed designs of other tools: accuracies cannot be compared with ours, and "
    "resources with care"
)


@dataclass(frozen=True)
class PublishedPoint:
    """One line of the table: accuracy [%], LUTs, flip-flops, DSPs, latency [ns]."""

    data: Literal["OpenML", "CERNBox"]
    method: str
    accuracy: float
    lut: int
    ff: int
    dsp: int
    latency: float


POINTS = (
    PublishedPoint("OpenML", "KANELÉ", 76.0, 1232, 900, 0, 7.1),
    PublishedPoint("OpenML", "NeuraLUT-Assemble", 76.0, 1780, 540, 0, 2.1),
    PublishedPoint("OpenML", "TreeLUT", 75.6, 2234, 347, 0, 2.7),
    PublishedPoint("OpenML", "DWN", 76.3, 4972, 3305, 0, 7.3),
    PublishedPoint("OpenML", "da4ml", 76.9, 12250, 1502, 0, 18.9),
    PublishedPoint("OpenML", "hls4ml", 76.2, 63251, 4394, 38, 45.0),
    PublishedPoint("CERNBox", "LogicNets", 72.0, 37931, 810, 0, 13.0),
)
