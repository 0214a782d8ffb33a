"""Which figures the stage draws: known to the workflow before anything is drawn."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from fullchain.unfolding.evaluation_settings import CoverageSettings

OF_MEASUREMENT = (
    "spectra",
    "uncertainties",
    "refolding",
    "pulls",
    "iterations",
    "discriminators",
)
"""Figures of all methods of a measurement."""

GENERATIVE = ("cinn", "flow_matching")
"""Kinds of methods whose posteriors are tested."""

BINNED = "ibu"
"""Kind of methods whose dependence on the prior is drawn."""

COVERAGE = "coverage"


class _Method(Protocol):
    @property
    def kind(self) -> str: ...


class Drawn(Protocol):
    """What of the settings of the stage decides on the figures."""

    @property
    def measurements(self) -> Mapping[str, object]:
        """Measurements by name."""
        ...

    @property
    def methods(self) -> Mapping[str, _Method]:
        """Methods by name."""
        ...

    @property
    def coverage(self) -> CoverageSettings | None:
        """Pseudo-experiments; None without."""
        ...

    def methods_of(self, measurement: str) -> Sequence[str]:
        """Names of the methods that unfold a measurement."""
        ...


def names(chosen: Drawn) -> list[str]:
    """Give the names of all figures."""
    found = []
    for measurement in chosen.measurements:
        kinds = {chosen.methods[name].kind for name in chosen.methods_of(measurement)}
        found += [f"{kind}_{measurement}" for kind in OF_MEASUREMENT]
        if kinds & set(GENERATIVE):
            found.append(f"calibration_{measurement}")
        if BINNED in kinds:
            found.append(f"prior_{measurement}")
    return found + ([COVERAGE] if chosen.coverage is not None else [])
