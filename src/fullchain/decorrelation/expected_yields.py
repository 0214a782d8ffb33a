"""How many jets each simulated jet stands for, at a luminosity."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.tagging.scored_jets import ScoredJets

Array = npt.NDArray[np.float64]

PER_FB = 1000.0
"""1/fb in 1/pb."""


def from_cross_sections(
    jets: ScoredJets,
    chosen: npt.NDArray[np.bool_],
    samples: Sequence[str],
    manifests: Mapping[str, Mapping[str, Any]],
    luminosity: float,
) -> Array:
    """Expected number of jets that each chosen one stands for, (chosen jets,).

    It is weight x cross section x luminosity / sum of the weights of all generated events. The
    chosen jets (the test part) stand for all jets of their class and sample, whose part in the
    events is the same.

    Parameters
    ----------
    jets
        All jets in the window, with the columns `weight` and `sample` (number in `samples`).
    chosen
        Those that are measured, (jets,).
    manifests
        `sum_of_weights` and `cross_section_pb` of each sample.
    luminosity
        [1/fb]

    Raises
    ------
    InputError
        A sample has no cross section, or the chosen jets of one no positive sum of weights.
    """
    weight = np.asarray(jets.columns["weight"], dtype=float)
    result = np.zeros(len(weight))
    for number, name in enumerate(samples):
        cross_section = manifests[name]["cross_section_pb"]
        if cross_section is None:
            raise InputError(
                f"sample {name}: the manifest has no cross section; give the jets to expect in "
                "decorrelation.evaluation.mass_fit.expected, or make mass_fit null"
            )
        events = cross_section * luminosity * PER_FB
        for target in np.unique(jets.target):
            mine = (jets.columns["sample"] == number) & (jets.target == target)
            if not mine.any():
                continue
            taken = weight[mine & chosen].sum()
            if not taken > 0:
                raise InputError(
                    f"sample {name}: the weights of the {int((mine & chosen).sum())} jets of a "
                    f"class that are measured sum to {taken:g}; make more events, or widen "
                    "the selection of the tagger"
                )
            part = weight[mine].sum() / taken
            result[mine] = weight[mine] * events / manifests[name]["sum_of_weights"] * part
    return result[chosen]


def from_numbers(
    weight: Array,
    target: npt.NDArray[np.intp],
    names: Sequence[str],
    expected: Mapping[str, float],
) -> Array:
    """Expected number of jets that each jet stands for, (jets,), where the sums are given.

    Raises InputError where a class has no number, or a number no class.
    """
    if set(expected) != set(names):
        raise InputError(
            "decorrelation.evaluation.mass_fit.expected names the classes "
            f"{', '.join(sorted(expected))}; those of the tagger are {', '.join(names)}"
        )
    result = np.asarray(weight, dtype=float).copy()
    for number, name in enumerate(names):
        mine = target == number
        total = result[mine].sum()
        if not total > 0:
            raise InputError(
                f"the weights of the {name} jets that are measured sum to {total:g}, not to a "
                "positive number; make more events, or widen the selection of the tagger"
            )
        result[mine] *= expected[name] / total
    return result
