"""Merging of bins until the simulation in each of them says enough.

The statistical errors of the templates know only the jets that are there. A bin in which a frequent
background happens to have no simulated jet looks free of it, and a fit would find a significant
signal there. For the choice of bins such a background is given the error of one of its jets, and
bins are merged until no error is larger than a fraction of the expected background.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference.histfactory import Array, Template

Indices = NDArray[np.intp]


def simulation_error(templates: Sequence[Template]) -> float:
    """Relative error, from limited simulation, of all processes together in one wide bin.

    A process without a jet in the bin is not known to be absent. Its error is its mean weight in
    the region, which is the ratio of the sums of squared weights and of weights.

    Parameters
    ----------
    templates
        Yields of the processes; the first bin is the one that is asked about, the second the whole
        region.
    """
    total = variance = 0.0
    for template in templates:
        (value, everything), (error, all_errors) = template.values, template.variances
        total += value
        if value != 0:
            variance += error
        elif everything > 0:
            variance += (all_errors / everything) ** 2
    return float(np.sqrt(variance) / total) if total > 0 else float("inf")


def groups(
    templates: Sequence[Template], edges: Array, largest_error: float, region: str, where: str
) -> Indices:
    """Choose which bins to merge: neighbours, from the left, until each group is known well enough.

    Parameters
    ----------
    templates
        Yields of the backgrounds in the region, in equal units.
    edges
        Bin edges.
    largest_error
        Relative error from limited simulation that a bin may have.
    region
        Name, for the error message.
    where
        Path of the analysis in the settings, for the same.

    Returns
    -------
    numpy.ndarray
        Index of the first bin of each group. What is left over at the right joins the last group.

    Raises
    ------
    InputError
        Even one bin for all is not known well enough.
    """

    def error(first: int, last: int) -> float:
        chosen = [
            Template(
                np.array([one.values[first:last].sum(), one.values.sum()]),
                np.array([one.variances[first:last].sum(), one.variances.sum()]),
            )
            for one in templates
        ]
        return simulation_error(chosen)

    bins = len(edges) - 1
    whole = error(0, bins)
    if not whole <= largest_error:
        raise InputError(
            f"region {region}: in one bin for all, limited simulation leaves an error of "
            f"{100 * whole:.0f} % of the background, more than the {100 * largest_error:.0f} % of "
            f"{where}.model.largest_simulation_error; generate more events of the background with "
            "the largest weights, or let more jets pass"
        )
    starts = [0]
    for last in range(1, bins):
        if error(starts[-1], last) <= largest_error:
            starts.append(last)
    while error(starts[-1], bins) > largest_error:
        starts.pop()
    return np.array(starts, dtype=np.intp)


def merged(template: Template, starts: Indices) -> Template:
    """Add up the bins of each group."""
    return Template(
        np.add.reduceat(template.values, starts), np.add.reduceat(template.variances, starts)
    )


def merged_edges(edges: Array, starts: Indices) -> Array:
    """Edges of the groups."""
    return np.append(edges[starts], edges[-1])
