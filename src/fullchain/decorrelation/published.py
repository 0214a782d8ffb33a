"""Rejection and 1/JSD that papers state, to set beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SOURCE = "notebook of MoDe (2010.09745), public W-tagging set, ten observables, 50 bins in the mass"

NOTE = (
    "other data set: published on the public W-tagging set of 2010.09745, with 50 bins of the mass "
    "and a base of the logarithm that was not checked (with natural logarithms 1/JSD is 1.44 times "
    "that of base 2); ours on the simulation and number of jets of this configuration"
)
"""What the reader must know to compare our numbers with these."""


@dataclass(frozen=True)
class Published:
    """A point in the plane of R50 and 1/JSD; the latter as the range that is stated."""

    name: str
    rejection: float
    inverse: tuple[float, float]
    strength: float | None = None


POINTS = (
    Published("unconstrained", 27.2, (3.8, 3.8)),
    Published("MoDe[0]", 7.9, (480.0, 1080.0), 300.0),
)
"""W jets against QCD jets at 50 % signal efficiency."""

SIGNAL = {"W"}
BACKGROUND = {"gluon", "light", "b"}


def points(measured: Mapping[str, Any]) -> tuple[Published, ...]:
    """Points to set beside a performance.json: none for other jets, efficiencies or bins."""
    labels = [set(one["labels"]) for one in measured["classes"].values()]
    same = len(labels) == 2 and labels[0] == SIGNAL and labels[1] <= BACKGROUND
    same = same and measured["signal_efficiency"] == 0.5 and measured["mass_bins"] == 50
    return POINTS if same else ()
