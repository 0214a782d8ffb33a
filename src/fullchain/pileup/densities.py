"""Which densities of pile-up learned weights were trained on, and the names of single trainings."""

import math
import re
from collections.abc import Mapping
from typing import Any

_TRAINING = re.compile(r"(.+)_seed\d+")
_WIDTHS = 2.0
"""Standard deviations of the Poisson number of interactions that count as trained on."""

Range = tuple[float, float]


def method_of_training(name: str) -> str | None:
    """Give the method of which `name` is a single training; None for the weights of a method."""
    found = _TRAINING.fullmatch(name)
    return found[1] if found else None


def range_of(name: str, ranges: Mapping[str, Range]) -> Range | None:
    """Give the range that the weights `name` were trained on; None where it is not known."""
    return ranges.get(method_of_training(name) or name)


def trained_ranges(values: Mapping[str, Any]) -> dict[str, Range]:
    """Give the numbers of interactions that each learned method was trained on.

    Parameters
    ----------
    values
        Settings as the rule passes them: ``pileup.learned.<method>.samples`` and
        ``ntuples.samples.<sample>``, with ``pileup`` and ``pileup_profile``.

    Returns
    -------
    Lowest and highest by method: from two standard deviations of the number of interactions below
    the lowest mean of its samples to two above the highest. Methods with a sample whose density
    is not known are left out.
    """
    learned = values.get("pileup", {}).get("learned", {})
    samples = values.get("ntuples", {}).get("samples", {})
    found = {}
    for method, chosen in learned.items():
        if all(name in samples for name in chosen["samples"]):
            means = [mean for name in chosen["samples"] for mean in _means(samples[name])]
            low, high = min(means), max(means)
            found[method] = (
                max(0.0, low - _WIDTHS * math.sqrt(low)),
                high + _WIDTHS * math.sqrt(high),
            )
    return found


def _means(sample: Mapping[str, Any]) -> list[float]:
    profile = {float(mean): part for mean, part in sample["pileup_profile"].items()}
    return [mean for mean, part in profile.items() if part > 0] or [float(sample["pileup"])]
