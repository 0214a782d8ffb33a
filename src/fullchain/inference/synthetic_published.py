"""Expected uncertainties that the INFERNO paper states, to set beside ours."""

from collections.abc import Mapping
from types import MappingProxyType

SOURCE = "P. de Castro and T. Dorigo, 1806.04743, medians of 100 initialisations"

CASES = ("B0", "B1", "B2", "B3", "B4")


def _row(*values: float) -> Mapping[str, float]:
    return MappingProxyType(dict(zip(CASES, values, strict=True)))


CLASSIFIER = _row(14.99, 18.94, 23.94, 21.54, 26.71)
"""Network trained with the cross-entropy."""

INFERNO = _row(15.51, 16.79, 16.95, 16.89, 18.68)
"""Network trained for the case in which it is evaluated."""

BEST_CLASSIFIER = _row(14.97, 19.12, 24.93, 22.13, 27.98)
"""The density ratio in the place of the network."""

LIKELIHOOD = _row(14.71, 15.52, 15.65, 15.62, 16.89)
"""The likelihood itself, without a summary."""
